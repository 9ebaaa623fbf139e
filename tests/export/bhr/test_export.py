from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from small_networks import NETWORKS, SIZE, assert_agreement, images, randomize, session, small
from torch import nn

from bihrnet.engine.counting import count_graph, count_ternary_adds
from bihrnet.engine.engine_model import usable_isas
from bihrnet.engine.golden import Golden, golden_image
from bihrnet.engine.graph import (
    AddStep,
    Conv,
    ConvBinary,
    ConvInt8,
    ConvTernary,
    Load,
    MaxPool,
    SignStep,
    WriteStep,
)
from bihrnet.engine.model_file import read_model, write_model
from bihrnet.engine.reference import ReferenceModel, run_graph
from bihrnet.engine.self_check import check_golden
from bihrnet.errors import BihrnetError
from bihrnet.export.bhr.export import to_bhr
from bihrnet.nn import build
from bihrnet.nn.counting import count
from bihrnet.nn.layers.binary_conv import BinaryConv2d
from bihrnet.nn.layers.ternary import TernaryConv2d
from bihrnet.nn.models.hrnet import Layers
from bihrnet.skeleton import LSP


def reference(model, crops):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ReferenceModel(model)(crops)


@cache
def exported(name, precision="fp32"):
    """A random network and its model, shared by tests that change neither."""
    network = session(randomize(NETWORKS[name](), seed=3))
    return network, to_bhr(network, precision, images(4))


@pytest.mark.parametrize("name", NETWORKS)
def test_heatmaps_are_those_of_torch(name, tmp_path):
    network, model = exported(name)
    write_model(model, tmp_path / "model.bhr")
    read = read_model(tmp_path / "model.bhr")
    crops = images(4)
    assert_agreement(reference(read, crops), network(crops))
    assert read.spec == network.spec


@pytest.mark.parametrize("name", ["real", "bihrnet", "shortcuts", "binary hourglass", "ternary"])
def test_int8_comes_near(name):
    network, model = exported(name, "int8")
    crops = images(4)
    kinds = Counter(type(op) for op in model.graph.ops)
    assert kinds[ConvInt8] == sum(type(part) is nn.Conv2d for part in network.module.modules())
    expected = network(crops)
    error = reference(model, crops) - expected
    # Signs of random networks turn easily; unrelated heatmaps would differ by 1.4 deviations.
    assert np.sqrt(np.mean(error**2)) < 0.4 * expected.std()
    assert model.precision == "int8"


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("name", ["real", "bihrnet", "binary hourglass", "ternary"])
def test_the_golden_comes_out_with_every_instruction_set(name, precision, tmp_path):
    """It is that of the file itself, rounding and quantization included."""
    _, model = exported(name, precision)
    path = tmp_path / "model.bhr"
    write_model(model, path)
    checks = check_golden(path)
    assert list(checks) == usable_isas()
    assert all(checks.values())
    other = session(randomize(NETWORKS[name](), seed=4))
    golden = Golden.of(model.golden.seed, other(golden_image(model.golden.seed, SIZE)))
    write_model(replace(model, golden=golden), path)
    assert not any(check_golden(path).values())


def test_int8_without_crops_is_refused():
    network = session(NETWORKS["real"]())
    with pytest.raises(BihrnetError, match="int8 needs real crops"):
        to_bhr(network, "int8")


@pytest.mark.parametrize("name", ["bihrnet", "binary hourglass", "ternary"])
def test_counts_are_those_of_the_torch_module(name):
    """The graph's operations, and what the file keeps of the module's parameters."""
    network, model = exported(name)
    module = network.module
    expected = count(module, SIZE)
    assert count_graph(model.graph, model.constants, SIZE) == (
        expected.real_macs,
        expected.binary_macs,
    )
    assert count_ternary_adds(model.graph, model.constants, SIZE) == expected.ternary_adds
    assert model.counts == {
        "params": expected.params,
        "binary_weights": expected.binary_weights,
        "real_weights": expected.real_weights,
    }


def test_one_file_runs_at_other_sizes():
    network, model = exported("bihrnet")
    other = (96, 64)
    crops = images(4, other)
    heatmaps = run_graph(model.graph, model.constants, crops)[model.graph.output]
    assert_agreement(heatmaps.transpose(0, 3, 1, 2), session(network.module, other)(crops))


def test_fusion_leaves_one_op_per_convolution():
    """No pass of its own for normalization, activation, shuffle, sum or sign."""
    network, model = exported("bihrnet")
    kinds = Counter(type(op) for op in model.graph.ops)
    modules = network.module.modules()
    convolutions = Counter(type(m) for m in modules if isinstance(m, nn.Conv2d | nn.Linear))
    assert kinds[ConvBinary] == convolutions[BinaryConv2d]
    assert kinds[ConvBinary] + kinds[Conv] == sum(convolutions.values())
    # Loads: two gates, and a sum at full size in which no convolution ends.
    assert kinds[Load] == 3


@pytest.mark.parametrize("name", ["binary hourglass", "ternary"])
def test_hourglasses_have_convolutions_and_pooling_only(name):
    """Sums with what is up-sampled, concatenations and pre-activations all join a convolution."""
    network, model = exported(name)
    kinds = Counter(type(op) for op in model.graph.ops)
    modules = network.module.modules()
    convolutions = sum(isinstance(m, nn.Conv2d | TernaryConv2d) for m in modules)
    assert kinds[MaxPool] == 1 + 2 * 2
    assert sum(kinds.values()) == convolutions + kinds[MaxPool]


def test_ternary_filters_take_two_bits_a_weight():
    network, model = exported("ternary")
    ternary = [op for op in model.graph.ops if isinstance(op, ConvTernary)]
    layers = [m for m in network.module.modules() if isinstance(m, TernaryConv2d)]
    assert len(ternary) == len(layers)
    for op, layer in zip(ternary, layers, strict=True):
        out, inputs, *kernel = layer.weight.shape
        assert model.constants[op.weight].shape == (2, out, *kernel, -(-inputs // 64))


def test_a_ternary_convolution_with_stride_is_named():
    module = nn.Sequential(nn.Conv2d(3, 8, 1), TernaryConv2d(8, 14, 0.5, 0, stride=2))
    with pytest.raises(BihrnetError, match="layer 1 is a ternary convolution of stride 2"):
        to_bhr(session(module))


def test_floats_that_nobody_reads_are_not_stored():
    """Between the units of an MS-Block there are bits only."""
    _, model = exported("unpruned")
    ops = {op.name: op for op in model.graph.ops}
    first = ops["stage2.0.branches.0.0.unit1.conv"]
    kinds = [type(step) for step in first.steps]
    before_sum = first.steps[: kinds.index(AddStep)]
    (written,) = [step for step in before_sum if isinstance(step, WriteStep)]
    assert isinstance(written, SignStep)
    assert ops["stage2.0.branches.0.0.unit2.conv"].input == written.tensor


class Unknown(nn.Module):
    def forward(self, x):
        return torch.tanh(x)


class Odd(Layers):
    def activation(self, channels):
        return nn.Sequential(Unknown())


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        (lambda: small(Odd()), r"layer .*tanh \(tanh\) is not supported by"),
        (
            lambda: build("simplebaseline-r50", 14),
            "layer .* is a Deconvolution, which the engine",
        ),
        (
            lambda: build("mobilenet-v2", 14),
            "layer .* is a Relu6, which the engine",
        ),
        (
            lambda: build("lite-hrnet-18", 14),
            "layer .* is a Slice, which the engine",
        ),
    ],
)
def test_a_layer_that_the_engine_lacks_is_named(module, sentence):
    with pytest.raises(BihrnetError, match=sentence):
        to_bhr(session(module()))


def test_export_leaves_the_module_as_it_was():
    module = NETWORKS["bihrnet"]()
    network = session(module)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    to_bhr(network, "int8", images(1))
    assert not module.training
    after = module.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_recipe_in_the_file_names_no_folder_of_the_machine_that_trained(tmp_path):
    recipe = {
        "initialize_from": "runs/first/best.ckpt",
        "teacher": {"checkpoint": "/home/someone/teachers/w32.pth", "balance": 0.5},
    }
    module = nn.Sequential(nn.Conv2d(3, len(LSP), 4, 4))
    write_model(to_bhr(session(module), recipe=recipe), tmp_path / "x.bhr")
    assert read_model(tmp_path / "x.bhr").recipe == {
        "initialize_from": "runs/first/best.ckpt",
        "teacher": {"checkpoint": "w32.pth", "balance": 0.5},
    }
