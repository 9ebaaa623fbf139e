from __future__ import annotations

import json
import platform
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bihrnet.cli import doctor
from bihrnet.cli.app import app
from bihrnet.engine.model_file import read_model, write_model
from bihrnet.errors import BihrnetError
from bihrnet.zoo import find_model


def run(*arguments: str, exit_code: int = 0) -> str:
    result = CliRunner().invoke(app, ["doctor", *arguments], catch_exceptions=False)
    assert result.exit_code == exit_code
    return result.stdout


def test_report_for_people() -> None:
    text = run()
    assert f"Python {platform.python_version()}" in text
    assert "opencv" in text
    assert "bundled models: " in text


def test_report_as_json(tmp_path: Path) -> None:
    report = json.loads(run("--json", "-"))
    assert set(report) == {
        "bihrnet", "location", "python", "system", "processor", "cores", "libraries", "missing",
        "models", "goldens", "engine",
    }  # fmt: skip
    assert report["cores"] >= 1
    assert report["processor"]
    run("--json", str(tmp_path / "d.json"))
    assert json.loads((tmp_path / "d.json").read_text()) == report


def test_what_is_missing_or_broken_is_said_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    real_version, real_import = metadata.version, doctor.import_module

    def version(name: str) -> str:
        if name == "onnxruntime":
            raise metadata.PackageNotFoundError(name)
        return real_version(name)

    def import_module(name: str) -> object:
        if name == "torch":
            raise OSError("libtorch.so: cannot open shared object file")
        return real_import(name)

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(doctor, "import_module", import_module)
    text = run()
    assert "missing for person detectors in ONNX files: pip install 'bihrnet[detector]'\n" in text
    assert (
        "missing for checkpoints and training: pip install 'bihrnet[train]' "
        "(installed, but: libtorch.so: cannot open shared object file)\n"
    ) in text
    report = json.loads(run("--json", "-"))
    assert report["libraries"]["torch"] is None
    assert [gap["library"] for gap in report["missing"]] == ["onnxruntime", "torch"]


def test_kernels_that_run_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BIHRNET_ISA", raising=False)
    engine = json.loads(run("--json", "-"))["engine"]
    assert engine["isa"] == engine["usable"][0]
    assert f"engine: {engine['isa']} kernels (the best of this processor" in run()
    monkeypatch.setenv("BIHRNET_ISA", "portable")
    assert "engine: portable kernels (forced by BIHRNET_ISA" in run()


def test_an_engine_that_cannot_run_as_asked_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIHRNET_ISA", "mmx")
    text = run(exit_code=1)
    assert "engine: cannot run: BIHRNET_ISA" in text
    assert "reproduces its golden result with" in text


def test_models_are_unchecked_where_the_engine_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for module in ("native", "engine_model", "self_check"):
        monkeypatch.delitem(sys.modules, f"bihrnet.engine.{module}", raising=False)
    monkeypatch.delattr("bihrnet.engine._native")
    monkeypatch.setitem(sys.modules, "bihrnet.engine._native", None)
    file = tmp_path / "mine.bhr"
    file.write_bytes(find_model().read_bytes())
    text = run(str(file), exit_code=1)
    assert "engine: cannot run: the compiled part of bihrnet is missing" in text
    assert f"  {file}: not checked, because the engine cannot run\n" in text
    report = json.loads(run(str(file), "--json", "-", exit_code=1))
    assert report["goldens"] == {name: {} for name in (*report["models"], str(file))}


def test_bundled_models_compute_right_with_every_kind_of_kernel() -> None:
    report = json.loads(run("--json", "-"))
    assert list(report["goldens"]) == report["models"]
    for checks in report["goldens"].values():
        assert list(checks) == report["engine"]["usable"]
        assert all(checks.values())
    assert "reproduces its golden result with" in run()


def test_a_file_whose_golden_does_not_come_out_is_named(tmp_path: Path) -> None:
    model = read_model(find_model())
    golden = replace(model.golden, mean=tuple(2 * value for value in model.golden.mean))
    path = tmp_path / "other.bhr"
    write_model(replace(model, golden=golden), path)
    result = CliRunner().invoke(app, ["doctor", str(path)], catch_exceptions=False)
    assert result.exit_code == 1
    lines = [line for line in result.stdout.splitlines() if line.startswith(f"  {path}: ")]
    assert len(lines) == 1
    assert "WRONG with " in lines[0]


def test_a_file_that_is_not_there() -> None:
    result = CliRunner().invoke(app, ["doctor", "nowhere.bhr"])
    assert isinstance(result.exception, BihrnetError)
