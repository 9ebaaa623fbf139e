"""From a torch module to the exporters' layers, by torch.fx."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from bihrnet.errors import BihrnetError
from bihrnet.export.ir import (
    Affine,
    AnyLayer,
    AveragePool,
    BilinearResize,
    BilinearUpsample,
    Concat,
    Convolution,
    ConvolutionKind,
    Crop,
    Deconvolution,
    DynamicConvolution,
    Floats,
    FractionalMaxPool,
    GroupMean,
    HardSigmoid,
    HardSwish,
    Image,
    MaxPool,
    Mean,
    Multiply,
    Permute,
    Prelu,
    Relu,
    Relu6,
    Repeat,
    Sigmoid,
    Sign,
    Slice,
    SpatialSoftmax,
    Sum,
    Upsample,
)
from bihrnet.nn.layers.binarize import Sign as SignModule
from bihrnet.nn.layers.binary_conv import BinaryConv2d
from bihrnet.nn.layers.binary_unit import ChannelShortcut, Shift
from bihrnet.nn.layers.dynamic_conv import AggregatedConv2d
from bihrnet.nn.layers.fractional_max_pool import fractional_max_pool
from bihrnet.nn.layers.prelu import PReLU
from bihrnet.nn.layers.shuffle import Interleave
from bihrnet.nn.layers.ternary import TernaryConv2d
from bihrnet.nn.layers.upsample import NearestResize, NearestUpsample, bilinear_resize
from bihrnet.nn.models.bihrnet import Shuffle
from bihrnet.nn.models.dite_hrnet import SpatialSoftmax as SpatialSoftmaxModule


class LayerTracer(fx.Tracer):
    """Keeps layers of this project as single nodes, as fx does with those of PyTorch."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module becomes one node."""
        return isinstance(m, _LEAVES) or super().is_leaf_module(m, module_qualified_name)


_LEAVES = (
    BinaryConv2d,
    AggregatedConv2d,
    SignModule,
    SpatialSoftmaxModule,
    Shift,
    ChannelShortcut,
    Shuffle,
    Interleave,
    NearestUpsample,
    NearestResize,
    PReLU,
    TernaryConv2d,
)


def trace(module: nn.Module, size: tuple[int, int]) -> fx.GraphModule:
    """A module in evaluation mode, traced, with the shape of every node's output.

    `size` is the (height, width) of the image.
    """
    traced = fx.GraphModule(module, LayerTracer().trace(module))
    with torch.no_grad():
        ShapeProp(traced).propagate(torch.zeros(1, 3, *size))
    return traced


def trace_layers(traced: fx.GraphModule) -> tuple[list[AnyLayer], dict[fx.Node, int]]:
    """Layers of a traced network, the last one its output, and the layer that made each node.

    Raises:
        BihrnetError: one of the layers is unknown; the sentence names it.
    """
    reader = _Reader(traced)
    for node in traced.graph.nodes:
        reader.read(node)
    return reader.layers, reader.values


class _Reader:
    def __init__(self, traced: fx.GraphModule) -> None:
        self.traced = traced
        self.layers: list[AnyLayer] = []
        self.values: dict[fx.Node, int] = {}

    def read(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            self.emit(node, Image, ())
        elif node.op == "get_attr" and node.users:
            self.refuse(node, "a parameter or buffer that is no layer's")
        elif node.op == "call_module":
            if node.kwargs:
                self.refuse(node, "a layer whose input is given by keyword")
            module = self.traced.get_submodule(str(node.target))
            handler = _MODULES.get(type(module))
            if handler is None:
                self.refuse(node, type(module).__name__)
            handler(self, node, module)
        elif node.op in ("call_function", "call_method"):
            handler = _FUNCTIONS.get(node.target)
            if handler is None:
                self.refuse(node, getattr(node.target, "__name__", str(node.target)))
            handler(self, node)
        elif node.op == "output" and self.values.get(node.args[0]) != len(self.layers) - 1:  # type: ignore[arg-type]
            self.refuse(node, "an output that is not the last value")

    def refuse(self, node: fx.Node, what: str) -> NoReturn:
        raise BihrnetError(f"layer {_name(node)} ({what}) is not known to the exporters of bihrnet")

    def emit(
        self, node: fx.Node, kind: type[Any], inputs: tuple[int, ...], /, **fields: Any
    ) -> None:
        self.values[node] = len(self.layers)
        channels = shape(node)[1]
        self.layers.append(kind(name=_name(node), inputs=inputs, channels=channels, **fields))

    def input(self, node: fx.Node, position: int = 0) -> int:
        return self.values[node.args[position]]  # type: ignore[index]

    def arguments(self, node: fx.Node, *names: str) -> dict[str, Any]:
        """What a function was called with, by position or by keyword; those are all it may have."""
        if len(node.args) > len(names) or not set(node.kwargs) <= set(names):
            self.refuse(node, f"with other arguments than {', '.join(names)}")
        return {**dict(zip(names, node.args, strict=False)), **node.kwargs}

    def operands(self, node: fx.Node) -> tuple[Any, Any]:
        """Terms or factors, a number last."""
        first, second = node.args
        if isinstance(first, int | float):
            first, second = second, first
        if not isinstance(first, fx.Node) or not isinstance(second, fx.Node | int | float):
            self.refuse(node, "with something that is neither a value nor a number")
        return first, second

    def forward(self, node: fx.Node) -> None:
        """The node's value is its input's."""
        self.values[node] = self.input(node)

    def unary(self, node: fx.Node, kind: type[Any], /, **fields: Any) -> None:
        self.emit(node, kind, (self.input(node),), **fields)

    def convolution(self, node: fx.Node, module: nn.Conv2d) -> None:
        plain = module.dilation == (1, 1) and module.padding_mode == "zeros"
        if not plain or isinstance(module.padding, str) or len(set(module.stride)) > 1:
            self.refuse(node, "Conv2d with dilation, other padding or uneven stride")
        kind: ConvolutionKind = "binary" if isinstance(module, BinaryConv2d) else "real"
        place = {"stride": module.stride[0], "padding": module.padding, "groups": module.groups}
        self.convolve(node, module.weight, module.bias, kind=kind, **place)

    def ternary(self, node: fx.Node, module: TernaryConv2d) -> None:
        place = {"stride": module.stride, "padding": (module.padding, module.padding)}
        self.convolve(node, module.weight, None, kind="ternary", **place)

    def linear(self, node: fx.Node, module: nn.Linear) -> None:
        """A 1x1 convolution of a value of one pixel."""
        if not _one_pixel(node.args[0]):
            self.refuse(node, "Linear over more than one pixel")
        weight = module.weight[:, :, None, None]
        self.convolve(node, weight, module.bias, kind="real", stride=1, padding=(0, 0))

    def convolve(
        self,
        node: fx.Node,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        *,
        kind: ConvolutionKind,
        **place: Any,
    ) -> None:
        array = _array(weight)
        scale = np.abs(array.astype(np.float64)).mean(axis=(1, 2, 3))
        self.unary(
            node,
            Convolution,
            weight=np.ascontiguousarray(array.transpose(0, 2, 3, 1)),
            mul=scale if kind == "binary" else np.ones_like(scale),
            add=np.zeros_like(scale) if bias is None else _float64(bias),
            kind=kind,
            **place,
        )

    def aggregated_convolution(self, node: fx.Node, module: AggregatedConv2d) -> None:
        kernels = _array(module.weight).reshape(module.kernels, -1, *module.weight.shape[1:])
        weight = np.ascontiguousarray(kernels.transpose(0, 1, 3, 4, 2))
        inputs = (self.input(node, 0), self.input(node, 1))
        place = {"stride": module.stride, "padding": (module.padding, module.padding)}
        self.emit(node, DynamicConvolution, inputs, weight=weight, groups=module.groups, **place)

    def deconvolution(self, node: fx.Node, module: nn.ConvTranspose2d) -> None:
        plain = module.groups == 1 and module.dilation == (1, 1) and module.bias is None
        if not plain or any(module.output_padding) or len(set(module.stride)) > 1:
            self.refuse(node, "ConvTranspose2d with bias, groups, dilation or output padding")
        fields = {"stride": module.stride[0], "padding": module.padding}
        self.unary(node, Deconvolution, weight=_array(module.weight), **fields)

    def max_pool(self, node: fx.Node, module: nn.MaxPool2d) -> None:
        sides = (module.kernel_size, module.stride, module.padding)
        if module.dilation != 1 or module.ceil_mode or not all(type(s) is int for s in sides):
            self.refuse(node, "MaxPool2d with dilation, ceil_mode or uneven sides")
        self.unary(node, MaxPool, kernel=sides[0], stride=sides[1], padding=sides[2])

    def fractional_max_pool(self, node: fx.Node) -> None:
        given = self.arguments(node, "x", "ratio", "training")
        if given["training"]:
            self.refuse(node, "fractional max-pooling in training mode")
        self.emit(node, FractionalMaxPool, (self.values[given["x"]],), ratio=given["ratio"])

    def average_pool(self, node: fx.Node, module: nn.AvgPool2d) -> None:
        factor = module.kernel_size
        tiles = module.stride == factor and module.padding == 0 and module.divisor_override is None
        if not tiles or type(factor) is not int:
            self.refuse(node, "AvgPool2d of anything but squares side by side")
        if not module.ceil_mode and any(side % factor for side in shape(node.args[0])[2:]):
            self.refuse(node, "AvgPool2d that leaves pixels out")
        self.unary(node, AveragePool, factor=factor, cut=module.ceil_mode)

    def shortcut(self, node: fx.Node, module: ChannelShortcut) -> None:
        inputs, outputs = module.in_channels, module.out_channels
        if inputs == outputs:
            self.forward(node)
        elif inputs > outputs:
            self.unary(node, GroupMean, factor=inputs // outputs)
        else:
            self.unary(node, Repeat, factor=outputs // inputs)

    def batch_norm(self, node: fx.Node, module: nn.BatchNorm2d) -> None:
        if module.running_mean is None or module.running_var is None:
            self.refuse(node, "BatchNorm2d without running statistics")
        mean, variance = _float64(module.running_mean), _float64(module.running_var)
        mul = 1 / np.sqrt(variance + module.eps)
        add = np.zeros_like(mul)
        if module.affine:
            mul, add = mul * _float64(module.weight), _float64(module.bias)
        self.unary(node, Affine, mul=mul, add=add - mean * mul)

    def shift(self, node: fx.Node, module: Shift) -> None:
        add = _float64(module.bias).reshape(-1)
        self.unary(node, Affine, mul=np.ones_like(add), add=add)

    def prelu(self, node: fx.Node, module: nn.PReLU) -> None:
        slope = np.broadcast_to(_float64(module.weight), (shape(node)[1],))
        self.unary(node, Prelu, slope=slope)

    def leaky_relu(self, node: fx.Node, module: nn.LeakyReLU) -> None:
        slope = np.full(shape(node)[1], module.negative_slope)
        self.unary(node, Prelu, slope=slope)

    def shuffle(self, node: fx.Node, module: nn.Module) -> None:
        """A concatenation whose channels the module then permutes; its order is found by a run."""
        parts = tuple(self.input(node, position) for position in range(len(node.args)))
        widths = [self.layers[part].channels for part in parts]
        numbers = torch.arange(sum(widths), dtype=torch.float32).reshape(1, -1, 1, 1)
        order = module(*numbers.split(widths, dim=1)).flatten().int().tolist()
        self.emit(node, Concat, parts)
        self.emit(node, Permute, (self.values[node],), order=tuple(order))

    def upsample(self, node: fx.Node, module: nn.Upsample) -> None:
        source, target = shape(node.args[0])[2:], shape(node)[2:]
        factor = target[0] // source[0]
        exact = (source[0] * factor, source[1] * factor) == tuple(target)
        if exact and module.mode == "bilinear" and module.align_corners:
            self.unary(node, BilinearUpsample, factor=factor)
            return
        self.refuse(node, f"Upsample {module.mode} by {module.scale_factor}")

    def nearest(self, node: fx.Node, module: NearestUpsample) -> None:
        self.unary(node, Upsample, factor=module.factor)

    def bilinear_resize(self, node: fx.Node) -> None:
        given = self.arguments(node, "x", "like")
        self.emit(node, BilinearResize, (self.values[given["x"]], self.values[given["like"]]))

    def sum(self, node: fx.Node) -> None:
        first, second = self.operands(node)
        if isinstance(second, int | float):
            add = np.full(shape(node)[1], float(second))
            self.emit(node, Affine, (self.values[first],), mul=np.ones_like(add), add=add)
            return
        if shape(first) != shape(second):
            self.refuse(node, "a sum of different shapes")
        self.emit(node, Sum, (self.values[first], self.values[second]))

    def product(self, node: fx.Node) -> None:
        first, second = self.operands(node)
        if isinstance(second, int | float):
            mul = np.full(shape(node)[1], float(second))
            self.emit(node, Affine, (self.values[first],), mul=mul, add=np.zeros_like(mul))
            return
        channels_fit = shape(second)[1] in (shape(first)[1], 1)
        pixels_fit = shape(second)[2:] == shape(first)[2:] or _one_pixel(second)
        if not channels_fit or not pixels_fit:
            self.refuse(node, "a product of different shapes")
        self.emit(node, Multiply, (self.values[first], self.values[second]))

    def nearest_to(self, node: fx.Node, module: NearestResize) -> None:
        height, width = (side * module.factor for side in shape(node.args[0])[2:])
        rows, columns = height - shape(node)[2], width - shape(node)[3]
        self.unary(node, Upsample, factor=module.factor)
        if rows or columns:
            self.emit(node, Crop, (self.values[node],), rows=rows, columns=columns)

    def mean(self, node: fx.Node) -> None:
        given = self.arguments(node, "input", "dim", "keepdim")
        dimensions = given.get("dim")
        if dimensions not in ([2, 3], (2, 3)):
            self.refuse(node, f"a mean over {dimensions} in place of (2, 3)")
        self.unary(node, Mean)

    def concatenate(self, node: fx.Node) -> None:
        given = self.arguments(node, "tensors", "dim")
        dimension = given.get("dim", 0)
        if dimension != 1:
            self.refuse(node, f"a concatenation of dimension {dimension}")
        self.emit(node, Concat, tuple(self.values[part] for part in given["tensors"]))

    def slice(self, node: fx.Node) -> None:
        """x[:, start:stop] of channels."""
        index = node.args[1]
        plain = isinstance(index, tuple) and len(index) == 2 and index[0] == slice(None)
        if not plain or not isinstance(index[1], slice) or index[1].step not in (None, 1):  # type: ignore[index]
            self.refuse(node, f"the index {index}")
        start, _, _ = index[1].indices(shape(node.args[0])[1])  # type: ignore[index]
        self.unary(node, Slice, start=start)

    def reshape(self, node: fx.Node) -> None:
        """Between (N, C) and (N, C, 1, 1) the value stays the same."""
        if not _one_pixel(node) or shape(node)[1] != shape(node.args[0])[1]:
            self.refuse(node, f"{node.target} of more than one pixel")
        self.forward(node)


_MODULES: dict[type[nn.Module], Callable[..., None]] = {
    nn.Conv2d: _Reader.convolution,
    BinaryConv2d: _Reader.convolution,
    TernaryConv2d: _Reader.ternary,
    AggregatedConv2d: _Reader.aggregated_convolution,
    nn.ConvTranspose2d: _Reader.deconvolution,
    nn.MaxPool2d: _Reader.max_pool,
    nn.AvgPool2d: _Reader.average_pool,
    nn.Linear: _Reader.linear,
    nn.BatchNorm2d: _Reader.batch_norm,
    Shift: _Reader.shift,
    Shuffle: _Reader.shuffle,
    Interleave: _Reader.shuffle,
    ChannelShortcut: _Reader.shortcut,
    nn.PReLU: _Reader.prelu,
    PReLU: _Reader.prelu,
    nn.LeakyReLU: _Reader.leaky_relu,
    nn.Upsample: _Reader.upsample,
    NearestUpsample: _Reader.nearest,
    NearestResize: _Reader.nearest_to,
    nn.ReLU: lambda reader, node, _: reader.unary(node, Relu),
    nn.ReLU6: lambda reader, node, _: reader.unary(node, Relu6),
    nn.Sigmoid: lambda reader, node, _: reader.unary(node, Sigmoid),
    nn.Hardsigmoid: lambda reader, node, _: reader.unary(node, HardSigmoid),
    nn.Hardswish: lambda reader, node, _: reader.unary(node, HardSwish),
    SpatialSoftmaxModule: lambda reader, node, _: reader.unary(node, SpatialSoftmax),
    SignModule: lambda reader, node, _: reader.unary(node, Sign),
    nn.Identity: lambda reader, node, _: reader.forward(node),
}
_FUNCTIONS: dict[Any, Callable[[_Reader, fx.Node], None]] = {
    operator.add: _Reader.sum,
    operator.mul: _Reader.product,
    operator.getitem: _Reader.slice,
    torch.cat: _Reader.concatenate,
    fractional_max_pool: _Reader.fractional_max_pool,
    bilinear_resize: _Reader.bilinear_resize,
    "mean": _Reader.mean,
    "relu": lambda reader, node: reader.unary(node, Relu),
    "sigmoid": lambda reader, node: reader.unary(node, Sigmoid),
    "unflatten": _Reader.reshape,
}


def shape(node: Any) -> tuple[int, ...]:
    """Shape of a node's output, as `trace` has found it."""
    return tuple(node.meta["tensor_meta"].shape)


def _one_pixel(node: Any) -> bool:
    return all(side == 1 for side in shape(node)[2:])


def _name(node: fx.Node) -> str:
    """The layer's path in the module, or the innermost module's and the function's name."""
    if node.op in ("call_module", "get_attr"):
        return str(node.target)
    stack = node.meta.get("nn_module_stack") or {}
    owner = next(reversed(stack.values()))[0] if stack else ""
    return f"{owner}.{node.name}" if owner else node.name


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    return tensor.detach().float().numpy()


def _float64(tensor: torch.Tensor) -> Floats:
    return tensor.detach().double().numpy()
