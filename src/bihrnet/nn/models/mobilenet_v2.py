"""MobileNetV2 without its classifier, and the pose network that uses it as a backbone.

Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (arXiv:1801.04381).

Module names are torchvision's, so that ImageNet checkpoints fit.
"""

from __future__ import annotations

from torch import Tensor, nn

from bihrnet.nn.layers.conv_bn import conv_bn
from bihrnet.nn.layers.deconv_head import DeconvPose
from bihrnet.nn.layers.initialize import initialize_he
from bihrnet.nn.registry import register

# Table 2: expansion, output channels, number of blocks and stride of the first block.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def conv_bn_act(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    stride: int = 1,
    groups: int = 1,
    activation: type[nn.Module] = nn.ReLU6,
) -> nn.Sequential:
    """Convolution, BatchNorm and activation; nn.Identity for a linear layer."""
    layers = conv_bn(in_channels, out_channels, kernel_size, stride, groups)
    return layers.append(activation(inplace=True))


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise 3x3, linear 1x1 projection; a residual where the shape stays."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = in_channels * expansion
        expand = [conv_bn_act(in_channels, hidden, 1)] if expansion != 1 else []
        self.conv = nn.Sequential(
            *expand,
            conv_bn_act(hidden, hidden, 3, stride, groups=hidden),
            *conv_bn(hidden, out_channels, 1),
        )
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNetV2(nn.Module):
    """(N, 3, h, w) -> (N, 1280, h/32, w/32)."""

    channels = 1280

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [conv_bn_act(3, 32, 3, stride=2)]
        in_channels = 32
        for expansion, out_channels, blocks, stride in _STAGES:
            for block in range(blocks):
                layers.append(
                    InvertedResidual(
                        in_channels, out_channels, stride if block == 0 else 1, expansion
                    )
                )
                in_channels = out_channels
        layers.append(conv_bn_act(in_channels, self.channels, 1))
        self.features = nn.Sequential(*layers)
        initialize_he(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x)


@register("mobilenet-v2", "MobileNetV2 with the head of SimpleBaseline")
def mobilenet_v2(joints: int) -> DeconvPose:
    """MobileNetV2 with the head of SimpleBaseline, 9.6 M parameters."""
    return DeconvPose(MobileNetV2(), MobileNetV2.channels, joints)
