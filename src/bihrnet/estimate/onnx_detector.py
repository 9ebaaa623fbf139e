"""A person detector from an ONNX file, run by onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from bihrnet.errors import BihrnetError
from bihrnet.estimate.boxes import MIN_BOX_SCORE
from bihrnet.estimate.onnx_outputs import read_people
from bihrnet.pose import Frame

#: Height and width of the input where the graph does not fix them.
OPEN_SIDE = 640
#: Gray level of the padding, as in YOLO's training.
PADDING = 114

_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}


class OnnxDetector:
    """A detection network in an ONNX file; a `PersonDetector`.

    The image is scaled to fit the graph's input (1, 3, h, w) or (3, h, w), keeps its aspect ratio
    and lies in the top left corner. The layout of the outputs is recognized (`onnx_outputs`).

    Args:
        path: the file.
        min_score: boxes that score less are left out.
        order: color order of the input. None is the convention of the layout: "BGR" for graphs
            with the two outputs dets and labels (mmdeploy), "RGB" for all others.
        mean: subtracted from pixel values 0..255, in the color order of the input.
        std: divides the difference. None is the convention of the layout: 1 for mmdeploy, else
            255. uint8 inputs take the pixels as they are.

    Raises:
        BihrnetError: onnxruntime is missing, or the file is missing, broken or has other inputs.
    """

    def __init__(
        self,
        path: str | Path,
        min_score: float = MIN_BOX_SCORE,
        *,
        order: Literal["RGB", "BGR"] | None = None,
        mean: tuple[float, float, float] = (0, 0, 0),
        std: tuple[float, float, float] | None = None,
    ) -> None:
        self._path = path
        self._min_score = min_score
        self._session = _open(path)
        graph_input, self._size = _image_input(self._session, path)
        self._name, self._rank = graph_input.name, len(graph_input.shape)
        self._type = _TYPES[graph_input.type]
        mmdeploy = len(self._session.get_outputs()) == 2
        self._order = order or ("BGR" if mmdeploy else "RGB")
        self._mean = np.array(mean, dtype=np.float32)
        self._std = np.array(std or ([1] * 3 if mmdeploy else [255] * 3), dtype=np.float32)

    def __call__(self, frame: Frame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Boxes (N, 4) and scores (N,) of the people in the frame, clipped to its border.

        Raises:
            BihrnetError: the graph fails, or its outputs match no known layout.
        """
        height, width = frame.image.shape[:2]
        scale = min(self._size[0] / height, self._size[1] / width)
        pixels = self._prepare(frame.image, scale)
        try:
            outputs = self._session.run(None, {self._name: pixels})
            boxes, scores = read_people(outputs, self._min_score)
        except BihrnetError as error:
            raise BihrnetError(f"{self._path}: {error}") from None
        except Exception as error:  # onnxruntime's errors have no common base class
            raise BihrnetError(f"{self._path}: the detector fails: {error}") from error
        corners = np.clip(boxes / scale, 0, [width, height, width, height])
        sizes = corners[:, 2:] - corners[:, :2]
        inside = (sizes > 0).all(axis=1)
        return np.column_stack([corners[:, :2], sizes])[inside], scores[inside]

    def _prepare(self, image: NDArray[np.uint8], scale: float) -> NDArray[Any]:
        """The image as the graph's input tensor."""
        size = [max(1, round(side * scale)) for side in image.shape[:2]]
        canvas = np.full((*self._size, 3), PADDING, dtype=np.uint8)
        canvas[: size[0], : size[1]] = cv2.resize(image, size[::-1])
        if self._order == "BGR":
            canvas = canvas[:, :, ::-1]
        pixels = canvas if self._type is np.uint8 else (canvas - self._mean) / self._std
        tensor = np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=self._type)
        return tensor if self._rank == 3 else tensor[None]


def _open(path: str | Path) -> Any:
    if not Path(path).is_file():
        raise BihrnetError(f"{path}: there is no such file")
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise BihrnetError(
            f"{path}: ONNX detectors need onnxruntime: pip install 'bihrnet[detector]'"
        ) from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # failures raise exceptions
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common base class
        raise BihrnetError(f"{path}: onnxruntime cannot open it: {error}") from error


def _image_input(session: Any, path: str | Path) -> tuple[Any, tuple[int, int]]:
    """The graph's only input and its (height, width); a side that is not fixed is `OPEN_SIDE`."""
    inputs = session.get_inputs()
    shape = inputs[0].shape if len(inputs) == 1 else []
    front = [side if isinstance(side, int) else None for side in shape[:-2]]
    fits = front[-1:] in ([3], [None]) and front[:-1] in ([], [1], [None])
    if not fits or inputs[0].type not in _TYPES:
        found = ", ".join(f"{each.name} {each.type} {each.shape}" for each in inputs)
        raise BihrnetError(
            f"{path}: a detector takes one image (1, 3, height, width), uint8 or float, not {found}"
        )
    height, width = (side if isinstance(side, int) else OPEN_SIDE for side in shape[-2:])
    return inputs[0], (height, width)
