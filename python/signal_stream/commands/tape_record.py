"""`signal-stream tape record`: what a source gives, as a tape."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from signal_stream.cli.group import group
from signal_stream.cli.new_file import must_be_new
from signal_stream.cli.progress import progress
from signal_stream.console import STOP
from signal_stream.core_errors import core_error
from signal_stream.durations import duration_ns
from signal_stream.errors import CommandError, TapeError
from signal_stream.ingest import UNUSED

if TYPE_CHECKING:
    from signal_stream.roles import Source
    from signal_stream.store.tape_log import TapeLog

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

    SIGTERM or Ctrl-C ends the recording; the tape appears under its name then, and an existing file is not replaced. What has
    come so far is in OUT.recording, also after a kill -9: `tape convert OUT.recording -o OUT` makes it a tape.
    """
    must_be_new(out)
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
    """Records into a log beside OUT, from which OUT is made at the end, also where the source has failed."""
    from signal_stream.store.tape_log import TapeLog

    folder = recording_of(out)
    if folder.exists():
        raise CommandError(
            "WRITE", "an earlier recording lies here that was cut short", where=str(folder),
            next_step=f"Make it a tape (signal-stream tape convert {folder} -o {out}), or remove it.",
        )  # fmt: skip
    log = TapeLog(folder)
    print(f"recording into {folder}; Ctrl-C ends it", file=sys.stderr)
    try:
        _fill(log, source, limit_ns=limit_ns, limit=limit)
    finally:
        log.close()
        if (why := _never_reached(source)) is None:
            _finish(folder, out)
        else:
            shutil.rmtree(folder)
    if why is not None:
        raise TapeError(
            "UNREADABLE", f"nobody answered, so nothing was recorded{why}", where=str(source.stats()["url"]),
            next_step="Check the address, and whether this machine may reach it.",
        )  # fmt: skip
    refused = dict(source.stats().get("refused", {}))
    unused = refused.pop(UNUSED, 0)
    if unused:
        print(f"unused {unused:,}: frames of streams that nobody uses")
    if refused:
        codes = ", ".join(f"{code} {count:,}" for code, count in sorted(refused.items(), key=lambda each: -each[1]))
        print(f"refused {sum(refused.values()):,}: {codes}")


def _never_reached(source: Source) -> str | None:
    """Of a source that makes connections and never had one: why, as far as it is known; else None."""
    connection = source.stats().get("connection")
    if not connection or connection["connections"]:
        return None
    lost = str(connection["last_loss"]).partition("; next attempt")[0]
    return f" ({lost})" if lost else ""


def recording_of(out: Path) -> Path:
    """The folder that holds a tape while it is recorded."""
    return out.with_name(f"{out.name}.recording")


def _fill(log: TapeLog, source: Source, *, limit_ns: int | None, limit: int | None) -> None:
    started = time.monotonic_ns()
    with progress("recording") as tell:
        while not source.ended and (limit is None or log.messages < limit):
            batch = source.next(_WAIT_NS)
            if batch is not None:
                if limit is not None and log.messages + batch.messages > limit:
                    batch = batch.slice(0, limit - log.messages)
                log.append(batch)
                seconds = max(1e-9, (time.monotonic_ns() - started) / 1e9)
                tell(f"{log.messages / seconds:,.0f} messages/s, written", log.messages)
            if limit_ns is not None and time.monotonic_ns() - started >= limit_ns:
                return


def _finish(folder: Path, out: Path) -> None:
    """Makes the tape of what was recorded; the folder stays where that fails."""
    from signal_stream import _core
    from signal_stream.store.tape_log import log_batches

    try:
        writer = _core.TapeWriter(str(out))
        for batch in log_batches(folder):
            writer.write(batch)
        rows, messages, size = writer.finish()
    except _core.CoreError as error:
        advice = f"What was recorded lies in {folder}: signal-stream tape convert {folder} -o {out} makes it a tape."
        raise core_error(error, "feed", next_step=advice) from None
    shutil.rmtree(folder)
    print(f"{out}  {messages:,} messages, {rows:,} rows, {size / 1e6:.1f} MB")
