"""Recipes as YAML files: lookup, inheritance, overrides, and messages about mistakes."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml
from pydantic import BaseModel, ValidationError

from bihrnet.errors import BihrnetError, quoted, shortened
from bihrnet.recipe_keys import RENAMED_KEYS
from bihrnet.training.recipe import Recipe
from bihrnet.yaml_files import parse_yaml, read_yaml

_PACKAGE = Path(__file__).resolve().parents[1]
#: Inside the package where it is installed, next to `src` in a checkout.
_FOLDERS = (_PACKAGE / "recipes", _PACKAGE.parents[1] / "recipes")


def bundled_recipes() -> dict[str, Path]:
    """Name -> file of every recipe that comes with the package; one folder per data set."""
    return {file.stem: file for file in _bundled_files() if not _is_base(file)}


def describe_recipes() -> dict[str, str]:
    """Name -> description of every recipe that comes with the package."""
    return {name: str(_read(file)["description"]) for name, file in bundled_recipes().items()}


def _bundled_files() -> list[Path]:
    folder = next((folder for folder in _FOLDERS if folder.is_dir()), None)
    return sorted(folder.glob("*/*.yaml")) if folder else []


def _is_base(file: Path) -> bool:
    """Whether other recipes extend it: bases cannot be trained by name."""
    return file.stem.partition("-")[0] == "base"


def load_recipe(source: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe by path or bundled name.

    Args:
        source: a YAML file, or the name of a bundled recipe.
        overrides: "key=value" with dots for sections, as "optimizer.lr=3e-3"; values are YAML.

    Raises:
        BihrnetError: no such recipe, invalid YAML, an unknown key or a value out of range.
    """
    path = _find(str(source))
    fields = _read(path)
    if "extends" in fields:
        base = _find_base(path, fields.pop("extends"))
        inherited = _read(base)
        if "extends" in inherited:
            raise BihrnetError(f"{base}: a recipe that is extended cannot itself extend another")
        fields = _merge(inherited, fields)
    fields.setdefault("name", path.stem.rpartition("@")[2])
    for override in overrides:
        fields = _merge(fields, _parse_override(override))
    return parse_recipe(fields, str(path), overrides)


def parse_recipe(fields: Mapping[str, Any], source: str, overrides: Sequence[str] = ()) -> Recipe:
    """Validate a mapping.

    Args:
        fields: of the recipe, overrides included.
        source: name of the mapping in the message of a `BihrnetError`.
        overrides: named in the message instead, if one of them is the mistake.

    Raises:
        BihrnetError: an unknown key or a value out of range.
    """
    for old, new in RENAMED_KEYS.items():
        if old in fields:
            blamed = [override for override in overrides if _key(override).startswith(f"{old}.")]
            raise BihrnetError(f"{_culprit(source, blamed)}: key {old!r} is now called {new!r}")
    try:
        return Recipe.model_validate(fields)
    except ValidationError as error:
        key = ".".join(str(part) for part in error.errors()[0]["loc"])
        blamed = [override for override in overrides if f"{key}.".startswith(_key(override))]
        raise BihrnetError(f"{_culprit(source, blamed)}: {_first_mistake(error)}") from error
    except BihrnetError as error:  # of Augmentation
        raise BihrnetError(f"{source}: {error}") from error


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as YAML, including defaults; `load_recipe` reads it back unchanged."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, width=100)


def _key(override: str) -> str:
    """The key that an override sets, followed by a dot."""
    return f"{override.partition('=')[0]}."


def _culprit(source: str, overrides: Sequence[str]) -> str:
    """What a message begins with: the last override to blame, if there is one."""
    return shortened(overrides[-1]) if overrides else source


def _find_base(path: Path, name: Any) -> Path:
    """The recipe that `path` extends: a file next to it, or a bundled one as "lspet/base.yaml"."""
    if not isinstance(name, str):
        raise BihrnetError(f"{path}: extends {quoted(name)}, which is not the name of a file")
    for folder in (path.parent, *_FOLDERS):
        if os.path.isfile(folder / name):  # unlike Path.is_file, also False for too long a name
            return folder / name
    bases = [f"{file.parent.name}/{file.name}" for file in _bundled_files() if _is_base(file)]
    raise BihrnetError(
        f"{path}: extends {shortened(name)}, which is neither next to it nor bundled "
        f"({', '.join(bases)})"
    )


def _find(source: str) -> Path:
    path = Path(source)
    if os.path.isfile(path):
        return path
    known = bundled_recipes()
    if source in known:
        return known[source]
    if path.suffix in (".yaml", ".yml") and path.stem not in known:
        raise BihrnetError(f"{shortened(source, 200)}: there is no such file")
    near = difflib.get_close_matches(path.stem, known, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "bihrnet recipes lists them"
    raise BihrnetError(f"no recipe {quoted(source)}; {hint}")


def _read(path: Path) -> dict[str, Any]:
    fields = read_yaml(path)
    if not isinstance(fields, dict):
        raise BihrnetError(f"{path}: a recipe is a mapping of keys to values")
    return fields


def _merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`change` over `base`; sections are merged key by key, everything else is replaced."""
    merged = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            value = _merge(old, value)
        merged[key] = value
    return merged


def _parse_override(override: str) -> dict[str, Any]:
    key, equals, text = override.partition("=")
    if not equals or not all(key.split(".")):
        raise BihrnetError(
            f"{quoted(override)} is not of the form key=value, as optimizer.lr=0.003"
        )
    value = parse_yaml(text, shortened(override))
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


def _first_mistake(error: ValidationError) -> str:
    """One clause: the key, the mistake, and what is expected."""
    mistake = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in mistake["loc"])
    if mistake["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        *parents, last = (str(part) for part in mistake["loc"])
        known = _keys_of(Recipe, parents)
        near = difflib.get_close_matches(last, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known there: {', '.join(known)}"
        return f"unknown key {quoted(key)}; {hint}"
    if mistake["type"] == "missing":
        return f"key {quoted(key)} is missing"
    message = shortened(mistake["msg"].removeprefix("Value error, "), 200)
    return f"{shortened(key)}: {message}, not {quoted(mistake['input'])}" if key else message


def _keys_of(section: type, path: Sequence[str]) -> list[str]:
    for part in path:
        hint = get_type_hints(section)[part]
        section = next(item for item in (*get_args(hint), hint) if _is_section(item))
    fields = getattr(section, "model_fields", None)
    return (
        list(fields) if fields is not None else [field.name for field in dataclass_fields(section)]
    )


def _is_section(item: Any) -> bool:
    return is_dataclass(item) or (isinstance(item, type) and issubclass(item, BaseModel))
