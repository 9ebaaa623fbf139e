"""The one door between a network and everything that uses it: crops in, heatmaps out.

A checkpoint run by torch and a `.bhr` run by the engine both are `HeatmapModel`s; estimators,
evaluation and commands know nothing else about them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bihrnet.heatmap import Decoding
from bihrnet.skeleton import Skeleton

#: Mean and standard deviation of ImageNet in RGB order, for pixel values 0..1.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ModelSpec:
    """What a network expects and what its heatmaps mean.

    Attributes:
        name: `architecture[@recipe]`, for reports.
        skeleton: joints of the heatmaps, in order.
        input_size: (height, width) of the crops.
        stride: input pixels per heatmap pixel.
        decoding: how peaks are refined by default.
        flip_test: whether evaluation averages with the mirrored crop by default.
        sigma: of the Gaussians that it was trained on, in heatmap pixels; decoding may need it.
    """

    name: str
    skeleton: Skeleton
    input_size: tuple[int, int]
    stride: int = 4
    decoding: Decoding = "quarter"
    flip_test: bool = True
    sigma: float = 2.0


class HeatmapModel(Protocol):
    """A network that is ready to run. Normalization of pixels is the model's own business."""

    @property
    def spec(self) -> ModelSpec:
        """Input size, skeleton and defaults."""

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, height, width, 3) uint8 RGB -> (N, K, height / stride, width / stride)."""
