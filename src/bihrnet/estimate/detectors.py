"""Where the people are: the protocol of a person detector, and what a user may name as one."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bihrnet.crop import BOX_PADDING
from bihrnet.errors import BihrnetError
from bihrnet.estimate.video import Frame


class PersonDetector(Protocol):
    """Any function of this shape finds the people for a `PoseEstimator`."""

    def __call__(self, frame: Frame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """People in a frame: boxes (N, 4) as x, y, width, height in pixels, and scores (N,)."""


def whole_image(frame: Frame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The `PersonDetector` for pictures of one person.

    The box is the middle 80 % of the picture, so that the crop, which is 25 % larger than the box,
    is the whole picture and no black frame is added to the margin that photographs have anyway.
    (Measured on 300 images of LSPET val: PCKh@0.5 42.6; with the picture as the box 33.5.)
    """
    height, width = frame.image.shape[:2]
    margin = (1 - 1 / BOX_PADDING) / 2
    box = [width * margin, height * margin, width / BOX_PADDING, height / BOX_PADDING]
    return np.array([box]), np.ones(1)


def open_detector(source: str | Path | PersonDetector) -> PersonDetector:
    """A detector from what a user named.

    Args:
        source: "whole", a JSON file of boxes (`BoxesFile`), an ONNX file (`OnnxDetector`), or a
            detector itself.

    Raises:
        BihrnetError: none of these, or the file cannot be used.
    """
    if not isinstance(source, (str, Path)):
        if not callable(source):
            raise BihrnetError(f"a detector is a name, a file or a function, not {source!r}")
        return source
    if str(source) == "whole":
        return whole_image
    suffix = Path(source).suffix.lower()
    if suffix == ".json":
        from bihrnet.estimate.boxes_file import BoxesFile  # pydantic costs 0.1 s

        return BoxesFile(source)
    if suffix == ".onnx":
        from bihrnet.estimate.onnx_detector import OnnxDetector  # onnxruntime may be missing

        return OnnxDetector(source)
    raise BihrnetError(
        f"no detector {str(source)!r}: give whole, a .json file of boxes or an .onnx file"
    )
