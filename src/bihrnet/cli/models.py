"""`bihrnet models`: list the bundled weights."""

from __future__ import annotations

import typer


def models() -> None:
    """List the bundled weights with their metrics; the first is the default."""
    from bihrnet.zoo import model_cards

    cards = model_cards()
    if not cards:
        typer.echo("no weights are bundled; give a model file where a command takes a model")
    for card in cards:
        size = card.path.stat().st_size / 1e6
        metrics = ", ".join(f"{name} {value:g}" for name, value in card.metrics.items())
        typer.echo(f"{card.name}{'  (default)' if card is cards[0] else ''}")
        typer.echo(f"  {card.skeleton}, {card.input_size}, {size:.1f} MB, {card.licence}")
        typer.echo(f"  {card.measured_on}: {metrics}")
