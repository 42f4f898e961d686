"""Options that several commands share: tapes, and tables with their columns."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from signal_stream.errors import DataError

if TYPE_CHECKING:
    from signal_stream.ingest import Intake

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
MaxRejected = Annotated[
    str,
    typer.Option("--max-rejected", metavar="SHARE", help="Share of a capture's lines that may be broken, as 0.1%."),
]
MissingBars = Annotated[
    str | None,
    typer.Option(
        "--missing-bars", metavar="empty|skip",
        help="For a table: a bar without a row is one without trades (below a day the default), or none.",
    ),
]  # fmt: skip
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


def verdicts(counts: Mapping[str, Any]) -> str:
    """The verdicts on messages as one line: they add up to the input.

    >>> verdicts({"accepted": 7, "duplicate": 1, "late": 0, "rejected": 0, "input": 8, "clock_steps": 2})
    'accepted 7 + duplicate 1 + late 0 + rejected 0 = input 8   clock_steps 2'
    """
    names = ("accepted", "duplicate", "late", "rejected")
    sides = ("off_book", "clock_steps", "restarts", "gaps", "book_gaps", "waiting")
    text = " + ".join(f"{name} {counts[name]:,}" for name in names) + f" = input {counts['input']:,}"
    more = "   ".join(f"{name} {counts[name]:,}" for name in sides if counts.get(name))
    return f"{text}   {more}" if more else text


def print_refused(intake: Intake, *, examples: int = 3) -> None:
    """Says on stderr how many lines could not be used, why, and the first of them."""
    if intake.refused:
        print(intake.text(), file=sys.stderr)
    for line in intake.first[:examples]:
        print(f"  {line}", file=sys.stderr)
