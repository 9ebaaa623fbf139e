"""Imports inside `bihrnet.nn`: layers know no networks, and a network is one file."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from bihrnet import nn

ROOM = Path(nn.__file__).parent
LAYERS, MODELS = (sorted((ROOM / part).rglob("*.py")) for part in ("layers", "models"))


def imported(path: Path) -> set[str]:
    """Modules of `bihrnet.nn` that a file imports, even inside functions, as "layers.prelu"."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removeprefix("bihrnet.nn.") for name in names if name.startswith("bihrnet.nn")}


@pytest.mark.parametrize("path", LAYERS, ids=lambda path: path.stem)
def test_layers_import_nothing_but_layers(path: Path) -> None:
    assert not {name for name in imported(path) if not name.startswith("layers.")}


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_models_import_layers_models_and_the_registry(path: Path) -> None:
    allowed = ("layers.", "models.", "registry.")
    assert not {name for name in imported(path) if not name.startswith(allowed)}


def test_no_file_outside_names_a_network_s_module() -> None:
    """So that a new network needs no other file than its own."""
    for path in ROOM.glob("*.py"):
        assert not {name for name in imported(path) if name.startswith("models.")}, path


def test_importing_nn_imports_every_network_s_module() -> None:
    code = "import sys, bihrnet.nn; print(*(n for n in sys.modules if n.startswith('bihrnet.nn.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    stems = {path.stem for path in (ROOM / "models").glob("*.py")} - {"__init__"}
    assert len(stems) > 10
    assert {f"bihrnet.nn.models.{stem}" for stem in stems} <= set(done.stdout.split())
