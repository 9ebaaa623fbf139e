"""The head of SimpleBaseline, which turns the features of any backbone into heatmaps.

Xiao et al. 2018, "Simple Baselines for Human Pose Estimation and Tracking" (arXiv:1804.06208),
section 2.
"""

from __future__ import annotations

from torch import Tensor, nn

from bihrnet.nn.layers.initialize import initialize

_FILTERS = 256


class DeconvPose(nn.Module):
    """Backbone, three transposed convolutions of stride 2 and a 1x1 convolution.

    (N, 3, h, w) normalized RGB -> (N, joints, h/4, w/4) heatmaps.

    Args:
        backbone: (N, 3, h, w) -> (N, channels, h/32, w/32), initialized.
        channels: of the backbone's output.
        joints: number of heatmaps.
    """

    def __init__(self, backbone: nn.Module, channels: int, joints: int) -> None:
        super().__init__()
        self.backbone = backbone
        layers: list[nn.Module] = []
        for inputs in (channels, _FILTERS, _FILTERS):
            layers += [
                nn.ConvTranspose2d(inputs, _FILTERS, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(_FILTERS),
                nn.ReLU(inplace=True),
            ]
        self.deconv_layers = nn.Sequential(*layers)
        self.final_layer = nn.Conv2d(_FILTERS, joints, 1)
        initialize(self.deconv_layers)
        initialize(self.final_layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.final_layer(self.deconv_layers(self.backbone(x)))
