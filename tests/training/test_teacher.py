"""Teachers and initial weights from checkpoints of this project and from official ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bihrnet import nn
from bihrnet.errors import BihrnetError
from bihrnet.nn.logits import heatmaps
from bihrnet.skeleton import COCO, LSP
from bihrnet.training.recipe import TeacherSection
from bihrnet.training.teacher import load_teacher, start_from

SMALL = "small-hrnet-w16"


def own_checkpoint(
    path: Path,
    architecture: str = SMALL,
    recipe: dict[str, object] | None = None,
    options: dict[str, object] | None = None,
) -> torch.nn.Module:
    options = options or {}
    network = nn.build(architecture, len(LSP), **options)
    metadata = {
        "format": 1,
        "architecture": architecture,
        "options": options,
        "skeleton": LSP.to_dict(),
        "input_size": [64, 64],
        "recipe": recipe or {},
        "metrics": {},
    }
    weights = {f"network.{name}": value for name, value in network.state_dict().items()}
    torch.save({"bihrnet": metadata, "state_dict": weights}, path)
    return network


def crops() -> torch.Tensor:
    return torch.rand(1, 3, 64, 64)


def test_a_teacher_from_a_checkpoint_of_ours(tmp_path):
    network = own_checkpoint(tmp_path / "best.ckpt")
    section = TeacherSection(architecture=SMALL, checkpoint=str(tmp_path / "best.ckpt"))
    image = crops()
    with torch.no_grad():
        assert torch.allclose(load_teacher(section, LSP)(image), network.eval()(image), atol=1e-6)


def test_a_teacher_has_the_options_of_its_checkpoint(tmp_path):
    """Shortcuts have no parameters: without them the weights would fit another network."""
    path = tmp_path / "best.ckpt"
    network = own_checkpoint(path, "bihrnet-w16", options={"unit_shortcut": "none"})
    section = TeacherSection(architecture="bihrnet-w16", checkpoint=str(path))
    image = crops()
    with torch.no_grad():
        assert torch.allclose(load_teacher(section, LSP)(image), network.eval()(image), atol=1e-5)


def test_a_teacher_that_gives_logits_teaches_heatmaps(tmp_path):
    network = own_checkpoint(tmp_path / "best.ckpt", recipe={"loss": "bce"})
    section = TeacherSection(architecture=SMALL, checkpoint=str(tmp_path / "best.ckpt"))
    image = crops()
    with torch.no_grad():
        expected = heatmaps(network.eval()(image), "bce")
        assert torch.allclose(load_teacher(section, LSP)(image), expected, atol=1e-6)


def test_a_teacher_from_an_official_file_in_bgr(tmp_path):
    network = nn.build(SMALL, len(LSP))
    torch.save(network.state_dict(), tmp_path / "official.pth")
    section = TeacherSection(
        architecture=SMALL, checkpoint=str(tmp_path / "official.pth"), channels="bgr"
    )
    image = crops()
    with torch.no_grad():
        expected = network.eval()(image.flip(1))
        assert torch.allclose(load_teacher(section, LSP)(image), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("section", "skeleton", "sentence"),
    [
        ({}, LSP, "distills from small-hrnet-w16: give its checkpoint with --teacher"),
        ({"checkpoint": "best.ckpt"}, COCO, "estimates lsp-14, but the data is coco-17"),
        (
            {"checkpoint": "best.ckpt", "architecture": "hrnet-w16"},
            LSP,
            "is a small-hrnet-w16, but",
        ),
        ({"checkpoint": "nowhere.ckpt"}, LSP, "nowhere.ckpt: there is no such file"),
    ],
)
def test_unsuitable_teachers_are_named(tmp_path, monkeypatch, section, skeleton, sentence):
    monkeypatch.chdir(tmp_path)
    own_checkpoint(tmp_path / "best.ckpt")
    with pytest.raises(BihrnetError, match=sentence):
        load_teacher(TeacherSection(**{"architecture": SMALL, **section}), skeleton)


def test_a_start_takes_what_fits_and_leaves_the_rest(tmp_path):
    source = own_checkpoint(tmp_path / "best.ckpt")
    network = nn.build(SMALL, len(COCO))
    head = network.final_layer.weight.clone()
    start_from(network, tmp_path / "best.ckpt")
    assert torch.equal(network.conv1.weight, source.conv1.weight)
    assert torch.equal(network.final_layer.weight, head)


def test_a_start_from_imagenet(tmp_path):
    source = nn.build(SMALL, 1)
    weights = {"incre_modules.0.weight": torch.zeros(3), "conv1.weight": source.conv1.weight}
    torch.save({"state_dict": weights}, tmp_path / "imagenet.pth")
    network = nn.build(SMALL, len(LSP))
    start_from(network, tmp_path / "imagenet.pth")
    assert torch.equal(network.conv1.weight, source.conv1.weight)


def test_a_start_from_torchvisions_imagenet(tmp_path):
    source = nn.build("mobilenet-v2", 1).backbone.state_dict()
    torch.save({**source, "classifier.1.weight": torch.zeros(3)}, tmp_path / "imagenet.pth")
    network = nn.build("mobilenet-v2", len(LSP))
    start_from(network, tmp_path / "imagenet.pth")
    taken = network.backbone.state_dict()
    assert all(torch.equal(taken[name], weight) for name, weight in source.items())


def test_a_start_that_shares_nothing_is_refused(tmp_path):
    torch.save({"fc.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(BihrnetError, match=r"other\.pth: no weight has the name and shape"):
        start_from(nn.build(SMALL, len(LSP)), tmp_path / "other.pth")
