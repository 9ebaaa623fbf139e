"""Networks with every kind of layer of the zoo, narrow and shallow, so that tests stay fast."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from bihrnet.model import IMAGENET_MEAN, IMAGENET_STD, ModelSpec
from bihrnet.nn.layers.binary_conv import BinaryConv2d
from bihrnet.nn.layers.binary_unit import Shift, UnitStyle
from bihrnet.nn.layers.ternary import Filters
from bihrnet.nn.models.bihrnet import BiHRNetLayers
from bihrnet.nn.models.binary_hourglass import BinaryLayers
from bihrnet.nn.models.binary_hrnet import DirectLayers
from bihrnet.nn.models.hourglass import HourglassLayers, StackedHourglass
from bihrnet.nn.models.hrnet import HRNet, Layers, Layout
from bihrnet.nn.models.lbrn import BlockStyle, BottleneckLayers
from bihrnet.nn.torch_model import TorchModel
from bihrnet.skeleton import LSP

if TYPE_CHECKING:
    import onnxruntime

SIZE = (64, 96)


def bihrnet_layers(
    se_on="input",
    unit_act="rprelu",
    unit_shortcut="outside",
    real_act="prelu",
    sign_input="shift",
):
    style = UnitStyle(unit_act, sign_input=sign_input)
    return BiHRNetLayers(style, se_on, real_act, unit_shortcut)


def small(layers: Layers, *, pruned: bool = False, width: int = 8) -> HRNet:
    """All stages and four branches, one module a stage and one block a branch."""
    layout = Layout(
        width, modules=(1, 1, 1), blocks=1, layer1_blocks=2, layer1_planes=width, pruned=pruned
    )
    return HRNet(len(LSP), layout, layers)


def hourglass(layers: HourglassLayers, channels: int = 32) -> StackedHourglass:
    """Two stacks of two levels."""
    layers.channels = channels
    return StackedHourglass(len(LSP), stacks=2, depth=2, layers=layers)


def bulat_layers(block="hierarchical", act="prelu", join_real=False):
    return BinaryLayers(block, act, "ste", join_real=join_real)


def lbrn_layers(fixed="3x3", density=0.5, activation="relu"):
    return BottleneckLayers(Filters(fixed, density), BlockStyle("1x1-3x3-1x1", 16, activation))


#: By name, builders of networks that the engine runs.
NETWORKS = {
    "real": lambda: small(Layers()),
    "direct": lambda: small(DirectLayers("approx")),
    "bihrnet": lambda: small(bihrnet_layers(), pruned=True),
    "unpruned": lambda: small(bihrnet_layers(se_on=None)),
    "odd widths": lambda: small(bihrnet_layers(unit_shortcut="none"), pruned=True, width=12),
    "gate on output": lambda: small(bihrnet_layers(se_on="output", unit_act="prelu"), pruned=True),
    "shortcuts": lambda: small(bihrnet_layers(unit_shortcut="all"), pruned=True),
    "binary hourglass": lambda: hourglass(bulat_layers()),
    "bottlenecks": lambda: hourglass(bulat_layers("bottleneck", "leaky_relu", join_real=True)),
    "real hourglass": lambda: hourglass(lbrn_layers("none")),
    "ternary": lambda: hourglass(lbrn_layers()),
    "ternary 1x1": lambda: hourglass(lbrn_layers("1x1", density=0.1)),
    "half ternary": lambda: hourglass(lbrn_layers("half", activation="sigmoid"), channels=40),
    "normalized signs": lambda: small(bihrnet_layers(sign_input="batchnorm"), pruned=True),
    "no shortcuts": lambda: small(bihrnet_layers(unit_shortcut="none", real_act="relu")),
}


def randomize(module: nn.Module, seed: int = 0) -> nn.Module:
    """Random statistics and parameters, with rare extremes: negative and zero scales."""
    generator = torch.Generator().manual_seed(seed)

    def normal(like: torch.Tensor, scale: float = 1.0, mean: float = 0.0) -> torch.Tensor:
        return mean + scale * torch.randn(like.shape, generator=generator)

    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.copy_(normal(part.running_mean, 0.3))
                part.running_var.copy_(normal(part.running_var).abs() + 0.5)
                part.weight.copy_(normal(part.weight, 0.7, 0.3))
                part.weight[torch.rand(part.weight.shape, generator=generator) < 0.05] = 0
                part.bias.copy_(normal(part.bias, 0.3))
            elif isinstance(part, Shift):
                part.bias.copy_(normal(part.bias, 0.2))
            elif isinstance(part, nn.PReLU):
                part.weight.copy_(normal(part.weight, 0.3, 0.3))
            elif isinstance(part, BinaryConv2d):
                part.weight.copy_(normal(part.weight, 0.1))
            elif isinstance(part, nn.ConvTranspose2d):
                terms = part.weight[:, 0].numel() / np.prod(part.stride)
                part.weight.copy_(normal(part.weight, (2 / terms) ** 0.5))
            elif isinstance(part, nn.Conv2d | nn.Linear):
                fan_in = part.weight[0].numel()
                part.weight.copy_(normal(part.weight, (2 / fan_in) ** 0.5))
                if part.bias is not None:
                    part.bias.copy_(normal(part.bias, 0.1))
    return module


def session(module: nn.Module, size: tuple[int, int] = SIZE) -> TorchModel:
    return TorchModel(module, ModelSpec("small@test", LSP, size))


def images(count: int, size: tuple[int, int] = SIZE, seed: int = 0) -> np.ndarray:
    """Smooth random images: noise in squares of 8 x 8 pixels and a little noise per pixel."""
    random = np.random.default_rng(seed)
    height, width = size
    squares = random.integers(0, 200, (count, height // 8, width // 8, 3))
    fine = random.integers(0, 56, (count, height, width, 3))
    return (squares.repeat(8, 1).repeat(8, 2) + fine).astype(np.uint8)


def normalized(crops: np.ndarray) -> np.ndarray:
    """(N, h, w, 3) uint8 -> (N, 3, h, w) float32, as networks expect it."""
    values = (crops / 255 - IMAGENET_MEAN) / IMAGENET_STD
    return values.transpose(0, 3, 1, 2).astype(np.float32)


def onnx_session(path: str | Path, *, optimize: bool = True) -> onnxruntime.InferenceSession:
    """Open a file in ONNX Runtime.

    Planning the reuse of memory, and optimization, take many seconds for a thousand nodes. The
    former is off; switch the latter off for whole networks whose layers are tested with it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_mem_reuse = False
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(path, options)


def assert_agreement(heatmaps: np.ndarray, expected: np.ndarray) -> None:
    """Within 1e-3 of the peak in three of four images.

    In the others a sign may have flipped whose input lies within rounding of its threshold, as it
    happens in torch itself between float32 and float64.
    """
    assert heatmaps.shape == expected.shape
    error = np.abs(heatmaps - expected).reshape(len(expected), -1).max(axis=1)
    agree = error <= 1e-3 * np.abs(expected).max()
    assert agree.mean() >= 0.75, error
