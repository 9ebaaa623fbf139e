"""SimpleBaseline: ResNet-50 without its classifier, and three transposed convolutions.

Xiao et al. 2018, "Simple Baselines for Human Pose Estimation and Tracking" (arXiv:1804.06208),
section 2. The backbone is that of He et al. 2016, "Deep Residual Learning for Image Recognition"
(arXiv:1512.03385).

Module names are torchvision's, so that checkpoints fit.
"""

from __future__ import annotations

from torch import Tensor, nn

from bihrnet.nn.layers.conv_bn import conv_bn
from bihrnet.nn.layers.deconv_head import DeconvPose
from bihrnet.nn.layers.initialize import initialize
from bihrnet.nn.layers.residual import Bottleneck
from bihrnet.nn.registry import register


class ResNet50(nn.Module):
    """(N, 3, h, w) -> (N, 2048, h/32, w/32)."""

    channels = 2048

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_bn(3, 64, 7, 2)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _layer(64, 64, blocks=3, stride=1)
        self.layer2 = _layer(256, 128, blocks=4, stride=2)
        self.layer3 = _layer(512, 256, blocks=6, stride=2)
        self.layer4 = _layer(1024, 512, blocks=3, stride=2)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


def _layer(in_channels: int, planes: int, *, blocks: int, stride: int) -> nn.Sequential:
    channels = planes * Bottleneck.expansion
    return nn.Sequential(
        Bottleneck(in_channels, planes, stride),
        *(Bottleneck(channels, planes) for _ in range(blocks - 1)),
    )


@register("simplebaseline-r50", "SimpleBaseline with ResNet-50")
def simplebaseline_r50(joints: int) -> DeconvPose:
    """SimpleBaseline with ResNet-50, 34.0 M parameters."""
    return DeconvPose(ResNet50(), ResNet50.channels, joints)
