"""Side-by-side timing: which rows there are, what they say, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from bihrnet.benchmark.contenders import Architecture, Contender, prepare
from bihrnet.benchmark.report import report, write_chart
from bihrnet.cli.bench import bench
from bihrnet.errors import BihrnetError

ROW = {"model", "runtime", "precision", "threads", "size", "median_ms", "p90_ms", "ratio_to_first"}


def command(*arguments):
    app = typer.Typer()
    app.command()(bench)
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture(scope="module")
def timed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    target, chart = folder / "bench.json", folder / "chart.png"
    done = command(
        *("small-hrnet-w16", "--size", "64x64", "--rounds", 2, "--against", "torch"),
        *("--json", target, "--chart", chart),
    )
    assert done.exit_code == 0, done.output
    return json.loads(target.read_text()), chart


def test_rows_of_an_architecture(timed):
    result, chart = timed
    assert set(result) == {"machine", "isa", "rows"}
    found = [(row["runtime"], row["precision"]) for row in result["rows"]]
    assert found == [("engine", "fp32"), ("engine", "int8"), ("torch", "fp32")]
    for row in result["rows"]:
        assert set(row) == ROW
        assert row["model"] == "small-hrnet-w16"
        assert row["size"] == [64, 64]
        assert 0 < row["median_ms"] <= row["p90_ms"]
    first = result["rows"][0]["median_ms"]
    for row in result["rows"]:
        assert row["ratio_to_first"] == pytest.approx(row["median_ms"] / first, rel=1e-2)
    assert chart.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("models", "peers", "sentence"),
    [
        (["no-such-network"], [], "no-such-network"),
        (["small-hrnet-w16"], ["tflite"], "no runtime 'tflite'"),
        (["missing.bhr"], [], "missing.bhr"),
    ],
)
def test_what_is_refused(tmp_path, models, peers, sentence):
    warnings = []
    with pytest.raises(BihrnetError) as caught:
        prepare(models, peers, (64, 64), tmp_path, warnings.append)
    assert sentence in " ".join([*warnings, str(caught.value)])


def test_an_input_that_a_network_cannot_halve_is_told(tmp_path):
    sentences = []
    with pytest.raises(BihrnetError, match="nothing is left"):
        prepare(["binary-hourglass-1"], [], (96, 64), tmp_path, sentences.append)
    assert len(sentences) == 1
    assert "multiples of 64, not 96x64" in sentences[0]


def test_report_and_chart_of_given_times(tmp_path):
    def contender(runtime, path):
        architecture = Architecture("net", 17)
        return Contender("net", runtime, "fp32", (256, 192), path, architecture, ops=5e8)

    file = tmp_path / "net.bhr"
    file.write_bytes(bytes(1000))
    times = {
        contender("engine", file): [0.004, 0.002, 0.003],
        contender("torch", Path("nowhere")): list(np.linspace(0.01, 0.02, 11)),
    }
    rows = report(times, threads=2, isa="portable")["rows"]
    assert [row["median_ms"] for row in rows] == [3.0, 15.0]
    assert [row["ratio_to_first"] for row in rows] == [1.0, 5.0]
    assert rows[1]["p90_ms"] == pytest.approx(19.0)
    assert rows[0]["threads"] == 2
    with pytest.raises(BihrnetError, match="cannot be written"):
        write_chart(times, tmp_path / "chart.nothing")


@pytest.mark.parametrize("option", ["--json", "--chart"])
def test_a_place_that_cannot_be_written_is_told_before_the_work(monkeypatch, tmp_path, option):
    monkeypatch.setattr("bihrnet.benchmark.contenders.prepare", None)
    (tmp_path / "file").touch()
    done = command("small-hrnet-w16", option, tmp_path / "file" / "x.png")
    assert isinstance(done.exception, BihrnetError)
    assert "cannot be written" in str(done.exception)
