"""The folder of one run: what lies where, who may write there, and whether it can go on."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from bihrnet.errors import BihrnetError
from bihrnet.files import WriteError, replacing
from bihrnet.training.checkpoint import remove_incomplete
from bihrnet.training.recipe import Recipe
from bihrnet.training.recipe_files import dump_recipe, load_recipe

if sys.platform != "win32":  # there, two runs in one folder are not noticed
    import fcntl


class RunFolder:
    """`<out>/<architecture>@<recipe>/`.

    Attributes:
        path: the folder.
        last: resumable checkpoint, renewed every epoch and inside long ones.
        best: weights of the best evaluation.
        table: metrics.csv, a row per epoch.
        recipe: resolved, defaults and overrides included.
        log: the lines of the run, with their time.
        curves: picture of the table.
    """

    def __init__(self, out: Path, recipe: Recipe) -> None:
        self.path = out / recipe.model_name
        self.last = self.path / "last.ckpt"
        self.best = self.path / "best.ckpt"
        self.table = self.path / "metrics.csv"
        self.recipe = self.path / "recipe.yaml"
        self.log = self.path / "train.log"
        self.curves = self.path / "curves.png"
        self._lock: TextIO | None = None

    def check(self, recipe: Recipe, resume: bool) -> None:
        """Whether a run of this recipe may begin or go on here; nothing is written.

        Raises:
            BihrnetError: it holds checkpoints and is not to be resumed, or those of another recipe.
        """
        if not self.last.is_file():
            return
        if not resume:
            raise BihrnetError(
                f"{self.path} holds a run already: go on with --resume, or give the new one "
                "another name with name=..."
            )
        _require_same_recipe(load_recipe(self.recipe), recipe, self.recipe)

    def open(self, recipe: Recipe, resume: bool) -> None:
        """Make the folder and claim it for a run of this recipe; for the main process.

        Raises:
            BihrnetError: as `check`; another process trains in it; it cannot be written.
        """
        self._claim()
        self.check(recipe, resume)
        # Of a run that goes on, too: files that it began from may have moved.
        with replacing(self.recipe) as temporary:
            temporary.write_text(dump_recipe(recipe), encoding="utf-8")
        remove_incomplete(self.path)

    def resume_command(self, options: Mapping[str, object]) -> str:
        """What to type to go on in the same way.

        Args:
            options: of the command line, by name without the dashes; those that are None, or
                switches that are off, are left out.
        """
        command = ["bihrnet", "train", str(self.recipe), "--resume", "--out", str(self.path.parent)]
        for name, value in options.items():
            if value is True:
                command += [f"--{name}"]
            elif value is not None and value is not False:
                command += [f"--{name}", str(value)]
        return shlex.join(command)

    def what_is_left(self) -> str:
        """Comfort after a failure."""
        if self.last.is_file():
            return f"the last good checkpoint is {self.last}"
        return "nothing was saved yet"

    def _claim(self) -> None:
        """Take a lock that ends with this process, however it ends."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WriteError(f"{self.path}: cannot be made: {error.strerror or error}") from error
        if sys.platform == "win32":
            return
        self._lock = (self.path / ".lock").open("w")
        try:
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BihrnetError(f"{self.path} is being trained in by another process") from error


def _require_same_recipe(old: Recipe, new: Recipe, source: Path) -> None:
    """A resumed run computes what it began; only files it began from may have moved."""
    before, now = _flat(old.model_dump(mode="json")), _flat(new.model_dump(mode="json"))
    movable = ("description", "initialize_from", "teacher.checkpoint")
    for key in {**before, **now}:
        if key not in movable and before.get(key) != now.get(key):
            raise BihrnetError(
                f"{source} began with {key} {before.get(key)!r} and cannot go on with "
                f"{now.get(key)!r}: resume with that file as the recipe, or give the new run "
                "another name with name=..."
            )


def _flat(fields: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested sections as dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in fields.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat
