"""The `bihrnet` command: registers the commands and turns mistakes into one sentence."""

from __future__ import annotations

import os
import sys

import typer

from bihrnet.cli import bench, demo, doctor, evaluate, export, info, models, predict, train
from bihrnet.errors import BihrnetError

app = typer.Typer(
    name="bihrnet",
    help="Human pose estimation that is really binary. With --debug a mistake shows its traceback.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for module in (predict, demo, train, evaluate, export, info, bench, models, doctor):
    # Each module holds one command, a function of the module's own name.
    name = module.__name__.rpartition(".")[2]
    app.command(name)(getattr(module, name))


def main() -> None:
    """Entry point: 0 success, 2 a user's mistake (one sentence on standard error), 130 Ctrl-C."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        app(args=arguments, prog_name="bihrnet")
    except BihrnetError as error:
        if debug:
            raise
        sys.exit(_fail(str(error)))
    except BrokenPipeError:
        # The reader (head, less) went away: not worth a traceback, nor a second one at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _fail(sentence: str) -> int:
    print(f"bihrnet: {sentence}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    main()
