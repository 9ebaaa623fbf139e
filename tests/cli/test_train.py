"""`bihrnet train`: arguments, sentences, exit codes. Whole runs: tests/training/test_run.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bihrnet.cli import app as cli
from bihrnet.errors import BihrnetError
from bihrnet.training import run
from bihrnet.training.options import RunOptions
from bihrnet.training.recipe import Recipe

DISTILLING, PLAIN = "bihrnet-w32@lspet-128x128", "hrnet-w32@lspet-128x128"


class Call:
    """Replaces the run and keeps its arguments."""

    recipe: Recipe
    options: RunOptions

    def __call__(self, recipe: Recipe, options: RunOptions) -> None:
        self.recipe, self.options = recipe, options


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Call:
    call = Call()
    monkeypatch.setattr(run, "train", call)
    return call


def invoke(*arguments: str) -> int:
    return CliRunner().invoke(cli.app, ["train", *arguments], catch_exceptions=False).exit_code


def test_options_and_overrides_reach_the_run(call):
    arguments = "--data d --out o --resume --devices 2 --nodes 3 --workers 0"
    switches = ("--compile", "--tensorboard")
    overrides = ("optimizer.lr=3e-3", "epochs=2", "name=mine")
    code = invoke(PLAIN, *arguments.split(), *switches, *overrides)
    assert code == 0
    assert call.recipe.model_name == "hrnet-w32@mine"
    assert (call.recipe.optimizer.lr, call.recipe.epochs) == (0.003, 2)
    assert call.options == RunOptions(
        data=Path("d"),
        out=Path("o"),
        resume=True,
        devices=2,
        nodes=3,
        workers=0,
        compile=True,
        tensorboard=True,
    )


def test_the_teacher_is_part_of_the_recipe(call):
    assert invoke(DISTILLING, "--teacher", "a: b.ckpt", "teacher.channels=bgr") == 0
    assert call.recipe.teacher.checkpoint == "a: b.ckpt"
    assert call.recipe.teacher.channels == "bgr"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([PLAIN, "--teacher", "t.ckpt"], "has no teacher section, but got --teacher"),
        ([PLAIN, "--teacher-answers", "t"], "has no teacher section, but got --teacher-answers"),
        ([PLAIN, "epoch=3"], "unknown key 'epoch'; did you mean epochs"),
        (["bihrnet-w23@lspet-128x128"], "no recipe 'bihrnet-w23@lspet-128x128'; did you mean"),
        ([PLAIN, "precision=int1"], "precision: Input should be 'auto', 'bf16' or 'fp32'"),
    ],
)
def test_mistakes_are_one_sentence(call, arguments, sentence):
    with pytest.raises(BihrnetError, match=sentence):
        invoke(*arguments)


def test_a_stopped_run_exits_as_ctrl_c_does(monkeypatch):
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "train", stop)
    assert invoke(PLAIN) == 130


def test_a_recipe_may_be_a_file(call, tmp_path):
    path = tmp_path / "mine.yaml"
    source = Path(__file__).parents[2] / "recipes" / "lspet" / "base.yaml"
    path.write_text(f"{source.read_text()}\narchitecture: hrnet-w16\nloss: bce\n")
    assert invoke(str(path)) == 0
    assert call.recipe.model_name == "hrnet-w16@mine"


def test_a_mistake_in_a_recipe_is_reported_before_torch_is_loaded():
    code = (
        "import sys\n"
        "from bihrnet.cli.app import main\n"
        f"sys.argv = ['bihrnet', 'train', '{PLAIN}', 'epochs=0']\n"
        "try: main()\n"
        "finally: print({'torch', 'lightning'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout.strip() == "set()"
    assert done.stderr.startswith("bihrnet: epochs=0: epochs: Input should be greater")


def test_the_command_reports_what_it_loads(call):
    result = CliRunner().invoke(cli.app, ["train", PLAIN], catch_exceptions=False)
    assert "loading PyTorch" in result.output
