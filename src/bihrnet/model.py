"""The interface between a network and everything that uses it.

A checkpoint run by PyTorch and a `.bhr` file run by the engine both are a `HeatmapModel`;
estimators, evaluation and commands know nothing else about them. `predict_crops` takes crops
through one, and `decode_crops` is its second half for those who have the heatmaps already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bihrnet.crop import Crop
from bihrnet.errors import BihrnetError
from bihrnet.heatmap import Decoding, decode, flip_merge
from bihrnet.skeleton import Skeleton

#: Mean and standard deviation of ImageNet's pixels in RGB order, for values 0..1: every network
#: takes (pixel / 255 - mean) / std. PyTorch computes it in `nn.normalization`; exported files hold
#: it in their first layer or in their metadata.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ModelSpec:
    """What a network expects and what its heatmaps mean.

    Attributes:
        name: `architecture[@recipe]`, for reports.
        skeleton: joints of the heatmaps, in order.
        input_size: (height, width) of the crops in pixels.
        stride: input pixels per heatmap pixel.
        decoding: how peaks are refined by default, see `heatmap.decode`.
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
    """A network that is ready to run. It normalizes pixels itself."""

    @property
    def spec(self) -> ModelSpec:
        """Input size, skeleton and defaults."""

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, height, width, 3) uint8 RGB -> (N, K, height / stride, width / stride)."""


def predict_crops(
    model: HeatmapModel,
    crops: Sequence[Crop],
    pixels: Sequence[NDArray[np.uint8]],
    *,
    flip_test: bool = False,
    decoding: Decoding | None = None,
    batch_size: int = 32,
) -> NDArray[np.float32]:
    """Estimate the keypoints of the person in every crop.

    Args:
        model: runs once per batch, twice with flip test.
        crops: N, one for each person; their `output` is the model's input size.
        pixels: N times (height, width, 3) uint8 RGB, what `Crop.warp` cut out of the images.
        flip_test: average the heatmaps with those of the mirrored crop.
        decoding: None for the model's default.
        batch_size: crops that go through the network at once.

    Returns:
        (N, K, 3) float32: x, y in pixels of the image that the crop was cut from, and score, the
        height of the heatmap's peak.

    Raises:
        BihrnetError: the heatmaps are not finite.
    """
    spec = model.spec
    keypoints = np.empty((len(crops), len(spec.skeleton), 3), dtype=np.float32)
    for start in range(0, len(crops), batch_size):
        batch = slice(start, start + batch_size)
        inputs = np.stack(pixels[batch])
        heatmaps = model(inputs)
        mirrored = model(np.ascontiguousarray(inputs[:, :, ::-1])) if flip_test else None
        keypoints[batch] = decode_crops(
            spec, crops[batch], heatmaps, mirrored=mirrored, decoding=decoding
        )
    return keypoints


def decode_crops(
    spec: ModelSpec,
    crops: Sequence[Crop],
    heatmaps: NDArray[np.float32],
    *,
    mirrored: NDArray[np.float32] | None = None,
    decoding: Decoding | None = None,
) -> NDArray[np.float32]:
    """Keypoints of the people in crops from their heatmaps; see `predict_crops`.

    Args:
        spec: of the model that gave the heatmaps.
        crops: N, one for each person.
        heatmaps: (N, K, height / stride, width / stride).
        mirrored: with flip test, those of the mirrored crops.
        decoding: None for the model's default.

    Returns:
        (N, K, 3) float32: x, y in image pixels, score.

    Raises:
        BihrnetError: the heatmaps are not finite.
    """
    if mirrored is not None:
        heatmaps = flip_merge(heatmaps, mirrored, spec.skeleton.flip_permutation)
    peaks, scores = decode(heatmaps, decoding or spec.decoding, spec.sigma)
    points = [crop.to_image(peak * spec.stride) for crop, peak in zip(crops, peaks, strict=True)]
    keypoints = np.concatenate([points, scores[..., None]], axis=2).astype(np.float32)
    if not np.isfinite(keypoints).all():
        raise BihrnetError(f"{spec.name} gives heatmaps that are not finite")
    return keypoints
