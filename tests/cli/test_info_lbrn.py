"""`bihrnet info` of networks with ternary filters."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from bihrnet.cli.app import app
from bihrnet.engine.model_file import write_model
from bihrnet.errors import BihrnetError
from bihrnet.export.bhr.export import to_bhr
from bihrnet.nn import build
from bihrnet.nn.checkpoint import Checkpoint, open_checkpoint, save_slim_checkpoint
from bihrnet.skeleton import LSP


def run(*arguments: str) -> tuple[dict[str, object], str]:
    result = CliRunner().invoke(app, [*arguments, "--json", "-"], catch_exceptions=False)
    assert result.exit_code == 0
    return json.loads(result.stdout), " ".join(result.stderr.replace("│", " ").split())


def test_additions_of_ternary_filters_are_told_beside_the_macs() -> None:
    counts, table = run("info", "lbrn-s-2", "--size", "64x64", "--joints", "16")
    adds = counts["ternary_adds"]
    assert list(counts)[-1] == "ternary_adds"
    assert isinstance(adds, int)
    assert f"additions of ternary filters {adds:,}" in table
    assert "ternary_adds" not in run("info", "shn-2", "--size", "64x64")[0]


def test_a_model_file_counts_as_the_checkpoint_it_came_from(tmp_path) -> None:
    options = {"inner_width": 64, "density": 0.3}
    checkpoint, file = tmp_path / "lbrn.ckpt", tmp_path / "lbrn.bhr"
    metadata = Checkpoint("lbrn-s-2", options, LSP, (64, 64), {}, {}, {}).metadata
    save_slim_checkpoint(checkpoint, build("lbrn-s-2", len(LSP), **options), metadata)
    write_model(to_bhr(open_checkpoint(checkpoint)), file)
    for size in ("64x64", "128x64"):
        expected, found = (run("info", str(path), "--size", size)[0] for path in (checkpoint, file))
        assert found == {**expected, "model": str(file)}
        assert found["ternary_adds"] > 0


def test_hourglasses_want_multiples_of_64() -> None:
    with pytest.raises(BihrnetError, match="multiples of 64, not 96x96"):
        run("info", "lbrn-s-2", "--size", "96x96")
