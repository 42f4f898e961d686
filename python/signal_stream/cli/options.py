"""Options that several commands share: the registry, the graph, and the events that it runs over."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any, get_type_hints

import typer

from signal_stream.errors import CommandError

MaxRejected = Annotated[
    str,
    typer.Option(
        "--max-rejected",
        metavar="SHARE",
        help="Share of a capture's lines, or a table's rows, that may be refused, as 0.1%.",
    ),
]
Venue = Annotated[
    str | None,
    typer.Option("--venue", metavar="NAME", help="Whose frames a capture holds, where they are not recognised."),
]
RegistryFolder = Annotated[str, typer.Option("--registry", metavar="DIR", help="The registry's folder.")]
GraphFile = Annotated[str, typer.Argument(metavar="GRAPH.py[:name]", help="The file that holds the graph.")]


@dataclass(frozen=True, kw_only=True)
class InputOptions:
    """Which events a graph runs over, and how the columns of a table are read. A command takes it by `with_input`."""

    tape: Annotated[
        list[str],
        typer.Option(
            "--tape",
            metavar="FILE",
            help="A tape or raw capture, several are merged; or one table: CSV, Parquet, Feather.",
        ),
    ]
    columns: Annotated[
        str,
        typer.Option(
            "--columns", metavar="FIELD=COLUMN,…", help="For a table: which column is which field, as close=c."
        ),
    ] = ""
    instrument: Annotated[
        str | None,
        typer.Option("--instrument", metavar="ID", help="The instrument id, for a table without an instrument column."),
    ] = None
    latency: Annotated[str | None, typer.Option("--latency", metavar="20ms", help="For a table without ts_recv.")] = (
        None
    )
    lateness: Annotated[
        str | None,
        typer.Option("--lateness", metavar="2s", help='For a graph with axis="event": how late events may come.'),
    ] = None
    amend_within: Annotated[
        str | None,
        typer.Option(
            "--amend-within",
            metavar="5m",
            help='For a graph with axis="event": how late events may be to change what was given.',
        ),
    ] = None
    time_unit: Annotated[
        str | None,
        typer.Option(
            "--time-unit", metavar="s|ms|us|ns", help="For a table whose times are whole numbers: their unit."
        ),
    ] = None
    max_rejected: MaxRejected = "0.1%"
    missing_bars: Annotated[
        str | None,
        typer.Option(
            "--missing-bars",
            metavar="empty|skip|90d",
            help="For a table: a bar without a row is one without trades (below a day the default; so long at most), or none.",
        ),
    ] = None

    length: Annotated[
        str | None,
        typer.Option(
            "--length",
            metavar="1m",
            help="For a table of bars: their length, if the graph's shortest is longer and is made of them.",
        ),
    ] = None

    def reading(self) -> dict[str, Any]:
        """All but the tapes, as the keyword arguments of `backfill` and `parity` in `research`.

        >>> InputOptions(tape=["bars.parquet"], columns="close=c").reading()["columns"]
        {'close': 'c'}
        """
        found = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "tape"}
        return found | {"columns": column_map(self.columns)}


def with_input(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of InputOptions on its command line, in place of its parameter `events`."""
    hints = get_type_hints(InputOptions, include_extras=True)
    parameter = inspect.Parameter
    shown: list[inspect.Parameter] = []
    for own in inspect.signature(command, eval_str=True).parameters.values():
        if own.name != "events":
            shown.append(own.replace(kind=parameter.KEYWORD_ONLY))
            continue
        for name, option in inspect.signature(InputOptions).parameters.items():
            shown.append(parameter(name, parameter.KEYWORD_ONLY, default=option.default, annotation=hints[name]))

    @functools.wraps(command)
    def run(**given: Any) -> None:
        events = InputOptions(**{name: given.pop(name) for name in hints})
        command(events=events, **given)

    run.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in shown}
    return run


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
            raise CommandError(
                "BAD_OPTION", f'--columns has "{pair}"', next_step="Write FIELD=COLUMN, as close=c,volume=v."
            )
        if field.strip() in out:
            raise CommandError(
                "BAD_OPTION", f'--columns names "{field.strip()}" twice', next_step="Name the one column that it is."
            )
        out[field.strip()] = column.strip()
    return out
