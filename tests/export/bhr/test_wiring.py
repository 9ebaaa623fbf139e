"""Values that several layers read: exported as torch computes them, or refused."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from small_networks import SIZE, assert_agreement, images, randomize, session
from torch import nn

from bihrnet.bench.openvino_graph import openvino_model
from bihrnet.engine.reference import ReferenceModel
from bihrnet.errors import BihrnetError
from bihrnet.export.bhr.export import to_bhr
from bihrnet.export.trace import trace, trace_layers
from bihrnet.nn.layers.binarize import Sign
from bihrnet.nn.layers.binary_conv import BinaryConv2d
from bihrnet.nn.layers.binary_unit import ChannelShortcut
from bihrnet.nn.layers.ternary import TernaryConv2d

JOINTS = 14


class Wired(nn.Module):
    """A stem at a quarter of the size, whatever `middle` does with 32 channels, heatmaps."""

    def __init__(self, middle: nn.Module, channels: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 4, 4)
        self.middle = middle
        self.head = nn.Conv2d(channels, JOINTS, 1)

    def forward(self, x):
        return self.head(self.middle(self.stem(x)))


class Behind(nn.Module):
    """Whatever `middle` does with 32 channels, and nothing behind it that its shape must fit."""

    def __init__(self, middle: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 4, 4)
        self.middle = middle

    def forward(self, x):
        return self.middle(self.stem(x))


class SummandTwice(nn.Module):
    """z = y + shortcut(x), then z + y."""

    def __init__(self, *activation: nn.Module) -> None:
        super().__init__()
        self.narrow = nn.Sequential(nn.Conv2d(32, 16, 1), nn.BatchNorm2d(16), *activation)
        self.shortcut = ChannelShortcut(32, 16)

    def forward(self, x):
        y = self.narrow(x)
        return y + self.shortcut(x) + y


class Twins(nn.Module):
    """One value concatenated with itself."""

    def __init__(self, *tail: nn.Module) -> None:
        super().__init__()
        self.tail = nn.Sequential(*tail)

    def forward(self, x):
        return self.tail(torch.cat([x, x], 1))


class SignAndNumber(nn.Module):
    """A sign that a binary convolution reads, and a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.sign = Sign()
        self.conv = BinaryConv2d(32, 32, 1)

    def forward(self, x):
        bits = self.sign(x)
        return self.conv(bits) + bits


@pytest.mark.parametrize(
    ("middle", "channels"),
    [
        (lambda: SummandTwice(), 16),
        (lambda: SummandTwice(nn.ReLU()), 16),
        (lambda: Twins(nn.PReLU(64)), 64),
        (lambda: Twins(nn.BatchNorm2d(64), nn.ReLU()), 64),
    ],
)
def test_a_value_that_is_read_twice(middle, channels):
    network = session(randomize(Wired(middle(), channels), seed=5))
    crops = images(2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        heatmaps = ReferenceModel(to_bhr(network))(crops)
    assert_agreement(heatmaps, network(crops))
    assert np.ptp(heatmaps) > 0


class Doubled(nn.Module):
    """A plain shortcut that is added to itself."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shortcut = ChannelShortcut(32, channels)

    def forward(self, x):
        s = self.shortcut(x)
        return s + s


class Calls(nn.Module):
    """What `call` does with the value and a parameter."""

    def __init__(self, call) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.ones(1))
        self.call = call

    def forward(self, x):
        return self.call(x, self.p)


@pytest.mark.parametrize(
    ("middle", "channels"),
    [
        (Doubled(16), 16),
        (Doubled(64), 64),
        (Calls(lambda x, _: 0.5 * x + x * 3), 32),
        (Calls(lambda x, _: 2 + x), 32),
        (Calls(lambda x, _: x * x.mean(dim=(2, 3), keepdim=True)), 32),
        (Calls(lambda x, _: torch.cat(tensors=[x, 2 * x], dim=1)), 64),
    ],
)
def test_other_ways_to_write_the_same(middle, channels):
    network = session(randomize(Wired(middle, channels), seed=5))
    crops = images(2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        heatmaps = ReferenceModel(to_bhr(network))(crops)
    assert_agreement(heatmaps, network(crops))


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda x, p: x + p, r"layer middle\.p \(a parameter or buffer"),
        (lambda x, p: torch.cat([x, p.expand(x.shape)], 1), r"layer middle\.p \(a parameter"),
        (
            lambda x, _: x.mean(dim=1, keepdim=True),
            r"layer middle\.mean \(a mean over dimensions 1 instead",
        ),
        (lambda x, _: x.mean() * x, r"layer middle\.mean \(a mean over dimensions None instead"),
        (lambda x, _: x * x.mean((2, 3), True, dtype=torch.float32), "with arguments other than"),
        (lambda x, _: torch.cat(tensors=[x, x]), r"layer middle\.cat \(a concatenation along dim"),
        (lambda x, _: torch.nn.functional.relu(x), r"layer middle\.relu \(relu\) is not supported"),
    ],
)
def test_what_is_not_understood_is_refused_by_its_name(call, what):
    traced = trace(Behind(Calls(call)), SIZE)
    with pytest.raises(BihrnetError, match=what):
        trace_layers(traced)


@pytest.mark.parametrize(
    "middle",
    [
        SignAndNumber(),
        nn.Sequential(Sign(), nn.BatchNorm2d(32)),
        nn.Sequential(Sign(), nn.PReLU(32)),
        nn.Sequential(Sign(), nn.MaxPool2d(3, 1, 1)),
    ],
)
def test_a_sign_is_no_number(middle):
    network = session(randomize(Wired(middle, 32)))
    with pytest.raises(BihrnetError, match="is a sign whose value is used as a number"):
        to_bhr(network)
    layers, _ = trace_layers(trace(network.module, network.spec.input_size))
    with pytest.raises(BihrnetError, match="is a sign whose value is used as a number"):
        openvino_model(layers, network.spec.input_size)


def test_a_ternary_convolution_of_the_image_is_refused():
    module = nn.Sequential(
        TernaryConv2d(3, 16, 0.5, 1), nn.MaxPool2d(4, 4), nn.Conv2d(16, JOINTS, 1)
    )
    with pytest.raises(BihrnetError, match="is a ternary convolution of the image"):
        to_bhr(session(module))
