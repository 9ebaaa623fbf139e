from __future__ import annotations

import io
import json
import os
import stat
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bihrnet.cli import output
from bihrnet.cli.output import (
    busy,
    check_writable,
    message,
    parse_size,
    progress,
    write_json,
)
from bihrnet.errors import BihrnetError
from bihrnet.files import replacing


def test_json_to_a_file_in_a_new_folder(tmp_path) -> None:
    path = tmp_path / "new" / "metrics.json"
    write_json({"AP": 0.5, "name": "Büro"}, path)
    assert json.loads(path.read_text(encoding="utf-8")) == {"AP": 0.5, "name": "Büro"}
    assert os.listdir(path.parent) == ["metrics.json"]


def test_a_new_file_has_the_usual_permissions(tmp_path) -> None:
    write_json([], tmp_path / "ours.json")
    (tmp_path / "usual.json").touch()
    ours, usual = (stat.S_IMODE((tmp_path / name).stat().st_mode) for name in os.listdir(tmp_path))
    assert ours == usual


def test_a_dash_is_standard_output_and_none_is_nowhere(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_json({"AP": 1}, None)
    assert capsys.readouterr().out == ""
    write_json({"AP": 1}, "-")
    assert json.loads(capsys.readouterr().out) == {"AP": 1}
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("unwritable", [object(), float("nan")])
def test_what_cannot_be_json_leaves_the_old_file_alone(tmp_path, unwritable) -> None:
    path = tmp_path / "metrics.json"
    path.write_text("old")
    with pytest.raises((TypeError, ValueError)):
        write_json({"AP": unwritable}, path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["metrics.json"]


def test_a_full_disk_is_one_sentence_and_leaves_the_old_file_alone(tmp_path, monkeypatch) -> None:
    path = tmp_path / "metrics.json"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(BihrnetError, match=r"metrics\.json: .*No space left on device"):
        write_json({}, path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["metrics.json"]


def test_a_pipe_is_written_to_and_not_replaced(tmp_path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_json({"AP": 1}, pipe)
    assert json.loads(os.read(reader, 1000)) == {"AP": 1}
    assert pipe.is_fifo()
    os.close(reader)


def test_nothing_replaces_a_device(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (
        pytest.raises(BihrnetError, match="it is a device or a pipe"),
        replacing(tmp_path / "pipe"),
    ):
        pass
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "metrics.json", tmp_path):
        with pytest.raises(BihrnetError, match="cannot be written"):
            write_json({}, place)
        with pytest.raises(BihrnetError, match="cannot be written"):
            check_writable(place)


def test_what_can_be_written_passes_the_check_and_is_left_alone(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "old.json").write_text("old")
    for place in (None, "-", "/dev/null", tmp_path / "pipe", tmp_path / "old.json"):
        check_writable(place)
    check_writable(tmp_path / "new" / "metrics.json")
    assert (tmp_path / "old.json").read_text() == "old"
    assert os.listdir(tmp_path / "new") == []


@given(st.integers(1, 64), st.integers(1, 64), st.sampled_from("xX"))
def test_sizes_are_height_by_width(rows: int, columns: int, cross: str) -> None:
    assert parse_size(f"{32 * rows}{cross}{32 * columns}") == (32 * rows, 32 * columns)


@pytest.mark.parametrize("text", ["", "256", "256x", "x192", "256x192x3", "a x b", "25.6x32"])
def test_what_is_no_size_is_one_sentence(text: str) -> None:
    with pytest.raises(BihrnetError, match="not of the form HEIGHTxWIDTH"):
        parse_size(text)


@pytest.mark.parametrize("text", ["250x192", "0x192", "-32x32", "2080x32", "256x16"])
def test_sizes_that_no_network_takes_are_one_sentence(text: str) -> None:
    with pytest.raises(BihrnetError, match="multiples of 32 from 32 to 2048"):
        parse_size(text)


def test_messages_go_to_standard_error_as_they_are(capsys) -> None:
    text = "[bold]photo[/bold] :smile: " + 50 * "long "
    message(text)
    assert capsys.readouterr() == ("", f"{text}\n")


def test_what_takes_long_is_reported_once_it_does(capsys, monkeypatch) -> None:
    monkeypatch.setattr(output, "_PATIENCE", 0.05)
    with busy("loading a model"):
        time.sleep(0.5)
        assert capsys.readouterr().err == "loading a model ...\n"
    with busy("loading a model"):
        pass
    time.sleep(0.2)
    assert capsys.readouterr().err == ""


def test_progress_is_a_line_now_and_then(capsys, monkeypatch) -> None:
    clock = iter([0.0, 4.0, 11.0, 11.0, 12.0])
    monkeypatch.setattr(output, "monotonic", lambda: next(clock))
    with progress("net on people of lsp", 9) as update:
        for done in (2, 4, 6, 9):
            update(done)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["net on people of lsp: 9 in all", "net on people of lsp: 4 of 9"]


def test_a_terminal_gets_a_spinner_and_a_bar(monkeypatch) -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, width=80)
    monkeypatch.setattr(output, "console", terminal)
    monkeypatch.setattr(output, "_PATIENCE", 0.01)
    with busy("loading a model"):
        time.sleep(0.3)
    with progress("net", 4) as update:
        update(4)
    shown = terminal.file.getvalue()
    assert "loading a model" in shown
    assert "100%" in shown
    assert "in all" not in shown
