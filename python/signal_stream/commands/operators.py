"""`signal-stream operators`: what a feature can be made of."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

COLUMNS = ("operator", "family", "warm-up", "missing values", "from", "meaning")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: signal-stream operators --json")(operators)


def operators(as_json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False) -> None:
    """List all operators: operands, warm-up, what becomes of missing values, where the definition is from."""
    from signal_stream import _core

    rows: list[dict[str, Any]] = json.loads(_core.operators())
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    cells = [
        (call(row), row["family"], row["warm_up"], row["missing"], row["citation"], row["meaning"]) for row in rows
    ]
    widths = [max(len(row[i]) for row in (COLUMNS, *cells)) for i in range(len(COLUMNS))]
    for line in (COLUMNS, *cells):
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def call(row: dict[str, Any]) -> str:
    """The operator with its operands, then its parameters.

    >>> call({"name": "shift", "operands": ["x"], "parameters": ["n"]})
    'shift(x; n)'
    >>> call({"name": "atr", "of": "bars", "operands": [], "parameters": ["n"]})
    'bars.atr(n)'
    """
    of = f"{row['of']}." if row.get("of") else ""
    operands, parameters = ", ".join(row["operands"]), ", ".join(row["parameters"])
    return f"{of}{row['name']}({operands}{'; ' if operands and parameters else ''}{parameters})"
