"""Recipe keys that were renamed, for recipe files and for the recipes stored in checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Old name -> new name of a top-level key.
RENAMED_KEYS = {"optimiser": "optimizer", "binarisation": "binarization"}


def with_new_keys(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a stored recipe, whose old keys have their new names."""
    return {RENAMED_KEYS.get(key, key): value for key, value in recipe.items()}
