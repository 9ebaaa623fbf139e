"""`bihrnet train`: run a recipe."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bihrnet.cli.output import message
from bihrnet.errors import BihrnetError

if TYPE_CHECKING:
    from bihrnet.training.recipe import Recipe


def train(
    recipe: Annotated[
        str,
        typer.Argument(metavar="RECIPE", help="A bundled name (bihrnet recipes) or a YAML file."),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Recipe keys, as optimizer.lr=3e-3."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the data set.")
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(metavar="CKPT", help="Checkpoint of the recipe's teacher.")
    ] = None,
    teacher_answers: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Cache of the teacher's heatmaps for further runs."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Continue the run of this name; if there is none, start it."),
    ] = False,
    devices: Annotated[int, typer.Option(min=1, help="Processes on this machine.")] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="Machines; start with torchrun.")] = 1,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Data-loading processes. Default: half of the cores.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of all runs.")] = Path("runs"),
    compile: Annotated[
        bool, typer.Option("--compile", help="Fuse the training pass with torch.compile.")
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write TensorBoard events.")
    ] = False,
) -> None:
    """Train by a RECIPE: checkpoints, metrics.csv and curves in OUT/<architecture>@<recipe>/."""
    from bihrnet.training.options import RunOptions
    from bihrnet.training.recipe_files import load_recipe

    # A mistake in the recipe is reported before PyTorch is loaded, which takes seconds.
    loaded = _with_teacher(load_recipe(recipe, overrides or []), teacher, teacher_answers)
    message("loading PyTorch ...")
    try:
        from bihrnet.training.process import keep_freed_memory
        from bihrnet.training.run import train as run
    except ModuleNotFoundError as error:
        raise BihrnetError(
            f"training needs {error.name}, which comes with: pip install 'bihrnet[train]'"
        ) from error
    keep_freed_memory()
    options = RunOptions(
        data=data,
        out=out,
        resume=resume,
        devices=devices,
        nodes=nodes,
        workers=workers,
        compile=compile,
        tensorboard=tensorboard,
        teacher_answers=teacher_answers,
    )
    logger, handler = logging.getLogger("bihrnet"), _ConsoleHandler()
    logger.addHandler(handler)
    try:
        run(loaded, options)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    finally:
        logger.removeHandler(handler)


def _with_teacher(recipe: Recipe, checkpoint: str | None, answers: Path | None) -> Recipe:
    """The recipe with the checkpoint of `--teacher`; refuses both options without a teacher."""
    if recipe.teacher is None:
        for option, value in {"--teacher": checkpoint, "--teacher-answers": answers}.items():
            if value is not None:
                raise BihrnetError(f"recipe {recipe.name} has no teacher section, but got {option}")
        return recipe
    if checkpoint is None:
        return recipe
    section = recipe.teacher.model_copy(update={"checkpoint": checkpoint})
    return recipe.model_copy(update={"teacher": section})


class _ConsoleHandler(logging.Handler):
    """Log lines on standard error, above the progress bar if there is one.

    The bar redirects `sys.stderr` while it exists, so the handler cannot keep the stream.
    """

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr, flush=True)
