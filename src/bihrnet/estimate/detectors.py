"""Person detectors: their protocol, and the names and files that a user may give.

A new detector is a function here, or a file of its own, and a line in `_NAMES` or `_FILES`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bihrnet.crop import BOX_PADDING
from bihrnet.errors import BihrnetError
from bihrnet.pose import Frame


class PersonDetector(Protocol):
    """Finds the people for a `PoseEstimator`; any function with this signature is one."""

    def __call__(self, frame: Frame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """People in a frame: boxes (N, 4) as x, y, width, height in pixels, and scores (N,)."""


def whole_image(frame: Frame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The `PersonDetector` for images of one person.

    The box is the middle 80 % of the image: the crop, which is 25 % larger than the box, then is
    the whole image, without a black border around the margin that photographs have anyway.
    (PCKh@0.5 on 300 images of LSPET val: 42.6; with the whole image as the box 33.5.)
    """
    height, width = frame.image.shape[:2]
    margin = (1 - 1 / BOX_PADDING) / 2
    box = [width * margin, height * margin, width / BOX_PADDING, height / BOX_PADDING]
    return np.array([box]), np.ones(1)


def _open_boxes_file(path: str | Path) -> PersonDetector:
    from bihrnet.estimate.boxes_file import BoxesFile  # pydantic takes 0.1 s to import

    return BoxesFile(path)


def _open_onnx(path: str | Path) -> PersonDetector:
    from bihrnet.estimate.onnx_detector import OnnxDetector  # onnxruntime may be missing

    return OnnxDetector(path)


#: Detectors by name.
_NAMES: dict[str, PersonDetector] = {"whole": whole_image}

#: Suffix of a file -> (what it holds, how to open it as a detector).
_FILES: dict[str, tuple[str, Callable[[str | Path], PersonDetector]]] = {
    ".json": ("person boxes", _open_boxes_file),
    ".onnx": ("a detection network", _open_onnx),
}


def open_detector(source: str | Path | PersonDetector) -> PersonDetector:
    """Open the detector that a user named.

    Args:
        source: "whole", a .json file of boxes (`BoxesFile`), an .onnx file (`OnnxDetector`), or a
            detector, which is returned as it is.

    Raises:
        BihrnetError: anything else, or the file cannot be used.
    """
    if not isinstance(source, (str, Path)):
        if not callable(source):
            raise BihrnetError(f"a detector is a name, a file or a function, not {source!r}")
        return source
    if str(source) in _NAMES:
        return _NAMES[str(source)]
    suffix = Path(source).suffix.lower()
    if suffix in _FILES:
        return _FILES[suffix][1](source)
    known = [*_NAMES, *(f"a {suffix} file ({content})" for suffix, (content, _) in _FILES.items())]
    raise BihrnetError(f"no detector {str(source)!r}: give {', '.join(known[:-1])} or {known[-1]}")
