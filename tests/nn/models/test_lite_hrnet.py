"""Lite-HRNet: counts of the paper, weighting across resolutions, and the fusion's double terms."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bihrnet.nn import build
from bihrnet.nn.counting import count
from bihrnet.nn.layers.shuffle import Interleave
from bihrnet.nn.models.dite_hrnet import DiteLayers
from bihrnet.nn.models.edite_hrnet import EDiteLayers
from bihrnet.nn.models.lite_hrnet import (
    ConditionalChannelWeighting,
    CrossResolutionWeighting,
    IterativeHead,
    LiteHRModule,
    LiteLayers,
)

NAMES = ["lite-hrnet-18", "lite-hrnet-30"]


def features(widths: list[int], size: int = 16) -> list[torch.Tensor]:
    return [torch.randn(2, width, size >> n, size >> n) for n, width in enumerate(widths)]


def randomized(module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        parameter.data.normal_(std=0.3)
    return module.eval()


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [("lite-hrnet-18", 1_130_769, 198.6e6), ("lite-hrnet-30", 1_763_717, 309.5e6)],
)
def test_counts_are_those_of_the_public_code(name: str, params: int, macs: float) -> None:
    with torch.device("meta"):
        result = count(build(name, 17), (256, 192))
    assert result.params == params
    assert result.real_macs == pytest.approx(macs, rel=0.0005)
    assert result.binary_macs == 0


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_every_parameter(name: str) -> None:
    torch.manual_seed(0)
    model = build(name, 17)
    heatmaps = model(torch.randn(2, 3, 64, 96))
    assert heatmaps.shape == (2, 17, 16, 24)
    (heatmaps - 1).square().mean().backward()
    dead = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []


def test_a_traced_network_computes_the_same() -> None:
    torch.manual_seed(0)
    model = randomized(build("lite-hrnet-18", 5))
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(torch.fx.symbolic_trace(model)(x), model(x))


def test_channels_come_in_turns() -> None:
    a, b = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])
    shuffled = Interleave()(a.reshape(1, 2, 1, 1), b.reshape(1, 2, 1, 1))
    assert shuffled.flatten().tolist() == [1, 3, 2, 4]


def test_branches_weigh_each_other_at_the_lowest_resolution() -> None:
    torch.manual_seed(0)
    widths = [4, 8, 16]
    module = randomized(CrossResolutionWeighting(widths, 4))
    x = features(widths)
    small = torch.cat([F.adaptive_avg_pool2d(y, (4, 4)) for y in x], dim=1)
    weights = module.conv2(module.conv1(small)).split(widths, dim=1)
    for own, y, weight in zip(module(x), x, weights, strict=True):
        torch.testing.assert_close(own, y * F.interpolate(weight, y.shape[2:]))
    low, high = weights[0].detach().aminmax()
    assert 0 <= low < high <= 1


def test_a_block_passes_half_of_the_channels() -> None:
    torch.manual_seed(0)
    widths = [8, 16]
    x = features(widths)
    for own, y in zip(ConditionalChannelWeighting(widths, 4).eval()(x), x, strict=True):
        assert torch.equal(own[:, ::2], y[:, : y.shape[1] // 2])
        assert not torch.equal(own[:, 1::2], y[:, y.shape[1] // 2 :])


# The ReLU of Lite-HRNet's code gives a new tensor, that of Dite-HRNet's works in place.
@pytest.mark.parametrize(
    ("layers", "inplace"),
    [
        (LiteLayers(), False),
        (DiteLayers(), True),
        (EDiteLayers(grouped=True, ghost_scope="plain", mix_inputs=3), True),
    ],
)
def test_fusion_sums_as_the_public_code_does_in_place(layers: LiteLayers, inplace: bool) -> None:
    torch.manual_seed(0)
    widths = [16, 32, 64]
    module = randomized(LiteHRModule(widths, layers))
    x = features(widths)
    with torch.no_grad():
        own = module(x)
        out = module.layers(x)
        for target, paths in enumerate(module.fuse_layers):
            y = out[0] if target == 0 else paths[0](out[0])
            for path, value in zip(paths, out, strict=True):
                y += path(value)  # at the highest resolution this is out[0] itself
            torch.testing.assert_close(own[target], F.relu(y, inplace=inplace))


def test_the_head_climbs_from_the_lowest_resolution() -> None:
    torch.manual_seed(0)
    widths = [4, 8]
    head = randomized(IterativeHead(widths))
    high, low = features(widths)
    up = F.interpolate(head.projects[0](low), (16, 16), mode="bilinear", align_corners=True)
    torch.testing.assert_close(head([high, low]), head.projects[1](high + up))
