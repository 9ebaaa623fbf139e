"""`bihrnet train`: run a recipe."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from bihrnet.errors import BihrnetError


def train(
    recipe: Annotated[str, typer.Argument(help="A YAML file, or the name of a bundled recipe.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Recipe keys, as optimizer.lr=3e-3."),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the data set.")] = None,
    teacher: Annotated[
        str | None, typer.Option(help="Checkpoint of the recipe's teacher.", metavar="CKPT")
    ] = None,
    teacher_answers: Annotated[
        Path | None,
        typer.Option(help="Folder that keeps the teacher's answers for further runs."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on where the run of this name stopped; without one, begin."
        ),
    ] = False,
    devices: Annotated[int, typer.Option(min=1, help="Processes on this machine.")] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="Machines; start with torchrun.")] = 1,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that prepare batches. Default: by cores.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of all runs.")] = Path("runs"),
    compile: Annotated[
        bool,
        typer.Option("--compile", help="Fuse the training pass by torch.compile."),
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write TensorBoard events.")
    ] = False,
) -> None:
    """Train by a RECIPE: checkpoints, metrics.csv and curves in OUT/<architecture>@<recipe>/."""
    try:
        from bihrnet.training.memory import keep_freed_memory
        from bihrnet.training.recipe_files import load_recipe
        from bihrnet.training.run import train as run
    except ModuleNotFoundError as error:
        raise BihrnetError(
            f"training needs {error.name}, which comes with: pip install 'bihrnet[train]'"
        ) from error
    loaded = load_recipe(recipe, overrides or [])
    if loaded.teacher is None:
        for option, value in {"--teacher": teacher, "--teacher-answers": teacher_answers}.items():
            if value is not None:
                raise BihrnetError(f"recipe {loaded.name} has no teacher section, but got {option}")
    elif teacher is not None:
        section = loaded.teacher.model_copy(update={"checkpoint": teacher})
        loaded = loaded.model_copy(update={"teacher": section})
    logger = logging.getLogger("bihrnet")
    logger.addHandler(_ConsoleHandler())
    keep_freed_memory()
    try:
        run(
            loaded,
            data,
            out=out,
            resume=resume,
            devices=devices,
            nodes=nodes,
            workers=workers,
            compile=compile,
            tensorboard=tensorboard,
            teacher_answers=teacher_answers,
        )
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


class _ConsoleHandler(logging.Handler):
    """Lines of the run on standard error, above the progress bar where there is one.

    The bar redirects `sys.stderr` while it lives, so that is looked up for every line.
    """

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr, flush=True)
