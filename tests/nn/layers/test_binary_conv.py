"""Binary convolution: its sums, its latent weights, and their real-valued stage."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from bihrnet.nn.layers.binary_conv import BinaryConv2d, latent_parameters, use_real_weights
from bihrnet.nn.layers.binary_unit import BinaryUnit, UnitStyle


def bits(text: str) -> torch.Tensor:
    """ "10 1" -> [1, -1, 1]."""
    return torch.tensor([1.0 if bit == "1" else -1.0 for bit in text if bit in "01"])


def convolve_by_counting(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Zero-padded binary convolution as agreements minus disagreements, position by position."""
    outputs, inputs, kernel, _ = weight.shape
    _, height, width = x.shape
    reach = kernel // 2
    result = np.zeros((outputs, height, width), dtype=int)
    for o, i, y, x_, dy, dx in itertools.product(
        range(outputs), range(inputs), range(height), range(width), range(kernel), range(kernel)
    ):
        row, column = y + dy - reach, x_ + dx - reach
        if 0 <= row < height and 0 <= column < width:
            same = (x[i, row, column] > 0) == (weight[o, i, dy, dx] >= 0)
            result[o, y, x_] += 1 if same else -1
    return result


def test_known_values() -> None:
    # The example of peers' documentation; the inner 2x2 positions do not see the padding.
    layer = BinaryConv2d(1, 1, 3)
    layer.weight.data = bits("1010 1010 1").reshape(1, 1, 3, 3)
    y = layer(bits("1001 1100 0001 1011").reshape(1, 1, 4, 4))
    assert y[0, 0, 1:3, 1:3].flatten().tolist() == [1, 1, 3, -1]


@settings(max_examples=20)
@given(
    inputs=st.integers(1, 5),
    outputs=st.integers(1, 3),
    kernel=st.sampled_from([1, 3, 5]),
    height=st.integers(1, 5),
    width=st.integers(1, 5),
    seed=st.integers(0, 2**16),
)
def test_sums_are_agreements_minus_disagreements_times_the_scaling_factor(
    inputs: int, outputs: int, kernel: int, height: int, width: int, seed: int
) -> None:
    torch.manual_seed(seed)
    layer = BinaryConv2d(inputs, outputs, kernel)
    x = torch.randn(1, inputs, height, width).sign()
    expected = convolve_by_counting(x[0].numpy(), layer.weight.detach().numpy())
    scale = layer.weight.detach().abs().mean((1, 2, 3)).numpy()
    y = layer(x)[0].detach().numpy()
    np.testing.assert_allclose(y, expected * scale[:, None, None], rtol=1e-5, atol=1e-6)


def test_latent_weights_start_small_and_are_found() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), BinaryUnit(8, 64, 3, UnitStyle()))
    latent = latent_parameters(model)
    assert [tuple(weight.shape) for weight in latent] == [(64, 8, 3, 3)]
    assert float(latent[0].detach().std()) == pytest.approx(0.01, rel=0.05)


def test_under_autocast_the_sum_is_exact_up_to_its_own_rounding() -> None:
    torch.manual_seed(0)
    layer = BinaryConv2d(32, 16, 3)
    layer.weight.data = layer.weight.data.sign()  # scaling factor 1
    x = torch.randn(1, 32, 6, 6).sign()
    exact = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = layer(x)
    assert rounded.dtype == torch.bfloat16
    assert torch.equal(rounded, exact.bfloat16())


def test_real_weights_keep_names_values_and_binary_activations() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Sequential(BinaryUnit(4, 8, 3, UnitStyle())))
    network.append(torch.nn.Conv2d(8, 2, 1)).eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    unit = network[0][0]
    x = torch.randn(2, 4, 5, 5)
    expected = F.conv2d(unit.sign(unit.shift(x)), unit.conv.weight, padding=1)
    use_real_weights(network)
    torch.testing.assert_close(unit.conv(unit.sign(unit.shift(x))), expected)
    assert not latent_parameters(network)
    after = network.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_real_weights_of_a_network_without_memory() -> None:
    with torch.device("meta"):
        network = torch.nn.Sequential(BinaryConv2d(4, 8, 3))
        use_real_weights(network)
    network.load_state_dict({"0.weight": torch.ones(8, 4, 3, 3)}, assign=True)
    assert network(torch.ones(1, 4, 3, 3))[0, 0, 1, 1].item() == 36
