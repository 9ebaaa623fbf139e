"""HRNet, binarized directly: the baseline of BiHRNet's Table 5 and its Figure 2(a).

Zhang et al., "BiHRNet: A Binary high-resolution network for Human Pose Estimation"
(arXiv:2311.10296), section 4.4.1. Real-valued are the same layers as in BiHRNet.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from bihrnet.nn.layers.binarize import SignGradient
from bihrnet.nn.layers.binary_unit import DirectUnit
from bihrnet.nn.models.hrnet import HRNet, Layers, Layout
from bihrnet.nn.registry import register


class DirectBlock(nn.Module):
    """Residual block of HRNet whose convolutions are binarized directly.

    Args:
        units: applied one after the other.
        downsample: the residual path where the number of channels changes.
    """

    def __init__(self, units: list[DirectUnit], downsample: DirectUnit | None = None) -> None:
        super().__init__()
        self.units = nn.Sequential(*units)
        self.downsample = downsample or nn.Identity()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.units(x) + self.downsample(x))


class DirectLayers(Layers):
    """Layer factory of the binary HRNet.

    ReLUs after sums stay; between units the sign replaces them.

    Args:
        gradient: surrogate gradient of the sign.
    """

    def __init__(self, gradient: SignGradient) -> None:
        self._unit = partial(DirectUnit, gradient=gradient)

    def bottleneck(self, in_channels: int, planes: int) -> nn.Module:
        unit, out_channels = self._unit, 4 * planes
        return DirectBlock(
            [unit(in_channels, planes, 1), unit(planes, planes, 3), unit(planes, out_channels, 1)],
            None if in_channels == out_channels else unit(in_channels, out_channels, 1),
        )

    def block(self, channels: int) -> nn.Module:
        return DirectBlock([self._unit(channels, channels, 3), self._unit(channels, channels, 3)])

    def transition(self, in_channels: int, out_channels: int) -> nn.Sequential:
        return self._unit(in_channels, out_channels, 3).append(self.activation(out_channels))

    def up(self, in_channels: int, out_channels: int) -> nn.Sequential:
        return self._unit(in_channels, out_channels, 1)


@register("binary-hrnet-w32", "HRNet-W32, binarized directly", binary=True, width=32)
@register("binary-hrnet-w16", "HRNet-W16, binarized directly", binary=True, width=16)
def binary_hrnet(joints: int, *, width: int, gradient: SignGradient = "approx") -> HRNet:
    """The baseline of Table 5: binary convolutions without BiHRNet's blocks."""
    return HRNet(joints, Layout(width), DirectLayers(gradient))
