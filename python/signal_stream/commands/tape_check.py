"""`signal-stream tape check`: the first thing on a tape that should not be there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from signal_stream.cli.group import group
from signal_stream.cli.intake import goes_back
from signal_stream.cli.options import Venue
from signal_stream.cli.tape_folder import tape_folder
from signal_stream.core_errors import core_error
from signal_stream.durations import utc
from signal_stream.errors import CommandError, TapeError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Found = tuple[int, tuple[str, int | None, int | None, str, str] | None, dict[str, int], tuple[int, int]]
"""Messages, the first fault, allowed faults by name, and how often and far time goes back."""

_DAMAGE: Final = ("UNREADABLE", "UNKNOWN_FORMAT", "TRUNCATED", "DAMAGED", "SCHEMA")
_FAULTS: Final = {
    "refused": "lines of a capture that should have become messages",
    "structure": "codes and ends of messages that make no sense",
    "gap": "ids that are missing",
    "duplicate": "ids that came before",
    "clock": "receive times that cannot be",
    "crossed": "quotes whose bid is not below their ask",
}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    epilog = (
        "Examples: signal-stream tape check spot.parquet --allow gap,duplicate\n"
        "          signal-stream tape check state/tape\n\n"
        "Exit: 0 nothing was found, 1 something was, 2 there is no such file."
    )
    group(app, "tape").command("check", epilog=epilog)(check)


def check(
    tapes: Annotated[
        list[str],
        typer.Argument(
            metavar="TAPE...",
            help="Tapes or captures; several are merged. Or one folder: a pipeline's tape, which it may be writing.",
        ),
    ],
    allow: Annotated[
        str, typer.Option("--allow", metavar="FAULT,…", help=f"What may be there: {', '.join(_FAULTS)}.")
    ] = "",
    venue: Venue = None,
) -> None:
    """Read a tape to its first fault, name it with its place, and exit with 1.

    Looked for are damaged bytes, refused lines, missing and repeated ids of trades, quotes and books, receive times that cannot
    be, and crossed quotes.
    """
    allowed = [name.strip() for name in allow.split(",") if name.strip()]
    for name in allowed:
        if name not in _FAULTS:
            raise CommandError(
                "BAD_OPTION",
                f"--allow has no fault {name!r}",
                value=name,
                next_step=f"Known are: {', '.join(_FAULTS)}.",
            )
    shown = " + ".join(tapes)
    try:
        messages, found, counts, back = _looked_at(tapes, allowed, venue)
    except TapeError as error:
        if error.code not in _DAMAGE:
            raise
        print(f"{shown}  DAMAGE  {error.message}")
        raise typer.Exit(1) from None
    if found is not None:
        name, message, ts_recv, place, what = found
        at = "" if message is None or ts_recv is None else f"  message {message:,}  {utc(ts_recv)}"
        print(f"{shown}  {name.upper()}{at}  {place}: {what}")
        raise typer.Exit(1)
    seen = "".join(f"  {name} {count:,} (allowed)" for name, count in counts.items())
    print(f"{shown}  {messages:,} messages, none with a fault{seen}")
    if back[0]:
        print(goes_back(*back))


def _looked_at(tapes: Sequence[str], allowed: Sequence[str], venue: str | None) -> Found:
    from signal_stream import _core
    from signal_stream.ingest import open_tape

    folder = tape_folder(tapes, "tape check", venue=venue)
    try:
        if folder is not None:
            return _of_log(folder, allowed)
        open_tape(tapes, venue=venue)
        return _core.tape_check(tapes, allowed, venue=venue)
    except _core.CoreError as error:
        raise core_error(error, "feed") from None


def _of_log(folder: Path, allowed: Sequence[str]) -> Found:
    """The same of what a pipeline wrote, to its end as it is now; messages are counted from the log's beginning."""
    from signal_stream import _core
    from signal_stream.store.tape_log import log_batches, survey

    begin = survey(folder).begin.message
    check = _core.TapeCheck(allowed)
    for batch in log_batches(folder, begin):
        if not check.push(batch):
            break
    messages, found, counts, back = check.result()
    if found is not None:
        name, message, ts_recv, place, what = found
        found = name, None if message is None else begin + message, ts_recv, place, what
    return messages, found, counts, back
