"""The metric protocols: how the predictions for a data set are scored.

A new protocol is a function in a file of its own and a line in `PROTOCOLS`; a data set names its
protocol (`PeopleDataset.protocol`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bihrnet.data.people import PeopleDataset
from bihrnet.evaluation.coco import coco_scores
from bihrnet.evaluation.mpii import mpii_scores
from bihrnet.evaluation.pck import pck_scores
from bihrnet.evaluation.scores import Scores

#: Name -> function of a data set and its predictions (N, K, 3), as `score_predictions` takes them.
PROTOCOLS: dict[str, Callable[[PeopleDataset, NDArray[np.float32]], Scores]] = {
    "coco": coco_scores,
    "crowdpose": coco_scores,
    "mpii": mpii_scores,
    "pck": pck_scores,
}


def score_predictions(dataset: PeopleDataset, predictions: NDArray[np.float32]) -> Scores:
    """The metrics of a data set's own protocol.

    Args:
        dataset: the people that were predicted.
        predictions: (N, K, 3) x, y in image pixels and score, in the order of `dataset.people`.

    Raises:
        BihrnetError: the annotations lack what their metrics need.
    """
    return PROTOCOLS[dataset.protocol](dataset, predictions)
