"""Real-valued residual blocks: those of ResNet, and those with pre-activation.

`BasicBlock` and `Bottleneck` name their modules as torchvision and HRNet's code do, so that public
checkpoints fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from bihrnet.nn.layers.conv_bn import conv_bn
from bihrnet.nn.layers.ternary import Filters

Activation = Literal["relu", "sigmoid"]


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a residual connection; the number of channels stays.

    He et al. 2016, "Deep Residual Learning for Image Recognition" (arXiv:1512.03385).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_bn(channels, channels, 3)
        self.conv2, self.bn2 = conv_bn(channels, channels, 3)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + x)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions with a residual connection; 4 * `planes` output channels.

    The stride is that of the 3x3 convolution. Where the shape changes, the residual path is a 1x1
    convolution.
    """

    expansion = 4

    def __init__(self, in_channels: int, planes: int, stride: int = 1) -> None:
        super().__init__()
        out_channels = planes * self.expansion
        self.conv1, self.bn1 = conv_bn(in_channels, planes, 1)
        self.conv2, self.bn2 = conv_bn(planes, planes, 3, stride)
        self.conv3, self.bn3 = conv_bn(planes, out_channels, 1)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.downsample = conv_bn(in_channels, out_channels, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        return self.relu(self.bn3(self.conv3(y)) + self.downsample(x))


def pre_activation(channels: int, activation: Activation = "relu") -> list[nn.Module]:
    """BatchNorm and activation, the layers before a convolution."""
    act = nn.Sigmoid() if activation == "sigmoid" else nn.ReLU(inplace=True)
    return [nn.BatchNorm2d(channels), act]


def residual_body(
    widths: Sequence[int],
    kernels: Sequence[int],
    filters: Filters,
    activation: Activation = "relu",
    *,
    stride: int = 1,
) -> nn.Sequential:
    """(BatchNorm, activation, convolution) in a row: the body of a pre-activation residual block.

    He et al. 2016, "Identity Mappings in Deep Residual Networks" (arXiv:1603.05027).

    Args:
        widths: channels of the input and of the output of every convolution.
        kernels: kernel sizes of the convolutions.
        filters: makes the convolutions.
        activation: before each convolution.
        stride: of the 3x3 convolutions.
    """
    layers: list[nn.Module] = []
    for kernel, inputs, outputs in zip(kernels, widths[:-1], widths[1:], strict=True):
        layers += pre_activation(inputs, activation)
        layers.append(filters.conv(inputs, outputs, kernel, stride if kernel == 3 else 1))
    return nn.Sequential(*layers)


class ResidualBlock(nn.Module):
    """y = shortcut(x) + body(x).

    With a `residual_body` of 1x1 (c -> c/2), 3x3 and 1x1 (c/2 -> c) convolutions it is the
    bottleneck of the stacked hourglass; if the 3x3 filters are ternary and fixed, the local binary
    residual block (LBB) of LBRN.
    """

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.body(x)
