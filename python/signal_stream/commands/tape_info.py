"""`signal-stream tape info`: what is on a tape, and how good it is."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from signal_stream.cli.group import group
from signal_stream.cli.intake import goes_back, print_refused, verdicts
from signal_stream.cli.options import MaxRejected, Venue
from signal_stream.cli.quality_picture import draw_quality
from signal_stream.cli.tape_folder import tape_folder
from signal_stream.core_errors import core_error
from signal_stream.durations import about, duration_text, utc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from signal_stream import _core
    from signal_stream.research.tape_quality import TapeQuality

_TOTALS: Final = (
    "accepted",
    "duplicate",
    "late",
    "rejected",
    "conflated",
    "off_book",
    "clock_steps",
    "restarts",
    "gaps",
)
_EXAMPLES: Final = "Examples: signal-stream tape info both.parquet\n          signal-stream tape info state/tape"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    group(app, "tape").command("info", epilog=_EXAMPLES)(info)


def info(
    tapes: Annotated[
        list[str],
        typer.Argument(
            metavar="TAPE...",
            help="A tape or capture; several are merged. Or one folder: a pipeline's tape, which it may be writing.",
        ),
    ],
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
    folder = tape_folder(tapes, "tape info", venue=venue)
    try:
        if folder is None:
            open_tape(tapes[:1], venue=venue)
            found: dict[str, Any] = json.loads(_core.tape_info(list(tapes), venue=venue))
        else:
            found = _of_log(folder)
    except _core.CoreError as error:
        raise core_error(error, "feed") from None
    intake = Intake()
    intake.take(found["rejects"], found["rejects"]["lines"])
    batches = _log_batches(folder) if folder else iter(open_tape(tapes, venue=venue).next, None)
    quality = _quality(batches, found)
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


def _quality(batches: Iterable[_core.EventBatch], found: dict[str, Any]) -> TapeQuality | None:
    from signal_stream import _core
    from signal_stream.research.tape_quality import TapeQuality

    if found["ts_recv_first"] is None:
        return None
    try:
        return TapeQuality.of(batches, found["ts_recv_first"], found["ts_recv_last"], found["messages"])
    except _core.CoreError as error:
        raise core_error(error, "feed") from None


def _log_batches(folder: Path) -> Iterator[_core.EventBatch]:
    """What a pipeline's tape still holds, to its end as it is now."""
    from signal_stream.store.tape_log import log_batches, survey

    return log_batches(folder, survey(folder).begin.message)


def _of_log(folder: Path) -> dict[str, Any]:
    from signal_stream import _core
    from signal_stream.store.tape_log import list_segments

    tally = _core.TapeTally()
    for batch in _log_batches(folder):
        tally.push(batch)
    found: dict[str, Any] = json.loads(tally.info())
    segments = list_segments(folder)
    size = sum(segment.path.stat().st_size for segment in segments)
    what = f"a pipeline's tape of {len(segments):,} segment{'' if len(segments) == 1 else 's'}"
    found["files"] = [{"path": str(folder), "format": what, "tape_format": None, "bytes": size}]
    return found


def _show(found: dict[str, Any]) -> None:
    from signal_stream.ingest import Intake

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
    totals["input"] = found["messages"] + totals["conflated"]
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
    if (back := found["backwards"])["count"]:
        print(goes_back(back["count"], back["most_ns"]))
    for source in found["sources"]:
        counted = Intake()
        counted.take({"counts": source["rejects"], "first": (), "faults": 0}, source["inputs"])
        print(f"from {source['name']}: {counted.sum}")


def _drift(clock: dict[str, Any]) -> str:
    if clock["drift"] is None:
        return "not told: too short, or too uneven"
    return f"{clock['drift'] * 1e6:+.2f} ± {clock['drift_margin'] * 1e6:.2f} ppm"
