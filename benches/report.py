"""The table for people and the lines for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Row = Mapping[str, Any]
"""A figure as `Figure.as_plain` gives it, with its bench and machine."""


def write_lines(rows: Iterable[Row], path: Path) -> None:
    """One JSON object a line. The file is replaced at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    unfinished.replace(path)


def show(rows: Iterable[Row], console: Console) -> None:
    """Prints the table, the notes under it, and how many goals hold."""
    from rich.markup import escape

    rows = list(rows)
    console.print(_table(rows))
    for note, numbered in groupby(enumerate(rows, 1), key=lambda pair: str(pair[1]["note"])):
        numbers = [number for number, _ in numbered]
        if note:
            span = f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]}–{numbers[-1]}"
            console.print(f"[dim]{span:>5}  {escape(note)}[/]", highlight=False)
    held = sum(row["holds"] is True for row in rows)
    missed = sum(row["holds"] is False for row in rows)
    absent = sum(row["goal"] is not None and row["holds"] is None for row in rows)
    style = "bold red" if missed else "bold yellow" if absent else "bold green"
    console.print(f"[{style}]{held} goals hold, {missed} MISSED, {absent} not measured[/]")


def _table(rows: list[Row]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("work", overflow="fold", min_width=24)
    table.add_column("ours", justify="right", no_wrap=True)
    table.add_column("unit", overflow="fold")
    table.add_column("peer", overflow="fold", min_width=10)
    table.add_column("peer's", justify="right", no_wrap=True)
    table.add_column("ratio", justify="right", no_wrap=True)
    table.add_column("goal", no_wrap=True)
    for i, row in enumerate(rows):
        table.add_row(
            str(i + 1),
            row["work"],
            _with_spread(row["value"], row["spread"]),
            row["unit"],
            row["peer"] or "",
            _with_spread(row["peer_value"], row["peer_spread"]),
            "" if row["ratio"] is None else f"{row['ratio']:.2f}",
            _verdict(row),
            end_section=i + 1 < len(rows) and rows[i + 1]["bench"] != row["bench"],
        )
    return table


def _verdict(row: Row) -> str:
    if row["goal"] is None:
        return ""
    verdict = {True: "[green]holds[/]", False: "[bold red]MISSED[/]", None: "[yellow]not measured[/]"}[row["holds"]]
    return f"{row['goal']}  {verdict}"


def _with_spread(value: float | None, spread: list[float] | None) -> str:
    """The value and, where it varied, between what."""
    if value is None:
        return ""
    if spread is None or spread[0] == spread[1]:
        return number(value)
    return f"{number(value)} [dim]({number(spread[0])}–{number(spread[1])})[/]"


def number(value: float) -> str:
    """Three digits that count, thousands apart.

    >>> [number(x) for x in (0.0123, 5.678, 1234.5, 17_345_678.0)]
    ['0.0123', '5.68', '1,234', '17.3M']
    """
    if abs(value) == math.inf:
        return "no number"
    if abs(value) >= 1e6:
        return f"{value / 1e6:.3g}M"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
