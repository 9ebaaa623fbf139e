"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bihrnet.errors import BihrnetError


class WriteError(BihrnetError):
    """An output file cannot be written: no right, no space, a folder in its place."""


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place once the block ends well.

    A reader sees the old file or the whole new one; a full disk, Ctrl-C or an exception leaves the
    old one untouched. Missing folders are made. The temporary file keeps the suffix, by which
    image and video writers choose the format.

    Raises:
        WriteError: an `OSError` of the block or of the renaming, as a sentence naming `path`.
    """
    path = Path(path)
    temporary = path.with_name(f".{uuid.uuid4().hex}{path.suffix}")
    try:
        try:
            if path.is_dir():
                raise IsADirectoryError(0, "it is a folder")
            if path.exists() and not path.is_file():
                raise OSError(0, "it is a device or a pipe")  # replaced, /dev/null would be gone
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise WriteError(f"{path}: cannot be written: {error.strerror or error}") from error
