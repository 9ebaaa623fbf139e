"""The floors of the package: lower never imports higher, and torch stays where it belongs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "src" / "bihrnet"

#: A file is read in one sitting.
MAX_LINES = 400

FLOORS = {
    0: "errors cpu files yaml_files images coco_schema recipe_keys skeleton crop heatmap pose "
    "model",
    1: "engine nn data",
    2: "zoo estimate evaluation training export bench",
    3: "cli",
}
FLOOR = {part: floor for floor, parts in FLOORS.items() for part in parts.split()}

#: The package itself names parts of every floor, but imports none of them before it is used.
DOORS = {"bihrnet", "bihrnet.__main__"}

#: Parts that need torch; of data only one module does. No other module imports torch or these, not
#: even inside a function.
TORCH_MODULES = ("torch", "lightning", "bihrnet.nn", "bihrnet.training", "bihrnet.data.top_down")
MAY_NEED_TORCH = (*TORCH_MODULES[2:], "bihrnet.export", "bihrnet.bench")

#: The one exception: opening a checkpoint needs nn, inside a function.
EXCEPTION = ("bihrnet.zoo", "bihrnet.nn")


def modules() -> dict[str, ast.Module]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = ["bihrnet", *path.relative_to(PACKAGE).with_suffix("").parts]
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


MODULES = modules()


def imports(tree: ast.Module, deferred: bool = True) -> Iterator[str]:
    """Names of imported modules, `from a import b` as a.b, except those for type checkers only.

    With `deferred` also the imports inside functions.
    """
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide what is imported"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending += node.orelse
        elif deferred or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            pending += ast.iter_child_nodes(node)


def lies_in(module: str, part: str) -> bool:
    return module == part or module.startswith(f"{part}.")


def test_every_module_has_a_floor() -> None:
    unknown = {name for name in MODULES if name not in DOORS and name.split(".")[1] not in FLOOR}
    assert not unknown


@pytest.mark.parametrize("module", [name for name in MODULES if name not in DOORS])
def test_no_module_imports_a_higher_floor(module: str) -> None:
    floor = FLOOR[module.split(".")[1]]
    higher = [
        name
        for name in imports(MODULES[module])
        if name.startswith("bihrnet.") and FLOOR.get(name.split(".")[1], floor) > floor
    ]
    assert not higher


def test_layers_do_not_know_the_models() -> None:
    for module, tree in MODULES.items():
        if lies_in(module, "bihrnet.nn.layers"):
            models = [name for name in imports(tree) if lies_in(name, "bihrnet.nn.models")]
            assert not models, f"{module} imports {models}"


def test_no_file_is_too_long() -> None:
    folders = ("src", "native", "tests", "scripts", "benchmarks", "examples")
    paths = [path for folder in folders for path in (REPOSITORY / folder).rglob("*")]
    sources = [path for path in paths if path.suffix in (".py", ".pyi", ".cpp", ".h", ".js")]
    assert len(sources) > 300
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources}
    assert not {path: length for path, length in lengths.items() if length > MAX_LINES}


def test_parts_do_not_import_each_other_in_a_circle() -> None:
    edges: dict[str, set[str]] = {part: set() for part in FLOOR}
    for module, tree in MODULES.items():
        if module in DOORS:
            continue
        part = module.split(".")[1]
        for name in imports(tree):
            other = name.split(".")[1] if name.startswith("bihrnet.") else part
            if other != part and other in FLOOR:
                edges[part].add(other)
    while leaves := [part for part, others in edges.items() if not others]:
        edges = {part: others - set(leaves) for part, others in edges.items() if others}
    assert not edges


@pytest.mark.parametrize("module", MODULES)
def test_only_parts_that_need_torch_import_it(module: str) -> None:
    if any(lies_in(module, part) for part in MAY_NEED_TORCH) or lies_in(module, "bihrnet.cli"):
        return
    for name in imports(MODULES[module]):
        needing = [part for part in TORCH_MODULES if lies_in(name, part)]
        assert not needing or (module, needing[0]) == EXCEPTION, f"{module} imports {name}"


@pytest.mark.parametrize("module", [name for name in MODULES if lies_in(name, "bihrnet.cli")])
def test_commands_import_torch_inside_their_function_only(module: str) -> None:
    # Predicting works without torch once the engine runs the models.
    deferred = module in ("bihrnet.cli.predict", "bihrnet.cli.demo")
    for name in imports(MODULES[module], deferred):
        assert not any(lies_in(name, part) for part in TORCH_MODULES), f"{module} imports {name}"


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout


def test_importing_the_other_modules_does_not_load_torch() -> None:
    free = [
        name
        for name in MODULES
        if name != "bihrnet.__main__" and not any(lies_in(name, part) for part in MAY_NEED_TORCH)
    ]
    code = "import sys, importlib\n"
    code += f"for name in {free!r}: importlib.import_module(name)\n"
    code += (
        "print(*{'torch', 'lightning', 'scipy', 'matplotlib', 'onnxruntime'} & set(sys.modules))"
    )
    assert run(code).split() == []


def test_import_is_cheap() -> None:
    """Under 150 ms; the fastest of several processes, because other work may slow some down."""
    code = "import time; t = time.perf_counter(); import bihrnet; print(time.perf_counter() - t)"
    assert min(float(run(code)) for _ in range(5)) < 0.15


def test_the_package_offers_its_public_names_only() -> None:
    assert run("import bihrnet; print(*dir(bihrnet))").split() == [
        "BihrnetError", "PoseEstimator", "__version__", "list_models", "load"
    ]  # fmt: skip
    run("from bihrnet import BihrnetError, PoseEstimator, __version__, list_models, load")
    run(
        "import bihrnet\n"
        "try: bihrnet.nothing\n"
        "except AttributeError as error: assert 'nothing' in str(error)\n"
        "else: raise SystemExit(1)"
    )
