"""What all commands share: the console, JSON output and the parsing of sizes."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from rich.console import Console

from bihrnet.errors import BihrnetError
from bihrnet.files import replacing

if TYPE_CHECKING:
    from bihrnet.heatmap import Decoding

#: Words for people go to standard error, so that `--json -` leaves standard output to the JSON.
#: A file or a pipe has no width of its own; tables are not cut to 80 columns there.
console = Console(stderr=True, width=None if sys.stderr.isatty() else 120)

#: What a command finds goes to standard output, unless its JSON does.
_results = Console(width=None if sys.stdout.isatty() else 120)

#: A list of numbers as `json.dumps` spreads it over lines; text cannot match, for its line breaks
#: are escaped.
_SPREAD_NUMBERS = re.compile(r"\[\n\s*([-+.\deE,\s]+?)\n\s*\]")


def result_console(json: str | None) -> Console:
    """Where the result of a command is printed for people, given what `--json` was told."""
    return console if json == "-" else _results


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
    """Fail before hours of work rather than after them, where `write_json` would fail.

    Args:
        target: as `write_json` takes it.
        others: files that the command reads, or writes besides; None for what was not given.

    Raises:
        BihrnetError: no file can be made at `target`, or it would take the place of another.
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
    """What `--decoding` was told, None where it was not given."""
    from bihrnet.heatmap import Decoding

    for known in get_args(Decoding):
        if text == known:
            return cast("Decoding", known)
    if text is None:
        return None
    raise BihrnetError(f"--decoding takes one of {', '.join(get_args(Decoding))}, not {text!r}")


def _is_stream(path: Path) -> bool:
    """/dev/null, or a shell's >(command): written to as it is, never replaced by a file."""
    return path.is_char_device() or path.is_fifo()


def _pretty(data: Any) -> str:
    """Indented JSON with every list of numbers on one line, a keypoint for instance."""
    text = json.dumps(data, indent=1, allow_nan=False)
    return _SPREAD_NUMBERS.sub(lambda found: "[" + " ".join(found[1].split()) + "]", text)
