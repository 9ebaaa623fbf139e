"""The folder of a run: who may write there."""

from __future__ import annotations

import multiprocessing
import os
import shlex
import sys
from pathlib import Path

import pytest
from tiny_run import tiny_recipe

from bihrnet.errors import BihrnetError
from bihrnet.training.options import RunOptions
from bihrnet.training.recipe_files import load_recipe
from bihrnet.training.run_folder import RunFolder


def open_elsewhere(out: Path, said: Path, **recipe: object) -> None:
    """Open the folder in another process; what it says is written to a file."""

    def attempt() -> None:
        try:
            changed = tiny_recipe(**recipe)
            RunFolder(out, changed).open(changed, resume=False)
            said.write_text("opened")
        except BihrnetError as error:
            said.write_text(str(error))
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=attempt)
    process.start()
    process.join(30)


@pytest.mark.skipif(sys.platform == "win32", reason="two runs are not noticed there")
def test_a_second_process_is_turned_away_and_changes_nothing(tmp_path):
    recipe, said = tiny_recipe(), tmp_path / "said"
    folder = RunFolder(tmp_path, recipe)
    folder.open(recipe, resume=False)
    open_elsewhere(tmp_path, said, epochs=7)
    assert said.read_text() == f"{folder.path} is being trained in by another process"
    assert load_recipe(folder.recipe) == recipe

    del folder  # as when its process ends
    open_elsewhere(tmp_path, said, epochs=7)
    assert said.read_text() == "opened"


def test_the_resume_command_has_the_options_of_the_run_quoted_for_a_shell(tmp_path):
    folder = RunFolder(tmp_path / "my runs", tiny_recipe())
    options = RunOptions(
        data=Path("it's here"),
        out=tmp_path / "my runs",
        workers=0,
        compile=True,
        teacher_answers=Path("a b"),
    )
    command = folder.resume_command(options)
    assert shlex.split(command) == [
        *("bihrnet", "train", str(folder.recipe), "--resume", "--out", str(tmp_path / "my runs")),
        *("--data", "it's here", "--workers", "0", "--teacher-answers", "a b", "--compile"),
    ]


def test_a_file_that_has_moved_is_found_by_the_recipe_in_the_folder(tmp_path):
    before, after = (
        tiny_recipe(teacher={"architecture": "tiny", "checkpoint": f"{place}/best.ckpt"})
        for place in ("old", "new")
    )
    folder = RunFolder(tmp_path, before)
    folder.open(before, resume=False)
    folder.last.touch()
    del folder
    folder = RunFolder(tmp_path, after)
    folder.open(after, resume=True)
    assert load_recipe(folder.recipe) == after


def test_a_folder_that_cannot_be_created_is_reported(tmp_path):
    (tmp_path / "file").touch()
    recipe = tiny_recipe()
    with pytest.raises(BihrnetError, match=r"tiny@tiny: cannot be created: Not a directory"):
        RunFolder(tmp_path / "file", recipe).open(recipe, resume=False)
