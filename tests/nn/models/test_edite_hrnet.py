"""EDite-HRNet: counts, Ghost modules, the mixed simple path."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from bihrnet.errors import BihrnetError
from bihrnet.nn import build
from bihrnet.nn.counting import count
from bihrnet.nn.layers.ghost import GhostModule
from bihrnet.nn.layers.upsample import NearestResize
from bihrnet.nn.models.edite_hrnet import EDiteLayers, SimplePath


# Published at 256x192: S 1.3 M and 0.2 GFLOPs, L 8.8 M and 1.8. The last row is the reading of L
# that mixes two features and puts Ghost modules everywhere: 8.892 M.
@pytest.mark.parametrize(
    ("name", "options", "params", "macs"),
    [
        ("edite-hrnet-s", {}, 1_328_589, 263.3e6),
        ("edite-hrnet-s", {"ghost_scope": "all"}, 1_330_493, 279.0e6),
        ("edite-hrnet-l", {}, 8_733_389, 1849.5e6),
        ("edite-hrnet-l", {"ghost_scope": "all", "mix_inputs": 2}, 8_891_709, 1818.8e6),
    ],
)
def test_counts(name: str, options: dict[str, Any], params: int, macs: float) -> None:
    with torch.device("meta"):
        result = count(build(name, 17, **options), (256, 192))
    assert result.params == params
    assert result.real_macs == pytest.approx(macs, rel=0.0005)


def test_options_are_checked() -> None:
    with pytest.raises(BihrnetError, match="ghost_scope='none'"):
        build("edite-hrnet-s", 5, ghost_scope="none")
    with pytest.raises(BihrnetError, match="mix_inputs=1"):
        build("edite-hrnet-s", 5, mix_inputs=1)


@pytest.mark.parametrize("name", ["edite-hrnet-s", "edite-hrnet-l"])
def test_gradients_reach_every_parameter_that_learns(name: str) -> None:
    torch.manual_seed(0)
    model = build(name, 5)
    # An odd number of pixels at the lowest resolution, as at 384x288.
    heatmaps = model(torch.randn(4, 3, 64, 96))
    assert heatmaps.shape == (4, 5, 16, 24)
    (heatmaps - 1).square().mean().backward()
    fixed = {name for name, p in model.named_parameters() if not p.requires_grad}
    dead = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert dead == fixed
    assert all(name.endswith("score.bias") for name in fixed)


def test_it_learns() -> None:
    torch.manual_seed(0)
    model = build("edite-hrnet-s", 3)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    images, target = torch.randn(4, 3, 64, 64), torch.zeros(4, 3, 16, 16)
    target[:, :, 4:10, 6:12] = 1
    losses = []
    for _ in range(8):
        loss = (model(images) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize("side", [7, 8])
def test_enlarging_gives_every_pixel_the_value_of_its_own_square(side: int) -> None:
    x = torch.randn(1, 2, side, side)
    small = nn.AvgPool2d(2, ceil_mode=True)(x)
    large = NearestResize(2)(small, x)
    assert large.shape == x.shape
    for row in range(side):
        for column in range(side):
            square = x[:, :, row // 2 * 2 : row // 2 * 2 + 2, column // 2 * 2 : column // 2 * 2 + 2]
            torch.testing.assert_close(large[:, :, row, column], square.mean((2, 3)))


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize(("kernel_size", "stride", "side"), [(3, 1, 8), (9, 1, 9), (3, 2, 8)])
def test_half_of_a_ghost_modules_channels_come_from_the_other(
    grouped: bool, kernel_size: int, stride: int, side: int
) -> None:
    torch.manual_seed(0)
    ghost = GhostModule(8, kernel_size, stride, grouped=grouped).eval()
    x = torch.randn(2, 8, side, side)
    y = ghost(x)
    assert y.shape == (2, 8, -(-side // stride), -(-side // stride))
    gate = ghost.enlarge(ghost.attention(x), y)
    assert 0 < gate.min() < gate.max() < 1
    primary = ghost.primary(x)
    torch.testing.assert_close(y[:, :4], gate[:, :4] * primary)
    torch.testing.assert_close(y[:, 4:], gate[:, 4:] * ghost.cheap(primary))


def test_sizes_differ_in_the_groups_of_their_convolutions() -> None:
    def dense(grouped: bool) -> set[bool]:
        layers = EDiteLayers(grouped=grouped, ghost_scope="plain", mix_inputs=3)
        block = layers.joint_block([40, 80, 160, 320])
        ghosts = [m for m in block.modules() if isinstance(m, GhostModule)]
        assert len(ghosts) == 4
        convs = [m for ghost in ghosts for m in (ghost.primary[0], *ghost.attention[1::2][:3])]
        convs += [simple.mix[0] for simple in block.simple]
        return {conv.groups == 1 for conv in convs}

    assert dense(grouped=True) == {False}
    assert dense(grouped=False) == {True}


def test_a_depthwise_mixture_keeps_channels_apart() -> None:
    torch.manual_seed(0)
    path = SimplePath(4, 3, grouped=True).eval()
    x, *features = (torch.randn(1, 4, 5, 5) for _ in range(4))
    before = path(x, features)
    features[1][:, 2] += 1
    changed = (path(x, features) != before).flatten(2).any(2)[0]
    assert changed.tolist() == [False, False, True, False]


@pytest.mark.parametrize("inputs", [2, 3])
def test_the_half_that_passes_is_mixed_with_the_features_of_the_other(inputs: int) -> None:
    torch.manual_seed(0)
    layers = EDiteLayers(grouped=True, ghost_scope="plain", mix_inputs=inputs)
    block = layers.joint_block([8, 16]).eval()
    features = [torch.randn(1, 8, 8, 8), torch.randn(1, 16, 4, 4)]
    processed = block.cross_resolution_weighting([features[0][:, 4:], features[1][:, 8:]])
    for x, y, path, simple, out in zip(
        features, processed, block.branches, block.simple, block(features), strict=True
    ):
        convolved = path[0](y)
        end = path[1](convolved)
        torch.testing.assert_close(out[:, 1::2], end)
        mixed = simple.mix(torch.stack([y, convolved, end][:inputs], dim=2).flatten(1, 2))
        expected = (simple.cheap(x[:, : x.shape[1] // 2]) + mixed).relu()
        torch.testing.assert_close(out[:, ::2], expected)
