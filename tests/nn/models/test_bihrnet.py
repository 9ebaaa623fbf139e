"""Binary HRNets: which layers are real, and signal and gradient at the start."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bihrnet.nn import architectures, build
from bihrnet.nn.layers.binary import BinaryConv2d, ChannelShortcut
from bihrnet.nn.models.bihrnet_blocks import BinaryBottleneck, MSBlock, SEGate

BINARY = sorted(name for name in architectures() if name.startswith(("bihrnet", "binary-hrnet")))


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
