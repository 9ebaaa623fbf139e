"""`bihrnet recipes`: the bundled recipes with a line each."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from bihrnet.cli.app import app
from bihrnet.errors import BihrnetError
from bihrnet.training.recipe_files import describe_recipes


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["recipes", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_every_recipe_has_a_line() -> None:
    known = describe_recipes()
    lines = [line.split(maxsplit=1) for line in invoke().splitlines()]
    assert dict(lines) == known


@pytest.mark.parametrize("pattern", ["bihrnet-w16@synthetic", "*w16@synthetic-*"])
def test_a_pattern_selects(pattern: str) -> None:
    (line,) = invoke(pattern).splitlines()
    assert line.startswith("bihrnet-w16@synthetic-128x128  A first run without data")


def test_json_goes_to_standard_output() -> None:
    (entry,) = json.loads(invoke("bihrnet-w32@lspet-128x128-reverse", "--json", "-"))
    assert entry == {
        "name": "bihrnet-w32@lspet-128x128-reverse",
        "description": describe_recipes()["bihrnet-w32@lspet-128x128-reverse"],
    }


def test_a_pattern_without_match_is_an_error() -> None:
    with pytest.raises(BihrnetError, match="no recipe matches 'nothing'"):
        invoke("nothing")
