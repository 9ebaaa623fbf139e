"""Files that are written whole or not at all, and JSON that is checked when it is read."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bihrnet.errors import BihrnetError, shortened

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")


class WriteError(BihrnetError):
    """An output file cannot be written: no permission, no space, a folder of that name."""


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that replaces it when the block ends without error.

    A reader sees the old file or the complete new one; a full disk, Ctrl-C or an exception leaves
    the old one untouched. Missing folders are created. The temporary file keeps the suffix, by
    which image and video writers choose the format.

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


def read_json(path: str | Path, schema: TypeAdapter[T]) -> T:
    """Parse and validate a JSON file.

    Raises:
        BihrnetError: unreadable, not JSON, or against the schema; the sentence names the file and
            the first entry that is wrong.
    """
    from pydantic import ValidationError

    try:
        return schema.validate_json(Path(path).read_bytes())
    except OSError as error:
        raise BihrnetError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        raise BihrnetError(f"{path}: {_first_mistake(error)}") from error


def check_json(path: str | Path, content: Any, schema: TypeAdapter[T]) -> T:
    """Validate what `read_json` has parsed from `path`, for files of several possible forms.

    Raises:
        BihrnetError: as `read_json`.
    """
    from pydantic import ValidationError

    try:
        return schema.validate_python(content)
    except ValidationError as error:
        raise BihrnetError(f"{path}: {_first_mistake(error)}") from error


def _first_mistake(error: ValidationError) -> str:
    """The entry as an index path and what is wrong: "annotations[3].bbox: Field required"."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    entry = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in first["loc"])
    # pydantic's message for these two is in terms of Python, not of JSON.
    is_object = first["type"] in ("dict_type", "model_type")
    message = "Input should be an object" if is_object else first["msg"]
    message = shortened(message, 300)
    return f"{shortened(entry.lstrip('.'), 120)}: {message}" if entry else message
