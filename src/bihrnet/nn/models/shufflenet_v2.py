"""ShuffleNetV2 1.0 without its classifier, and the pose network that uses it as a backbone.

Ma et al. 2018, "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design"
(arXiv:1807.11164).

Module names are torchvision's, so that ImageNet checkpoints fit.
"""

from __future__ import annotations

from torch import Tensor, nn

from bihrnet.nn.layers.conv_bn import conv_bn, separable
from bihrnet.nn.layers.deconv_head import DeconvPose
from bihrnet.nn.layers.initialize import initialize_he
from bihrnet.nn.layers.shuffle import Interleave
from bihrnet.nn.registry import register


class ShuffleBlock(nn.Module):
    """Half of the channels is convolved, half is kept; then both are interleaved (figure 3c)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.kept, self.convolved = slice(half), slice(half, channels)
        self.branch2 = _bottleneck(half, half)
        self.shuffle = Interleave()

    def forward(self, x: Tensor) -> Tensor:
        return self.shuffle(x[:, self.kept], self.branch2(x[:, self.convolved]))


class DownBlock(nn.Module):
    """Two branches of stride 2 over all channels, interleaved (figure 3d)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        half = out_channels // 2
        self.branch1 = separable(in_channels, half, stride=2).append(nn.ReLU(inplace=True))
        self.branch2 = _bottleneck(in_channels, half, stride=2)
        self.shuffle = Interleave()

    def forward(self, x: Tensor) -> Tensor:
        return self.shuffle(self.branch1(x), self.branch2(x))


def _bottleneck(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """1x1, depthwise 3x3 without activation, 1x1; all as wide as the output."""
    return nn.Sequential(
        *conv_bn(in_channels, out_channels, 1),
        nn.ReLU(inplace=True),
        *separable(out_channels, out_channels, stride),
        nn.ReLU(inplace=True),
    )


class ShuffleNetV2(nn.Module):
    """(N, 3, h, w) -> (N, 1024, h/32, w/32); the widths of table 5's column 1x."""

    channels = 1024

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = conv_bn(3, 24, 3, stride=2).append(nn.ReLU(inplace=True))
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.stage2 = _stage(24, 116, blocks=4)
        self.stage3 = _stage(116, 232, blocks=8)
        self.stage4 = _stage(232, 464, blocks=4)
        self.conv5 = conv_bn(464, self.channels, 1).append(nn.ReLU(inplace=True))
        initialize_he(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.conv1(x))
        return self.conv5(self.stage4(self.stage3(self.stage2(x))))


def _stage(in_channels: int, out_channels: int, *, blocks: int) -> nn.Sequential:
    return nn.Sequential(
        DownBlock(in_channels, out_channels),
        *(ShuffleBlock(out_channels) for _ in range(blocks - 1)),
    )


@register("shufflenet-v2", "ShuffleNetV2 1.0 with the head of SimpleBaseline")
def shufflenet_v2(joints: int) -> DeconvPose:
    """ShuffleNetV2 1.0 with the head of SimpleBaseline, 7.6 M parameters."""
    return DeconvPose(ShuffleNetV2(), ShuffleNetV2.channels, joints)
