"""Pyramid residual module of PyraNet (Yang et al. 2017), of which LBRN-P fixes the 3x3 filters."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bihrnet.nn.layers.ternary import Filters, pre_activation, residual_body

#: Ratios of the pyramid's resolutions to the input's, M = 1 and C = 4 in PyraNet's equation (3).
RATIOS = tuple(2 ** (-level / 4) for level in (1, 2, 3, 4))

# Single nodes for torch.fx: what they do depends on sizes.
torch.fx.wrap("fractional_max_pool")
torch.fx.wrap("enlarge_to")


def fractional_max_pool(x: Tensor, ratio: float, training: bool) -> Tensor:
    """Maxima of 2x2 regions of which there are `ratio` times the input's rows and columns.

    Graham (2014) draws the regions at random, for each image and channel, and so does this in
    training. In evaluation they are regular: output row i starts at the input row that lies over
    its center, floor((i + 0.5) / ratio - 0.5), and columns likewise. That is a max-pooling of
    stride 1 followed by picking the nearest pixels, which every runtime has.

    Args:
        x: (N, C, h, w), sides of 2 and more.
        ratio: 0.5 <= ratio < 1.
        training: whether regions are drawn.

    Returns:
        (N, C, floor(ratio * h), floor(ratio * w)).
    """
    rows, columns = (int(side * ratio) for side in x.shape[2:])
    if training:
        return F.fractional_max_pool2d(x, 2, output_size=(rows, columns))
    y = F.max_pool2d(x, 2, stride=1)
    for dimension, count in ((2, rows), (3, columns)):
        starts = [int((i + 0.5) / ratio - 0.5) for i in range(count)]
        y = y.index_select(dimension, torch.tensor(starts, device=x.device))
    return y


def enlarge_to(x: Tensor, like: Tensor) -> Tensor:
    """Bilinear interpolation to the height and width of `like`, corners on corners as in Torch7."""
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=True)


class PyramidLevel(nn.Module):
    """Fractional max-pooling, 3x3 convolution, back to the size of the input."""

    def __init__(self, channels: int, ratio: float, filters: Filters) -> None:
        super().__init__()
        self.ratio = ratio
        self.conv = filters.conv(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        return enlarge_to(self.conv(fractional_max_pool(x, self.ratio, self.training)), x)

    def extra_repr(self) -> str:
        return f"ratio={self.ratio:.4f}"


class Pyramid(nn.Module):
    """1x1 convolution to `width` channels, the sum of four `PyramidLevel`, 1x1 convolution."""

    def __init__(self, in_channels: int, width: int, out_channels: int, filters: Filters) -> None:
        super().__init__()
        self.reduce = residual_body([in_channels, width], [1], filters).extend(
            pre_activation(width)
        )
        self.levels = nn.ModuleList(PyramidLevel(width, ratio, filters) for ratio in RATIOS)
        self.join = residual_body([width, out_channels], [1], filters)

    def forward(self, x: Tensor) -> Tensor:
        x = self.reduce(x)
        first, *others = (level(x) for level in self.levels)
        for other in others:
            first = first + other
        return self.join(first)


class PyramidBody(nn.Module):
    """Body of the pyramid residual module (PRM-B), c = `out_channels`.

    A main path, 1x1 (-> c/2) and 3x3, and a pyramid of width c/8 beside it; their sum goes through
    a 1x1 (c/2 -> c). With fixed ternary 3x3 filters, those of the pyramid too, it is LBB-P.
    """

    def __init__(self, in_channels: int, out_channels: int, filters: Filters) -> None:
        super().__init__()
        half = out_channels // 2
        self.main = residual_body([in_channels, half, half], [1, 3], filters)
        self.pyramid = Pyramid(in_channels, out_channels // 8, half, filters)
        self.last = residual_body([half, out_channels], [1], filters)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.main(x) + self.pyramid(x))
