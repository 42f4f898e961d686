"""The options of an input: what a user may say of how events, or the rows of a table, are read.

Each stands here once, with its type, its default and its words on the command line. `compute`, `backfill`, `parity`, `lookahead`,
`Engine`, `read_table` and their commands take all of theirs from here; the docstring of `compute` says at length what each means.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, NamedTuple, TypedDict, TypeVar, get_args, get_type_hints

from signal_stream.errors import did_you_mean
from signal_stream.ingest import MAX_REJECTED

_F = TypeVar("_F", bound=Callable[..., Any])
_T = TypeVar("_T", bound=Mapping[str, Any])


class Said(NamedTuple):
    """How an option is said on the command line: what stands for its value, its help, and another name."""

    metavar: str
    help: str
    also: tuple[str, ...] = ()


class TableOptions(TypedDict, total=False):
    """How the columns of a table are read."""

    columns: Annotated[
        Mapping[str, str] | None, Said("FIELD=COLUMN,…", "For a table: which column is which field, as close=c.")
    ]
    instrument: Annotated[str | None, Said("ID", "The instrument id, for a table without an instrument column.")]
    latency: Annotated[str | None, Said("20ms", "For a table without ts_recv: how long after ts_event a row is known.")]
    time_unit: Annotated[
        str | None, Said("s|ms|us|ns", "For a table whose times are whole numbers: their unit.", ("--clock",))
    ]
    missing_bars: Annotated[
        str | None,
        Said(
            "empty|skip|90d",
            "For a table: a bar without a row is one without trades (below a day the default; so long at most), or none.",
        ),
    ]
    length: Annotated[
        str | None, Said("1m", "For a table of bars: their length, if longer ones, which the graph reads, are made of them.")
    ]  # fmt: skip


class EngineOptions(TableOptions, total=False):
    """What an engine is told beside its graph: how a table is read, which instruments it is for, and what is late."""

    instruments: list[str] | None
    lateness: Annotated[str | None, Said("2s", 'For a graph with axis="event": how late events may come.')]
    amend_within: Annotated[
        str | None, Said("5m", 'For a graph with axis="event": how late events may be to change what was given.')
    ]


class InputOptions(EngineOptions, total=False):
    """What is said of an input that is read from its beginning to its end."""

    max_rejected: Annotated[
        float | str, Said("SHARE", "Share of a capture's lines, or a table's rows, that may be refused, as 0.1%.")
    ]


DEFAULTS: Final[InputOptions] = {"max_rejected": MAX_REJECTED}
"""Of all others it is None: nothing is said."""


def filled(kind: type[_T], given: Mapping[str, Any]) -> _T:
    """All options of a kind, with the default where one is not given. Raises TypeError for what is none of them.

    >>> filled(TableOptions, {"instrument": "BTC"})["latency"] is None
    True
    """
    known = kind.__annotations__
    for name in given:
        if name not in known:
            raise TypeError(f'there is no option "{name}". {did_you_mean(name, list(known))}')
    found: Any = {name: given.get(name, DEFAULTS.get(name)) for name in known}
    return found  # type: ignore[no-any-return]


def part(kind: type[_T], options: Mapping[str, Any]) -> _T:
    """Those of the options that are of a kind, as the options of an engine among those of an input."""
    found: Any = {name: options[name] for name in kind.__annotations__}
    return found  # type: ignore[no-any-return]


def said(kind: type[Any]) -> dict[str, Said]:
    """The options of a kind that can be given on a command line."""
    hints = get_type_hints(kind, include_extras=True)
    found = {name: get_args(hint)[-1] for name, hint in hints.items()}
    return {name: said for name, said in found.items() if isinstance(said, Said)}


def takes(kind: type[Any]) -> Callable[[_F], _F]:
    """The function, whose signature shows each option of a kind by name, for `help` and for notebooks, instead of `**options`.

    >>> @takes(TableOptions)
    ... def read(path, **options): ...
    >>> list(inspect.signature(read).parameters)[:3]
    ['path', 'columns', 'instrument']
    """
    parameter = inspect.Parameter

    def shown(function: _F) -> _F:
        own = inspect.signature(function)
        kept = [each for each in own.parameters.values() if each.kind is not parameter.VAR_KEYWORD]
        options = [
            parameter(name, parameter.KEYWORD_ONLY, default=DEFAULTS.get(name), annotation=hint)
            for name, hint in get_type_hints(kind).items()
        ]
        function.__signature__ = own.replace(parameters=[*kept, *options])  # type: ignore[attr-defined]
        return function

    return shown
