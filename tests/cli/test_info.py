"""`bihrnet info`: the counts of architectures and checkpoints."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bihrnet.cli.app import app
from bihrnet.errors import BihrnetError
from bihrnet.nn import build
from bihrnet.nn.checkpoint import save_slim_checkpoint
from bihrnet.nn.layers.binary_conv import use_real_weights
from bihrnet.skeleton import LSP
from bihrnet.zoo import find_model


def report(*arguments: str) -> dict[str, object]:
    result = CliRunner().invoke(app, ["info", *arguments, "--json", "-"], catch_exceptions=False)
    assert result.exit_code == 0
    return json.loads(result.stdout)


def test_the_papers_network() -> None:
    counts = report("bihrnet-w32", "--size", "256x256", "--joints", "16")
    assert list(counts) == [
        "model",
        "size",
        "joints",
        "params",
        "real_macs",
        "binary_macs",
        "ops",
        "binary_weights",
        "real_weights",
    ]
    assert counts["model"] == "bihrnet-w32"
    assert counts["size"] == [256, 256]
    assert counts["binary_weights"] == 7_162_880
    assert counts["real_weights"] == 2_647_264
    assert counts["ops"] == counts["binary_macs"] / 64 + counts["real_macs"]


def test_defaults_are_the_commonest_of_the_papers() -> None:
    counts = report("hrnet-w32")
    assert (counts["size"], counts["joints"]) == ([256, 192], 17)
    assert counts["params"] == 28_536_113
    assert counts["real_macs"] == pytest.approx(7.645e9, rel=1e-4)


def test_a_checkpoint_brings_its_own_size_joints_and_options(tmp_path: Path) -> None:
    path = tmp_path / "mine.ckpt"
    metadata = {
        "format": 1,
        "architecture": "bihrnet-w16",
        "options": {"unit_act": "prelu"},
        "skeleton": LSP.to_dict(),
        "input_size": [64, 96],
        "recipe": {},
        "metrics": {},
    }
    module = build("bihrnet-w16", 14, unit_act="prelu")
    save_slim_checkpoint(path, module, metadata)
    counts = report(str(path))
    assert (counts["size"], counts["joints"]) == ([64, 96], 14)
    assert counts["params"] == sum(parameter.numel() for parameter in module.parameters())
    assert report(str(path), "--size", "32x32", "--joints", "14")["size"] == [32, 32]
    with pytest.raises(BihrnetError, match="14 joints"):
        report(str(path), "--joints", "17")


def test_a_first_stage_counts_its_weights_as_real(tmp_path: Path) -> None:
    path = tmp_path / "stage.ckpt"
    module = build("bihrnet-w16", 14)
    use_real_weights(module)
    metadata = {
        "format": 1,
        "architecture": "bihrnet-w16",
        "options": {},
        "skeleton": LSP.to_dict(),
        "input_size": [64, 96],
        "recipe": {"binarization": {"weights": "real"}},
        "metrics": {},
    }
    save_slim_checkpoint(path, module, metadata)
    first, final = report(str(path)), report("bihrnet-w16", "--size", "64x96", "--joints", "14")
    assert (first["binary_macs"], first["binary_weights"]) == (0, 0)
    assert first["real_macs"] == final["real_macs"] + final["binary_macs"]
    assert first["params"] == final["params"]


def test_people_read_a_table(tmp_path: Path) -> None:
    target = tmp_path / "counts.json"
    command = [sys.executable, "-m", "bihrnet", "info", "small-hrnet-w16", "--json", str(target)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stderr in ("", "counting small-hrnet-w16 ...\n")
    for row in (
        "small-hrnet-w16, 256x192, 17 joints",
        "real MACs 570,703,872 0.571 0.532",
        "binary MACs 0 0.000 0.000",
        "OPs = binary / 64 + real 570,703,872 0.571 0.532",
        "parameters at 32 bits 1,284,961 5.14",
        "binary weights at 1 bit 0 0.00",
        "real weights at 32 bits 1,279,713 5.12",
    ):
        assert row in " ".join(result.stdout.replace("│", " ").split())
    assert json.loads(target.read_text())["params"] == 1_284_961


def test_json_does_not_take_the_place_of_the_model(tmp_path: Path) -> None:
    path = tmp_path / "model.bhr"
    path.write_bytes(find_model().read_bytes())
    for command in ("info", "doctor"):
        with pytest.raises(BihrnetError, match="would overwrite another file"):
            CliRunner().invoke(
                app, [command, str(path), "--json", str(path)], catch_exceptions=False
            )
    assert path.read_bytes() == find_model().read_bytes()


@pytest.mark.parametrize("name", ["model[int8].bhr", "a[/b]:car:.bhr"])
def test_brackets_in_a_file_s_name_are_no_markup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_bytes(find_model().read_bytes())
    result = CliRunner().invoke(app, ["info", name], catch_exceptions=False)
    assert f" {name}, 128x128, " in result.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["hrnet-32"], "bundled model or model file 'hrnet-32'; did you mean hrnet-w32 or "),
        (["bihrnet-w32@lspet-128x128"], "did you mean .*bihrnet-w32@lspet-128x128-18epochs"),
        (["nosuch"], "no architecture, bundled model or model file 'nosuch'; known: .*@lspet"),
        (["hrnet-w32", "--size", "200x200"], "multiples of 32"),
        (["binary-hourglass-1", "--size", "96x96"], "multiples of 64, not 96x96"),
        (["hrnet-w32", "--joints", "0"], "at least one joint"),
        (["missing.ckpt"], "no such file"),
    ],
)
def test_mistakes_are_told(arguments: list[str], sentence: str) -> None:
    with pytest.raises(BihrnetError, match=sentence):
        report(*arguments)
