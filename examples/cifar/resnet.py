"""ResNet-56 and ResNet-LBB-56, its version with fixed ternary 3x3 filters, for 32x32 images.

Liu et al. 2021, "Local-binarized very deep residual network for visual categorization"
(doi:10.1016/j.neucom.2020.11.041), section 4.3 and Table 9. The pre-activation bottlenecks are
those of He et al. 2016, "Identity Mappings in Deep Residual Networks" (arXiv:1603.05027).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from bihrnet.nn.layers.initialize import initialize_he
from bihrnet.nn.layers.residual import ResidualBlock, pre_activation, residual_body
from bihrnet.nn.layers.ternary import Filters

_WIDTHS = (16, 32, 64)  # inner width of the bottlenecks in each of the three stages
_BLOCKS = 6  # bottlenecks of a stage


class ZeroPadShortcut(nn.Module):
    """Parameter-free residual path (He et al. 2016, arXiv:1512.03385, option A).

    (N, in_channels, h, w) -> (N, out_channels, h / stride, w / stride): strided, with channels of
    zeros appended.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride, self.missing = stride, out_channels - in_channels

    def forward(self, x: Tensor) -> Tensor:
        """Subsample and pad."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.missing))


class ResNet56(nn.Module):
    """(N, 3, 32, 32) normalized RGB -> (N, classes) logits.

    A convolution, three stages of six pre-activation bottlenecks, average pooling and a linear
    layer: 56 layers with weights.

    Args:
        classes: number of logits.
        expansion: output channels of a bottleneck, as a multiple of its inner width. Of all values,
            3 comes closest to the counts that the paper prints.
        filters: makes the convolutions of the bottlenecks.
    """

    def __init__(self, classes: int, expansion: int, filters: Filters) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, _WIDTHS[0], 3, padding=1, bias=False)
        blocks: list[nn.Module] = []
        channels = _WIDTHS[0]
        for stage, planes in enumerate(_WIDTHS):
            for number in range(_BLOCKS):
                stride = 2 if stage > 0 and number == 0 else 1
                widths = [channels, planes, planes, planes * expansion]
                blocks.append(
                    ResidualBlock(
                        residual_body(widths, [1, 3, 1], filters, stride=stride),
                        ZeroPadShortcut(channels, widths[-1], stride),
                    )
                )
                channels = widths[-1]
        self.blocks = nn.Sequential(*blocks, *pre_activation(channels))
        self.classifier = nn.Linear(channels, classes)
        initialize_he(self)

    def forward(self, x: Tensor) -> Tensor:
        """Classify."""
        return self.classifier(self.blocks(self.stem(x)).mean((2, 3)))


def resnet_56(classes: int, *, expansion: int = 3) -> ResNet56:
    """The real-valued network: 0.48 M parameters with 10 classes."""
    return ResNet56(classes, expansion, Filters(bias=False))


def resnet_lbb_56(
    classes: int, *, expansion: int = 3, density: float = 0.5, seed: int = 0
) -> ResNet56:
    """Local binary residual blocks in place of the bottlenecks: 0.19 M learned parameters.

    Args:
        classes: number of logits.
        expansion: see `ResNet56`.
        density: share of non-zero ternary weights, 0..1, the paper's "sparsity".
        seed: of the ternary filters.
    """
    return ResNet56(classes, expansion, Filters("3x3", density, seed, bias=False))
