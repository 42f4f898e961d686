"""`signal-stream tape record`: what a source gives, as a tape."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from signal_stream.cli.group import group
from signal_stream.cli.progress import progress
from signal_stream.console import STOP
from signal_stream.core_errors import core_error
from signal_stream.durations import duration_ns
from signal_stream.errors import CommandError

if TYPE_CHECKING:
    from signal_stream.roles import Source

_WAIT_NS: Final = 100_000_000
_DEFAULTS: Final = {"queue_rows": 65_536, "lateness": "0ms", "late": "drop"}
"""Of a source that is named by its URL alone: no tape depends on them."""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    epilog = "Example: signal-stream tape record deployment.toml -o spot.parquet --for 10m"
    group(app, "tape").command("record", epilog=epilog)(record)


def record(
    source: Annotated[
        str,
        typer.Argument(metavar="URL|deployment.toml", help="A source's URL, or a deployment whose source is meant."),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="OUT", help="A .parquet (at rest) or .arrow (hot) file.")],
    span: Annotated[str | None, typer.Option("--for", metavar="10m", help="Ends after so long.")] = None,
    messages: Annotated[int | None, typer.Option("--messages", metavar="N", min=1, help="Ends with so many.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="For file://: another program still writes it.")] = False,
) -> None:
    """Write what a source gives as a tape, until it ends or is stopped.

    SIGTERM or Ctrl-C ends the recording; the tape appears under its name then. An existing file is not replaced.
    """
    if out.exists():
        raise CommandError(
            "WRITE",
            "the file exists already",
            where=str(out),
            next_step="Remove it first, or give another name with -o.",
        )
    limit_ns = None if span is None else _span(span)
    STOP.listen()
    made = _source(source, follow=follow)
    made.open(None)
    STOP.then = lambda _reason: made.stop()
    try:
        if STOP.reason is not None:
            made.stop()
        _record(made, out, limit_ns=limit_ns, limit=messages)
    finally:
        STOP.then = None
        made.close()


def _span(text: str) -> int:
    """`--for` in nanoseconds. Raises CommandError."""
    try:
        if span := duration_ns(text):
            return span
    except ValueError as error:
        raise CommandError("BAD_OPTION", f'--for "{text}" is not {error}', value=text) from None
    raise CommandError("BAD_OPTION", "--for has no length", value=text, next_step="Give one above 0, as 10m.")


def _source(named: str, *, follow: bool) -> Source:
    """The source of a deployment file, or that of a URL."""
    from signal_stream import parts
    from signal_stream.settings import load_deployment

    path = Path(named)
    if "://" not in named and path.suffix == ".toml":
        settings = load_deployment(path).source
    else:
        kind = parts.factory("source", named.partition(":")[0]).Settings
        keys: dict[str, Any] = {"url": named} | _DEFAULTS | ({"follow": True} if follow else {"pace": "max"})
        known = set(kind.keys())
        settings = kind.read({key: value for key, value in keys.items() if key in known})
    found: Source = parts.make("source", settings)
    return found


def _record(source: Source, out: Path, *, limit_ns: int | None, limit: int | None) -> None:
    from signal_stream import _core

    started = time.monotonic_ns()
    done = 0
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        writer = _core.TapeWriter(str(out))
        with progress("tape") as tell:
            while not source.ended and (limit is None or done < limit):
                batch = source.next(_WAIT_NS)
                if batch is not None:
                    if limit is not None and done + batch.messages > limit:
                        batch = batch.slice(0, limit - done)
                    writer.write(batch)
                    done += batch.messages
                    tell("messages written", done)
                if limit_ns is not None and time.monotonic_ns() - started >= limit_ns:
                    break
        rows, written, size = writer.finish()
    except _core.CoreError as error:
        raise core_error(error, "feed") from None
    except OSError as error:
        raise CommandError("WRITE", f"the tape cannot be written: {error.strerror or error}", where=str(out)) from None
    stats = source.stats()
    refused = stats.get("refused", {})
    print(f"{out}  {written:,} messages, {rows:,} rows, {size / 1e6:.1f} MB")
    if refused:
        codes = ", ".join(f"{code} {count:,}" for code, count in sorted(refused.items(), key=lambda each: -each[1]))
        print(f"refused {sum(refused.values()):,}: {codes}")
