"""Binary Unit: its chain of layers, its shortcut, bfloat16."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from bihrnet.nn.layers.binary_unit import BinaryUnit, ChannelShortcut, RPReLU, Shift, UnitStyle


def test_a_shortcut_averages_neighbors_or_repeats_channels() -> None:
    x = torch.arange(8.0).reshape(1, 8, 1, 1).expand(2, 8, 3, 3)
    assert ChannelShortcut(8, 8)(x) is x
    assert ChannelShortcut(8, 2)(x)[0, :, 0, 0].tolist() == [1.5, 5.5]
    assert ChannelShortcut(8, 16)(x)[1, :, 2, 1].tolist() == [i // 2 for i in range(16)]
    with pytest.raises(ValueError, match="8 to 3"):
        ChannelShortcut(8, 3)


@pytest.mark.parametrize("act", ["rprelu", "prelu"])
@pytest.mark.parametrize("shortcut", [False, True])
@pytest.mark.parametrize("activation", [False, True])
def test_a_unit_is_the_chain_that_its_docstring_states(
    act: str, shortcut: bool, activation: bool
) -> None:
    torch.manual_seed(1)
    style = UnitStyle(act=act)  # type: ignore[arg-type]
    unit = BinaryUnit(4, 8, 3, style, activation=activation, shortcut=shortcut).eval()
    for parameter in unit.parameters():
        parameter.data.normal_()
    unit.bn.running_mean.normal_()
    x = torch.randn(2, 4, 5, 5)

    shifted = act == "rprelu"
    z = x + unit.shift.bias if shifted else x
    binary = torch.where(z >= 0, 1.0, -1.0)
    weight = unit.conv.weight
    scaled = torch.where(weight >= 0, 1.0, -1.0) * weight.abs().mean((1, 2, 3), keepdim=True)
    y = unit.bn(F.conv2d(binary, scaled, padding=1))
    if shortcut:
        y = (y + x.repeat_interleave(2, 1)) / 2**0.5
    if activation and shifted:
        before, inner, after = unit.act
        y = F.prelu(y + before.bias, inner.weight) + after.bias
    elif activation:
        y = F.prelu(y, unit.act.weight)
    torch.testing.assert_close(unit(x), y)


def test_without_shifts_a_unit_has_none() -> None:
    unit = BinaryUnit(4, 4, 3, UnitStyle(act="prelu"))
    assert not any(isinstance(module, Shift | RPReLU) for module in unit.modules())


def test_in_bfloat16_activations_stay_bfloat16_and_gradients_reach_every_parameter() -> None:
    unit = BinaryUnit(8, 8, 3, UnitStyle())
    with torch.autocast("cpu", torch.bfloat16):
        y = unit(torch.randn(2, 8, 4, 4).bfloat16())
        (y * torch.randn(y.shape)).float().sum().backward()
    assert y.dtype == torch.bfloat16
    for name, parameter in unit.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
