"""BiHRNet and the binary HRNet: blocks, real-valued layers, signal and gradient at the start."""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bihrnet.nn import architectures, build
from bihrnet.nn.layers.binary_conv import BinaryConv2d
from bihrnet.nn.layers.binary_unit import BinaryUnit, ChannelShortcut, UnitStyle
from bihrnet.nn.models.bihrnet import BinaryBottleneck, MSBlock, SEGate, Shuffle

BINARY = sorted(name for name in architectures() if name.startswith(("bihrnet", "binary-hrnet")))
UNIT = partial(BinaryUnit, style=UnitStyle())


def count_modules(model: nn.Module, kind: type[nn.Module]) -> int:
    return sum(isinstance(module, kind) for module in model.modules())


@pytest.mark.parametrize("name", BINARY)
def test_real_are_the_stem_strided_layers_and_the_last(name: str) -> None:
    with torch.device("meta"):
        model = build(name, 16)
    for path, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d):
            real = layer.stride == (2, 2) or path == "final_layer"
            assert isinstance(layer, BinaryConv2d) != real, path


@pytest.mark.parametrize(
    ("state", "ms_blocks", "gates"), [("", 32, 4), ("-noir", 32, 0), ("-unpruned", 104, 0)]
)
def test_the_states_of_table_5(state: str, ms_blocks: int, gates: int) -> None:
    with torch.device("meta"):
        model = build(f"bihrnet-w32{state}", 16)
    assert count_modules(model, MSBlock) == ms_blocks
    assert count_modules(model, BinaryBottleneck) == 4
    assert count_modules(model, SEGate) == gates


@pytest.mark.parametrize(
    ("where", "count"), [("none", 0), ("outside", 2), ("all", 2 + 32 * 3 + 12)]
)
def test_unit_shortcuts_are_where_the_option_puts_them(where: str, count: int) -> None:
    with torch.device("meta"):
        model = build("bihrnet-w32", 16, unit_shortcut=where)
    assert count_modules(model, ChannelShortcut) == count


def photograph_like(count: int, size: int) -> Tensor:
    """Normalized pixels with the large patches and the fine noise of photographs."""
    patches = torch.randn(count, 3, size // 16, size // 16)
    smooth = F.interpolate(patches, size=(size, size), mode="bilinear")
    return smooth + 0.3 * torch.randn(count, 3, size, size)


def first_step(model: nn.Module, size: int = 64) -> tuple[dict[str, float], Tensor]:
    """Standard deviation of every block's output, and heatmaps; gradients are left behind."""
    deviations: dict[str, float] = {}

    def record(name: str, output: Tensor | list[Tensor]) -> None:
        outputs = output if isinstance(output, list) else [output]
        for branch, tensor in enumerate(outputs):
            deviations[f"{name}/{branch}"] = float(tensor.detach().std())

    for name, module in model.named_modules():
        blocks = name.split(".")[-1].isdigit() and "fuse_layers" not in name
        if blocks and name.count(".") in (1, 4):  # bottlenecks, transitions, modules; blocks
            module.register_forward_hook(lambda _, __, y, name=name: record(name, y))
    heatmaps = model(photograph_like(4, size))
    target = torch.rand_like(heatmaps) ** 8
    (heatmaps - target).square().mean().backward()
    return deviations, heatmaps.detach()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in BINARY),
        ("bihrnet-w16-unpruned", {"unit_shortcut": "all"}),
        ("bihrnet-w16", {"unit_shortcut": "none"}),
        ("bihrnet-w16", {"unit_act": "prelu", "gradient": "ste"}),
        ("bihrnet-w16", {"se_on": "output"}),
    ],
)
def test_signal_and_gradient_stay_bounded_at_the_start(name: str, options: dict[str, str]) -> None:
    """The measured pitfall: a sum that doubles the signal block by block."""
    torch.manual_seed(0)
    model = build(name, 16, **options)
    deviations, heatmaps = first_step(model)
    assert len(deviations) > 30
    assert 0.02 < min(deviations.values()) <= max(deviations.values()) < 8
    assert heatmaps.abs().max() < 1
    norms = {
        name: float(p.grad.norm()) for name, p in model.named_parameters() if p.grad is not None
    }
    assert norms.keys() == dict(model.named_parameters()).keys()
    total = sum(norm**2 for norm in norms.values()) ** 0.5
    assert total < 10
    assert norms["conv1.weight"] > 1e-5 * total


def test_behind_a_relu_the_first_gradient_explodes() -> None:
    """Why `real_act` is "prelu": constants reach the units, and their normalization amplifies."""
    torch.manual_seed(0)
    norms = {}
    for act in ("relu", "prelu"):
        model = build("bihrnet-w16", 16, real_act=act)
        first_step(model)
        norms[act] = float(nn.utils.get_total_norm([p.grad for p in model.parameters()]))
    assert norms["relu"] > 1000 * norms["prelu"]


def numbered(first: int, channels: int) -> torch.Tensor:
    return torch.arange(first, first + channels).float().reshape(1, channels, 1, 1)


@pytest.mark.parametrize("channels", [4, 8, 36, 256])
def test_every_four_channels_hold_two_of_a_one_of_b_and_one_of_c(channels: int) -> None:
    half, quarter = channels // 2, channels // 4
    a, b, c = numbered(0, half), numbered(1000, quarter), numbered(2000, quarter)
    y = Shuffle()(a, b, c).flatten().tolist()
    expected = [v for j in range(quarter) for v in (2 * j, 2 * j + 1, 1000 + j, 2000 + j)]
    assert y == expected


def test_the_shuffle_keeps_the_memory_layout_of_training() -> None:
    parts = [torch.randn(2, n, 4, 4) for n in (8, 4, 4)]
    parts = [part.contiguous(memory_format=torch.channels_last) for part in parts]
    assert Shuffle()(*parts).is_contiguous(memory_format=torch.channels_last)


def test_an_ms_block_adds_the_shuffled_units_to_its_input() -> None:
    torch.manual_seed(0)
    block = MSBlock(16, UNIT).eval()
    x = torch.randn(2, 16, 9, 9)
    a = block.unit1(x)
    b = block.unit2(a)
    c = block.unit3(b)
    assert (a.shape[1], b.shape[1], c.shape[1]) == (8, 4, 4)
    torch.testing.assert_close(block(x), block.shuffle(a, b, c) + x)


@pytest.mark.parametrize(("unit", "reach"), [("unit1", 1), ("unit2", 2), ("unit3", 3)])
def test_the_three_groups_see_3_5_and_7_pixels(unit: str, reach: int) -> None:
    torch.manual_seed(0)
    block = MSBlock(16, UNIT).eval()  # statistics of a batch would reach everywhere
    seen: dict[str, torch.Tensor] = {}
    block.get_submodule(unit).register_forward_hook(lambda *args: seen.update(y=args[2]))
    x = torch.zeros(1, 16, 11, 11, requires_grad=True)
    block(x)
    seen["y"][0, :, 5, 5].sum().backward()
    assert x.grad is not None
    rows = x.grad.abs().sum((0, 1, 3)).nonzero().flatten().tolist()
    assert (min(rows), max(rows)) == (5 - reach, 5 + reach)


def test_an_ms_block_needs_a_multiple_of_four_channels() -> None:
    with pytest.raises(ValueError, match="18"):
        MSBlock(18, UNIT)


def test_a_gate_is_squeeze_and_excitation() -> None:
    torch.manual_seed(0)
    gate = SEGate(8, 12)
    x = torch.randn(3, 8, 5, 4)
    factors = gate(x)
    hidden = torch.relu(x.mean((2, 3)) @ gate.squeeze.weight.T + gate.squeeze.bias)
    expected = torch.sigmoid(hidden @ gate.excite.weight.T + gate.excite.bias)
    assert gate.squeeze.out_features == 2
    torch.testing.assert_close(factors[:, :, 0, 0], expected)


@pytest.mark.parametrize("side", ["input", "output", None])
@pytest.mark.parametrize("channels", [16, 32])
def test_a_gate_scales_one_side_and_never_the_residual(side: str | None, channels: int) -> None:
    torch.manual_seed(0)
    block = BinaryBottleneck(channels, 8, UNIT, UNIT, side).eval()  # type: ignore[arg-type]
    x = torch.randn(2, channels, 4, 4)
    residual = block.downsample(x)
    assert isinstance(block.downsample, nn.Identity) == (channels == 32)
    y = block.units(x * block.gate(x)) if side == "input" else block.units(x)
    if side == "output":
        y = y * block.gate(x)
    assert y.shape == (2, 32, 4, 4)
    torch.testing.assert_close(block(x), y + residual)
