"""Import of the scripts in `examples/`, which are no package: each folder runs on its own."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2] / "examples"


def load_example(folder: str, *names: str) -> list[ModuleType]:
    """Modules of one folder of examples, which may have the names of another folder's modules.

    They are imported as a script there would import them, and then forgotten.
    """
    sys.path.insert(0, str(ROOT / folder))
    try:
        return [importlib.import_module(name) for name in names]
    finally:
        sys.path.remove(str(ROOT / folder))
        for name in names:
            sys.modules.pop(name, None)
