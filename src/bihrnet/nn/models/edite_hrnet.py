"""EDite-HRNet: Dite-HRNet with Ghost modules and a mixed simple path.

Rui et al. 2023, "EDite-HRNet: Enhanced Dynamic Lightweight High-Resolution Network for Human Pose
Estimation" (IEEE Access 11), sections III-B to III-D. docs/architectures.md lists the readings.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, cast

from torch import Tensor, nn

from bihrnet.nn.layers.conv_bn import conv_bn, depthwise_bn
from bihrnet.nn.layers.ghost import GhostModule
from bihrnet.nn.layers.shuffle import Interleave
from bihrnet.nn.models.dite_hrnet import DiteLayers
from bihrnet.nn.models.lite_hrnet import JointBlock, LiteHRNet
from bihrnet.nn.registry import register

#: Which layers of a branch become Ghost modules: those with one kernel, or all.
GhostScope = Literal["plain", "all"]
#: Number of features of the processed half that are mixed into the simple path.
MixInputs = Literal[3, 2]


class SimplePath(nn.Module):
    """Path of the half that Dite-HRNet keeps: ReLU(cheap(x) + mix(features)), equation (4).

    `cheap` is a depthwise 3x3 convolution and `mix` a dense or depthwise one, each with BatchNorm.

    Args:
        channels: of x, of each feature and of the output.
        inputs: number of features.
        grouped: whether a channel is mixed only from the same channel of each feature.
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
    """EDMC block (section III-B): the simple path also gets features of the processed half.

    Args:
        widths: channels of the branches, highest resolution first.
        weighting: see `JointBlock`.
        paths: of the branches, each a convolution and its weighting.
        inputs: how many features are mixed, the first ones of: the outputs of `weighting`, of the
            convolution and of the whole path.
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
        kept, processed = self.split(features)
        weighted = self.cross_resolution_weighting(processed)
        outputs = []
        paths = cast(Iterable[nn.Sequential], self.branches)
        for x, y, path, simple in zip(kept, weighted, paths, self.simple, strict=True):
            convolution, context = path
            convolved = convolution(y)
            end = context(convolved)
            mixed = simple(x, (y, convolved, end)[: self.inputs])
            outputs.append(self.shuffle(mixed, end))
        return outputs


class EDiteLayers(DiteLayers):
    """Layer factory of EDite-HRNet: Dite-HRNet's with Ghost modules, and the EDMC block.

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
        """Ghost module where `ghost_scope` includes the layer."""
        if kernels == 1 or self.ghost_scope == "all":
            return GhostModule(channels, kernel_size, grouped=self.grouped)
        return super().convolution(channels, kernel_size, kernels)

    def stem_convolution(self, channels: int, stride: int) -> nn.Module:
        """Ghost module, which turns Dite-HRNet's stem into the EDGC block."""
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
    """Dite-HRNet-18 with Ghost modules and simple paths; `EDiteLayers` explains the options."""
    layers = EDiteLayers(grouped=grouped, ghost_scope=ghost_scope, mix_inputs=mix_inputs)
    return LiteHRNet(joints, (2, 4, 2), layers)
