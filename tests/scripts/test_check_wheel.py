"""What the wheel's check looks for; building and installing is the script's own work."""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script():
    path = REPOSITORY / "scripts" / "check_wheel.py"
    spec = importlib.util.spec_from_file_location("check_wheel", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def wheel(script, tmp_path):
    """Makes a wheel of empty files: all that belong there, without `lacking`, with `more`."""

    def make(lacking: str = "", more: str = "bihrnet-0.dist-info/METADATA") -> Path:
        suffixes = (".py", ".pyi", ".typed", ".bhr", ".md", ".jpg")
        names = {*script.paths_below(script.PACKAGE, suffixes), more}
        recipes = REPOSITORY.glob("recipes/*/*.yaml")
        names |= {f"bihrnet/{path.relative_to(REPOSITORY)}" for path in recipes}
        names.add("bihrnet/engine/_native.cpython-311-x86_64-linux-gnu.so")
        with zipfile.ZipFile(tmp_path / "bihrnet-0-any.whl", "w") as archive:
            for name in names - {lacking}:
                archive.writestr(name, b"")
        return tmp_path / "bihrnet-0-any.whl"

    return make


def test_a_whole_wheel_passes(script, wheel, capsys):
    script.look_inside(wheel())
    assert ".bhr" in capsys.readouterr().out


@pytest.mark.parametrize(
    "name",
    [
        "bihrnet/weights/bihrnet-w32__lspet-128x128-18epochs.bhr",
        "bihrnet/samples/person.jpg",
        "bihrnet/recipes/lspet/base.yaml",
        "bihrnet/py.typed",
        "bihrnet/engine/_native.pyi",
    ],
)
def test_what_is_missing_is_named(script, wheel, name):
    with pytest.raises(SystemExit, match=f"lacks {name}"):
        script.look_inside(wheel(lacking=name))


def test_a_wheel_without_the_engine_is_refused(script, wheel):
    engine = "bihrnet/engine/_native.cpython-311-x86_64-linux-gnu.so"
    with pytest.raises(SystemExit, match="holds not one compiled engine"):
        script.look_inside(wheel(lacking=engine))


def test_what_does_not_belong_there_is_named(script, wheel):
    with pytest.raises(SystemExit, match=r"no part of it: native/engine\.cpp"):
        script.look_inside(wheel(more="native/engine.cpp"))
