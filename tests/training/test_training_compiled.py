"""A compiled pass and its gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from bihrnet.errors import BihrnetError
from bihrnet.nn.models.binary_hrnet import DirectLayers
from bihrnet.nn.models.hrnet import HighResolutionModule
from bihrnet.training.compiled import check_gradients

WIDTH = 8


class TwoResolutions(nn.Module):
    """Two branches that are fused at the higher resolution."""

    def __init__(self) -> None:
        super().__init__()
        widths = (WIDTH, 2 * WIDTH)
        self.stems = nn.ModuleList(
            nn.Sequential(nn.Conv2d(3, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width))
            for width, stride in zip(widths, (2, 4), strict=True)
        )
        self.fusion = HighResolutionModule(widths, (1, 1), DirectLayers("approx"), 1)

    def forward(self, x: Tensor) -> Tensor:
        (fused,) = self.fusion([stem(x) for stem in self.stems])
        return fused


def gradients(network: nn.Module, forward, crops: Tensor) -> dict[str, Tensor]:
    network.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        outputs = forward(crops).float()
    outputs.square().mean().backward()
    return {name: parameter.grad.clone() for name, parameter in network.named_parameters()}


def test_gradients_of_a_fusion_in_bfloat16_are_those_of_eager_mode() -> None:
    """With nn.Upsample in it, the compiled pass gave the lower branch none (torch 2.13)."""
    torch.manual_seed(0)
    network = TwoResolutions().to(memory_format=torch.channels_last)
    crops = torch.randn(2, 3, 32, 32).to(memory_format=torch.channels_last)
    expected = gradients(network, network, crops)
    found = gradients(network, torch.compile(network.__call__, dynamic=False), crops)
    check_gradients(network)
    for name, gradient in expected.items():
        error = (found[name] - gradient).norm() / gradient.norm()
        assert error < 0.1, name


def test_a_parameter_that_learns_nothing_is_named() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    for parameter in network.parameters():
        nn.init.ones_(parameter)
    network(torch.ones(1, 2)).sum().backward()
    network[0].weight.grad = torch.zeros(2, 2)
    with pytest.raises(BihrnetError, match=r"no gradient to 1 parameters, 0\.weight the first"):
        check_gradients(network)
    network[0].weight.requires_grad_(False)
    network[2].bias.grad = None
    with pytest.raises(BihrnetError, match=r"no gradient to 1 parameters, 2\.bias the first"):
        check_gradients(network)
