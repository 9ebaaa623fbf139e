"""Whole networks: the engine against torch and against itself."""

from functools import cache

import numpy as np
import pytest
import torch

from bihrnet.engine import _native
from bihrnet.engine.engine_model import EngineModel
from bihrnet.export.bhr.export import to_bhr
from bihrnet.model import ModelSpec
from bihrnet.nn import build
from bihrnet.nn.models.binary_hourglass import BinaryLayers
from bihrnet.nn.models.hourglass import StackedHourglass
from bihrnet.nn.models.lbrn import lbrn_s
from bihrnet.nn.torch_model import TorchModel
from bihrnet.skeleton import COCO

SIZE = (64, 96)
FAST = [isa for isa in _native.usable_isas() if isa != "portable"]
#: Hourglasses of two levels instead of four.
SHALLOW = {
    "lbrn-s": lambda: lbrn_s(len(COCO), stacks=2, depth=2),
    "binary-hourglass": lambda: StackedHourglass(
        len(COCO), 2, 2, BinaryLayers("hierarchical", "prelu", "ste", join_real=False)
    ),
}


def crops(count):
    """Noise with structure, so that activations spread as they do on photographs."""
    coarse = np.random.default_rng(0).integers(0, 256, (count, 8, 12, 3), np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)


@cache
def network(architecture):
    """With the statistics of a network that has seen images."""
    torch.manual_seed(0)
    module = SHALLOW[architecture]() if architecture in SHALLOW else build(architecture, len(COCO))
    module.train()
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None  # the plain mean of what it sees
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            torch.nn.init.normal_(layer.bias, std=0.2)
    with torch.no_grad():
        module(torch.from_numpy(crops(4)).permute(0, 3, 1, 2).float() / 64 - 2)
    return TorchModel(module.eval(), ModelSpec(architecture, COCO, SIZE))


@cache
def exported(architecture):
    return to_bhr(network(architecture))


def share_off(found, wanted):
    """Share of values that differ by more than a thousandth of the peak."""
    return np.mean(np.abs(found - wanted) > 1e-3 * np.abs(wanted).max())


@pytest.mark.parametrize("isa", _native.usable_isas())
@pytest.mark.parametrize("architecture", ["small-hrnet-w16", "lbrn-s"])
def test_networks_without_signs(architecture, isa):
    torch_model = network(architecture)
    images = crops(2)
    heatmaps = EngineModel(exported(architecture), isa=isa, threads=2)(images)
    assert share_off(heatmaps, torch_model(images)) == 0


# Portable kernels round twice where the others and torch fuse, so signs flip that lie within that
# rounding, and in a network that has learned nothing one flip changes much; kernels are compared
# one by one in test_native_kernels.py.
@pytest.mark.parametrize("isa", FAST)
@pytest.mark.parametrize("architecture", ["bihrnet-w16", "binary-hrnet-w16", "binary-hourglass"])
def test_binary_networks(architecture, isa):
    torch_model = network(architecture)
    images = crops(2)
    heatmaps = EngineModel(exported(architecture), isa=isa, threads=2)(images)
    assert share_off(heatmaps, torch_model(images)) < 0.05


@pytest.mark.skipif(len(FAST) < 2, reason="needs two instruction sets")
@pytest.mark.parametrize("architecture", ["bihrnet-w16", "lbrn-s"])
def test_int8_is_the_same_on_every_instruction_set(architecture):
    torch_model = network(architecture)
    model = to_bhr(torch_model, "int8", crops(4))
    images = crops(2)
    first, *others = (EngineModel(model, isa=isa)(images) for isa in FAST)
    for other in others:
        assert share_off(other, first) < 0.05


@pytest.mark.parametrize("architecture", ["small-hrnet-w16", "lbrn-s"])
def test_int8_of_networks_without_signs_is_close_to_torch(architecture):
    torch_model = network(architecture)
    images = crops(2)
    heatmaps = EngineModel(to_bhr(torch_model, "int8", crops(4)))(images)
    assert np.corrcoef(heatmaps.ravel(), torch_model(images).ravel())[0, 1] > 0.98
