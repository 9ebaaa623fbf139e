from __future__ import annotations

from pathlib import Path

import pytest
from painted_people import DotModel
from typer.testing import CliRunner

from bihrnet.cli.app import app
from bihrnet.estimate import estimator
from bihrnet.images import read_image


def test_demo_draws_its_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load(source: object, threads: int | None) -> DotModel:
        asked.append(source)
        return DotModel()

    monkeypatch.setattr(estimator, "load", load)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["demo"], catch_exceptions=False)
    assert result.exit_code == 0
    assert asked == [None], "the bundled default"
    assert "saved to output/person.jpg" in result.stdout
    assert read_image("output/person.jpg").ndim == 3
    assert CliRunner().invoke(app, ["demo", "--out", "there"]).exit_code == 0
    assert Path("there/person.jpg").is_file()
