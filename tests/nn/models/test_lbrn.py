"""LBRN's networks and their real-valued counterparts: counts, variants, learning."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import nn

from bihrnet.errors import BihrnetError
from bihrnet.nn import architectures, build
from bihrnet.nn.checkpoint import Checkpoint
from bihrnet.nn.counting import Counts, count
from bihrnet.nn.layers.residual import ResidualBlock
from bihrnet.nn.layers.ternary import Filters, HalfTernaryConv2d, TernaryConv2d
from bihrnet.nn.models.lbrn import RATIOS, PyramidBody
from bihrnet.skeleton import LSP

NAMES = [name for name in architectures() if name.startswith(("shn", "lbrn"))]


@functools.cache
def counts(name: str, **options: object) -> Counts:
    with torch.device("meta"):
        return count(build(name, 16, **options), (256, 256))


def ternary(module: nn.Module) -> list[TernaryConv2d]:
    return [layer for layer in module.modules() if isinstance(layer, TernaryConv2d)]


def test_all_networks_are_there() -> None:
    real = {"shn-2", "shn-4", "shn-8", "shn-8-half", "shn-prm-2"}
    fixed = {"lbrn-s-2", "lbrn-s-4", "lbrn-s-8", "lbrn-s-8-half", "lbrn-p-2"}
    assert set(NAMES) == real | fixed


# Parameters in M. Of LBRN-S, 8.70 and 4.38 were expected: these count a bias behind each fixed
# filter too, of which there is none here.
@pytest.mark.parametrize(
    ("name", "params", "expected"),
    [
        ("shn-8", 25.434, 25.4),
        ("shn-4", 12.858, 12.9),
        ("lbrn-s-8", 8.683, 8.70),
        ("lbrn-s-4", 4.372, 4.38),
    ],
)
def test_parameters(name: str, params: float, expected: float) -> None:
    own = counts(name).params / 1e6
    assert own == pytest.approx(params, abs=5e-4)
    assert own == pytest.approx(expected, rel=0.004)


def test_a_bias_behind_every_fixed_filter_would_give_the_expected_count() -> None:
    with torch.device("meta"):
        filters = sum(layer.out_channels for layer in ternary(build("lbrn-s-4", 16)))
    assert round((counts("lbrn-s-4").params + filters) / 1e6, 2) == 4.38


def test_what_is_fixed_is_neither_learned_nor_multiplied() -> None:
    real, fixed = counts("shn-2"), counts("lbrn-s-2")
    with torch.device("meta"):
        layers = ternary(build("lbrn-s-2", 16))
    weights = sum(layer.weight.numel() for layer in layers)
    biases = sum(layer.out_channels for layer in layers)
    assert real.params - fixed.params == weights + biases
    assert real.real_weights - fixed.real_weights == weights + biases
    saved = real.real_macs - fixed.real_macs
    assert fixed.ternary_adds / saved == pytest.approx(0.5, abs=0.001)
    assert counts("lbrn-s-2", density=0.1).ternary_adds / saved == pytest.approx(0.1, abs=0.001)
    assert fixed.ops == fixed.real_macs
    assert real.ternary_adds == real.binary_macs == fixed.binary_macs == 0


def test_half_the_depth_has_two_levels_less_in_each_stack() -> None:
    with torch.device("meta"):
        whole, half = (build(name, 16).stacks[0].modules() for name in ("shn-8", "shn-8-half"))
    assert sum(isinstance(module, ResidualBlock) for module in whole) == 14
    assert sum(isinstance(module, ResidualBlock) for module in half) == 8


def test_pyramids_are_where_pyranet_has_them() -> None:
    with torch.device("meta"):
        network = build("lbrn-p-2", 16)
    outer = network.stacks[0].hourglass
    levels = [outer, outer.inner, outer.inner.inner, outer.inner.inner.inner]
    places = {
        "skip": [isinstance(level.skip.body, PyramidBody) for level in levels],
        "down": [isinstance(level.down.body, PyramidBody) for level in levels],
        "up": [isinstance(level.up.body, PyramidBody) for level in levels],
    }
    assert places["skip"] == [True, True, True, False]
    assert places["down"] == places["up"] == [True, True, False, False]
    assert not isinstance(levels[-1].inner.body, PyramidBody)
    assert not any(isinstance(level.up.shortcut, nn.Identity) for level in levels)
    stem = (network.stem_block1, network.stem_block2, network.stem_block3)
    assert all(isinstance(block.body, PyramidBody) for block in stem)


@pytest.mark.parametrize("name", ["lbrn-s-2", "lbrn-p-2", "shn-2", "shn-prm-2"])
def test_a_few_steps_lower_the_loss(name: str) -> None:
    torch.manual_seed(0)
    network = build(name, 4)
    filters = [layer.weight.clone() for layer in ternary(network)]
    x, target = torch.randn(2, 3, 64, 64), torch.rand(2, 4, 16, 16)
    optimizer = torch.optim.RMSprop(network.parameters(), lr=5e-4)
    losses = []
    for _ in range(4):
        outputs = network(x)
        assert [heatmaps.shape for heatmaps in outputs] == [target.shape] * 2
        loss = sum((heatmaps - target).square().mean() for heatmaps in outputs)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    dead = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []
    for before, layer in zip(filters, ternary(network), strict=True):
        assert torch.equal(before, layer.weight)
    network.eval()
    with torch.no_grad():
        expected = network(x)
        assert expected.shape == target.shape
        assert torch.equal(torch.fx.symbolic_trace(network)(x), expected)


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"layers": "1x1-3x3", "inner_width": 256}, TernaryConv2d),
        ({"layers": "1x1-1x1"}, nn.Conv2d),
        ({"fixed": "1x1"}, TernaryConv2d),
        ({"fixed": "half"}, HalfTernaryConv2d),
        ({"activation": "sigmoid"}, nn.Sigmoid),
        ({"inner_width": 64, "density": 0.9, "seed": 3}, TernaryConv2d),
    ],
)
def test_variants_of_the_tables(options: dict[str, object], kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    network = build("lbrn-s-2", 4, **options)
    assert any(isinstance(layer, kind) for layer in network.stacks[0].post.modules())
    sum(heatmaps.square().mean() for heatmaps in network(torch.randn(2, 3, 64, 64))).backward()
    assert all(parameter.grad.any() for parameter in network.parameters())


def test_weights_of_the_variants() -> None:
    """Of one block of 256 channels; the first has as many as the whole LBB."""

    def block(**options: object) -> int:
        with torch.device("meta"):
            body = build("lbrn-s-2", 4, **options).stacks[0].post.body
        return sum(p.numel() for p in body.parameters() if p.ndim == 4)

    assert block() == block(layers="1x1-3x3", inner_width=256) == 65_536
    assert block(layers="1x1-1x1") == 65_536
    assert block(inner_width=64) == 32_768
    assert block(fixed="1x1") == 147_456
    assert block(fixed="half") == 65_536 + 73_728


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"density": 0.0}, "density=0.0"),
        ({"density": 1.5}, "density=1.5"),
        ({"inner_width": 100}, "64, 128 or 256"),
        ({"layers": "3x3"}, "'1x1-3x3-1x1'"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_impossible_options_are_told(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(BihrnetError, match=sentence):
        build("lbrn-s-2", 14, **options)


def test_a_checkpoint_holds_no_ternary_filters_and_brings_them_back() -> None:
    torch.manual_seed(0)
    options = {"seed": 11, "density": 0.3}
    network = build("lbrn-s-2", len(LSP), **options)
    weights = network.state_dict()
    assert sum(tensor.numel() for tensor in weights.values()) < 1.05 * counts("lbrn-s-2").params
    restored = Checkpoint("lbrn-s-2", options, LSP, (64, 64), {}, {}, weights).build()
    for one, other in zip(ternary(network), ternary(restored), strict=True):
        assert torch.equal(one.weight, other.weight)
    x = torch.randn(1, 3, 64, 64)
    assert torch.equal(network.eval()(x), restored.eval()(x))


def weights(module: nn.Module) -> int:
    convolutions = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]
    return sum(layer.weight.numel() for layer in convolutions)


def test_ratios_halve_the_resolution_in_four_steps() -> None:
    assert list(RATIOS) == pytest.approx([0.8409, 0.7071, 0.5946, 0.5], abs=1e-4)


def test_weights_of_the_module() -> None:
    real, fixed = PyramidBody(256, 256, Filters()), PyramidBody(256, 256, Filters("3x3"))
    assert weights(real) == 262_144  # LBRN's table: 0.262 M
    assert weights(fixed) == 77_824  # 0.078 M
    ternary = [layer for layer in fixed.modules() if isinstance(layer, TernaryConv2d)]
    assert [layer.in_channels for layer in ternary] == [128, 32, 32, 32, 32]
    assert len({layer.weight.numpy().tobytes() for layer in ternary}) == 5


def test_evaluation_is_deterministic_and_training_is_not() -> None:
    torch.manual_seed(0)
    body = PyramidBody(32, 32, Filters("3x3"))
    x = torch.randn(2, 32, 16, 16)
    assert not torch.equal(body(x), body(x))
    body.eval()
    assert torch.equal(body(x), body(x))
    assert torch.equal(torch.fx.symbolic_trace(body)(x), body(x))


# LBRN's table of blocks, GFLOPs = 2 MAC / 10^9 at 64x64: 2.147 and 0.638. The former is counted as
# if the pyramid's convolutions ran at the full resolution.
def test_operations_of_the_module() -> None:
    def macs(filters: Filters) -> int:
        lift = nn.Conv2d(3, 256, 1, bias=False)
        whole = count(nn.Sequential(lift, PyramidBody(256, 256, filters)), (64, 64))
        return whole.real_macs - 3 * 256 * 64 * 64

    assert 2 * macs(Filters("3x3")) / 1e9 == pytest.approx(0.638, abs=5e-4)
    pooled = sum(int(64 * ratio) ** 2 for ratio in RATIOS)
    at_full_resolution = macs(Filters()) + 32 * 32 * 9 * (4 * 64 * 64 - pooled)
    assert 2 * at_full_resolution / 1e9 == pytest.approx(2.147, abs=5e-4)
    assert 2 * macs(Filters()) / 1e9 == pytest.approx(1.98, abs=5e-3)
