"""Checkpoints: written by training or slim, read as a model, refused with a sentence."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bihrnet.errors import BihrnetError
from bihrnet.nn import build
from bihrnet.nn.checkpoint import open_checkpoint, read_checkpoint, save_slim_checkpoint
from bihrnet.nn.layers.binary_conv import use_real_weights
from bihrnet.nn.logits import logits
from bihrnet.skeleton import COCO, LSP

OPTIONS = {"unit_act": "prelu"}
METADATA = {
    "format": 1,
    "architecture": "bihrnet-w16",
    "options": OPTIONS,
    "skeleton": LSP.to_dict(),
    "input_size": [64, 32],
    "recipe": {
        "name": "tiny",
        "evaluation": {"decoding": "dark", "flip_test": False},
        "data": {"sigma": 3},
    },
    "metrics": {"PCK@0.2": 12.5},
}


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """A binary network with statistics as after some training."""
    torch.manual_seed(0)
    model = build("bihrnet-w16", len(LSP), **OPTIONS)
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(4, 3, 64, 32))
        model.final_layer.weight.normal_(std=0.1)
    return model.eval()


def heatmaps(model: nn.Module) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        return model.eval()(torch.randn(2, 3, 64, 32, generator=generator))


def test_a_full_slim_checkpoint_is_exact(network: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "full.ckpt"
    save_slim_checkpoint(path, network, METADATA, half=False)
    checkpoint = read_checkpoint(path)
    assert checkpoint.metadata == METADATA
    assert checkpoint.spec.name == "bihrnet-w16@tiny"
    assert checkpoint.spec.skeleton == LSP
    assert checkpoint.spec.input_size == (64, 32)
    assert checkpoint.spec.decoding == "dark"
    assert not checkpoint.spec.flip_test
    assert checkpoint.spec.sigma == 3
    assert torch.equal(heatmaps(checkpoint.build()), heatmaps(network))


def test_a_small_slim_checkpoint_computes_the_same(network: nn.Module, tmp_path: Path) -> None:
    with torch.no_grad():  # real weights that half precision holds: only packing is under test
        for layer in network.modules():
            if type(layer) in (nn.Conv2d, nn.Linear):
                layer.weight.copy_(layer.weight.half().float())
    path = tmp_path / "small.ckpt"
    save_slim_checkpoint(path, network, METADATA)
    expected = heatmaps(network)
    error = (heatmaps(read_checkpoint(path).build()) - expected).abs()
    # Scaling factors are exact to the last bit but one, so hardly ever a sign turns.
    assert error.max() < 0.02 * expected.abs().max()
    assert error.median() < 1e-4 * expected.abs().max()
    full = tmp_path / "full.ckpt"
    save_slim_checkpoint(full, network, METADATA, half=False)
    assert path.stat().st_size < full.stat().st_size / 4


def test_a_training_checkpoint_gives_its_average_before_its_weights(
    network: nn.Module, tmp_path: Path
) -> None:
    state = network.state_dict()
    prefixed = {f"network.{name}": tensor for name, tensor in state.items()}
    training: dict[str, Any] = {
        "epoch": 3,
        "state_dict": {**prefixed, "other.weight": torch.ones(1)},
        "optimizer_states": [{"state": {0: {"step": torch.tensor(5.0)}}}],
        "bihrnet": dict(METADATA),
    }
    path = tmp_path / "last.ckpt"
    torch.save(training, path)
    weights = read_checkpoint(path).weights
    assert weights.keys() == state.keys()
    assert all(torch.equal(weights[name], state[name]) for name in state)

    training["bihrnet"]["ema"] = {name: tensor + 1 for name, tensor in state.items()}
    torch.save(training, path)
    averaged = read_checkpoint(path).weights
    assert all(torch.equal(averaged[name], state[name] + 1) for name in state)


def test_an_opened_checkpoint_is_ready_to_run(network: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    save_slim_checkpoint(path, network, METADATA, half=False)
    session = open_checkpoint(path)
    crops = np.random.default_rng(0).integers(0, 256, (2, 64, 32, 3), dtype=np.uint8)
    assert session(crops).shape == (2, 14, 16, 8)
    assert session.spec.name == "bihrnet-w16@tiny"
    assert not session.module.training
    assert all(not parameter.is_meta for parameter in session.module.parameters())


def with_recipe(**recipe: object) -> dict[str, Any]:
    return {**METADATA, "recipe": {"name": "tiny", **recipe}}


@pytest.mark.parametrize("half", [False, True])
def test_real_weights_of_binary_layers_travel_with_the_recipe(
    network: nn.Module, tmp_path: Path, half: bool
) -> None:
    first_stage = copy.deepcopy(network)
    use_real_weights(first_stage)
    assert not torch.allclose(heatmaps(first_stage), heatmaps(network), atol=1e-3)
    path = tmp_path / "stage.ckpt"
    metadata = with_recipe(binarization={"weights": "real"})
    save_slim_checkpoint(path, first_stage, metadata, half=half)
    expected = first_stage
    if half:  # the very network whose weights are rounded: one that is near turns other signs
        expected = copy.deepcopy(first_stage)
        for layer in expected.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.weight.data = layer.weight.data.half().float()
    found = read_checkpoint(path).build()
    assert torch.equal(heatmaps(found), heatmaps(expected))
    for (name, kept), original in zip(
        found.named_parameters(), first_stage.parameters(), strict=True
    ):
        # Half of float16's last digit; below 2^-14 its digits are 2^-24 apart.
        rounding = torch.clamp(original.abs() * 2**-11, min=2**-25) if half else 0 * original
        assert ((kept - original).abs() <= rounding).all(), name


def test_an_older_checkpoint_means_the_same(network: nn.Module, tmp_path: Path) -> None:
    """Its recipe was stored with the keys of that time."""
    first_stage = copy.deepcopy(network)
    use_real_weights(first_stage)
    path = tmp_path / "old.ckpt"
    metadata = with_recipe(binarisation={"weights": "real"}, optimiser={"lr": 0.1})
    save_slim_checkpoint(path, first_stage, metadata, half=False)
    checkpoint = read_checkpoint(path)
    assert torch.equal(heatmaps(checkpoint.build()), heatmaps(first_stage))
    expected = {"name": "tiny", "binarization": {"weights": "real"}, "optimizer": {"lr": 0.1}}
    assert checkpoint.recipe == expected


@pytest.mark.parametrize("half", [False, True])
def test_what_cross_entropy_has_trained_is_read_as_heatmaps(
    network: nn.Module, tmp_path: Path, half: bool
) -> None:
    path, again = tmp_path / "logits.ckpt", tmp_path / "again.ckpt"
    save_slim_checkpoint(path, network, with_recipe(loss="bce"), half=False)
    model = read_checkpoint(path).build()
    torch.testing.assert_close(heatmaps(model), logits(heatmaps(network)).sigmoid())
    save_slim_checkpoint(again, model, with_recipe(loss="bce"), half=half)
    difference = (heatmaps(read_checkpoint(again).build()) - heatmaps(model)).abs()
    assert difference.median() < 1e-3


def test_a_file_without_metadata_says_what_can_be_done_with_it(tmp_path: Path) -> None:
    path = tmp_path / "teacher.pth"
    torch.save(build("small-hrnet-w16", 3).state_dict(), path)
    with pytest.raises(BihrnetError, match=r"teacher\.pth: .*--teacher"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": 2}, "format is 2"),
        ({"architecture": "bihrnet-w99"}, "no architecture"),
        ({"architecture": "hrnet-w16", "options": {}}, "not those of hrnet-w16"),
        ({"options": {"color": "red"}}, "no option 'color'"),
        ({"skeleton": COCO.to_dict()}, "size mismatch"),
        ({"skeleton": {"name": "nobody"}}, "broken checkpoint"),
        ({"skeleton": None}, "broken checkpoint"),
        ({"input_size": 3}, "broken checkpoint"),
        ({"input_size": [64, 40]}, "multiples of 32, not 64x40"),
        ({"recipe": None}, "broken checkpoint"),
        ({"recipe": {"evaluation": 3}}, "its recipe has 3 as evaluation"),
        ({"recipe": {"binarization": "real"}}, "its recipe has 'real' as binarization"),
        ({"ema": {}}, "Missing key"),
        ({"ema": {"conv1.weight": 3}}, "broken checkpoint"),
        ({"ema": {"x.weight.bits": torch.zeros(1, dtype=torch.uint8)}}, "is missing"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(
    network: nn.Module, tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    path = tmp_path / "model.ckpt"
    save_slim_checkpoint(path, network, {**METADATA, **change}, half=False)
    with pytest.raises(BihrnetError, match=sentence) as caught:
        open_checkpoint(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_many_weights_that_do_not_fit_make_one_short_sentence(
    network: nn.Module, tmp_path: Path
) -> None:
    path = tmp_path / "model.ckpt"
    expected = {
        "hrnet-w16": r'Missing key\(s\) "\S+" and \d{4} more',
        "bihrnet-w18": r"size mismatch for \S+: .* and \d+ more",
    }
    for architecture, sentence in expected.items():
        metadata = {**METADATA, "architecture": architecture}
        metadata["options"] = {} if architecture == "hrnet-w16" else OPTIONS
        save_slim_checkpoint(path, network, metadata, half=False)
        with pytest.raises(BihrnetError, match=sentence) as caught:
            read_checkpoint(path).build()
        assert str(caught.value).startswith(f"{path}: the weights are not those of {architecture}")
        assert len(str(caught.value)) < 500


@pytest.mark.parametrize("field", sorted(METADATA))
def test_a_missing_field_is_named(network: nn.Module, tmp_path: Path, field: str) -> None:
    path = tmp_path / "model.ckpt"
    torch.save({"bihrnet": {k: v for k, v in METADATA.items() if k != field}}, path)
    with pytest.raises(BihrnetError, match=r"format is None|is missing"):
        read_checkpoint(path)
