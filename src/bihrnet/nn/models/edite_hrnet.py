"""EDite-HRNet (Rui et al. 2023): Dite-HRNet with Ghost modules and a mixed simple path."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, cast

from torch import Tensor, nn

from bihrnet.nn.layers.ghost import GhostModule
from bihrnet.nn.layers.residual import conv_bn
from bihrnet.nn.models.dite_hrnet import DiteLayers
from bihrnet.nn.models.lite_hrnet import LiteHRNet
from bihrnet.nn.models.lite_hrnet_blocks import Interleave, JointBlock, depthwise_bn
from bihrnet.nn.registry import register

#: Which layers of a branch become Ghost modules: those with one kernel, or all.
GhostScope = Literal["plain", "all"]
#: How many features of the worked half are mixed into the half that passes.
MixInputs = Literal[3, 2]


class SimplePath(nn.Module):
    """ReLU(cheap(x) + mix(features)), equation (4): what the half that passes gets in EDite-HRNet.

    cheap is a depthwise and mix a dense or depthwise 3x3 convolution, each with BatchNorm.

    Args:
        channels: of x, of each feature and of the output.
        inputs: number of features.
        grouped: whether a channel is mixed from the same channel of the features only.
    """

    def __init__(self, channels: int, inputs: int, *, grouped: bool) -> None:
        super().__init__()
        self.cheap = depthwise_bn(channels)
        self.shuffle = Interleave()
        self.mix = conv_bn(inputs * channels, channels, 3, groups=channels if grouped else 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor, features: Sequence[Tensor]) -> Tensor:
        return self.relu(self.cheap(x) + self.mix(self.shuffle(*features)))


class EnhancedJointBlock(JointBlock):
    """EDMC block: the half that passes is mixed with what becomes of the other half.

    Args:
        widths: channels of the branches, highest resolution first.
        weighting: see `JointBlock`.
        paths: of the branches, each a convolution and its weighting.
        inputs: how many of the features behind `weighting`, the convolution and the path's end are
            mixed, the first ones.
        grouped: of `SimplePath`.
    """

    def __init__(
        self,
        widths: Sequence[int],
        weighting: nn.Module,
        paths: Iterable[nn.Sequential],
        *,
        inputs: int,
        grouped: bool,
    ) -> None:
        super().__init__(widths, weighting, paths)
        self.inputs = inputs
        self.simple = nn.ModuleList(
            SimplePath(half, inputs, grouped=grouped) for half in self.halves
        )

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        passed, worked = self.split(features)
        weighted = self.cross_resolution_weighting(worked)
        outputs = []
        paths = cast(Iterable[nn.Sequential], self.branches)
        for x, y, path, simple in zip(passed, weighted, paths, self.simple, strict=True):
            convolution, context = path
            convolved = convolution(y)
            end = context(convolved)
            mixed = simple(x, (y, convolved, end)[: self.inputs])
            outputs.append(self.shuffle(mixed, end))
        return outputs


class EDiteLayers(DiteLayers):
    """Bricks of EDite-HRNet: Dite-HRNet's with Ghost modules, and the EDMC block.

    Args:
        grouped: depthwise (S) or dense (L) convolutions in the Ghost modules and mixtures.
        ghost_scope: see `GhostScope`. The stem's Ghost modules are depthwise unless it is "all".
        mix_inputs: see `MixInputs`.
    """

    def __init__(self, *, grouped: bool, ghost_scope: GhostScope, mix_inputs: MixInputs) -> None:
        self.grouped = grouped
        self.ghost_scope = ghost_scope
        self.mix_inputs = mix_inputs

    def convolution(self, channels: int, kernel_size: int, kernels: int) -> nn.Module:
        """Ghost module where the scope wants one."""
        if kernels == 1 or self.ghost_scope == "all":
            return GhostModule(channels, kernel_size, grouped=self.grouped)
        return super().convolution(channels, kernel_size, kernels)

    def stem_convolution(self, channels: int, stride: int) -> nn.Module:
        """Ghost module: with it, Dite-HRNet's stem is the EDGC block."""
        grouped = self.grouped or self.ghost_scope == "plain"
        return GhostModule(channels, 3, stride, grouped=grouped)

    def joint_block(self, widths: Sequence[int]) -> JointBlock:
        """EDMC block."""
        return EnhancedJointBlock(
            widths,
            self.weighting(widths),
            self.paths(widths),
            inputs=self.mix_inputs,
            grouped=self.grouped,
        )


@register("edite-hrnet-s", "EDite-HRNet-S, depthwise Ghost modules", grouped=True)
@register("edite-hrnet-l", "EDite-HRNet-L, dense Ghost modules", grouped=False)
def edite_hrnet(
    joints: int, *, grouped: bool, ghost_scope: GhostScope = "plain", mix_inputs: MixInputs = 3
) -> LiteHRNet:
    """Dite-HRNet-18 with Ghost modules and mixed paths."""
    layers = EDiteLayers(grouped=grouped, ghost_scope=ghost_scope, mix_inputs=mix_inputs)
    return LiteHRNet(joints, (2, 4, 2), layers)
