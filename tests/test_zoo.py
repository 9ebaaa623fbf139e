from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from painted_people import DotModel

import bihrnet
from bihrnet import zoo
from bihrnet.errors import BihrnetError
from bihrnet.skeleton import LSP

CARD = """---
skeleton: lsp-14
input_size: 128x128
measured_on: lspet val
licence: CC0
metrics: {{PCKh@0.5: 12.5, PCK@0.2: 8.25}}
default: {default}
---
# A model
The rest --- for people.
"""


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in place of the bundled weights."""
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path / "weights")
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


def add_card(weights: Path, name: str, default: bool = False) -> None:
    (weights / f"{name.replace('@', '__')}.md").write_text(
        CARD.format(default=str(default).lower())
    )


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights, random but for their shapes, in a real file."""
    import torch

    from bihrnet.nn import build
    from bihrnet.nn.checkpoint import Checkpoint, save_slim_checkpoint

    torch.manual_seed(0)
    network = build("bihrnet-w16", len(LSP))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            # With all biases 0 many values lie on a threshold, where rounding decides the sign.
            torch.nn.init.normal_(module.bias, std=0.1)
    path = tmp_path_factory.mktemp("model") / "net.ckpt"
    recipe = {"name": "none"}
    metadata = Checkpoint("bihrnet-w16", {}, LSP, (64, 64), recipe, {}, {}).metadata
    save_slim_checkpoint(path, network, metadata)
    return path


@pytest.fixture(scope="module")
def engine_file(checkpoint: Path) -> Path:
    """The same weights for the engine."""
    from bihrnet.engine.model_file import write_model
    from bihrnet.export.bhr.export import to_bhr
    from bihrnet.nn.checkpoint import open_checkpoint

    path = checkpoint.with_suffix(".bhr")
    write_model(to_bhr(open_checkpoint(checkpoint)), path)
    return path


def test_checkpoint_becomes_a_model(checkpoint: Path) -> None:
    model = bihrnet.load(checkpoint)
    assert model.spec.name == "bihrnet-w16@none"
    assert model.spec.skeleton == LSP
    heatmaps = model(np.zeros((2, 64, 64, 3), dtype=np.uint8))
    assert heatmaps.shape == (2, 14, 16, 16)
    assert heatmaps.dtype == np.float32


def test_engine_file_becomes_a_model_like_its_checkpoint(
    checkpoint: Path, engine_file: Path
) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    model, reference = bihrnet.load(engine_file), bihrnet.load(checkpoint)
    assert model.spec == reference.spec
    heatmaps, expected = model(crops), reference(crops)
    # A sign within rounding of its threshold may differ; tests/export looks at parity closely.
    assert np.corrcoef(heatmaps.ravel(), expected.ravel())[0, 1] > 0.999


def test_threads_are_the_engines(engine_file: Path) -> None:
    with pytest.raises(BihrnetError, match="threads"):
        bihrnet.load(engine_file, threads=0)


def test_bundled_weights_open_by_name_and_by_default(weights: Path, engine_file: Path) -> None:
    for name in ("a@one", "b@two", "c@three"):
        add_card(weights, name, default=name == "b@two")
        (weights / f"{name.replace('@', '__')}.bhr").symlink_to(engine_file)
    assert bihrnet.list_models() == ["b@two", "a@one", "c@three"]
    card = zoo.model_cards()[0]
    assert card.metrics == {"PCKh@0.5": 12.5, "PCK@0.2": 8.25}
    assert card.path == weights / "b__two.bhr"
    assert bihrnet.load().spec.skeleton == LSP
    assert bihrnet.load("c@three").spec.skeleton == LSP


def test_without_bundled_weights(weights: Path) -> None:
    assert bihrnet.list_models() == []
    with pytest.raises(BihrnetError, match="has no bundled weights"):
        bihrnet.load()
    with pytest.raises(BihrnetError, match="none in this installation"):
        bihrnet.load("bihrnet-w32@lspet-128x128")


def test_a_model_is_returned_as_it_is() -> None:
    model = DotModel()
    assert bihrnet.load(model) is model


def test_unknown_names_say_what_is_known(weights: Path, tmp_path: Path) -> None:
    add_card(weights, "a@one")
    with pytest.raises(BihrnetError, match=r"no model 'nope': .*\.bhr, \.ckpt, \.pth.*a@one"):
        bihrnet.load("nope")
    with pytest.raises(BihrnetError, match="there is no such file"):
        bihrnet.load(tmp_path / "missing.ckpt")
    (tmp_path / "text.ckpt").write_text("hello")
    with pytest.raises(BihrnetError, match=r"text\.ckpt"):
        bihrnet.load(tmp_path / "text.ckpt")


def test_missing_torch_is_one_sentence(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "bihrnet.nn.checkpoint", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        BihrnetError, match=r"PyTorch, which is missing: pip install 'bihrnet\[train"
    ):
        bihrnet.load(checkpoint)


def test_bundled_weights_are_in_order() -> None:
    """Of what this installation really brings: every card has its file."""
    for card in zoo.model_cards():
        assert card.path.is_file()
        assert card.metrics
