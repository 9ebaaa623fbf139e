from __future__ import annotations

import json
import sys

import onnxruntime
import pytest
import torch
from small_networks import (
    NETWORKS,
    assert_agreement,
    images,
    normalized,
    onnx_session,
    randomize,
    session,
)
from torch import nn

from bihrnet.errors import BihrnetError
from bihrnet.export.onnx import write_onnx
from bihrnet.model import IMAGENET_MEAN
from bihrnet.nn import architectures, build
from bihrnet.skeleton import LSP, Skeleton


def check(module: nn.Module, path, size=(64, 64), *, optimize=True) -> onnxruntime.InferenceSession:
    """ONNX Runtime and torch agree on the same crops, in a batch and one by one."""
    network = session(randomize(module, seed=1), size)
    write_onnx(network, path)
    crops = images(4, size)
    runtime = onnx_session(path, optimize=optimize)
    (heatmaps,) = runtime.run(["heatmaps"], {"image": normalized(crops)})
    assert_agreement(heatmaps, network(crops))
    (first,) = runtime.run(["heatmaps"], {"image": normalized(crops[:1])})
    assert first.shape == heatmaps[:1].shape
    return runtime


@pytest.mark.parametrize("name", NETWORKS)
def test_onnx_runtime_computes_what_torch_does(name, tmp_path):
    runtime = check(NETWORKS[name](), tmp_path / "model.onnx", (64, 96))
    about = runtime.get_modelmeta().custom_metadata_map
    assert about["name"] == "small@test"
    assert Skeleton.from_dict(json.loads(about["skeleton"])) == LSP
    assert json.loads(about["mean"]) == list(IMAGENET_MEAN)


@pytest.mark.parametrize("name", [name for name in architectures() if "w16" in name])
def test_networks_of_the_zoo(name, tmp_path):
    check(build(name, len(LSP)), tmp_path / "model.onnx", optimize=False)


def test_a_file_serves_other_sizes(tmp_path):
    module = NETWORKS["bihrnet"]()
    runtime = check(module, tmp_path / "model.onnx")
    crops = images(4, (96, 64))
    (heatmaps,) = runtime.run(["heatmaps"], {"image": normalized(crops)})
    assert_agreement(heatmaps, session(module, (96, 64))(crops))


def test_an_unknown_layer_is_named(tmp_path):
    network = session(nn.Sequential(nn.Conv2d(3, 14, 1), nn.Tanh()))
    with pytest.raises(BihrnetError, match=r"layer 1 \(Tanh\) is not supported by"):
        write_onnx(network, tmp_path / "model.onnx")


def test_a_missing_package_is_reported(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(BihrnetError, match="ONNX export needs the package onnx"):
        write_onnx(session(nn.Conv2d(3, 14, 1)), tmp_path / "model.onnx")


def test_zero_is_positive(tmp_path):
    """A sign of exactly zero is +1, in ONNX as everywhere."""
    from bihrnet.nn.layers.binarize import Sign

    module = nn.Sequential(nn.Conv2d(3, 14, 1), Sign(), nn.PReLU(14))
    nn.init.zeros_(module[0].weight)
    nn.init.zeros_(module[0].bias)
    write_onnx(session(module), tmp_path / "model.onnx")
    runtime = onnx_session(tmp_path / "model.onnx")
    (heatmaps,) = runtime.run(["heatmaps"], {"image": torch.zeros(1, 3, 32, 32).numpy()})
    assert (heatmaps == 1).all()
