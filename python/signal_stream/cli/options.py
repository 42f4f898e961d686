"""Options that several commands share: the registry, the graph, and the events that it runs over."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, Final, get_type_hints, is_typeddict

import typer

from signal_stream.errors import CommandError
from signal_stream.research.input_options import DEFAULTS, InputOptions, said

_SAID: Final = said(InputOptions)


def _option(name: str) -> Any:
    """How an option of an input stands on a command line."""
    metavar, text, also = _SAID[name]
    return typer.Option(f"--{name.replace('_', '-')}", *also, metavar=metavar, help=text)


MaxRejected = Annotated[str, _option("max_rejected")]
Venue = Annotated[
    str | None,
    typer.Option("--venue", metavar="NAME", help="Whose frames a capture holds, where they are not recognised."),
]
RegistryFolder = Annotated[str, typer.Option("--registry", metavar="DIR", help="The registry's folder.")]
GraphFile = Annotated[str, typer.Argument(metavar="GRAPH.py[:name]", help="The file that holds the graph.")]
Tapes = Annotated[
    list[str],
    typer.Option(
        "--tape", metavar="FILE", help="A tape or raw capture, several are merged; or one table: CSV, Parquet, Feather."
    ),
]


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of an input on its command line, in place of its parameter whose type says which: one of
    the kinds in `research/input_options.py`. What is typed comes as `compute` takes it, columns as a mapping."""
    parameter = inspect.Parameter
    shown: list[inspect.Parameter] = []
    place, names = "", list[str]()
    hints = get_type_hints(command, include_extras=True)
    for own in inspect.signature(command).parameters.values():
        if not is_typeddict(hints[own.name]):
            shown.append(own.replace(kind=parameter.KEYWORD_ONLY, annotation=hints[own.name]))
            continue
        place, names = own.name, list(said(hints[own.name]))
        for name in names:
            kind = Annotated[str | None, _option(name)]
            shown.append(parameter(name, parameter.KEYWORD_ONLY, default=DEFAULTS.get(name), annotation=kind))

    @functools.wraps(command)
    def run(**given: Any) -> None:
        options = {name: given.pop(name) for name in names}
        if options["columns"] is not None:
            options["columns"] = column_map(options["columns"])
        command(**given, **{place: options})

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
