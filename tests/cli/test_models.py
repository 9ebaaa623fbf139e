from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from bihrnet import zoo
from bihrnet.cli.app import app
from bihrnet.zoo import ModelCard


def models() -> str:
    result = CliRunner().invoke(app, ["models"], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_models_with_their_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.ckpt"
    path.write_bytes(bytes(2_345_678))
    shared = {
        "path": path,
        "skeleton": "lsp-14",
        "input_size": "128x128",
        "measured_on": "lspet val",
        "licence": "CC0",
        "metrics": {"PCKh@0.5": 43.21, "PCK@0.2": 40.0},
    }
    cards = [ModelCard("a@one", default=True, **shared), ModelCard("b@two", **shared)]
    monkeypatch.setattr(zoo, "model_cards", lambda: cards)
    assert models().splitlines() == [
        "a@one  (default)",
        "  lsp-14, 128x128, 2.3 MB, CC0",
        "  lspet val: PCKh@0.5 43.21, PCK@0.2 40",
        "b@two",
        "  lsp-14, 128x128, 2.3 MB, CC0",
        "  lspet val: PCKh@0.5 43.21, PCK@0.2 40",
    ]


def test_no_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "model_cards", list)
    assert "no weights are bundled" in models()


def test_the_models_of_this_installation() -> None:
    for name in zoo.list_models():
        assert name in models()
