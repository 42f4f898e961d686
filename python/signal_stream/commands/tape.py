"""`signal-stream tape`: captures and tables to tapes, tapes merged, what is on them."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from signal_stream.cli.intake import print_refused, verdicts
from signal_stream.cli.options import MaxRejected, column_map
from signal_stream.cli.progress import progress
from signal_stream.cli.quality_picture import draw_quality
from signal_stream.core_errors import core_error
from signal_stream.durations import about, duration_text, utc
from signal_stream.errors import CommandError

if TYPE_CHECKING:
    from signal_stream.research.tape_quality import TapeQuality

_TOTALS = ("accepted", "duplicate", "late", "rejected", "off_book", "clock_steps", "restarts", "gaps")

_IMPORT = (
    "Example: signal-stream tape import bars.csv --kind bars --length 1m --columns ts_open=time,close=c -o bars.parquet"
)
_SHOWN = 8
"""Instruments that are named after an import."""

Venue = Annotated[
    str | None,
    typer.Option("--venue", metavar="NAME", help="Whose frames a capture holds, where they are not recognised."),
]
Out = Annotated[str, typer.Option("-o", "--out", metavar="OUT", help="A .parquet (at rest) or .arrow (hot) file.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    tape = typer.Typer(no_args_is_help=True, help="Make captures and tables tapes, merge tapes, look at them.")
    tape.command("convert", epilog="Example: signal-stream tape convert spot.gz -o spot.parquet")(convert)
    tape.command("import", epilog=_IMPORT)(import_table)
    tape.command("merge", epilog="Example: signal-stream tape merge spot.parquet perp.parquet -o both.parquet")(merge)
    tape.command("info", epilog="Example: signal-stream tape info both.parquet")(info)
    app.add_typer(tape, name="tape")


def convert(
    sources: Annotated[list[str], typer.Argument(metavar="SRC...", help="Raw captures or tapes.")],
    out: Out,
    instruments: Annotated[
        Path | None,
        typer.Option(
            "--instruments", metavar="FILE", help="TOML or Parquet: decimal places, and what instruments are."
        ),
    ] = None,
    venue: Venue = None,
    max_rejected: MaxRejected = "0.1%",
) -> None:
    """Write captures as one tape, merged in order of arrival. Lines that cannot be used are counted and shown."""
    _write(sources, out, max_rejected, instruments, venue)


def import_table(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="CSV, Parquet or Feather; rows of several follow each other.")
    ],
    kind: Annotated[
        str,
        typer.Option("--kind", metavar="bars|trades|quotes|book|lobster", help="What a row is; lobster: a file of its messages."),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="OUT", help="A .parquet (at rest) or .arrow (hot) file.")],
    columns: Annotated[
        str, typer.Option("--columns", metavar="FIELD=COLUMN,…", help="Which column is which field, as close=c.")
    ] = "",
    length: Annotated[str | None, typer.Option("--length", metavar="1m", help="For bars: how long they are.")] = None,
    instrument: Annotated[
        str | None,
        typer.Option("--instrument", metavar="ID", help="The instrument id, for a table without an instrument column."),
    ] = None,
    latency: Annotated[str | None, typer.Option("--latency", metavar="20ms", help="For a table without ts_recv.")] = None,
    time_unit: Annotated[
        str | None,
        typer.Option("--time-unit", "--clock", metavar="s|ms|us|ns", help="For times that are whole numbers: their unit."),
    ] = None,
    missing_bars: Annotated[
        str | None,
        typer.Option(
            "--missing-bars", metavar="empty|skip",
            help="A bar without a row is one without trades (below a day the default), or none.",
        ),
    ] = None,
    decimals: Annotated[
        int | None,
        typer.Option("--decimals", metavar="N", help="Round prices and quantities to N places, where 18 digits are not enough."),
    ] = None,
    book: Annotated[
        str | None,
        typer.Option("--book", metavar="levels|orders", help="For lobster: what the book is made of; levels: its other file."),
    ] = None,
) -> None:  # fmt: skip
    """Write a table of bars, trades, quotes or books as a tape, which serve, replay, parity and backfill read.

    LOBSTER's files too. The table is checked to its last row before anything is written. An existing file is not replaced.
    """
    from signal_stream import _core
    from signal_stream.research.read_table import reading

    if out.exists():
        raise CommandError(
            "WRITE",
            "the file exists already",
            where=str(out),
            next_step="Remove it first, or give another name with -o.",
        )
    table = reading(
        files, kind=kind, length=length, columns=column_map(columns), instrument=instrument, latency=latency,
        time_unit=time_unit, missing_bars=missing_bars, decimals=decimals, book=book,
    )  # fmt: skip
    started = time.perf_counter()
    with progress("tape") as tell:
        table.check(lambda rows: tell("checked", rows))
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            writer = _core.TapeWriter(str(out))
            messages = 0
            for batch in table.batches():
                writer.write(batch)
                messages += batch.messages
                tell("messages written", messages)
            rows, messages, size = writer.finish()
        except _core.CoreError as error:
            raise core_error(error, "feed") from None
        except OSError as error:
            raise CommandError(
                "WRITE", f"the tape cannot be written: {error.strerror or error}", where=str(out)
            ) from None
    seconds = time.perf_counter() - started
    print(
        f"{out}  {messages:,} messages, {rows:,} rows, {size / 1e6:.1f} MB   {table.rows / seconds:,.0f} table rows/s"
    )
    bars = "1 bar" if table.made == 1 else f"{table.made:,} bars"
    made = f" + {bars} without trades, where rows are missing" if table.made else ""
    marks = messages - table.rows - table.made
    if kind == "lobster":
        print(f"{table.rows:,} rows of LOBSTER became {messages:,} messages")
    else:
        print(
            f"{table.rows:,} {kind}{made}{f' + {marks:,} marks of their ends' if marks else ''} = {messages:,} messages"
        )
    if table.rounded:
        numbers = "1 number was" if table.rounded == 1 else f"{table.rounded:,} numbers were"
        print(f"{numbers} rounded to {decimals} decimals")
    names = table.instruments
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    print(f"{len(names):,} {'instrument' if len(names) == 1 else 'instruments'}: {', '.join(names[:_SHOWN])}{more}")


def merge(
    sources: Annotated[list[str], typer.Argument(metavar="A B...", help="Tapes or captures.")],
    out: Out,
    max_rejected: MaxRejected = "0.1%",
) -> None:
    """Merge tapes by receive time; ties keep the order in which the files are given. Deterministic."""
    _write(sources, out, max_rejected)


def _write(
    sources: list[str], out: str, max_rejected: str, instruments: Path | None = None, venue: str | None = None
) -> None:
    from signal_stream import _core
    from signal_stream.ingest import Intake, open_tape, share_of

    share_of(max_rejected)
    intake = Intake()
    reader = open_tape(sources, instruments, venue)
    started = time.perf_counter()
    try:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        writer = _core.TapeWriter(out)
        done = 0
        with progress("tape") as tell:
            while (batch := reader.next()) is not None:
                writer.write(batch)
                done += batch.messages
                tell(done)
        intake.read(reader)
        intake.check(max_rejected)
        rows, messages, size = writer.finish(reader)
    except _core.CoreError as error:
        raise core_error(error, "feed") from None
    except OSError as error:
        raise CommandError("WRITE", f"the tape cannot be written: {error.strerror or error}", where=out) from None
    records = [json.loads(text) for text in reader.records()]
    seconds = time.perf_counter() - started
    inputs = sum(record["inputs"] for record in records)
    print(f"{out}  {messages:,} messages, {rows:,} rows, {size / 1e6:.1f} MB   {messages / seconds:,.0f} messages/s")
    used = sum(record["messages"] for record in records)
    print(f"accepted {used:,} + rejected {inputs - used:,} = input {inputs:,}")
    print_refused(intake, examples=len(intake.first))


def info(
    tapes: Annotated[list[str], typer.Argument(metavar="TAPE", help="A tape or capture; several are merged.")],
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
    venue: Venue = None,
    max_rejected: MaxRejected = "0.1%",
    picture: Annotated[
        Path | None,
        typer.Option("--picture", metavar="OUT.png", help="Draw rates, delays and gaps over the tape's time."),
    ] = None,
) -> None:
    """Show what is on a tape: instruments, kinds, times, gaps, refused lines, the venues' clocks, and the raw files behind it.

    Exits with 2, after showing all, where more of a capture's lines are broken than allowed.
    """
    from signal_stream import _core
    from signal_stream.ingest import Intake, open_tape, share_of

    share_of(max_rejected)
    open_tape(tapes[:1], venue=venue)
    try:
        found: dict[str, Any] = json.loads(_core.tape_info(list(tapes), venue=venue))
    except _core.CoreError as error:
        raise core_error(error, "feed") from None
    intake = Intake()
    intake.take(found["rejects"], found["rejects"]["lines"])
    quality = _quality(tapes, found, venue)
    found["clocks"] = [] if quality is None else [asdict(clock) for clock in quality.clocks()]
    found["silences"] = [] if quality is None else [each._asdict() for each in quality.silences.longest]
    if picture is not None and quality is not None:
        draw_quality(picture, quality, title=" + ".join(Path(tape).name for tape in tapes))
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        _show(found)
        print_refused(intake)
    intake.check(max_rejected)


def _quality(tapes: list[str], found: dict[str, Any], venue: str | None) -> TapeQuality | None:
    from signal_stream import _core
    from signal_stream.ingest import open_tape
    from signal_stream.research.tape_quality import TapeQuality

    if found["ts_recv_first"] is None:
        return None
    try:
        batches = iter(open_tape(tapes, venue=venue).next, None)
        return TapeQuality.of(batches, found["ts_recv_first"], found["ts_recv_last"], found["messages"])
    except _core.CoreError as error:
        raise core_error(error, "feed") from None


def _show(found: dict[str, Any]) -> None:
    for file in found["files"]:
        rows = "" if file["tape_format"] is None else f", tape format {file['tape_format']}"
        print(f"{file['path']}  {file['format']}{rows}  {file['bytes'] / 1e6:.1f} MB")
        if "venue" in file:
            print(f"  frames of {file['venue']} ({file['framing']}): {file['reason']}")
    if found["ts_recv_first"] is not None:
        span = f"{utc(found['ts_recv_first'])} to {utc(found['ts_recv_last'])}"
        print(f"{found['messages']:,} messages, {found['rows']:,} rows   {span}")
    wide = 2 + max((len(stream["instrument"] or "") for stream in found["streams"]), default=0)
    wide = max(wide, 24)
    print(f"{'instrument':<{wide}}{'kind':<16}{'messages':>10}{'rows':>12}{'gaps':>8}{'dup':>8}{'late':>8}")
    for stream in found["streams"]:
        lengths = ", ".join(duration_text(length) for length in stream["lengths_ns"])
        kind = f"{stream['kind']} {lengths}".rstrip()
        print(
            f"{stream['instrument'] or '-':<{wide}}{kind:<16}{stream['messages']:>10,}{stream['rows']:>12,}"
            f" {stream['gaps']:>7,} {stream['duplicate']:>7,} {stream['late']:>7,}"
        )
    totals = {name: sum(stream[name] for stream in found["streams"]) for name in _TOTALS}
    totals["input"] = found["messages"]
    if totals["input"]:
        print(verdicts(totals))
    for silence in found["silences"][:1]:
        print(f"longest time without a message: {about(silence['ns'])} from {utc(silence['begin'])} on")
    for clock in found["clocks"]:
        if clock["declared"]:
            print(f"{clock['venue']} to here: {about(clock['p1'])} for every message, as declared")
            continue
        before = f"   {clock['before']:,} before they happened" if clock["before"] else ""
        print(
            f"{clock['venue']} to here: p1 {clock['p1'] / 1e6:,.1f} ms, median {clock['p50'] / 1e6:,.1f} ms, "
            f"p99 {clock['p99'] / 1e6:,.1f} ms, drift {_drift(clock)}{before}"
        )
    for source in found["sources"]:
        rejected = sum(source["rejects"].values())
        print(
            f"from {source['name']}: accepted {source['messages']:,} + rejected {rejected:,} = input {source['inputs']:,}"
        )


def _drift(clock: dict[str, Any]) -> str:
    if clock["drift"] is None:
        return "not told: too short, or too uneven"
    return f"{clock['drift'] * 1e6:+.2f} ± {clock['drift_margin'] * 1e6:.2f} ppm"
