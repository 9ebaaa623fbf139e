"""The head of Simple Baselines (Xiao et al. 2018), which lifts any backbone to heatmaps."""

from __future__ import annotations

from torch import Tensor, nn

from bihrnet.nn.layers.initialize import initialize

_FILTERS = 256


class DeconvPose(nn.Module):
    """Backbone, three deconvolutions of stride 2 and a 1x1 convolution.

    Args:
        backbone: (N, 3, h, w) -> (N, channels, h/32, w/32); brings its own initial weights.
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
