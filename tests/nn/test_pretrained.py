"""Weights made elsewhere: official names, mmpose's, and sentences where they do not fit."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bihrnet.crop import Crop
from bihrnet.errors import BihrnetError
from bihrnet.heatmap import decode
from bihrnet.model import ModelSpec
from bihrnet.nn import build
from bihrnet.nn.pretrained import load_hrnet_weights
from bihrnet.nn.torch_model import TorchModel
from bihrnet.skeleton import LSP

ARCHITECTURE = "small-hrnet-w16"


@pytest.fixture(scope="module")
def source() -> nn.Module:
    torch.manual_seed(0)
    model = build(ARCHITECTURE, 5)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.normal_()
    return model


def mmpose(state: dict[str, Tensor], head: str) -> dict[str, Tensor]:
    return {
        (head if name.startswith(("final_layer", "deconv")) else "backbone.") + name: tensor
        for name, tensor in state.items()
    }


WRAPPINGS = {
    "official": lambda state: OrderedDict(state),
    "parallel": lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
    "trainer": lambda state: {
        "epoch": 3,
        "state_dict": {f"model.{n}": t for n, t in state.items()},
    },
    "mmpose 0": lambda state: {"meta": {}, "state_dict": mmpose(state, "keypoint_head.")},
    "mmpose 1": lambda state: {
        "meta": {"dataset_meta": {"sigmas": np.ones(5)}},
        "state_dict": mmpose(state, "head."),
    },
    "half": lambda state: {
        name: t.half() if t.is_floating_point() else t for name, t in state.items()
    },
    "old": lambda state: {name: t for name, t in state.items() if "num_batches" not in name},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_all_ways_to_store_an_hrnet_load(source: nn.Module, wrapping: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(WRAPPINGS[wrapping](source.state_dict()), path)
    model = build(ARCHITECTURE, 5)
    load_hrnet_weights(model, path)
    tolerance = {"rtol": 1e-3, "atol": 1e-4} if wrapping == "half" else {"rtol": 0, "atol": 0}
    for name, tensor in source.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], tensor, **tolerance)
        assert model.state_dict()[name].dtype == tensor.dtype


@pytest.mark.parametrize("wrapping", ["official", "mmpose 1"])
def test_simplebaseline_loads_too(wrapping: str, tmp_path: Path) -> None:
    source = build("simplebaseline-r50", 3)
    official = {name.removeprefix("backbone."): t for name, t in source.state_dict().items()}
    torch.save(WRAPPINGS[wrapping](official), tmp_path / "weights.pth")
    model = build("simplebaseline-r50", 3)
    load_hrnet_weights(model, tmp_path / "weights.pth")
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), source.parameters(), strict=True)
    )


def test_a_network_trained_on_bgr_becomes_one_for_rgb(source: nn.Module, tmp_path: Path) -> None:
    torch.save(source.state_dict(), tmp_path / "bgr.pth")
    model = build(ARCHITECTURE, 5)
    load_hrnet_weights(model, tmp_path / "bgr.pth", channel_order="bgr")
    rgb = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(model.conv1(rgb), source.conv1(rgb.flip(1)))


def test_a_backbone_loads_without_its_head(source: nn.Module, tmp_path: Path) -> None:
    classifier = {"classifier.weight": torch.ones(10, 4), "incre_modules.0.weight": torch.ones(3)}
    torch.save({**source.state_dict(), **classifier}, tmp_path / "imagenet.pth")
    model = build(ARCHITECTURE, 7)
    head = model.final_layer.weight.clone()
    load_hrnet_weights(model, tmp_path / "imagenet.pth", backbone_only=True)
    assert torch.equal(model.conv1.weight, source.conv1.weight)
    assert torch.equal(model.final_layer.weight, head)


def test_what_does_not_fit_is_told_by_its_first_names(source: nn.Module, tmp_path: Path) -> None:
    state = source.state_dict()
    path = tmp_path / "weights.pth"
    cases = [
        (state, ("hrnet-w16", 5), r"lacks weights .* and \d+ more"),
        (state, (ARCHITECTURE, 6), r"final_layer\.bias is 5, not 6"),
        ({**state, "extra.weight": torch.ones(1)}, (ARCHITECTURE, 5), r"extra\.weight"),
        ({"state_dict": {}}, (ARCHITECTURE, 5), "no weights"),
        ([1, 2], (ARCHITECTURE, 5), "no weights"),
    ]
    for content, architecture, sentence in cases:
        torch.save(content, path)
        model = build(*architecture)
        before = model.conv1.weight.clone()
        with pytest.raises(BihrnetError, match=sentence) as caught:
            load_hrnet_weights(model, path)
        assert str(path) in str(caught.value)
        assert torch.equal(model.conv1.weight, before)


def test_a_real_teacher_finds_the_joints_of_photographs(shared_data: Path) -> None:
    """HRNet-W32 of 128x128, trained on BGR, PCKh@0.5 of 49.9 over the whole validation split."""
    import json

    import cv2
    import scipy.io

    folder = shared_data / "lspet"
    names = json.loads((folder / "split.json").read_text())["val"][:16]
    joints = scipy.io.loadmat(folder / "joints.mat")["joints"].transpose(2, 0, 1)
    crops, truth, found = [], [], []
    for name in names:
        labels = joints[int("".join(filter(str.isdigit, str(name)))) - 1]
        image = cv2.imread(str(folder / "images" / name))[..., ::-1]
        points = labels[labels[:, 2] > 0, :2]
        low, high = points.min(0), points.max(0)
        crop = Crop.from_box([*low, *(high - low)], (128, 128))
        crops.append(crop.warp(np.ascontiguousarray(image)))
        truth.append(np.column_stack([crop.to_input(labels[:, :2]), labels[:, 2]]))
    for order in ("bgr", "rgb"):
        model = build("hrnet-w32", 14)
        path = shared_data / "teacher" / "hrnet-w32-lspet-128x128.pth"
        load_hrnet_weights(model, path, channel_order=order)  # type: ignore[arg-type]
        session = TorchModel(model, ModelSpec("hrnet-w32", LSP, (128, 128)))
        points, _ = decode(session(np.stack(crops)))
        distance = np.linalg.norm(4 * points - np.stack(truth)[..., :2], axis=2)
        labeled = np.stack(truth)[..., 2] > 0
        found.append(float((distance < 12)[labeled].mean()))
    assert found[0] > 0.5
    assert found[0] > found[1]  # the colors in the wrong order cost accuracy
