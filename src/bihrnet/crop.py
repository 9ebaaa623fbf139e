"""Box <-> crop affine: the only module with coordinate conventions.

Points are (x, y) with pixel centers at integers. A crop maps its center to (width / 2, height / 2)
of the network input, as HRNet's `get_affine_transform` does, so a point at input (x, y) lies at
(x / stride, y / stride) of the heatmap: one affine serves input and heatmap alike.
Sizes of arrays are written height x width, as in the papers; points and boxes are x before y.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bihrnet.errors import BihrnetError

#: A crop is this much larger than the person's box (HRNet's code: ``scale * 1.25``).
BOX_PADDING = 1.25


@dataclass(frozen=True)
class Crop:
    """A rotated rectangle of an image and the network input that it is warped to.

    Attributes:
        center: (x, y) in image pixels; it lands at the middle of the input.
        size: (width, height) in image pixels, padding included. The scale follows from the width;
            `grow_to_aspect` makes the height agree.
        output: (height, width) of the network input in pixels.
        rotation: degrees; positive turns the image content counter-clockwise.
        mirror: flip about the vertical axis through the center, before the rotation. The center
            stays at the middle, as in HRNet's training code.
    """

    center: tuple[float, float]
    size: tuple[float, float]
    output: tuple[int, int]
    rotation: float = 0.0
    mirror: bool = False

    def __post_init__(self) -> None:
        if not np.isfinite([*self.center, *self.size, self.rotation]).all() or min(self.size) <= 0:
            raise BihrnetError(f"no crop has center {self.center} and size {self.size}")

    @classmethod
    def from_box(
        cls, box: ArrayLike, output: tuple[int, int], padding: float = BOX_PADDING
    ) -> Crop:
        """Crop around a person's box.

        Args:
            box: x, y, width, height in image pixels; width and height above 0, all finite.
            output: (height, width) of the network input.
            padding: factor on the box, after it was grown to the input's aspect ratio.

        Raises:
            BihrnetError: the box is empty or not finite.
        """
        x, y, width, height = (float(value) for value in np.asarray(box, dtype=np.float64))
        if not np.isfinite([x, y, width, height]).all() or width <= 0 or height <= 0:
            raise BihrnetError(f"box [{x:g}, {y:g}, {width:g}, {height:g}] is empty or not finite")
        size = grow_to_aspect((width, height), output)
        return cls(
            center=(x + width / 2, y + height / 2),
            size=(size[0] * padding, size[1] * padding),
            output=output,
        )

    def augmented(self, scale: float, rotation: float, mirror: bool) -> Crop:
        """The same crop, scaled about its center, rotated (degrees) and mirrored."""
        return replace(
            self,
            size=(self.size[0] * scale, self.size[1] * scale),
            rotation=rotation,
            mirror=mirror,
        )

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(2, 3) affine from image pixels to input pixels."""
        scale = self.output[1] / self.size[0]
        angle = np.deg2rad(self.rotation)
        linear = scale * np.array(
            [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]], dtype=np.float64
        )
        if self.mirror:
            linear[:, 0] *= -1
        middle = np.array([self.output[1] / 2, self.output[0] / 2])
        offset = middle - linear @ np.asarray(self.center, dtype=np.float64)
        return np.column_stack([linear, offset])

    @property
    def inverse(self) -> NDArray[np.float64]:
        """(2, 3) affine from input pixels to image pixels."""
        matrix = self.matrix
        linear = np.linalg.inv(matrix[:, :2])
        return np.column_stack([linear, -linear @ matrix[:, 2]])

    def to_input(self, points: ArrayLike) -> NDArray[np.float64]:
        """(..., 2) points in image pixels -> input pixels."""
        return _apply(self.matrix, points)

    def to_image(self, points: ArrayLike) -> NDArray[np.float64]:
        """(..., 2) points in input pixels -> image pixels."""
        return _apply(self.inverse, points)

    def warp(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Cut the crop out of an (H, W, 3) image: bilinear, black outside; (h, w, 3) uint8."""
        height, width = self.output
        warped: Any = cv2.warpAffine(image, self.matrix, (width, height), flags=cv2.INTER_LINEAR)
        return np.asarray(warped, dtype=np.uint8)


def grow_to_aspect(size: tuple[float, float], output: tuple[int, int]) -> tuple[float, float]:
    """Grow (width, height) along one axis to the aspect ratio of `output` (height, width)."""
    width, height = size
    aspect = output[1] / output[0]
    if width > height * aspect:
        return width, width / aspect
    return height * aspect, height


def _apply(matrix: NDArray[np.float64], points: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(points, dtype=np.float64) @ matrix[:, :2].T + matrix[:, 2]
