"""The one exception for mistakes that the user can correct, and input quoted in its message."""

from __future__ import annotations

from typing import Any


class BihrnetError(Exception):
    """A mistake in the input; the message is one sentence that names its subject and the cause.

    The command line prints the sentence and exits with code 2; a caller of the library catches it.
    Any other exception is a defect of this package.
    """


def shortened(text: str, length: int = 60) -> str:
    """`text` on one line, unprintable characters escaped, cut to `length` characters."""
    line = " ".join(text[: 8 * length].split())
    line = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)
    is_whole = len(line) <= length and len(text) <= 8 * length
    return line if is_whole else f"{line[: length - 3]}..."


def quoted(value: Any, length: int = 60) -> str:
    """`repr(value)`, cut to `length` characters."""
    try:
        return shortened(repr(value), length)
    except ValueError:  # Python does not print integers of more than 4300 digits
        return f"a huge {type(value).__name__}"
