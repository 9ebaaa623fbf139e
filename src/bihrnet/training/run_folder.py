"""The folder of a run: its files, its lock, and whether a run may start or resume in it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any, TextIO

from bihrnet.errors import BihrnetError, quoted
from bihrnet.files import WriteError, replacing
from bihrnet.training.options import RunOptions
from bihrnet.training.recipe import Recipe
from bihrnet.training.recipe_files import dump_recipe, load_recipe
from bihrnet.training.state import remove_incomplete

if sys.platform != "win32":  # on Windows, two runs in one folder are not detected
    import fcntl


class RunFolder:
    """`<out>/<architecture>@<recipe>/`.

    Attributes:
        path: the folder.
        last: resumable checkpoint, renewed every epoch and inside long ones.
        best: weights of the best evaluation.
        table: metrics.csv, a row per epoch.
        recipe: the complete recipe, with defaults and overrides.
        log: log lines with date and time.
        curves: the table as a picture.
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
        """Check whether a run of this recipe may start or resume here; nothing is written.

        Raises:
            BihrnetError: there are checkpoints and `resume` is false, or they are of another
                recipe.
        """
        if not self.last.is_file():
            return
        if not resume:
            raise BihrnetError(
                f"{self.path} holds a run already: continue it with --resume, or give the new run "
                "another name with name=..."
            )
        _require_same_recipe(load_recipe(self.recipe), recipe, self.recipe)

    def open(self, recipe: Recipe, resume: bool) -> None:
        """Create and lock the folder for a run of this recipe; for the main process.

        Raises:
            BihrnetError: as `check`; another process trains in the folder; it cannot be written.
        """
        self._acquire_lock()
        self.check(recipe, resume)
        # Also when resuming: the files that the run started from may have moved.
        with replacing(self.recipe) as temporary:
            temporary.write_text(dump_recipe(recipe), encoding="utf-8")
        remove_incomplete(self.path)

    def resume_command(self, options: RunOptions) -> str:
        """The command line that resumes this run with the same options."""
        command = ["bihrnet", "train", str(self.recipe), "--resume", *options.arguments()]
        return shlex.join(command)

    def describe_saved(self) -> str:
        """Where the last checkpoint is, for messages about a run that failed."""
        if self.last.is_file():
            return f"the last good checkpoint is {self.last}"
        return "no checkpoint was saved"

    def _acquire_lock(self) -> None:
        """Lock the folder until this process ends, however it ends."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WriteError(
                f"{self.path}: cannot be created: {error.strerror or error}"
            ) from error
        if sys.platform == "win32":
            return
        self._lock = (self.path / ".lock").open("w")
        try:
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BihrnetError(f"{self.path} is being trained in by another process") from error


def _require_same_recipe(old: Recipe, new: Recipe, source: Path) -> None:
    """Refuse a changed recipe, except for the paths of files that the run started from."""
    before, now = _flat(old.model_dump(mode="json")), _flat(new.model_dump(mode="json"))
    movable = ("description", "initialize_from", "teacher.checkpoint")
    for key in {**before, **now}:
        if key not in movable and before.get(key) != now.get(key):
            raise BihrnetError(
                f"{source} has {key} {quoted(before.get(key), 300)}, so the run cannot be resumed "
                f"with {quoted(now.get(key), 300)}: resume with that file as the recipe, or give a "
                "new run another name with name=..."
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
