"""Ternary filters and the blocks of LBRN: their weights, gradients and variants."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from torch import nn

from bihrnet.nn.layers.residual import ResidualBlock, residual_body
from bihrnet.nn.layers.ternary import Filters, HalfTernaryConv2d, TernaryConv2d


def learned(module: nn.Module) -> int:
    """Weights of learned convolutions, without biases, as LBRN's tables count them."""
    convolutions = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]
    return sum(layer.weight.numel() for layer in convolutions)


@pytest.mark.parametrize("density", [0.1, 0.5, 0.9, 1.0])
def test_weights_have_the_density_asked_for_and_both_signs_alike(density: float) -> None:
    conv = TernaryConv2d(64, 128, density, seed=0)
    values, counts = np.unique(conv.weight.numpy(), return_counts=True)
    assert values.tolist() == ([-1, 0, 1] if density < 1 else [-1, 1])
    total = conv.weight.numel()
    deviation = 5 * (0.25 / total) ** 0.5
    assert conv.nonzero == conv.weight.count_nonzero()
    assert conv.nonzero / total == pytest.approx(density, abs=deviation)
    assert counts[-1] / conv.nonzero == pytest.approx(0.5, abs=deviation / density**0.5)


def test_weights_follow_from_the_seed_for_ever() -> None:
    """A checkpoint does not hold them: were this digest to change, old networks would be lost."""
    conv = TernaryConv2d(16, 32, 0.5, seed=(7, 3))
    digest = hashlib.sha256(conv.weight.numpy().astype(np.int8).tobytes()).hexdigest()
    assert digest.startswith("46c68deced044603")
    torch.manual_seed(1)
    assert torch.equal(TernaryConv2d(16, 32, 0.5, seed=(7, 3)).weight, conv.weight)
    assert not torch.equal(TernaryConv2d(16, 32, 0.5, seed=(7, 4)).weight, conv.weight)


def test_weights_are_real_data_even_where_a_network_is_built_without() -> None:
    with torch.device("meta"):
        conv = TernaryConv2d(4, 4, 0.5, seed=0)
    assert conv.weight.device.type == "cpu"


def test_ternary_filters_pass_gradients_and_take_none() -> None:
    torch.manual_seed(0)
    conv = TernaryConv2d(8, 8, 0.5, seed=0)
    assert list(conv.parameters()) == []
    assert conv.state_dict() == {}
    x = torch.randn(2, 8, 5, 7, requires_grad=True)
    y = conv(x)
    reference = nn.functional.conv2d(x, conv.weight, padding=1)
    assert torch.equal(y, reference)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.any()
    assert not conv.weight.requires_grad


def test_stride_halves_the_size() -> None:
    assert TernaryConv2d(4, 6, 0.5, 0, stride=2)(torch.zeros(1, 4, 8, 12)).shape == (1, 6, 4, 6)


# LBRN's table of blocks at 256 channels, 64x64: trainable weights in M and GFLOPs = 2 MAC / 10^9.
@pytest.mark.parametrize(
    ("filters", "weights", "gflops"),
    [(Filters(), 212_992, 1.745), (Filters("3x3"), 65_536, 0.537)],
)
def test_counts_of_the_block(filters: Filters, weights: int, gflops: float) -> None:
    body = residual_body([256, 128, 128, 256], [1, 3, 1], filters)
    assert learned(body) == weights
    assert 2 * weights * 64 * 64 / 1e9 == pytest.approx(gflops, abs=5e-4)


def test_the_block_is_a_residual_around_pre_activations() -> None:
    torch.manual_seed(0)
    body = residual_body([8, 4, 4, 8], [1, 3, 1], Filters("3x3"))
    kinds = [type(layer) for layer in body]
    per_layer = [nn.BatchNorm2d, nn.ReLU]
    assert kinds == [*per_layer, nn.Conv2d, *per_layer, TernaryConv2d, *per_layer, nn.Conv2d]
    block = ResidualBlock(body, nn.Identity()).eval()
    x = torch.randn(2, 8, 6, 6)
    before = x.clone()
    assert torch.equal(block(x), x + body(x))
    assert torch.equal(x, before)
    block.train()(x).square().sum().backward()
    assert all(parameter.grad.any() for parameter in body.parameters())


def test_every_convolution_has_filters_of_its_own() -> None:
    filters = Filters("3x3", seed=5)
    first, second = filters.conv(16, 16, 3), filters.conv(16, 16, 3)
    assert not torch.equal(first.weight, second.weight)
    again = Filters("3x3", seed=5).conv(16, 16, 3)
    assert torch.equal(first.weight, again.weight)
    assert not torch.equal(first.weight, Filters("3x3", seed=6).conv(16, 16, 3).weight)


def test_half_of_the_filters_can_be_learned() -> None:
    torch.manual_seed(0)
    filters = Filters("half")
    assert isinstance(filters.conv(8, 8, 1), nn.Conv2d)
    conv = filters.conv(8, 6, 3, stride=2)
    assert isinstance(conv, HalfTernaryConv2d)
    x = torch.randn(1, 8, 4, 4)
    y = conv(x)
    assert y.shape == (1, 6, 2, 2)
    assert torch.equal(y[:, :3], conv.fixed(x))
    assert learned(conv) == 8 * 3 * 9


def test_the_1x1_filters_can_be_the_fixed_ones() -> None:
    body = residual_body([256, 128, 128, 256], [1, 3, 1], Filters("1x1"))
    assert learned(body) == 128 * 128 * 9
    assert [layer.kernel_size for layer in body if isinstance(layer, TernaryConv2d)] == [1, 1]


def test_sigmoid_can_take_the_place_of_relu() -> None:
    body = residual_body([8, 8], [1], Filters(), "sigmoid")
    assert isinstance(body[1], nn.Sigmoid)
