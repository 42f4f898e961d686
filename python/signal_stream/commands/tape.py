"""`signal-stream tape`: captures and tables to tapes, tapes merged, what is on them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from signal_stream.cli.intake import goes_back, print_refused
from signal_stream.cli.new_file import must_be_new
from signal_stream.cli.options import MaxRejected, Venue, with_options
from signal_stream.cli.progress import progress
from signal_stream.core_errors import core_error
from signal_stream.errors import CommandError
from signal_stream.research.input_options import TableOptions

_IMPORT = (
    "Example: signal-stream tape import bars.csv --kind bars --length 1m --columns ts_open=time,close=c -o bars.parquet"
)
_SHOWN = 8
"""Instruments that are named after an import."""

Out = Annotated[str, typer.Option("-o", "--out", metavar="OUT", help="A .parquet (at rest) or .arrow (hot) file.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    tape = typer.Typer(no_args_is_help=True, help="Make captures and tables tapes, merge tapes, look at them.")
    tape.command("convert", epilog="Example: signal-stream tape convert spot.gz -o spot.parquet")(convert)
    tape.command("import", epilog=_IMPORT)(with_options(import_table))
    tape.command("merge", epilog="Example: signal-stream tape merge spot.parquet perp.parquet -o both.parquet")(merge)
    app.add_typer(tape, name="tape")


def convert(
    sources: Annotated[
        list[str], typer.Argument(metavar="SRC...", help="Raw captures or tapes; or one OUT.recording.")
    ],
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
    """Write captures as one tape, merged in order of arrival. Lines that are refused are counted and shown.

    The folder of a recording that was cut short (`tape record`) is made a tape, too.
    """
    if len(sources) == 1 and Path(sources[0]).is_dir():
        _recover(Path(sources[0]), out)
    else:
        _write(sources, out, max_rejected, instruments, venue)


def import_table(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="CSV, Parquet or Feather; rows of several follow each other.")
    ],
    kind: Annotated[
        str,
        typer.Option(
            "--kind", metavar="KIND",
            help="What a row is: bars, trades, quotes, book, reference, definitions; lobster: a file of its messages.",
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="OUT", help="A .parquet (at rest) or .arrow (hot) file.")],
    options: TableOptions,
    decimals: Annotated[
        int | None,
        typer.Option("--decimals", metavar="N", help="Round prices and quantities to N places, where 18 digits are not enough."),
    ] = None,
    max_rejected: MaxRejected = "0.1%",
    book: Annotated[
        str | None,
        typer.Option("--book", metavar="levels|orders", help="For lobster: what the book is made of; levels: its other file."),
    ] = None,
) -> None:  # fmt: skip
    """Write a table of bars, trades, quotes or books as a tape, which serve, replay, parity and backfill read.

    Definitions (what instruments are, since when) and reference data (mark and index prices, funding, open interest) too.

    LOBSTER's files too. The table is checked to its last row before anything is written. An existing file is not replaced.
    """
    from signal_stream import _core
    from signal_stream.ingest import share_of
    from signal_stream.research.read_table import reading

    must_be_new(out)
    share_of(max_rejected)
    table = reading(files, kind=kind, decimals=decimals, book=book, **options)
    started = time.perf_counter()
    with progress("tape") as tell:
        table.check(lambda rows: tell("checked", rows))
        table.intake.check(max_rejected)
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
    elif kind == "reference":
        print(f"{table.rows:,} rows of reference data = {messages:,} messages")
    elif kind == "definitions":
        print(f"{table.rows:,} definitions = {messages:,} messages")
    else:
        print(
            f"{table.rows:,} {kind}{made}{f' + {marks:,} marks of their ends' if marks else ''} = {messages:,} messages"
        )
    if table.rounded:
        numbers = "1 number was" if table.rounded == 1 else f"{table.rounded:,} numbers were"
        print(f"{numbers} rounded to {decimals} decimals")
    names = table.instruments
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    print_refused(table.intake, examples=len(table.intake.first))
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
        back = writer.backwards
        rows, messages, size = writer.finish(reader)
    except _core.CoreError as error:
        raise core_error(error, "feed") from None
    except OSError as error:
        raise CommandError("WRITE", f"the tape cannot be written: {error.strerror or error}", where=out) from None
    seconds = time.perf_counter() - started
    print(f"{out}  {messages:,} messages, {rows:,} rows, {size / 1e6:.1f} MB   {messages / seconds:,.0f} messages/s")
    if intake.lines:
        print(intake.sum)
    if back[0]:
        print(goes_back(*back))
    print_refused(intake, examples=len(intake.first))


def _recover(folder: Path, out: str) -> None:
    """Makes a tape of what a recording has written before it was cut short."""
    from signal_stream import _core
    from signal_stream.store.tape_log import list_segments, log_batches

    if not list_segments(folder):
        raise CommandError(
            "BAD_OPTION", "the folder holds no recording", where=str(folder), next_step="Name captures or tapes."
        )
    try:
        writer = _core.TapeWriter(out)
        for batch in log_batches(folder):
            writer.write(batch)
        rows, messages, size = writer.finish()
    except _core.CoreError as error:
        raise core_error(error, "feed") from None
    print(f"{out}  {messages:,} messages, {rows:,} rows, {size / 1e6:.1f} MB   {folder} may be removed now")
