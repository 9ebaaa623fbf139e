"""Packed state dicts: signs and scaling factors survive, sizes shrink."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bihrnet.nn.layers.binarize import sign, weight_scale
from bihrnet.nn.layers.binary_conv import BinaryConv2d
from bihrnet.nn.slim_weights import pack, unpack


def weights_near_zero(layer: BinaryConv2d) -> None:
    """Values that half precision would lose, with either sign."""
    flat = layer.weight.data.view(-1)
    special = torch.tensor([0.0, -0.0, 1e-9, -1e-9, 1e-40, -1e-40, 6e4, -7e4])
    flat[: len(special)] = special[: len(flat)]


@settings(max_examples=30)
@given(
    inputs=st.integers(1, 9),
    outputs=st.integers(1, 4),
    kernel=st.sampled_from([1, 3]),
    seed=st.integers(0, 2**16),
)
def test_signs_are_exact_and_scaling_factors_to_float32(
    inputs: int, outputs: int, kernel: int, seed: int
) -> None:
    torch.manual_seed(seed)
    layer = BinaryConv2d(inputs, outputs, kernel)
    if inputs * outputs * kernel >= 8:
        weights_near_zero(layer)
    weight = layer.weight.detach()
    restored = unpack(pack(layer))["weight"]
    assert restored.shape == weight.shape
    assert torch.equal(sign(restored), sign(weight))
    torch.testing.assert_close(weight_scale(restored), weight_scale(weight), rtol=1e-6, atol=0)


def test_other_layers_keep_their_range() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    model[1].running_var.fill_(1e-7)  # half precision would make it nearly 0
    packed = pack(model)
    assert packed["0.weight"].dtype == packed["2.weight"].dtype == torch.float16
    restored = unpack(packed)
    assert restored.keys() == model.state_dict().keys()
    assert torch.equal(restored["1.running_var"], model[1].running_var)
    assert torch.equal(restored["0.bias"], model[0].bias)
    torch.testing.assert_close(restored["0.weight"], model[0].weight.detach(), rtol=1e-3, atol=1e-6)


def test_a_binary_weight_takes_a_bit_and_four_bytes_a_channel() -> None:
    layer = BinaryConv2d(64, 32, 3)
    size = sum(tensor.numel() * tensor.element_size() for tensor in pack(layer).values())
    assert size == 64 * 32 * 9 // 8 + 32 * 4 + 4 * 8


def test_an_ordinary_state_dict_is_only_widened() -> None:
    layer = BinaryConv2d(4, 4, 3)
    half = {name: tensor.half() for name, tensor in layer.state_dict().items()}
    assert torch.equal(unpack(half)["weight"], half["weight"].float())


@pytest.mark.parametrize(
    "damage",
    [
        {"weight.bits": torch.zeros(4, 1, dtype=torch.uint8)},
        {"weight.bits": torch.zeros(4, 5)},
        {"weight.shape": torch.tensor([4, 4, 3])},
        {"weight.shape": torch.tensor([4, -4, 3, 3])},
        {"weight.shape": torch.tensor([])},
    ],
)
def test_entries_that_do_not_belong_together_are_refused(damage: dict[str, torch.Tensor]) -> None:
    packed = pack(BinaryConv2d(4, 4, 3))
    with pytest.raises((ValueError, TypeError)):
        unpack({**packed, **damage})
