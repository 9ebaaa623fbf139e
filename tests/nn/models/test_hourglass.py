"""The skeleton of stacked hourglasses: where blocks sit, what comes out in either mode."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bihrnet.nn.models.hourglass import HourglassLayers, Stack, StackedHourglass


class RecordingLayers(HourglassLayers):
    """1x1 convolutions; notes every block that is asked for."""

    channels = 8

    def __init__(self) -> None:
        self.places: list[tuple[int, str]] = []
        self.posts = 0

    def stem_block(self, in_channels: int, out_channels: int) -> nn.Module:
        return nn.Conv2d(in_channels, out_channels, 1)

    def block(self, level: int, place: str) -> nn.Module:
        self.places.append((level, place))
        return nn.Conv2d(self.channels, self.channels, 1)

    def post_block(self) -> nn.Module:
        self.posts += 1
        return nn.Identity()

    def lin(self) -> nn.Module:
        return nn.Conv2d(self.channels, self.channels, 1)

    def heatmaps(self, joints: int) -> nn.Module:
        return nn.Conv2d(self.channels, joints, 1)

    def feature_path(self) -> nn.Module:
        return nn.Conv2d(self.channels, self.channels, 1)

    def heatmap_path(self, joints: int) -> nn.Module:
        return nn.Conv2d(joints, self.channels, 1)


def test_an_hourglass_has_three_blocks_a_level_and_one_at_the_bottom() -> None:
    layers = RecordingLayers()
    StackedHourglass(5, 2, 4, layers)
    one_stack = {(level, place) for level in (1, 2, 3, 4) for place in ("skip", "down", "up")}
    assert sorted(layers.places) == sorted([*one_stack, (1, "bottom")] * 2)
    assert len(layers.places) == 2 * 13
    assert layers.posts == 2


def test_training_gives_the_heatmaps_of_all_stacks_and_evaluation_the_last() -> None:
    torch.manual_seed(0)
    network = StackedHourglass(5, 3, 2, RecordingLayers())
    network.stem[1].eval()  # batch statistics aside, both modes compute the same
    x = torch.randn(2, 3, 32, 48)
    outputs = network(x)
    assert [output.shape for output in outputs] == [(2, 5, 8, 12)] * 3
    network.eval()
    assert torch.equal(network(x), outputs[-1])


def test_every_level_sees_half_the_resolution_of_the_one_above() -> None:
    network = StackedHourglass(5, 1, 4, RecordingLayers()).eval()
    seen = []
    for module in network.modules():
        if isinstance(module, nn.MaxPool2d):
            module.register_forward_hook(lambda _, __, y: seen.append(tuple(y.shape[2:])))
    network(torch.randn(1, 3, 64, 128))
    assert seen == [(16, 32), (8, 16), (4, 8), (2, 4), (1, 2)]


def test_the_next_stack_starts_from_input_features_and_heatmaps() -> None:
    torch.manual_seed(0)
    stack = Stack(5, 2, RecordingLayers(), last=False)
    x = torch.randn(1, 8, 8, 8)
    heatmaps, onward = stack(x)
    features = stack.lin(stack.post(stack.hourglass(x)))
    expected = x + stack.feature_path(features) + stack.heatmap_path(heatmaps)
    torch.testing.assert_close(onward, expected)


def test_only_stacks_with_a_successor_have_paths_into_it() -> None:
    network = StackedHourglass(5, 2, 2, RecordingLayers())
    assert [hasattr(stack, "feature_path") for stack in network.stacks] == [True, False]
    outputs = network(torch.randn(2, 3, 32, 32))
    sum(output.square().mean() for output in outputs).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("stacks", [1, 2])
def test_heatmaps_start_near_zero(stacks: int) -> None:
    torch.manual_seed(0)
    outputs = StackedHourglass(5, stacks, 2, RecordingLayers())(torch.randn(2, 3, 32, 32))
    assert max(float(output.detach().abs().max()) for output in outputs) < 0.1
