"""Side-by-side timing: which rows there are, what they say, and what is refused."""

import json
import multiprocessing
import os
import re
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from bihrnet.bench.cases import Case, prepare
from bihrnet.bench.chart import write_chart
from bihrnet.bench.measure import Measurement, Run, measure
from bihrnet.bench.networks import BuildPlan
from bihrnet.bench.processor import choose_cores
from bihrnet.bench.report import report
from bihrnet.cli.bench import bench
from bihrnet.engine.model_file import write_model
from bihrnet.errors import BihrnetError
from bihrnet.export.bhr.export import to_bhr
from bihrnet.model import ModelSpec
from bihrnet.nn import build
from bihrnet.nn.torch_model import TorchModel
from bihrnet.skeleton import LSP

ROW = {
    *("model", "runtime", "precision", "threads", "size", "ratio_to_first"),
    *("median_ms", "p90_ms", "min_ms", "cpu_ms", "peak_mb"),
}


def measurement(*seconds, peak=None):
    """Runs of these elapsed times, with twice the processor time."""
    return Measurement([Run(one, 2 * one) for one in seconds], peak)


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
    assert set(result) == {"machine", "isa", "cores", "rows"}
    found = [(row["runtime"], row["precision"]) for row in result["rows"]]
    assert found == [("engine", "fp32"), ("engine", "int8"), ("torch", "fp32")]
    for row in result["rows"]:
        assert set(row) == ROW
        assert row["model"] == "small-hrnet-w16"
        assert row["size"] == [64, 64]
        assert 0 < row["min_ms"] <= row["median_ms"] <= row["p90_ms"]
        assert row["cpu_ms"] > 0
    first = result["rows"][0]["median_ms"]
    for row in result["rows"]:
        assert row["ratio_to_first"] == pytest.approx(row["median_ms"] / first, rel=1e-2)
    assert chart.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("models", "peers", "sentence"),
    [
        (["small-hrnet-w61"], [], "'small-hrnet-w61'; did you mean small-hrnet-w16"),
        (["no"], [], "no architecture, bundled model or model file 'no'; known: "),
        (["small-hrnet-w16", "small-hrnet-w61"], ["openvino"], "did you mean small-hrnet-w16"),
        (["small-hrnet-w16"], ["tflite"], "unknown runtime 'tflite'"),
        (["small-hrnet-w16", "missing.bhr"], [], "missing.bhr"),
        (["binary-hourglass-1"], [], "multiples of 64, not 96x64"),
    ],
)
def test_a_mistake_is_one_sentence_before_the_work(tmp_path, models, peers, sentence):
    said = []
    with pytest.raises(BihrnetError, match=sentence):
        prepare(models, peers, (96, 64), tmp_path, said.append)
    assert said == []
    assert list(tmp_path.iterdir()) == []


@cache
def hourglass(block="hierarchical"):
    """A model of the smallest binary hourglass, shared by all tests."""
    spec = ModelSpec("binary-hourglass-1@test", LSP, (64, 64))
    options = {"block": block}
    model = TorchModel(build("binary-hourglass-1", len(LSP), **options), spec)
    return to_bhr(model, recipe={"options": options})


def write_bottlenecks(path, name="binary-hourglass-1", **changes):
    model = hourglass("bottleneck")
    write_model(replace(model, spec=replace(model.spec, name=f"{name}@test"), **changes), path)


def test_peers_of_a_file_have_its_options_and_joints(tmp_path):
    path, said = tmp_path / "mine.bhr", []
    write_bottlenecks(path)
    rows = prepare([str(path)], ["torch", "openvino"], (128, 64), tmp_path, said.append)
    assert said == []
    assert [row.runtime for row in rows] == ["engine", "torch", "openvino", "openvino"]
    for row in rows:
        assert row.plan == BuildPlan("binary-hourglass-1", 14, (("block", "bottleneck"),))
        assert row.size == (128, 64)
        assert row.ops == rows[0].ops


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"recipe": {}}, r"network of its recipe has \d+ \w.*, the file has \d+"),
        ({"recipe": {"options": {"color": 1}}}, "has no option 'color'"),
        ({"name": "unheard-of"}, "no architecture 'unheard-of'"),
    ],
)
def test_a_file_that_cannot_be_built_anew_has_no_peers(tmp_path, change, sentence):
    path, said = tmp_path / "mine.bhr", []
    write_bottlenecks(path, **change)
    rows = prepare([str(path)], ["torch", "openvino"], None, tmp_path, said.append)
    assert [row.runtime for row in rows] == ["engine"]
    assert len(said) == 2
    assert all(re.search(sentence, one) for one in said)


def test_one_model_twice_gives_two_rows(tmp_path, monkeypatch):
    """Their difference is the noise of a measurement. The file's name is no markup."""
    monkeypatch.chdir(tmp_path)  # a short name fits in one line of the table
    name, target = "a[/b]/x.bhr", tmp_path / "rows.json"
    (tmp_path / name).parent.mkdir(parents=True)
    write_model(hourglass(), tmp_path / name)
    done = command(name, name, "--rounds", 1, "--json", target)
    assert done.exit_code == 0, done.output
    assert [row["model"] for row in json.loads(target.read_text())["rows"]] == [name, name]
    assert name in done.stdout


def test_a_worker_that_is_killed_is_named(tmp_path):
    """The pipe to it is broken then, which must not look like a pager that was closed."""
    path = tmp_path / "mine.bhr"
    write_model(hourglass(), path)
    row = Case("mine", "engine", "fp32", (64, 64), path, BuildPlan("net", 14), 1.0)

    def kill():
        for child in multiprocessing.active_children():
            child.kill()
            child.join()

    with pytest.raises(BihrnetError, match="mine on engine died or does not answer"):
        measure([row], threads=1, cores=[], rounds=2, warn=pytest.fail, progress=kill)


def test_measurements_survive_a_chart_that_cannot_be_drawn(monkeypatch, tmp_path):
    row = Case("net", "engine", "fp32", (64, 64), tmp_path, BuildPlan("net", 17), 1.0)
    monkeypatch.setattr("bihrnet.bench.cases.prepare", lambda *_: [row])
    monkeypatch.setattr("bihrnet.bench.measure.measure", lambda *_: {row: measurement(0.004)})

    def fail(*_):
        raise BihrnetError("the disk is full")

    monkeypatch.setattr("bihrnet.bench.chart.write_chart", fail)
    target = tmp_path / "rows.json"
    done = command("net", "--json", target, "--chart", tmp_path / "chart.svg")
    assert str(done.exception) == "the disk is full"
    assert json.loads(target.read_text())["rows"][0]["median_ms"] == 4
    assert "4.00" in done.stdout


def test_a_mistake_in_the_chart_is_told_before_the_work(monkeypatch, tmp_path):
    monkeypatch.setattr("bihrnet.bench.cases.prepare", None)
    done = command("small-hrnet-w16", "--chart", tmp_path / "x.nothing")
    assert "x.nothing: the file of a chart must end in .png, .svg, .pdf" in str(done.exception)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    done = command("small-hrnet-w16", "--chart", tmp_path / "x.png")
    assert "a chart needs matplotlib" in str(done.exception)


def test_report_and_chart_of_given_times(tmp_path):
    def case(runtime, path):
        plan = BuildPlan("net", 17)
        return Case("net", runtime, "fp32", (256, 192), path, plan, ops=5e8)

    file = tmp_path / "net.bhr"
    file.write_bytes(bytes(1000))
    measured = {
        case("engine", file): measurement(0.004, 0.002, 0.003, peak=3_000_000),
        case("torch", Path("nowhere")): measurement(*np.linspace(0.01, 0.02, 11)),
    }
    rows = report(measured, threads=2, cores=[0, 1], isa="portable")["rows"]
    assert [row["median_ms"] for row in rows] == [3.0, 15.0]
    assert [row["ratio_to_first"] for row in rows] == [1.0, 5.0]
    assert rows[1]["p90_ms"] == pytest.approx(19.0)
    assert rows[0]["threads"] == 2
    assert [row["min_ms"] for row in rows] == [2.0, 10.0]
    assert [row["cpu_ms"] for row in rows] == [6.0, 30.0]
    assert [row["peak_mb"] for row in rows] == [3.0, None]
    write_chart(measured, tmp_path / "chart.svg")
    assert b"<svg" in (tmp_path / "chart.svg").read_bytes()
    with pytest.raises(BihrnetError, match=r"must end in \.png"):
        write_chart(measured, tmp_path / "chart.nothing")
    with pytest.raises(BihrnetError, match="cannot be written"):
        write_chart(measured, file / "chart.png")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes cannot be pinned")
def test_processes_are_pinned_and_their_memory_is_reported(tmp_path):
    path = tmp_path / "mine.bhr"
    write_model(hourglass(), path)
    row = Case("mine", "engine", "fp32", (64, 64), path, BuildPlan("net", 14), 1.0)
    (core,) = choose_cores(1)
    allowed = []

    def look():
        (child,) = multiprocessing.active_children()
        allowed.append(os.sched_getaffinity(child.pid))

    measured = measure([row], threads=1, cores=[core], rounds=2, warn=pytest.fail, progress=look)
    assert allowed == [{core}] * 2
    assert len(measured[row].runs) == 6
    assert 10e6 < measured[row].peak_memory < 10e9


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes cannot be pinned")
def test_physical_cores_come_before_their_siblings(monkeypatch):
    siblings = {0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(siblings))
    monkeypatch.setattr("bihrnet.bench.processor._thread_siblings", siblings.get)
    assert choose_cores(3) == [0, 1, 2]
    assert choose_cores(9) == [0, 1, 2, 3]


@pytest.mark.parametrize("option", ["--json", "--chart"])
def test_a_place_that_cannot_be_written_is_told_before_the_work(monkeypatch, tmp_path, option):
    monkeypatch.setattr("bihrnet.bench.cases.prepare", None)
    (tmp_path / "file").touch()
    done = command("small-hrnet-w16", option, tmp_path / "file" / "x.png")
    assert isinstance(done.exception, BihrnetError)
    assert "cannot be written" in str(done.exception)
