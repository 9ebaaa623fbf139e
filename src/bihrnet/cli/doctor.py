"""`bihrnet doctor`: what is installed here, what is missing, and whether models compute right."""

from __future__ import annotations

import os
import platform
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from bihrnet import __version__
from bihrnet.cli.extras import OPTIONAL, remedy
from bihrnet.cli.output import check_writable, write_json
from bihrnet.cpu import available_cores
from bihrnet.errors import BihrnetError

#: These are imported, not just looked up: their binaries may not fit the system.
_NATIVE = ("onnxruntime", "torch")


def doctor(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE.bhr]...", help="Model files to check, besides the bundled."),
    ] = None,
    json: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the report as JSON; - for stdout.")
    ] = None,
) -> None:
    """Say what is installed here, what is missing, and whether models compute right.

    Every model file carries the result for a fixed picture; the engine has to come to the same.
    Exit code 1 where it does not, or cannot run.
    """
    check_writable(json, files or [])
    report = examine(files or [])
    write_json(report, json)
    if json != "-":
        _print(report)
    right = all(all(checks.values()) for checks in report["goldens"].values())
    if not right or "error" in report["engine"]:
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


def examine(files: list[Path]) -> dict[str, Any]:
    """The report: versions as text, None for a library that is missing or broken.

    Args:
        files: `.bhr` files to check, besides the bundled ones.

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
    """Which kernels of the 1-bit engine run here, and why; "error" where none can."""
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
    reason = "forced by BIHRNET_ISA" if engine["forced"] else "the best this processor has"
    return (
        f"{engine['isa']} kernels ({reason}; usable: {', '.join(engine['usable'])}), "
        f"{engine['threads']} threads"
    )


def _goldens(files: list[Path]) -> dict[str, dict[str, bool]]:
    """By model and instruction set: whether the engine computes what the file says.

    Where the engine cannot be loaded, there is no instruction set to check a model with.
    """
    from bihrnet.zoo import find_model, model_cards

    paths = {card.name: card.path for card in model_cards()}
    paths |= {str(file): find_model(file) for file in files}
    try:
        from bihrnet.engine.self_check import check_golden
    except BihrnetError:  # the engine's line of the report says why
        return {name: {} for name in paths}
    return {name: check_golden(path) for name, path in paths.items()}


def _golden_line(checks: dict[str, bool]) -> str:
    if not checks:
        return "not checked, for the engine cannot run"
    wrong = [isa for isa, right in checks.items() if not right]
    if not wrong:
        return f"computes its golden picture right with {', '.join(checks)} kernels"
    return (
        f"WRONG with {', '.join(wrong)} kernels: the file was damaged, the kernels fail here, or "
        "rounding alone changes what this network says"
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
    """The model's name; only Linux keeps it where it can simply be read."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
