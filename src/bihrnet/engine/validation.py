"""Whether a graph and its constants fit together: what a runtime relies on is checked here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from bihrnet.engine.graph import (
    AddStep,
    AnyConv,
    Conv,
    ConvBinary,
    ConvInt8,
    ConvTernary,
    Graph,
    Load,
    MaxPool,
    MeanStep,
    MultiplyStep,
    Op,
    PreluStep,
    QuantizeStep,
    ScaleStep,
    ShiftStep,
    SignStep,
    Step,
    Tensor,
    WriteStep,
    op_constants,
    op_reads,
    op_writes,
    packed_words,
)
from bihrnet.engine.packing import pad_bits_are_zero
from bihrnet.errors import BihrnetError

MAX_SIDE = 4096
MAX_CHANNELS = 8192
MAX_KERNEL = 15
MAX_STRIDE = 4
MAX_UPSAMPLE = 64
MAX_TERMS = 1 << 16  # of one sum: 2**16 * 255 * 127 < 2**31
MAX_ITEMS = 1 << 16  # tensors, ops, steps of an op
MAX_TENSOR_ELEMENTS = 1 << 28
MAX_GRAPH_BYTES = 1 << 33

Constants = Mapping[str, NDArray[Any]]
Size = tuple[int, int]
_F32 = (np.dtype(np.float32),)
_CONV_READS = {
    Conv: ("f32",),
    ConvInt8: ("u8",),
    ConvBinary: ("bits",),
    ConvTernary: ("f32", "u8"),
}
_WEIGHTS = {
    Conv: (np.dtype(np.float32), np.dtype(np.float16)),
    ConvInt8: (np.dtype(np.int8),),
    ConvBinary: (np.dtype(np.uint64),),
    ConvTernary: (np.dtype(np.uint64),),
}


def tensor_bytes(tensor: Tensor, size: Size) -> int:
    """Bytes of one image's tensor of that size."""
    pixel_bytes = {"f32": 4 * tensor.channels, "u8": tensor.channels}
    return size[0] * size[1] * pixel_bytes.get(tensor.type, 8 * packed_words(tensor.channels))


def infer_sizes(graph: Graph, constants: Constants, image: Size) -> dict[str, Size]:
    """(height, width) of every tensor for an image of that size, all else checked on the way.

    Raises:
        BihrnetError: the first thing in graph or constants that does not fit, in one sentence.
    """
    return _Walk(graph, constants, image).run()


class _Walk:
    """Goes through the ops in order, knowing sizes and the channels written so far."""

    def __init__(self, graph: Graph, constants: Constants, image: Size) -> None:
        self.graph = graph
        self.constants = constants
        self.image = image
        self.tensors: dict[str, Tensor] = {}
        self.sizes: dict[str, Size] = {}
        self.written: dict[str, list[tuple[int, int]]] = {}
        self.where = "the graph"

    def run(self) -> dict[str, Size]:
        graph = self.graph
        if not 0 < len(graph.ops) <= MAX_ITEMS or not 0 < len(graph.tensors) <= MAX_ITEMS:
            self.refuse(f"it has {len(graph.ops)} ops and {len(graph.tensors)} tensors")
        for tensor in graph.tensors:
            self.check_tensor(tensor)
        self.check_ends()
        for number, op in enumerate(graph.ops):
            self.where = f"op {number} ({op.name[:80]!r})"
            for name in op_reads(op):
                self.check_complete(name)
            size, channels = self.check_op(op)
            self.check_steps(op, size, channels)
        self.where = "the graph"
        self.check_use()
        return self.sizes

    def refuse(self, cause: str) -> NoReturn:
        raise BihrnetError(f"{self.where}: {cause}")

    def check_tensor(self, tensor: Tensor) -> None:
        name = tensor.name[:80]
        if tensor.name in self.tensors:
            self.refuse(f"tensor {name!r} is declared twice")
        if not 1 <= tensor.channels <= MAX_CHANNELS:
            self.refuse(f"tensor {name!r} has {tensor.channels} channels")
        scale = tensor.inverse_scale
        if not 1e-30 < scale < 1e30 or float(np.float32(scale)) != scale:
            self.refuse(f"tensor {name!r} has the inverse scale {scale}, no positive f32 number")
        plain = scale == 1 and tensor.zero_point == 0
        if not 0 <= tensor.zero_point <= 255 or (tensor.type != "u8" and not plain):
            self.refuse(f"tensor {name!r} has quantization that its type {tensor.type} lacks")
        self.tensors[tensor.name] = tensor

    def check_ends(self) -> None:
        image, output = self.tensor(self.graph.input), self.tensor(self.graph.output)
        plain = image.inverse_scale == 1 and image.zero_point == 0
        if image.type != "u8" or image.channels != 3 or not plain:
            self.refuse("its input is not a u8 image of three channels")
        if output.type != "f32":
            self.refuse("its output is not an f32 tensor")
        if not all(1 <= side <= MAX_SIDE for side in self.image):
            self.refuse(f"an image of {self.image[0]} x {self.image[1]} is out of range")
        self.set_size(image.name, self.image)
        self.written[image.name] = [(0, image.channels)]

    def tensor(self, name: str) -> Tensor:
        if name not in self.tensors:
            self.refuse(f"there is no tensor {name[:80]!r}")
        return self.tensors[name]

    def set_size(self, name: str, size: Size) -> None:
        if self.sizes.setdefault(name, size) != size:
            self.refuse(f"it writes tensor {name[:80]!r} in another size than earlier ops")
        if size[0] * size[1] * self.tensors[name].channels > MAX_TENSOR_ELEMENTS:
            self.refuse(f"tensor {name[:80]!r} has more than 2^28 elements")

    def check_complete(self, name: str) -> None:
        tensor = self.tensor(name)
        covered = sum(stop - start for start, stop in self.written.get(name, ()))
        if covered != tensor.channels:
            self.refuse(f"it reads tensor {name[:80]!r} before all of it is written")

    def constant(
        self,
        name: str,
        dtypes: tuple[np.dtype[Any], ...],
        shape: tuple[int | None, ...],
        *,
        infinite: bool = False,
    ) -> NDArray[Any]:
        """The constant, of one of the dtypes and of the shape (None: any length but 0)."""
        found = self.constants.get(name)
        if found is None:
            self.refuse(f"there is no constant {name[:80]!r}")
        fits = found.ndim == len(shape) and all(
            have == want or (want is None and have > 0)
            for have, want in zip(found.shape, shape, strict=True)
        )
        if found.dtype not in dtypes or not fits:
            wanted = " x ".join("any" if side is None else str(side) for side in shape)
            self.refuse(
                f"constant {name[:80]!r} is {found.dtype} {list(found.shape)}, not "
                f"{' or '.join(map(str, dtypes))} of {wanted}"
            )
        if found.dtype.kind == "f":
            wrong = np.isnan(found) if infinite else ~np.isfinite(found)
            if wrong.any():
                self.refuse(f"constant {name[:80]!r} holds values that are not finite numbers")
        return found

    def check_op(self, op: Op) -> tuple[Size, int]:
        """Size and channels of its value."""
        if isinstance(op, Load):
            return self.check_load(op)
        return self.check_pool(op) if isinstance(op, MaxPool) else self.check_conv(op)

    def check_conv(self, op: AnyConv) -> tuple[Size, int]:
        data = self.tensor(op.input)
        is_image = data.name == self.graph.input
        if not (data.type in _CONV_READS[type(op)] or (is_image and isinstance(op, Conv))):
            self.refuse(f"it cannot read tensor {op.input[:80]!r} of type {data.type}")
        weight = self.check_weight(op, data.channels)
        channels, rows, columns = weight.shape[-4:-1]
        if isinstance(op, Conv | ConvInt8):
            if (op.offset is not None) != is_image:
                self.refuse("an offset belongs to the image, and to nothing else")
            if op.offset is not None:
                self.constant(op.offset, _F32, (data.channels,))
        for name in (op.mul, op.add):
            self.constant(name, _F32, (channels,))
        return self.window_size(op.input, (rows, columns), op.stride, op.padding), channels

    def check_weight(self, op: AnyConv, channels: int) -> NDArray[Any]:
        """The weight of a convolution over so many channels."""
        kind = type(op)
        packed = kind in (ConvBinary, ConvTernary)
        planes = (2,) if kind is ConvTernary else ()
        shape = (*planes, None, None, None, packed_words(channels) if packed else channels)
        weight = self.constant(op.weight, _WEIGHTS[kind], shape)
        outputs, rows, columns = weight.shape[-4:-1]
        if outputs > MAX_CHANNELS or max(rows, columns) > MAX_KERNEL:
            self.refuse(f"its weight {list(weight.shape)} is out of range")
        if rows * columns * channels > MAX_TERMS:
            self.refuse(f"its sums have more than {MAX_TERMS} terms")
        if packed and not pad_bits_are_zero(weight, channels):
            self.refuse(f"constant {op.weight[:80]!r} has pad bits that are not zero")
        if kind is ConvTernary and (weight[0] & weight[1]).any():
            self.refuse(f"constant {op.weight[:80]!r} holds weights that are both +1 and -1")
        if kind is ConvInt8 and (weight == -128).any():
            self.refuse(f"constant {op.weight[:80]!r} holds -128")
        return weight

    def check_pool(self, op: MaxPool) -> tuple[Size, int]:
        data = self.tensor(op.input)
        if data.type != "f32":
            self.refuse(f"it cannot pool tensor {op.input[:80]!r} of type {data.type}")
        if not 1 <= op.kernel <= MAX_KERNEL:
            self.refuse(f"a window of {op.kernel} pixels is out of range")
        window, padding = (op.kernel, op.kernel), (op.padding, op.padding)
        return self.window_size(op.input, window, op.stride, padding), data.channels

    def window_size(self, name: str, kernel: Size, stride: int, padding: Size) -> Size:
        """Size of what windows over a tensor give."""
        if not 1 <= stride <= MAX_STRIDE:
            self.refuse(f"stride {stride} is out of range")
        if any(not 0 <= pad < side for pad, side in zip(padding, kernel, strict=True)):
            self.refuse(f"padding {list(padding)} is not within its kernel {list(kernel)}")
        height, width = (
            (side + 2 * pad - taps) // stride + 1
            for side, pad, taps in zip(self.sizes[name], padding, kernel, strict=True)
        )
        if height < 1 or width < 1:
            self.refuse("its kernel is larger than its input")
        return height, width

    def check_load(self, op: Load) -> tuple[Size, int]:
        data = self.tensor(op.input)
        if data.type != "f32":
            self.refuse(f"it cannot load tensor {op.input[:80]!r} of type {data.type}")
        return self.upsampled(op.input, op.upsample), data.channels

    def upsampled(self, name: str, factor: int) -> Size:
        if not 1 <= factor <= MAX_UPSAMPLE or factor & (factor - 1):
            self.refuse(f"up-sampling by {factor} is not possible")
        height, width = self.sizes[name]
        return height * factor, width * factor

    def check_steps(self, op: Op, size: Size, channels: int) -> None:
        if max(size) > MAX_SIDE:
            self.refuse(f"its size {list(size)} is out of range")
        if not 0 < len(op.steps) <= MAX_ITEMS or not isinstance(op.steps[-1], WriteStep):
            self.refuse("its last step does not write")
        for step in op.steps:
            self.check_step(step, size, channels)
        reads = set(op_reads(op))
        for name in op_writes(op):
            if name in reads:
                self.refuse(f"it reads tensor {name[:80]!r}, which it writes")

    def check_step(self, step: Step, size: Size, channels: int) -> None:
        if isinstance(step, PreluStep):
            self.constant(step.slope, _F32, (channels,))
        elif isinstance(step, ScaleStep):
            self.constant(step.scale, _F32, (channels,))
        elif isinstance(step, ShiftStep):
            self.constant(step.shift, _F32, (channels,))
        elif isinstance(step, MultiplyStep):
            tensor = self.tensor(step.tensor)
            shape = (*self.sizes[step.tensor], tensor.channels)
            if tensor.type != "f32" or shape != (1, 1, channels):
                self.refuse(f"it cannot multiply by tensor {step.tensor[:80]!r}")
        elif isinstance(step, AddStep):
            tensor = self.tensor(step.tensor)
            fits = 0 <= step.channel <= tensor.channels - channels
            repeats = step.channel == 0 and channels % tensor.channels == 0
            if tensor.type != "f32" or not (fits or repeats):
                self.refuse(f"it cannot add tensor {step.tensor[:80]!r} to {channels} channels")
            if self.upsampled(tensor.name, step.upsample) != size:
                self.refuse(f"it cannot add tensor {step.tensor[:80]!r}, which has another size")
        elif isinstance(step, WriteStep):
            self.check_write(step, (1, 1) if isinstance(step, MeanStep) else size, channels)

    def check_write(self, step: WriteStep, size: Size, channels: int) -> None:
        tensor = self.tensor(step.tensor)
        kinds = {SignStep: "bits", QuantizeStep: "u8"}
        start, stop = step.channel, step.channel + channels
        fits = tensor.name != self.graph.input and start >= 0 and stop <= tensor.channels
        if tensor.type != kinds.get(type(step), "f32") or not fits:
            self.refuse(f"it cannot write tensor {step.tensor[:80]!r} of type {tensor.type}")
        if isinstance(step, SignStep):
            self.constant(step.threshold, _F32, (channels,), infinite=True)
        self.set_size(tensor.name, size)
        ranges = self.written.setdefault(tensor.name, [])
        if any(start < other_stop and other_start < stop for other_start, other_stop in ranges):
            self.refuse(f"it writes channels of tensor {step.tensor[:80]!r} a second time")
        ranges.append((start, stop))

    def check_use(self) -> None:
        read = {name for op in self.graph.ops for name in op_reads(op)} | {self.graph.output}
        for name in self.tensors:
            self.check_complete(name)
            if name not in read:
                self.refuse(f"tensor {name[:80]!r} is never read")
        total = sum(tensor_bytes(self.tensors[name], size) for name, size in self.sizes.items())
        if total > MAX_GRAPH_BYTES:
            self.refuse("its tensors are larger than 8 GiB together")
        uses = Counter(name for op in self.graph.ops for name in op_constants(op))
        # An engine copies constants op by op, so sharing would let a small file fill the memory.
        shared = [name for name, count in uses.items() if count > 1]
        if shared:
            self.refuse(f"constant {shared[0][:80]!r} is used more than once")
        unused = sorted(set(self.constants) - set(uses))
        if unused:
            self.refuse(f"constant {unused[0][:80]!r} belongs to no op")
