"""Build the wheel, install it where nothing else is, use it: ``python scripts/check_wheel.py``.

What a user gets with `pip install bihrnet` is more than the checkout's tests see: weights, samples
and recipes must lie in the wheel, its dependencies must suffice, and no PyTorch may come along. All
work is done in a folder of its own, the checkout stays as it is. Needs pip and a C++20 compiler.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "src" / "bihrnet"

#: Training's libraries; what only finds poses has to do without.
UNWANTED = ("torch", "lightning", "matplotlib", "scipy")
COLD_STARTS = 10


def main() -> None:
    """Run all steps; a failed one ends the script with its sentence."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, help="keep everything here; must not exist yet")
    folder = parser.parse_args().folder
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="bihrnet-wheel-") as temporary:
            check(Path(temporary))
    else:
        folder.mkdir(parents=True)
        check(folder.resolve())


def check(folder: Path) -> None:
    """Build, look inside, install and use."""
    wheel = build(folder)
    look_inside(wheel)
    binaries = install(wheel, folder / "environment")
    work = folder / "work"
    work.mkdir()
    use(binaries / "bihrnet", work)
    time_cold_starts(binaries / "bihrnet", work)


def build(folder: Path) -> Path:
    """The wheel, compiled in `folder`."""
    start = time.perf_counter()
    settings = f"--config-settings=build-dir={folder / 'build'}"
    target = ["--wheel-dir", str(folder)]
    run([sys.executable, "-m", "pip", "wheel", "--no-deps", *target, settings, str(REPOSITORY)])
    (wheel,) = folder.glob("bihrnet-*.whl")
    print(f"{wheel.name}: built in {time.perf_counter() - start:.0f} s")
    return wheel


def look_inside(wheel: Path) -> None:
    """Print what takes the room; fail where a file is missing or does not belong there."""
    with zipfile.ZipFile(wheel) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    expected = {
        *paths_below(PACKAGE, (".py", ".pyi", ".typed", ".bhr", ".md", ".jpg")),
        *(f"bihrnet/{path.relative_to(REPOSITORY)}" for path in REPOSITORY.glob("recipes/*/*")),
    }
    if missing := sorted(expected - sizes.keys()):
        raise SystemExit(f"{wheel.name} lacks {', '.join(missing)}")
    libraries = [name for name in sizes if name.startswith("bihrnet/engine/_native.")]
    if sorted(Path(name).suffix for name in libraries) not in ([".pyi", ".so"], [".pyd", ".pyi"]):
        raise SystemExit(f"{wheel.name} holds not one compiled engine: {', '.join(libraries)}")
    about = {name for name in sizes if ".dist-info/" in name}
    if foreign := sorted(sizes.keys() - expected - about - set(libraries)):
        raise SystemExit(f"{wheel.name} holds what is no part of it: {', '.join(foreign)}")
    parts: Counter[str] = Counter()
    for name, size in sizes.items():
        parts[PurePosixPath(name).suffix or "other"] += size
    print(f"  {wheel.stat().st_size / 1e6:.1f} MB, {len(sizes)} files; unpacked:")
    for suffix, size in parts.most_common():
        print(f"  {suffix:<12}{size / 1e6:8.2f} MB")


def paths_below(folder: Path, suffixes: Iterable[str]) -> list[str]:
    """Paths in the wheel of a folder's files with one of these suffixes."""
    files = (file for file in folder.rglob("*") if file.suffix in suffixes or file.name in suffixes)
    return [file.relative_to(folder.parent).as_posix() for file in files]


def install(wheel: Path, environment: Path) -> Path:
    """Install with the pinned dependencies; the folder of the environment's programs."""
    venv.create(environment, with_pip=True)
    binaries = environment / ("Scripts" if os.name == "nt" else "bin")
    pip = [str(binaries / "python"), "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "install", "--constraint", str(REPOSITORY / "constraints.txt"), str(wheel)])
    packages = {entry["name"].lower() for entry in json.loads(run([*pip, "list", "--format=json"]))}
    if came_along := packages.intersection(UNWANTED):
        raise SystemExit(f"the wheel brings {', '.join(sorted(came_along))}")
    size = sum(file.stat().st_size for file in environment.rglob("*") if file.is_file())
    print(f"installed with {len(packages) - 1} other packages, {size / 1e6:.0f} MB in all")
    return binaries


def use(program: Path, folder: Path) -> None:
    """The commands that work without training's libraries, far from the checkout."""
    demo = run([str(program), "demo"], folder)
    if not (folder / "output" / "person.jpg").is_file():
        raise SystemExit(f"demo has drawn no picture: {demo}")
    report = json.loads(run([str(program), "doctor", "--json", "-"], folder))
    if not Path(report["location"]).is_relative_to(program.parents[1]):
        raise SystemExit(f"another installation answers: {report['location']}")
    models = run([str(program), "models"], folder)
    sample = Path(report["location"]) / "samples" / "people.jpg"
    poses = json.loads(run([str(program), "predict", str(sample), "--json", "-"], folder))
    (found,) = poses["images"][0]["poses"]
    if len(found["keypoints"]) != len(poses["skeleton"]["keypoints"]):
        raise SystemExit(f"predict finds no whole pose: {found}")
    for output in (demo, models):
        print("\n".join(f"  {line}" for line in output.splitlines()))
    print(f"  engine: {report['engine']}")


def time_cold_starts(program: Path, folder: Path) -> None:
    """How long `bihrnet demo` takes as a whole process: import, load, first pose, picture."""
    times = []
    for _ in range(COLD_STARTS):
        start = time.perf_counter()
        run([str(program), "demo"], folder)
        times.append(time.perf_counter() - start)
    best, median = min(times), statistics.median(times)
    print(f"bihrnet demo, {COLD_STARTS} processes: best {best:.3f} s, median {median:.3f} s")


def run(command: Sequence[str], folder: Path | None = None) -> str:
    """Standard output of a command that knows nothing of this checkout; failing ends the script."""
    done = subprocess.run(
        command, cwd=folder, env=clean(os.environ), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} fails:\n{done.stdout}{done.stderr}")
    return done.stdout


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """Without what would lead Python to other packages."""
    paths = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    return {name: value for name, value in environment.items() if name not in paths}


if __name__ == "__main__":
    main()
