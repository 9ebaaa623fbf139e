"""`bihrnet recipes`: list the bundled training recipes."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import Annotated

import typer

from bihrnet.cli.output import check_writable, write_json
from bihrnet.errors import BihrnetError


def recipes(
    pattern: Annotated[
        str,
        typer.Argument(metavar="[PATTERN]", help="Part of the names, or a pattern as '*@lspet*'."),
    ] = "*",
    json: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE", help="Write the list; - for standard output."),
    ] = None,
) -> None:
    """List the recipes of `bihrnet train` and what each one stands for."""
    from bihrnet.training.recipe_files import describe_recipes

    check_writable(json)
    known = describe_recipes()
    found = {
        name: description
        for name, description in known.items()
        if fnmatch(name, pattern if "*" in pattern else f"*{pattern}*")
    }
    if not found:
        raise BihrnetError(f"no recipe matches {pattern!r}; there are {len(known)}")
    write_json(
        [{"name": name, "description": description} for name, description in found.items()], json
    )
    if json != "-":
        width = max(map(len, found))
        for name, description in found.items():
            typer.echo(f"{name:<{width}}  {description}")
