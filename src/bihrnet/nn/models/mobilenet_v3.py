"""MobileNetV3-large without its classifier, and the pose network that uses it as a backbone.

Howard et al. 2019, "Searching for MobileNetV3" (arXiv:1905.02244).

Module names are torchvision's, so that ImageNet checkpoints fit.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from bihrnet.nn.layers.deconv_head import DeconvPose
from bihrnet.nn.layers.initialize import initialize_he
from bihrnet.nn.models.mobilenet_v2 import conv_bn_act
from bihrnet.nn.registry import register


class BlockShape(NamedTuple):
    """A row of table 1; `gate` is the number of hidden channels of the gate, None for no gate."""

    kernel_size: int
    expanded: int
    channels: int
    gate: int | None
    activation: type[nn.Module]
    stride: int


# Gates have a quarter of the expanded channels, in multiples of 8.
_BLOCKS = (
    BlockShape(3, 16, 16, None, nn.ReLU, 1),
    BlockShape(3, 64, 24, None, nn.ReLU, 2),
    BlockShape(3, 72, 24, None, nn.ReLU, 1),
    BlockShape(5, 72, 40, 24, nn.ReLU, 2),
    BlockShape(5, 120, 40, 32, nn.ReLU, 1),
    BlockShape(5, 120, 40, 32, nn.ReLU, 1),
    BlockShape(3, 240, 80, None, nn.Hardswish, 2),
    BlockShape(3, 200, 80, None, nn.Hardswish, 1),
    BlockShape(3, 184, 80, None, nn.Hardswish, 1),
    BlockShape(3, 184, 80, None, nn.Hardswish, 1),
    BlockShape(3, 480, 112, 120, nn.Hardswish, 1),
    BlockShape(3, 672, 112, 168, nn.Hardswish, 1),
    BlockShape(5, 672, 160, 168, nn.Hardswish, 2),
    BlockShape(5, 960, 160, 240, nn.Hardswish, 1),
    BlockShape(5, 960, 160, 240, nn.Hardswish, 1),
)


class SqueezeExcitation(nn.Module):
    """x times one factor in 0..1 per channel, computed from its spatial means (section 5.3)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.activation = nn.ReLU()
        self.fc2 = nn.Conv2d(hidden, channels, 1)
        self.scale_activation = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.activation(self.fc1(x.mean((2, 3), keepdim=True)))
        return x * self.scale_activation(self.fc2(hidden))


class GatedInvertedResidual(nn.Module):
    """1x1 expansion, depthwise convolution, optional gate, linear 1x1 projection (figure 4).

    The residual connection exists where the shape stays.
    """

    def __init__(self, in_channels: int, shape: BlockShape) -> None:
        super().__init__()
        kernel_size, expanded, channels, gate, activation, stride = shape
        layers: list[nn.Module] = []
        if expanded != in_channels:
            layers.append(conv_bn_act(in_channels, expanded, 1, activation=activation))
        layers.append(
            conv_bn_act(expanded, expanded, kernel_size, stride, expanded, activation=activation)
        )
        if gate is not None:
            layers.append(SqueezeExcitation(expanded, gate))
        layers.append(conv_bn_act(expanded, channels, 1, activation=nn.Identity))
        self.block = nn.Sequential(*layers)
        self.residual = stride == 1 and in_channels == channels

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x) if self.residual else self.block(x)


class MobileNetV3(nn.Module):
    """(N, 3, h, w) -> (N, 960, h/32, w/32)."""

    channels = 960

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [conv_bn_act(3, 16, 3, stride=2, activation=nn.Hardswish)]
        in_channels = 16
        for shape in _BLOCKS:
            layers.append(GatedInvertedResidual(in_channels, shape))
            in_channels = shape.channels
        layers.append(conv_bn_act(in_channels, self.channels, 1, activation=nn.Hardswish))
        self.features = nn.Sequential(*layers)
        initialize_he(self)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):  # as the authors' code and torchvision's weights
                module.eps, module.momentum = 1e-3, 0.01

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x)


@register("mobilenet-v3", "MobileNetV3-large with the head of SimpleBaseline")
def mobilenet_v3(joints: int) -> DeconvPose:
    """MobileNetV3-large with the head of SimpleBaseline, 9.0 M parameters (8.7 M in the papers)."""
    return DeconvPose(MobileNetV3(), MobileNetV3.channels, joints)
