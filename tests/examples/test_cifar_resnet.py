"""ResNet-56 of the CIFAR example: counts and shape."""

from __future__ import annotations

import pytest
import torch
from example_modules import load_example
from torch import nn

from bihrnet.nn.counting import Counts, count
from bihrnet.nn.layers.ternary import TernaryConv2d

[resnet] = load_example("cifar", "resnet")


def counts(network: nn.Module) -> Counts:
    return count(network, (32, 32))


# Published: 0.48 and 0.19 M, 0.069 and 0.034 G MACs; no width, expansion or stem gives all four.
@pytest.mark.parametrize(
    ("build", "params", "macs"),
    [(resnet.resnet_56, 0.485, 0.072), (resnet.resnet_lbb_56, 0.194, 0.030)],
)
def test_counts(build, params: float, macs: float) -> None:
    own = counts(build(10))
    assert own.params / 1e6 == pytest.approx(params, abs=5e-4)
    assert own.real_macs / 1e9 == pytest.approx(macs, abs=5e-4)


def test_the_ternary_filters_are_what_is_not_learned() -> None:
    network = resnet.resnet_lbb_56(10)
    filters = [layer for layer in network.modules() if isinstance(layer, TernaryConv2d)]
    assert sum(layer.weight.numel() for layer in filters) == 290_304
    assert counts(resnet.resnet_56(10)).params - counts(network).params == 290_304
    assert [layer.stride for layer in filters].count(2) == 2
    tenth, half = (counts(resnet.resnet_lbb_56(10, density=d)).ternary_adds for d in (0.1, 0.5))
    assert tenth / half == pytest.approx(0.2, rel=0.02)


def test_it_has_56_layers_with_weights() -> None:
    network = resnet.resnet_56(100)
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == 56
    assert network.eval()(torch.randn(2, 3, 32, 32)).shape == (2, 100)
