"""`bihrnet doctor`: check the installation, the engine and the model files."""

from __future__ import annotations

import os
import platform
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from bihrnet import __version__
from bihrnet.cli.extras import OPTIONAL, remedy
from bihrnet.cli.output import busy, check_writable, write_json
from bihrnet.cpu import available_cores
from bihrnet.errors import BihrnetError

#: Imported to find out whether their binaries run on this system.
_NATIVE = ("onnxruntime", "torch")


def doctor(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE.bhr]", help="Model files to check besides the bundled."),
    ] = None,
    json: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the report; - for standard output.")
    ] = None,
) -> None:
    """Check the installation: libraries, the engine, and whether models compute correctly.

    Every model file holds its result for a fixed image, which the engine must reproduce.

    The exit code is 1 where it does not, or cannot run.
    """
    from bihrnet.zoo import find_model

    check_writable(json, files or [])
    paths = {str(file): find_model(file) for file in files or []}
    with busy("checking libraries and models"):
        report = examine(paths)
    write_json(report, json)
    if json != "-":
        _print(report)
    correct = all(all(checks.values()) for checks in report["goldens"].values())
    if not correct or "error" in report["engine"]:
        raise typer.Exit(1)


def _print(report: dict[str, Any]) -> None:
    typer.echo(f"bihrnet {report['bihrnet']} in {report['location']}")
    typer.echo(f"Python {report['python']} on {report['system']}")
    typer.echo(f"{report['processor']}, {report['cores']} cores usable")
    typer.echo(f"engine: {_engine_line(report['engine'])}")
    for name, number in report["libraries"].items():
        typer.echo(f"  {name:<18}{number or 'missing'}")
    for gap in report["missing"]:
        typer.echo(f"missing for {gap['needed_for']}: {gap['install']}{_cause(gap['error'])}")
    typer.echo(f"bundled models: {', '.join(report['models']) or 'none'}")
    for model, checks in report["goldens"].items():
        typer.echo(f"  {model}: {_golden_line(checks)}")


def examine(files: dict[str, Path]) -> dict[str, Any]:
    """The JSON document of `bihrnet doctor`; the version of a missing or broken library is None.

    Args:
        files: `.bhr` files to check besides the bundled ones, by the name to report.

    Raises:
        BihrnetError: one of the files cannot be read.
    """
    import cv2
    import numpy as np

    from bihrnet.zoo import list_models

    libraries: dict[str, str | None] = {"numpy": np.__version__, "opencv": cv2.__version__}
    missing = []
    for name, (purpose, _) in OPTIONAL.items():
        libraries[name], error = _version(name)
        if libraries[name] is None:
            missing.append(
                {"library": name, "needed_for": purpose, "install": remedy(name), "error": error}
            )
    return {
        "bihrnet": __version__,
        "location": str(Path(__file__).parents[1]),
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": available_cores(),
        "engine": _engine(),
        "libraries": libraries,
        "missing": missing,
        "models": list_models(),
        "goldens": _goldens(files),
    }


def _engine() -> dict[str, Any]:
    """Which kernels of the engine run here, and why; "error" where none can."""
    try:
        from bihrnet.engine.engine_model import (
            ISA_VARIABLE,
            default_isa,
            default_threads,
            usable_isas,
        )

        return {
            "isa": default_isa(),
            "usable": usable_isas(),
            "forced": os.environ.get(ISA_VARIABLE) or None,
            "threads": default_threads(),
        }
    except BihrnetError as error:
        return {"error": str(error)}


def _engine_line(engine: dict[str, Any]) -> str:
    if "error" in engine:
        return f"cannot run: {engine['error']}"
    reason = "forced by BIHRNET_ISA" if engine["forced"] else "the best of this processor"
    return (
        f"{engine['isa']} kernels ({reason}; usable: {', '.join(engine['usable'])}), "
        f"{engine['threads']} threads"
    )


def _goldens(files: dict[str, Path]) -> dict[str, dict[str, bool]]:
    """By model and instruction set: whether the engine reproduces the file's golden result.

    No instruction sets where the engine cannot be loaded.
    """
    from bihrnet.zoo import model_cards

    paths = {card.name: card.path for card in model_cards()} | files
    try:
        from bihrnet.engine.self_check import check_golden
    except BihrnetError:  # the reason is in the report of the engine
        return {name: {} for name in paths}
    return {name: check_golden(path) for name, path in paths.items()}


def _golden_line(checks: dict[str, bool]) -> str:
    if not checks:
        return "not checked, because the engine cannot run"
    wrong = [isa for isa, correct in checks.items() if not correct]
    if not wrong:
        return f"reproduces its golden result with {', '.join(checks)} kernels"
    return (
        f"WRONG with {', '.join(wrong)} kernels: the file is damaged, the kernels fail here, or "
        "rounding alone changes the result of this network"
    )


def _version(distribution: str) -> tuple[str | None, str | None]:
    """Installed version, or None and, where it is installed but broken, the error."""
    from importlib.metadata import PackageNotFoundError, version  # 10 ms that only doctor needs

    try:
        number = version(distribution)
    except PackageNotFoundError:
        return None, None
    if distribution in _NATIVE:
        try:
            import_module(distribution)
        except (ImportError, OSError) as error:
            return None, str(error)
    return number, None


def _cause(error: str | None) -> str:
    return f" (installed, but: {error})" if error else ""


def _processor() -> str:
    """The processor's model name, where it can be read (Linux), else what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
