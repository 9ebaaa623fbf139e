"""The skeleton of HRNet: layout, names and fusion."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bihrnet.nn import build
from bihrnet.nn.models.hrnet import HighResolutionModule, Layers, Layout


def test_widths_double_and_pruning_keeps_the_lowest_resolution() -> None:
    assert Layout(32).branch_widths(4) == [32, 64, 128, 256]
    assert Layout(32).branch_blocks(3) == [4, 4, 4]
    assert Layout(32, pruned=True).branch_blocks(3) == [0, 0, 4]


def test_names_and_shapes_are_those_of_an_official_checkpoint(shared_data: Path) -> None:
    path = shared_data / "teacher" / "hrnet-w32-lspet-128x128.pth"
    official = torch.load(path, weights_only=True)
    with torch.device("meta"):
        own = build("hrnet-w32", 14).state_dict()
    assert {n: t.shape for n, t in own.items()} == {n: t.shape for n, t in official.items()}


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_module_sums_all_branches_at_each_resolution(outputs: int) -> None:
    torch.manual_seed(0)
    module = HighResolutionModule([8, 16, 32], [1, 0, 2], Layers(), outputs).eval()
    for parameter in module.parameters():
        parameter.data.normal_(std=0.3)
    features = [torch.randn(1, 8 * 2**i, 16 // 2**i, 16 // 2**i) for i in range(3)]
    x = [branch(feature) for branch, feature in zip(module.branches, features, strict=True)]
    assert torch.equal(x[1], features[1])  # no blocks: straight to the fusion

    def apply(path: nn.Module, y: torch.Tensor) -> torch.Tensor:
        """Convolutions and normalizations in order, by functions."""
        layers = [m for m in path.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d | nn.ReLU)]
        for layer in layers:
            y = layer(y) if not isinstance(layer, nn.ReLU) else F.relu(y)
        return y

    fuse = module.fuse_layers
    expected = [
        x[0]
        + F.interpolate(apply(fuse[0][1], x[1]), scale_factor=2)
        + F.interpolate(apply(fuse[0][2], x[2]), scale_factor=4)
    ]
    if outputs == 3:
        upper = F.interpolate(apply(fuse[1][2], x[2]), scale_factor=2)
        expected.append(apply(fuse[1][0], x[0]) + x[1] + upper)
        expected.append(apply(fuse[2][0], x[0]) + apply(fuse[2][1], x[1]) + x[2])
    for own, reference in zip(module(features), expected, strict=True):
        torch.testing.assert_close(own, F.relu(reference))


def test_fresh_weights_are_hrnets() -> None:
    torch.manual_seed(0)
    model = build("small-hrnet-w16", 17)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d) and layer.weight.numel() > 5000:
            assert float(layer.weight.detach().std()) == pytest.approx(0.001, rel=0.1)
    assert not model.final_layer.bias.any()


def test_the_last_module_gives_one_resolution() -> None:
    with torch.device("meta"):
        model = build("hrnet-w32", 17)
    assert [len(stage) for stage in (model.stage2, model.stage3, model.stage4)] == [1, 4, 3]
    assert len(model.stage4[-1].fuse_layers) == 1
    assert len(model.stage4[-2].fuse_layers) == 4
    assert len(model.stage3[-1].fuse_layers) == 3
