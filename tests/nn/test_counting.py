"""Counts against the papers; each known mismatch is stated where it is tested."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import nn

from bihrnet.nn import build
from bihrnet.nn.counting import Counts, count
from bihrnet.nn.layers.binary_conv import BinaryConv2d

GI = 2**30


@functools.cache
def counts(name: str, joints: int, size: tuple[int, int], **options: str) -> Counts:
    with torch.device("meta"):
        return count(build(name, joints, **options), size)


def truncated(value: float) -> float:
    """To one decimal, as BiHRNet's and most peers' tables give their counts."""
    return int(value * 10) / 10


def test_layers_count_by_their_formulas() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, stride=2),
        BinaryConv2d(4, 8, 3),
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 8, 1, groups=4, bias=False),
        nn.ConvTranspose2d(8, 2, 4, stride=2, padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2, 5),
    )
    hooks_before = [len(layer._forward_hooks) for layer in model]
    result = count(model.train(), (8, 12))
    pixels = 4 * 6
    assert result.binary_macs == pixels * 4 * 8 * 9
    deconvolution = pixels * 8 * 2 * 16  # by input pixels: what it truly costs
    assert result.real_macs == pixels * 4 * 27 + pixels * 8 * 2 + deconvolution + 10
    assert result.binary_weights == 4 * 8 * 9
    assert result.real_weights == (4 * 27 + 4) + 16 + (8 * 2 * 16 + 2) + (10 + 5)
    assert result.params == result.binary_weights + result.real_weights + 16
    assert result.ops == result.real_macs + result.binary_macs / 64
    assert model.training
    assert [len(layer._forward_hooks) for layer in model] == hooks_before
    assert model[0].weight.device.type == "cpu"


@pytest.mark.parametrize(
    ("size", "macs", "paper"),
    [((256, 192), 7.645e9, 7.1), ((256, 256), 10.193e9, 9.5), ((384, 288), 17.201e9, 16.0)],
)
def test_hrnet_w32(size: tuple[int, int], macs: float, paper: float) -> None:
    result = counts("hrnet-w32", 17, size)
    assert result.params == 28_536_113
    assert result.real_macs == pytest.approx(macs, rel=1e-4)
    assert round(result.real_macs / GI, 1) == paper
    assert result.binary_macs == result.binary_weights == 0


def test_hrnet_w32_with_the_joints_of_mpii() -> None:
    result = counts("hrnet-w32", 16, (256, 256))
    assert result.params == 28_536_080
    parts = [38_592, 282_624, 73_728, 516_096, 18 * 1_409_024, 217_088, 1_990_656, 32 * 16 + 16]
    assert result.real_weights == sum(parts)


def test_hrnet_w48() -> None:
    result = counts("hrnet-w48", 17, (256, 192))
    assert result.params / 1e6 == pytest.approx(63.6, abs=0.05)  # as HRNet's paper
    assert result.real_macs / GI == pytest.approx(14.6, abs=0.05)


# Paper: parameters in M; FLOPs and OPs of the last row at 256x256 in 2^30.
@pytest.mark.parametrize(
    ("name", "params", "paper"),
    [
        ("binary-hrnet-w32", 28.5, 28.5),
        # Known mismatch: the paper prints 11.5; no reading of its text gives that and 9.8.
        ("bihrnet-w32-unpruned", 11.9, 11.5),
        ("bihrnet-w32-noir", 9.8, 9.8),
        ("bihrnet-w32", 9.9, 9.9),
    ],
)
def test_parameters_of_table_5(name: str, params: float, paper: float) -> None:
    result = counts(name, 16, (256, 256))
    assert round(result.params / 1e6, 1) == params
    assert params == pytest.approx(paper, rel=0.04)


def test_weights_of_bihrnet() -> None:
    whole = counts("bihrnet-w32", 16, (256, 256))
    assert whole.binary_weights == 282_624 + 73_728 + 6_589_440 + 217_088 == 7_162_880
    assert whole.real_weights == 2_545_872 + 101_392 == 2_647_264
    assert counts("bihrnet-w32-noir", 16, (256, 256)).real_weights == 2_545_872
    unpruned = counts("bihrnet-w32-unpruned", 16, (256, 256))
    assert unpruned.binary_weights == 282_624 + 73_728 + 8_718_336 + 217_088
    # The baseline's blocks are those of HRNet, so its binary and real weights are HRNet's.
    baseline = counts("binary-hrnet-w32", 16, (256, 256))
    assert baseline.binary_weights == 282_624 + 73_728 + 18 * 1_409_024 + 217_088
    assert baseline.real_weights == 2_545_872


@pytest.mark.parametrize(
    ("size", "ops", "paper"),
    [((256, 192), 0.610, 0.6), ((256, 256), 0.814, 0.8), ((384, 288), 1.373, 1.3)],
)
def test_operations_of_bihrnet(size: tuple[int, int], ops: float, paper: float) -> None:
    result = counts("bihrnet-w32", 16, size)
    assert result.ops / GI == pytest.approx(ops, rel=0.01)
    assert truncated(result.ops / GI) == paper


def test_flops_of_bihrnet_and_the_known_mismatch_of_its_bops() -> None:
    result = counts("bihrnet-w32", 16, (256, 256))
    assert truncated(result.real_macs / GI) == 0.7  # as the paper
    # Known mismatch: the paper prints 1.5 G BOPs; no assignment of layers gives that together
    # with its FLOPs, OPs and parameters. It would change the OPs by 13 M only.
    assert result.binary_macs / 1e9 == pytest.approx(2.335, rel=0.001)
    assert result.binary_macs / GI == pytest.approx(2.174, rel=0.001)


def test_a_gate_on_the_output_costs_four_thousand_weights_more() -> None:
    sizes = (16, (256, 256))
    onto_input, onto_output = (
        counts("bihrnet-w32", *sizes, se_on=side).real_weights for side in ("input", "output")
    )
    assert 0 < onto_output - onto_input < 4096


def test_switches_of_the_unit_cost_few_parameters() -> None:
    default = counts("bihrnet-w32", 16, (256, 256)).params
    for options in ({"unit_act": "prelu"}, {"unit_shortcut": "none"}, {"real_act": "relu"}):
        assert 0 <= default - counts("bihrnet-w32", 16, (256, 256), **options).params < 50_000
    normalized = counts("bihrnet-w32", 16, (256, 256), sign_input="batchnorm").params
    assert 0 < normalized - default < 50_000


@pytest.mark.parametrize(
    ("name", "params", "gi"),
    [
        # With the deconvolutions counted at their output, as HRNet's tool does, the first would
        # have the 8.9 of the papers; this is what it truly costs.
        ("simplebaseline-r50", 34.00, (5.054, 6.738, 11.371)),
        ("mobilenet-v2", 9.57, (1.458, 1.943, 3.280)),
        ("small-hrnet-w16", 1.285, (0.532, 0.709, 1.196)),
    ],
)
def test_float_peers(name: str, params: float, gi: tuple[float, ...]) -> None:
    sizes = ((256, 192), (256, 256), (384, 288))
    results = [counts(name, 17, size) for size in sizes]
    assert results[0].params / 1e6 == pytest.approx(params, abs=0.005)
    for result, expected in zip(results, gi, strict=True):
        assert result.real_macs / GI == pytest.approx(expected, abs=0.001)


def test_simple_baselines_printed_figure_comes_from_counting_outputs() -> None:
    true = counts("simplebaseline-r50", 17, (256, 192)).real_macs
    first_output = 16 * 12
    deconvolutions = first_output // 4 * 2048 * 256 * 16 + (first_output + 4 * first_output) * 2**20
    assert true / 1e9 == pytest.approx(5.43, abs=0.005)
    assert (true + 3 * deconvolutions) / GI == pytest.approx(8.99, abs=0.01)
