"""What all commands share: messages, progress, JSON output, and parsing of options."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from time import monotonic
from typing import TYPE_CHECKING, Any, cast, get_args

from rich.console import Console
from rich.progress import Progress

from bihrnet.errors import BihrnetError
from bihrnet.files import replacing

if TYPE_CHECKING:
    from bihrnet.heatmap import Decoding

#: Messages go to standard error, so that `--json -` leaves standard output to the JSON. A file or
#: a pipe has no width of its own; tables are not cut to 80 columns there.
console = Console(stderr=True, width=None if sys.stderr.isatty() else 120)

#: Results go to standard output, unless the JSON does.
_results = Console(width=None if sys.stdout.isatty() else 120)

#: Seconds after which `busy` reports.
_PATIENCE = 1.5
#: Seconds between two lines of `progress`.
_INTERVAL = 10.0

#: A list of numbers as `json.dumps` spreads it over lines. Text cannot match, because its line
#: breaks are escaped.
_SPREAD_NUMBERS = re.compile(r"\[\n\s*([-+.\deE,\s]+?)\n\s*\]")


def result_console(json: str | None) -> Console:
    """Where a command prints its result as text, given the value of `--json`."""
    return console if json == "-" else _results


def message(text: str, to: Console = console) -> None:
    """Print a line as it is: it may hold a file's name, in which nothing is markup."""
    to.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)


@contextmanager
def busy(text: str) -> Iterator[None]:
    """Report what is going on where it takes longer than `_PATIENCE`.

    On a terminal a spinner shows until the block ends; elsewhere a line is printed.
    """
    status = console.status(text) if console.is_terminal else None
    timer = Timer(_PATIENCE, status.start if status else lambda: message(f"{text} ..."))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        if status:
            status.stop()


@contextmanager
def progress(text: str, total: int) -> Iterator[Callable[[int], None]]:
    """Report the progress of long work; yields a function that takes the number of items done.

    A bar on a terminal; elsewhere a line at the beginning and every ten seconds.
    """
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(text, total=total)
        reported = monotonic()

        def update(done: int) -> None:
            nonlocal reported
            bar.update(task, completed=done)
            if not console.is_terminal and done < total and monotonic() - reported > _INTERVAL:
                reported = monotonic()
                message(f"{text}: {done} of {total}")

        if not console.is_terminal:
            message(f"{text}: {total} in all")
        yield update


def write_json(data: Any, target: str | Path | None) -> None:
    """Write JSON to a file (whole or not at all), to standard output for "-", or nowhere.

    Raises:
        BihrnetError: the file cannot be written; an old one is untouched.
    """
    if target is None:
        return
    text = _pretty(data) + "\n"
    if str(target) == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    path = Path(target)
    if _is_stream(path):
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise BihrnetError(f"{path}: cannot be written: {error.strerror or error}") from error
        return
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def check_writable(target: str | Path | None, others: Iterable[str | Path | None] = ()) -> None:
    """Fail before the work rather than after it, where `write_json` would fail.

    Args:
        target: as `write_json` takes it.
        others: files that the command reads or writes besides; None for an option not given.

    Raises:
        BihrnetError: no file can be created at `target`, or it would overwrite another.
    """
    if target is None or str(target) == "-" or _is_stream(Path(target)):
        return
    path = Path(target)
    if path.resolve() in {Path(other).resolve() for other in others if other is not None}:
        raise BihrnetError(
            f"{path}: would overwrite another file of this command; choose another name"
        )
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise BihrnetError(f"{path}: cannot be written: {error.strerror or error}") from error


def parse_size(text: str) -> tuple[int, int]:
    """Read "256x192" as (256, 192), height first; both multiples of 32 between 32 and 2048."""
    height, _, width = text.lower().partition("x")
    try:
        size = int(height), int(width)
    except ValueError:
        raise BihrnetError(f"size {text!r} is not of the form HEIGHTxWIDTH, as 256x192") from None
    if any(side % 32 or not 32 <= side <= 2048 for side in size):
        raise BihrnetError(f"size {text!r}: both sides must be multiples of 32 from 32 to 2048")
    return size


def parse_decoding(text: str | None) -> Decoding | None:
    """The value of `--decoding`; None where it was not given."""
    from bihrnet.heatmap import Decoding

    for known in get_args(Decoding):
        if text == known:
            return cast("Decoding", known)
    if text is None:
        return None
    raise BihrnetError(f"--decoding takes one of {', '.join(get_args(Decoding))}, not {text!r}")


def _is_stream(path: Path) -> bool:
    """/dev/null or a shell's >(command), which is written to and never replaced by a file."""
    return path.is_char_device() or path.is_fifo()


def _pretty(data: Any) -> str:
    """Indented JSON with every list of numbers on one line, a keypoint for instance."""
    text = json.dumps(data, indent=1, allow_nan=False)
    return _SPREAD_NUMBERS.sub(lambda found: "[" + " ".join(found[1].split()) + "]", text)
