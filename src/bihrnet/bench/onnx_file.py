"""ONNX files of others as models of a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bihrnet.errors import BihrnetError

#: Operators of quantized networks.
_INT8_OPS = {"QuantizeLinear", "DequantizeLinear", "QLinearConv", "ConvInteger", "MatMulInteger"}


@dataclass(frozen=True)
class OnnxFile:
    """A network of one input: images, channels first or last.

    Attributes:
        name: as it was asked for.
        path: of the file.
        size: (height, width) of the image.
        shape: of the input, for a batch of one image of that size.
        precision: "int8" if it has quantized operators, "fp16" if it has weights of that type,
            otherwise "fp32".
    """

    name: str
    path: Path
    size: tuple[int, int]
    shape: tuple[int, ...]
    precision: str


def read_onnx_file(model: str, size: tuple[int, int] | None) -> OnnxFile:
    """Read what a file expects.

    Args:
        model: path of the file.
        size: (height, width) of the image; None for the file's own.

    Raises:
        BihrnetError: onnx is not installed; the file is missing, broken, or does not take an image
            of that size.
    """
    path = Path(model)
    try:
        import onnx
    except ModuleNotFoundError:
        raise BihrnetError(f"{model}: ONNX files need the package onnx: pip install onnx") from None
    if not path.is_file():
        raise BihrnetError(f"{model}: there is no such file")
    try:
        graph = onnx.load(path, load_external_data=False).graph
    except Exception as error:  # protobuf has several of its own
        raise BihrnetError(f"{model}: is not an ONNX file: {error}") from error
    constants = {constant.name for constant in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1:
        raise BihrnetError(f"{model}: has {len(inputs)} inputs; a network of one image is needed")
    sides = [side.dim_value or None for side in inputs[0].type.tensor_type.shape.dim]
    shape, chosen = _image_shape(model, sides, size)
    half = any(constant.data_type == onnx.TensorProto.FLOAT16 for constant in graph.initializer)
    int8 = not _INT8_OPS.isdisjoint(node.op_type for node in graph.node)
    return OnnxFile(model, path, chosen, shape, "int8" if int8 else "fp16" if half else "fp32")


def _image_shape(
    model: str, sides: Sequence[int | None], size: tuple[int, int] | None
) -> tuple[tuple[int, ...], tuple[int, int]]:
    """Shape of one image and its (height, width); sides of the input are None where not fixed."""
    if len(sides) != 4 or 3 not in (sides[1], sides[3]):
        raise BihrnetError(f"{model}: its input {list(sides)} is not a batch of RGB images")
    first = 2 if sides[1] == 3 else 1
    own = (sides[first], sides[first + 1])
    height, width = (fixed or asked for fixed, asked in zip(own, size or own, strict=True))
    if height is None or width is None:
        raise BihrnetError(f"{model}: takes images of any size; choose one with --size")
    if size not in (None, (height, width)):
        raise BihrnetError(f"{model}: takes images of {height}x{width} only")
    shape = (1, 3, height, width) if first == 2 else (1, height, width, 3)
    return shape, (height, width)
