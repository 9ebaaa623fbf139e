"""Reading annotation files: JSON against a schema, MATLAB files, and the images they name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from bihrnet.errors import BihrnetError

#: A coordinate or length in pixels. The limits keep NaN, infinities and nonsense out.
Pixels = Annotated[float, Field(strict=True, ge=-1e6, le=1e6)]
#: An id as COCO counts them.
Id = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
FileName = Annotated[str, Field(min_length=1, max_length=1000)]

T = TypeVar("T")


class NotFoundError(BihrnetError):
    """No annotation file lies where a data set's layout has it."""


def read_json(path: Path, schema: TypeAdapter[T]) -> T:
    """Parse and validate a JSON file.

    Raises:
        BihrnetError: unreadable, no JSON, or an entry against the schema; the sentence names the
            first such entry.
    """
    try:
        return schema.validate_json(path.read_bytes())
    except OSError as error:
        raise BihrnetError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        entry = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in first["loc"])
        where = f" {entry.lstrip('.')}:" if entry else ""
        raise BihrnetError(f"{path}:{where} {first['msg']}") from error


def read_matlab(path: Path, variable: str) -> Any:
    """One variable of a MATLAB (version 5 to 7) file; structs become objects, 1x1 arrays scalars.

    Raises:
        BihrnetError: unreadable, no MATLAB file, without that variable, or scipy is not installed.
    """
    try:
        from scipy.io import loadmat
    except ImportError:
        raise BihrnetError(f"{path}: needs scipy: pip install 'bihrnet[train]'") from None
    try:
        content = loadmat(
            str(path),
            appendmat=False,
            variable_names=[variable],
            struct_as_record=False,
            squeeze_me=True,
        )
    except OSError as error:
        raise BihrnetError(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # scipy lets through whatever its parser trips over
        raise BihrnetError(f"{path}: is no readable MATLAB file ({error})") from error
    if variable not in content:
        raise BihrnetError(f"{path}: has no variable {variable!r}")
    return content[variable]


def find_file(what: str, candidates: Sequence[Path]) -> Path:
    """The first of the candidates that exists; `NotFoundError` telling all of them otherwise."""
    for path in candidates:
        if path.is_file():
            return path
    looked = " or ".join(str(path) for path in candidates)
    raise NotFoundError(f"{what} not found: expected {looked}")


def find_images(folders: Sequence[Path], names: Iterable[str], annotations: Path) -> Path:
    """The first folder that holds any of the named images, once it is known to hold them all.

    Args:
        folders: where a layout may keep its images, the likeliest first.
        names: file names, relative to the folder.
        annotations: the file that names them, for the sentence.

    Raises:
        BihrnetError: none of the folders holds any, or some images are missing (first one named).
    """
    wanted = sorted(set(names))
    for folder in folders:
        missing = _missing(folder, wanted)
        if not missing:
            return folder
        if len(missing) < len(wanted):
            raise BihrnetError(
                f"{folder}: {len(missing)} of the {len(wanted)} images that {annotations} names "
                f"are missing, first {missing[0]!r}"
            )
    looked = " or ".join(str(folder) for folder in folders)
    raise BihrnetError(
        f"{annotations}: none of its {len(wanted)} images is there: expected "
        f"{wanted[0]!r} in {looked}"
    )


def _missing(folder: Path, names: list[str]) -> list[str]:
    """Names without a file. Lists each folder once: asking for 100,000 files takes far longer."""
    listed: dict[Path, set[str]] = {}
    missing = []
    for name in names:
        path = folder / name
        if path.parent not in listed:
            try:
                listed[path.parent] = set(os.listdir(path.parent))
            except (OSError, ValueError):  # ValueError: a null byte in the name
                listed[path.parent] = set()
        if path.name not in listed[path.parent]:
            missing.append(name)
    return missing
