"""Networks with the head of SimpleBaseline: counts, torchvision's names, gradients, size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from bihrnet.nn import build
from bihrnet.nn.counting import count
from bihrnet.nn.layers.shuffle import Interleave
from bihrnet.nn.models.mobilenet_v3 import SqueezeExcitation
from bihrnet.nn.models.shufflenet_v2 import DownBlock, ShuffleBlock
from bihrnet.nn.pretrained import load_hrnet_weights

NAMES = ["simplebaseline-r50", "mobilenet-v2", "mobilenet-v3", "shufflenet-v2"]

#: Parameters of torchvision's classifiers (its documentation) without their last linear layers.
IMAGENET = {
    "simplebaseline-r50": 25_557_032 - 2049 * 1000,
    "mobilenet-v2": 3_504_872 - 1281 * 1000,
    "mobilenet-v3": 5_483_032 - 961 * 1280 - 1281 * 1000,
    "shufflenet-v2": 2_278_604 - 1025 * 1000,
}

#: A weight of the first, of a middle and of the last layer, by torchvision's names.
WEIGHTS = {
    "simplebaseline-r50": {
        "conv1.weight": (64, 3, 7, 7),
        "layer2.0.downsample.0.weight": (512, 256, 1, 1),
        "layer4.2.conv3.weight": (2048, 512, 1, 1),
    },
    "mobilenet-v2": {
        "features.0.0.weight": (32, 3, 3, 3),
        "features.2.conv.1.0.weight": (96, 1, 3, 3),
        "features.17.conv.2.weight": (320, 960, 1, 1),
        "features.18.0.weight": (1280, 320, 1, 1),
    },
    "mobilenet-v3": {
        "features.0.0.weight": (16, 3, 3, 3),
        "features.1.block.0.0.weight": (16, 1, 3, 3),
        "features.4.block.2.fc1.weight": (24, 72, 1, 1),
        "features.13.block.1.0.weight": (672, 1, 5, 5),
        "features.15.block.3.0.weight": (160, 960, 1, 1),
        "features.16.0.weight": (960, 160, 1, 1),
    },
    "shufflenet-v2": {
        "conv1.0.weight": (24, 3, 3, 3),
        "stage2.0.branch1.2.weight": (58, 24, 1, 1),
        "stage3.7.branch2.3.weight": (116, 1, 3, 3),
        "conv5.0.weight": (1024, 464, 1, 1),
    },
}


@pytest.mark.parametrize("name", NAMES)
def test_backbones_are_torchvisions(name: str) -> None:
    with torch.device("meta"):
        backbone = build(name, 17).backbone
    assert sum(parameter.numel() for parameter in backbone.parameters()) == IMAGENET[name]
    state = backbone.state_dict()
    assert {weight: tuple(state[weight].shape) for weight in WEIGHTS[name]} == WEIGHTS[name]


# Papers, in M and 2^30 at 256x192, 256x256 and 384x288, some rounded, some truncated:
# ShuffleNetV2 7.6; 1.2, 1.7, 2.8. MobileNetV3 1.8 at 256x256, and 8.7 M parameters, which no
# reading of its text gives: a known mismatch.
@pytest.mark.parametrize(
    ("name", "params", "gi"),
    [
        ("shufflenet-v2", 7_550_965, (1.269, 1.692, 2.855)),
        ("mobilenet-v3", 9_007_169, (1.321, 1.761, 2.971)),
    ],
)
def test_counts(name: str, params: int, gi: tuple[float, ...]) -> None:
    with torch.device("meta"):
        model = build(name, 17)
    for size, expected in zip(((256, 192), (256, 256), (384, 288)), gi, strict=True):
        counts = count(model, size)
        assert counts.params == params
        assert counts.real_macs / 2**30 == pytest.approx(expected, abs=0.001)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_learns(name: str) -> None:
    torch.manual_seed(0)
    model = build(name, 5)
    images = torch.randn(2, 3, 64, 64)
    target = torch.zeros(2, 5, 16, 16)
    target[:, :, 4:10, 6:12] = 1
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(6):
        loss = (model(images) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        dead = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
        assert dead == []
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("name", NAMES)
def test_an_imagenet_checkpoint_fits(name: str, tmp_path: Path) -> None:
    source = build(name, 1)
    weights = dict(source.backbone.state_dict())
    torch.save({**weights, "classifier.weight": torch.ones(10, 4)}, tmp_path / "imagenet.pth")
    model = build(name, 17)
    load_hrnet_weights(model, tmp_path / "imagenet.pth", backbone_only=True)
    for key, value in model.backbone.state_dict().items():
        assert torch.equal(value, weights[key]), key


def test_a_backbone_that_was_trained_on_bgr_takes_rgb(tmp_path: Path) -> None:
    source = build("mobilenet-v3", 1).backbone.eval()
    torch.save(source.state_dict(), tmp_path / "bgr.pth")
    model = build("mobilenet-v3", 1).eval()
    load_hrnet_weights(model, tmp_path / "bgr.pth", backbone_only=True, channel_order="bgr")
    rgb = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(model.backbone(rgb), source(rgb.flip(1)))


def test_a_gate_is_one_factor_per_channel() -> None:
    torch.manual_seed(0)
    gate = SqueezeExcitation(6, 3)
    nn.init.constant_(gate.fc2.bias, 1)
    x = torch.rand(2, 6, 4, 5) + 0.5
    factors = gate(x) / x
    torch.testing.assert_close(factors, factors[:, :, :1, :1].expand_as(x))
    assert 0 < factors.min() < factors.max() < 1


def test_a_shuffle_block_passes_half_of_the_channels() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 8, 6, 6)
    y = ShuffleBlock(8)(x)
    assert torch.equal(y[:, ::2], x[:, :4])
    assert not torch.equal(y[:, 1::2], x[:, 4:])


def test_a_down_block_halves_the_resolution_by_both_branches() -> None:
    torch.manual_seed(0)
    block = DownBlock(6, 10).eval()
    x = torch.randn(2, 6, 8, 8)
    assert block(x).shape == (2, 10, 4, 4)
    torch.testing.assert_close(block(x), Interleave()(block.branch1(x), block.branch2(x)))
