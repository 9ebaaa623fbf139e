"""The `bihrnet` command: registers all commands and prints a mistake as one sentence."""

from __future__ import annotations

import io
import os
import sys
import warnings
from typing import Annotated

import typer

from bihrnet import __version__
from bihrnet.cli import (
    bench,
    demo,
    doctor,
    evaluate,
    export,
    info,
    models,
    predict,
    recipes,
    train,
)
from bihrnet.cli.extras import missing_library
from bihrnet.errors import BihrnetError

app = typer.Typer(
    name="bihrnet",
    help="Human pose estimation with 1-bit networks. With --debug an error shows its traceback.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for module in (predict, demo, train, recipes, evaluate, export, info, bench, models, doctor):
    # Each module holds one command, a function of the module's own name.
    name = module.__name__.rpartition(".")[2]
    app.command(name)(getattr(module, name))


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"bihrnet {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Options of `bihrnet` itself; --version works without a command."""


def main() -> None:
    """Entry point: 0 success, 2 a user's mistake (one sentence on standard error), 130 Ctrl-C."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(
            stream, io.TextIOWrapper
        ):  # a file name may hold characters that the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    # Pillow warns about damaged metadata; what matters of it is reported in one sentence.
    warnings.filterwarnings("ignore", module="PIL")
    try:
        app(args=arguments, prog_name="bihrnet")
    except BihrnetError as error:
        if debug:
            raise
        sys.exit(_fail(str(error)))
    except ModuleNotFoundError as error:
        sentence = missing_library(error)
        if debug or sentence is None:
            raise
        sys.exit(_fail(sentence))
    except BrokenPipeError:
        # The reader (head, less) closed the pipe: no traceback, nor a second one at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:  # of a path without permission, or too long a name
        if debug or error.filename is None:
            raise
        sys.exit(_fail(f"{error.filename}: {error.strerror}"))


def _fail(sentence: str) -> int:
    print(f"bihrnet: {sentence}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    main()
