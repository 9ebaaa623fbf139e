"""How the modules of a traced network are read as layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx, nn

from bihrnet.export.ir import (
    Affine,
    AveragePool,
    BilinearUpsample,
    Concat,
    Convolution,
    ConvolutionKind,
    Crop,
    Deconvolution,
    DynamicConvolution,
    Floats,
    GroupMean,
    HardSigmoid,
    HardSwish,
    MaxPool,
    Permute,
    Prelu,
    Relu,
    Relu6,
    Repeat,
    Sigmoid,
    Sign,
    SpatialSoftmax,
    Upsample,
)
from bihrnet.export.trace_reader import NodeReader, has_one_pixel, output_shape
from bihrnet.nn.layers.binarize import Sign as SignModule
from bihrnet.nn.layers.binary_conv import BinaryConv2d
from bihrnet.nn.layers.binary_unit import ChannelShortcut, Shift
from bihrnet.nn.layers.dynamic_conv import AggregatedConv2d
from bihrnet.nn.layers.prelu import PReLU
from bihrnet.nn.layers.shuffle import Interleave
from bihrnet.nn.layers.ternary import TernaryConv2d
from bihrnet.nn.layers.upsample import NearestResize, NearestUpsample
from bihrnet.nn.models.bihrnet import Shuffle
from bihrnet.nn.models.dite_hrnet import SpatialSoftmax as SpatialSoftmaxModule

# Convolutions


def read_convolution(reader: NodeReader, node: fx.Node, module: nn.Conv2d) -> None:
    """Real-valued and binary ones."""
    plain = module.dilation == (1, 1) and module.padding_mode == "zeros"
    if not plain or isinstance(module.padding, str) or len(set(module.stride)) > 1:
        reader.refuse(node, "Conv2d with dilation, non-zero padding or different strides")
    kind: ConvolutionKind = "binary" if isinstance(module, BinaryConv2d) else "real"
    geometry = {"stride": module.stride[0], "padding": module.padding, "groups": module.groups}
    _emit_convolution(reader, node, module.weight, module.bias, kind=kind, **geometry)


def read_ternary_convolution(reader: NodeReader, node: fx.Node, module: TernaryConv2d) -> None:
    """Fixed weights of -1, 0 and +1."""
    padding = (module.padding, module.padding)
    _emit_convolution(
        reader, node, module.weight, None, kind="ternary", stride=module.stride, padding=padding
    )


def read_linear(reader: NodeReader, node: fx.Node, module: nn.Linear) -> None:
    """A 1x1 convolution of a value of one pixel."""
    if not has_one_pixel(node.args[0]):
        reader.refuse(node, "Linear over more than one pixel")
    weight = module.weight[:, :, None, None]
    _emit_convolution(reader, node, weight, module.bias, kind="real", stride=1, padding=(0, 0))


def _emit_convolution(
    reader: NodeReader,
    node: fx.Node,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    *,
    kind: ConvolutionKind,
    **geometry: Any,
) -> None:
    array = _float32(weight)
    scaling_factor = np.abs(array.astype(np.float64)).mean(axis=(1, 2, 3))
    ones = np.ones_like(scaling_factor)
    reader.emit_unary(
        node,
        Convolution,
        weight=np.ascontiguousarray(array.transpose(0, 2, 3, 1)),
        mul=scaling_factor if kind == "binary" else ones,
        add=np.zeros_like(ones) if bias is None else _float64(bias),
        kind=kind,
        **geometry,
    )


def read_aggregated_convolution(
    reader: NodeReader, node: fx.Node, module: AggregatedConv2d
) -> None:
    """Kernels weighted by an attention."""
    kernels = _float32(module.weight).reshape(module.kernels, -1, *module.weight.shape[1:])
    reader.emit(
        node,
        DynamicConvolution,
        (reader.input(node, 0), reader.input(node, 1)),
        weight=np.ascontiguousarray(kernels.transpose(0, 1, 3, 4, 2)),
        stride=module.stride,
        padding=(module.padding, module.padding),
        groups=module.groups,
    )


def read_deconvolution(reader: NodeReader, node: fx.Node, module: nn.ConvTranspose2d) -> None:
    """SimpleBaseline's head."""
    plain = module.groups == 1 and module.dilation == (1, 1) and module.bias is None
    if not plain or any(module.output_padding) or len(set(module.stride)) > 1:
        reader.refuse(node, "ConvTranspose2d with bias, groups, dilation or output padding")
    geometry = {"stride": module.stride[0], "padding": module.padding}
    reader.emit_unary(node, Deconvolution, weight=_float32(module.weight), **geometry)


# Per channel


def read_batch_norm(reader: NodeReader, node: fx.Node, module: nn.BatchNorm2d) -> None:
    """With running statistics, as in evaluation mode."""
    if module.running_mean is None or module.running_var is None:
        reader.refuse(node, "BatchNorm2d without running statistics")
    mean, variance = _float64(module.running_mean), _float64(module.running_var)
    mul = 1 / np.sqrt(variance + module.eps)
    add = np.zeros_like(mul)
    if module.affine:
        mul, add = mul * _float64(module.weight), _float64(module.bias)
    reader.emit_unary(node, Affine, mul=mul, add=add - mean * mul)


def read_shift(reader: NodeReader, node: fx.Node, module: Shift) -> None:
    """ReActNet's learned shift."""
    add = _float64(module.bias).reshape(-1)
    reader.emit_unary(node, Affine, mul=np.ones_like(add), add=add)


def read_prelu(reader: NodeReader, node: fx.Node, module: nn.PReLU) -> None:
    """One slope, or one per channel."""
    slope = np.broadcast_to(_float64(module.weight), (output_shape(node)[1],))
    reader.emit_unary(node, Prelu, slope=slope)


def read_leaky_relu(reader: NodeReader, node: fx.Node, module: nn.LeakyReLU) -> None:
    """A PReLU whose slopes are all the same."""
    slope = np.full(output_shape(node)[1], module.negative_slope)
    reader.emit_unary(node, Prelu, slope=slope)


# Pooling and up-sampling


def read_max_pool(reader: NodeReader, node: fx.Node, module: nn.MaxPool2d) -> None:
    """Square windows."""
    sides = (module.kernel_size, module.stride, module.padding)
    if module.dilation != 1 or module.ceil_mode or not all(type(side) is int for side in sides):
        reader.refuse(node, "MaxPool2d with dilation, ceil_mode or non-square windows")
    reader.emit_unary(node, MaxPool, kernel=sides[0], stride=sides[1], padding=sides[2])


def read_average_pool(reader: NodeReader, node: fx.Node, module: nn.AvgPool2d) -> None:
    """Adjacent square windows that cover the whole image."""
    factor = module.kernel_size
    adjacent = module.stride == factor and module.padding == 0 and module.divisor_override is None
    if not adjacent or type(factor) is not int:
        reader.refuse(node, "AvgPool2d of windows that are not square and adjacent")
    if not module.ceil_mode and any(side % factor for side in output_shape(node.args[0])[2:]):
        reader.refuse(node, "AvgPool2d that leaves pixels out")
    reader.emit_unary(node, AveragePool, factor=factor, ceil_mode=module.ceil_mode)


def read_upsample(reader: NodeReader, node: fx.Node, module: nn.Upsample) -> None:
    """Bilinear, by an integer factor."""
    source, target = output_shape(node.args[0])[2:], output_shape(node)[2:]
    factor = target[0] // source[0]
    exact = (source[0] * factor, source[1] * factor) == tuple(target)
    if not exact or module.mode != "bilinear" or not module.align_corners:
        reader.refuse(node, f"Upsample {module.mode} by {module.scale_factor}")
    reader.emit_unary(node, BilinearUpsample, factor=factor)


def read_nearest_upsample(reader: NodeReader, node: fx.Node, module: NearestUpsample) -> None:
    """By an integer factor."""
    reader.emit_unary(node, Upsample, factor=module.factor)


def read_nearest_resize(reader: NodeReader, node: fx.Node, module: NearestResize) -> None:
    """Up-sampling to the nearest, cropped to the size of another value."""
    height, width = (side * module.factor for side in output_shape(node.args[0])[2:])
    rows, columns = height - output_shape(node)[2], width - output_shape(node)[3]
    reader.emit_unary(node, Upsample, factor=module.factor)
    if rows or columns:
        reader.emit(node, Crop, (reader.indices[node],), rows=rows, columns=columns)


# Across channels


def read_channel_shortcut(reader: NodeReader, node: fx.Node, module: ChannelShortcut) -> None:
    """Parameter-free path between widths."""
    inputs, outputs = module.in_channels, module.out_channels
    if inputs == outputs:
        reader.forward(node)
    elif inputs > outputs:
        reader.emit_unary(node, GroupMean, factor=inputs // outputs)
    else:
        reader.emit_unary(node, Repeat, factor=outputs // inputs)


def read_shuffle(reader: NodeReader, node: fx.Node, module: nn.Module) -> None:
    """A concatenation followed by a permutation, which is found by running the module."""
    parts = tuple(reader.input(node, position) for position in range(len(node.args)))
    widths = [reader.layers[part].channels for part in parts]
    numbers = torch.arange(sum(widths), dtype=torch.float32).reshape(1, -1, 1, 1)
    order = module(*numbers.split(widths, dim=1)).flatten().int().tolist()
    reader.emit(node, Concat, parts)
    reader.emit(node, Permute, (reader.indices[node],), order=tuple(order))


def _float32(tensor: torch.Tensor) -> NDArray[np.float32]:
    return tensor.detach().float().numpy()


def _float64(tensor: torch.Tensor) -> Floats:
    return tensor.detach().double().numpy()


#: By type of the module.
MODULES: dict[type[nn.Module], Callable[..., None]] = {
    nn.Conv2d: read_convolution,
    BinaryConv2d: read_convolution,
    TernaryConv2d: read_ternary_convolution,
    AggregatedConv2d: read_aggregated_convolution,
    nn.ConvTranspose2d: read_deconvolution,
    nn.Linear: read_linear,
    nn.BatchNorm2d: read_batch_norm,
    Shift: read_shift,
    nn.PReLU: read_prelu,
    PReLU: read_prelu,
    nn.LeakyReLU: read_leaky_relu,
    nn.ReLU: lambda reader, node, _: reader.emit_unary(node, Relu),
    nn.ReLU6: lambda reader, node, _: reader.emit_unary(node, Relu6),
    nn.Sigmoid: lambda reader, node, _: reader.emit_unary(node, Sigmoid),
    nn.Hardsigmoid: lambda reader, node, _: reader.emit_unary(node, HardSigmoid),
    nn.Hardswish: lambda reader, node, _: reader.emit_unary(node, HardSwish),
    SpatialSoftmaxModule: lambda reader, node, _: reader.emit_unary(node, SpatialSoftmax),
    SignModule: lambda reader, node, _: reader.emit_unary(node, Sign),
    nn.Identity: lambda reader, node, _: reader.forward(node),
    nn.MaxPool2d: read_max_pool,
    nn.AvgPool2d: read_average_pool,
    nn.Upsample: read_upsample,
    NearestUpsample: read_nearest_upsample,
    NearestResize: read_nearest_resize,
    ChannelShortcut: read_channel_shortcut,
    Shuffle: read_shuffle,
    Interleave: read_shuffle,
}
