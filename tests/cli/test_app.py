from __future__ import annotations

import os
import subprocess
import sys

import pytest
import typer

from bihrnet import __version__
from bihrnet.cli import app as module
from bihrnet.errors import BihrnetError


def run(monkeypatch, error: BaseException | None, *arguments: str) -> int:
    """Exit code of `bihrnet ARGUMENTS` with one command in place of all: it raises `error`."""
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def command(value: str = "") -> None:
        if error is not None:
            raise error

    monkeypatch.setattr(module, "app", app)
    monkeypatch.setattr(sys, "argv", ["bihrnet", *arguments])
    with pytest.raises(SystemExit) as caught:
        module.main()
    return caught.value.code or 0


def test_success_is_0(monkeypatch) -> None:
    assert run(monkeypatch, None) == 0


def test_a_users_mistake_is_one_sentence_and_2(monkeypatch, capsys) -> None:
    assert run(monkeypatch, BihrnetError("a.jpg: there is no such file")) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "bihrnet: a.jpg: there is no such file\n")


def test_debug_shows_the_traceback_wherever_it_stands(monkeypatch) -> None:
    for arguments in (["--debug"], ["--value", "x", "--debug"]):
        with pytest.raises(BihrnetError):
            run(monkeypatch, BihrnetError("a.jpg: there is no such file"), *arguments)


def test_a_path_that_cannot_even_be_looked_at_is_one_sentence(monkeypatch, capsys) -> None:
    error = PermissionError(13, "Permission denied", "private/model.bhr")
    assert run(monkeypatch, error) == 2
    assert capsys.readouterr().err == "bihrnet: private/model.bhr: Permission denied\n"
    with pytest.raises(OSError, match="without a file"):
        run(monkeypatch, OSError("without a file"))


def test_a_missing_library_is_told_with_the_remedy(monkeypatch, capsys) -> None:
    for name, extra in (("torch", "train"), ("faster_coco_eval", "train"), ("openvino", "bench")):
        assert run(monkeypatch, ModuleNotFoundError(name=name)) == 2
        captured = capsys.readouterr().err
        assert captured.startswith("bihrnet: this needs ")
        assert captured.endswith(f"which is missing: pip install 'bihrnet[{extra}]'\n")


def test_a_missing_module_of_ours_or_of_a_librarys_own_is_a_defect(monkeypatch) -> None:
    for name in ("bihrnet.nothing", "torch._nothing", None):
        with pytest.raises(ModuleNotFoundError):
            run(monkeypatch, ModuleNotFoundError(name=name))


def test_a_defect_keeps_its_traceback(monkeypatch) -> None:
    with pytest.raises(ZeroDivisionError):
        run(monkeypatch, ZeroDivisionError())


def test_a_wrong_option_is_2_and_ctrl_c_is_130(monkeypatch, capsys) -> None:
    assert run(monkeypatch, None, "--valeu") == 2
    assert "--valeu" in capsys.readouterr().err
    assert run(monkeypatch, KeyboardInterrupt()) == 130


def bihrnet(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bihrnet", *arguments], capture_output=True, text=True, timeout=120
    )


def test_the_real_command_names_its_commands_and_tells_mistakes_in_one_line() -> None:
    listing = bihrnet("--help").stdout
    for command in ("predict", "demo", "train", "evaluate", "info", "models", "doctor"):
        assert command in listing
    assert bihrnet("--version").stdout == f"bihrnet {__version__}\n"
    wrong = bihrnet("evaluate", "--dataset", "imagenet")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("bihrnet: --dataset: unknown 'imagenet'; ")
    assert wrong.stderr.count("\n") == 1
    traced = bihrnet("evaluate", "--dataset", "imagenet", "--debug")
    assert traced.returncode == 1
    assert "Traceback" in traced.stderr


def test_names_too_long_or_of_other_alphabets() -> None:
    wrong = bihrnet("info", f"{'x' * 300}.pth")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "File name too long" in wrong.stderr
    command = [sys.executable, "-m", "bihrnet", "doctor", "日本.bhr"]
    latin = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    told = subprocess.run(command, capture_output=True, text=True, timeout=120, env=latin)
    assert told.returncode == 2
    assert told.stderr == "bihrnet: \\u65e5\\u672c.bhr: there is no such file\n"


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    command = f"{sys.executable} -m bihrnet evaluate --help | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr
