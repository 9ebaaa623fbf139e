"""Finding annotation files and the images they name, and reading MATLAB files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bihrnet.errors import BihrnetError


class NotFoundError(BihrnetError):
    """No annotation file exists where a data set's layout has it."""


def read_matlab(path: Path, variable: str) -> Any:
    """One variable of a MATLAB (version 5 to 7) file; structs become objects, 1x1 arrays scalars.

    Raises:
        BihrnetError: unreadable, not a MATLAB file, without that variable, or scipy is missing.
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
    except Exception as error:  # scipy lets through whatever its parser raises
        raise BihrnetError(f"{path}: is not a readable MATLAB file ({error})") from error
    if variable not in content:
        raise BihrnetError(f"{path}: has no variable {variable!r}")
    return content[variable]


def find_file(what: str, candidates: Sequence[Path]) -> Path:
    """The first of the candidates that exists; `NotFoundError` naming all of them otherwise."""
    for path in candidates:
        if path.is_file():
            return path
    expected = " or ".join(str(path) for path in candidates)
    raise NotFoundError(f"{what} not found: expected {expected}")


def find_images(folders: Sequence[Path], names: Iterable[str], annotations: Path) -> Path:
    """The first folder that holds any of the named images, checked to hold all of them.

    Args:
        folders: where a layout may keep its images, the likeliest first.
        names: file names, relative to the folder.
        annotations: the file that names them, for the error message.

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
    expected = " or ".join(str(folder) for folder in folders)
    raise BihrnetError(
        f"{annotations}: none of its {len(wanted)} images was found: expected "
        f"{wanted[0]!r} in {expected}"
    )


def _missing(folder: Path, names: list[str]) -> list[str]:
    """Names without a file. Lists each folder once: a call for each of 100,000 files is slow."""
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
