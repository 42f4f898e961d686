"""Options that several commands share: tapes, and tables with their columns."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from signal_stream.errors import DataError

Tapes = Annotated[
    list[str],
    typer.Option("--tape", metavar="FILE", help="A tape, a raw capture, or a Parquet table. May be repeated: merged."),
]
Columns = Annotated[
    str,
    typer.Option("--columns", metavar="FIELD=COLUMN,…", help="For a table: which column is which field, as close=c."),
]
Instrument = Annotated[str | None, typer.Option("--instrument", metavar="ID", help="For a table: whose it is.")]
Latency = Annotated[str | None, typer.Option("--latency", metavar="20ms", help="For a table without ts_recv.")]
Lateness = Annotated[
    str | None,
    typer.Option("--lateness", metavar="2s", help='For a graph with axis="event": how late events may come.'),
]
TimeUnit = Annotated[
    str | None,
    typer.Option("--time-unit", metavar="s|ms|us|ns", help="For a table whose times are whole numbers: their unit."),
]
GraphFile = Annotated[str, typer.Argument(metavar="GRAPH.py[:name]", help="The file that holds the graph.")]


def column_map(text: str) -> dict[str, str]:
    """`close=c,volume=v` as a mapping.

    >>> column_map("close=c, volume=v")
    {'close': 'c', 'volume': 'v'}
    """
    pairs = [part.strip() for part in text.split(",") if part.strip()]
    out = {}
    for pair in pairs:
        field, equals, column = pair.partition("=")
        if not equals or not field.strip() or not column.strip():
            raise DataError(
                "BAD_VALUE", f'--columns has "{pair}"', next_step="Write FIELD=COLUMN, as close=c,volume=v."
            )
        out[field.strip()] = column.strip()
    return out


@contextmanager
def progress(text: str) -> Iterator[Callable[..., None]]:
    """A live line on a terminal, silence otherwise. Call it with the messages done, or with a name and the messages."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=None)

        def tell(*news: Any) -> None:
            bar.update(task, description=f"{text} {news[0]}" if len(news) > 1 else text, completed=news[-1])

        yield tell
