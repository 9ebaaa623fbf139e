"""Fractional max-pooling: Graham 2014, "Fractional Max-Pooling" (arXiv:1412.6071)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def fractional_max_pool(x: Tensor, ratio: float, training: bool) -> Tensor:
    """Maxima of 2x2 regions, `ratio` times as many rows and columns of them as the input has.

    In training the regions are drawn at random for each image and channel, as in the paper. In
    evaluation they are regular: the region of output row i starts at the input row that covers its
    center, floor((i + 0.5) / ratio - 0.5), and columns likewise. That is max-pooling of stride
    1 followed by nearest-neighbor subsampling, which every runtime has.

    Args:
        x: (N, C, h, w), h and w at least 2.
        ratio: 0.5 <= ratio < 1.
        training: whether regions are random.

    Returns:
        (N, C, floor(ratio * h), floor(ratio * w)).
    """
    rows, columns = (int(side * ratio) for side in x.shape[2:])
    if training:
        return F.fractional_max_pool2d(x, 2, output_size=(rows, columns))
    y = F.max_pool2d(x, 2, stride=1)
    for dimension, count in ((2, rows), (3, columns)):
        starts = [int((i + 0.5) / ratio - 0.5) for i in range(count)]
        y = y.index_select(dimension, torch.tensor(starts, device=x.device))
    return y
