"""Opening tapes and captures; telling them from tables."""

from __future__ import annotations

import re
import stat
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from signal_stream.core_errors import core_error
from signal_stream.errors import TapeError

from .instruments_file import read_instruments
from .intake import MAX_REJECTED, Intake, share_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from signal_stream import _core

Kind = Literal["tape", "capture", "table"]
_HEAD: Final = 65_536
_NAME: Final = re.compile(r"[^\W\d][^{}\[\]<>\x00-\x1f\ufffd]*")
"""A column's name in a CSV file: it begins with a letter, and is no JSON."""


_SEPARATORS: Final = (",", ";", "\t", "|")


def sniff(path: str | Path) -> Kind:
    """What a file holds, by its content: a tape of ours, a raw capture (or what else only the core knows), or a table of bars,
    trades or quotes in a CSV, Parquet or Feather file."""
    file = Path(path)
    if file.is_dir():
        advice = (
            f"Name a file in it; of a recording that was cut short: signal-stream tape convert {path} -o OUT.parquet."
        )
        raise TapeError("UNREADABLE", "it is a folder, and no tape", where=str(path), next_step=advice)
    if not file.is_file():
        raise TapeError("NOT_FOUND", "there is no such file", where=str(path))
    with file.open("rb") as opened:
        head = opened.read(8)
    if head[:4] == b"PAR1":
        return "tape" if _is_tape(file) else "table"
    if head[:6] == b"ARROW1" or head[:4] == b"\xff\xff\xff\xff":
        return "tape" if _is_arrow_tape(file, begins=8 if head[:6] == b"ARROW1" else 0) else "table"
    return "table" if _is_csv(file) else "capture"


def _is_tape(file: Path) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_schema(file).metadata or {}
    except pa.ArrowInvalid as error:
        raise TapeError("UNREADABLE", f"the Parquet file cannot be read: {error}", where=str(file)) from None
    return b"signal_stream.tape" in metadata


def _is_arrow_tape(file: Path, *, begins: int) -> bool:
    """Whether Arrow data, whose schema stands at byte `begins`, is a tape. One that still grows has no footer; one that cannot be
    read counts as a tape: the core says what is wrong with it."""
    import pyarrow as pa

    try:
        with pa.OSFile(str(file)) as opened:
            opened.seek(begins)
            metadata = pa.ipc.open_stream(opened).schema.metadata or {}
    except (pa.ArrowException, OSError):
        return True
    return b"signal_stream.tape" in metadata


def _is_csv(file: Path) -> bool:
    """Whether the first line, of gzip too, names columns: words between commas, or what else separates. The first may have
    none, as pandas' index."""
    with file.open("rb") as opened:
        head = opened.read(_HEAD)
    if head[:2] == b"\x1f\x8b":
        try:
            head = zlib.decompressobj(wbits=31).decompress(head, _HEAD)
        except zlib.error:
            return False
    line = head.partition(b"\n")[0].decode("utf-8-sig", "replace").strip()
    return any(_are_names(line.split(separator)) for separator in _SEPARATORS)


def _are_names(cells: list[str]) -> bool:
    names = [cell.strip().strip('"') for cell in cells]
    if not names[0]:
        names = names[1:]
    return len(names) > 1 and all(_NAME.fullmatch(name) for name in names)


def open_tape(
    paths: Sequence[str | Path], instruments: str | Path | None = None, venue: str | None = None
) -> _core.Reader:
    """Tapes and captures, merged in order of arrival. `next()` gives batches until None. `instruments` is a file that says what
    is known of theirs, `venue` says whose frames captures hold, where they are not recognised."""
    from signal_stream import _core

    for path in paths:
        if sniff(path) == "table":
            raise TapeError(
                "UNKNOWN_FORMAT", "a table, and no tape", where=str(path),
                next_step="Make it one: `signal-stream tape import`. `backfill` and `parity` take a table that is given alone.",
            )  # fmt: skip
    try:
        known = None if instruments is None else read_instruments(Path(instruments))
        return _core.Reader([str(path) for path in paths], instruments=known, venue=venue)
    except _core.CoreError as error:
        raise core_error(error, "feed") from None


def read_tape(
    *paths: str | Path,
    instruments: str | Path | None = None,
    max_rejected: float | str = MAX_REJECTED,
    intake: Intake | None = None,
) -> Iterator[_core.EventBatch]:
    """The batches of tapes and captures, merged in order of arrival; `Engine.push` takes them.

    A batch holds whole messages; it is a table for pyarrow (`pa.record_batch(batch)`): one row a level, prices and
    quantities as whole numbers at the instrument's decimal scale. `batch.records("trade")` is a table of one kind.
    `instruments` is a TOML or Parquet file with decimal places and definitions; `batch.definition(id, ts)` is what is known
    of one. Raises TapeError for what cannot be read, and at the end where a larger share of a capture's lines than
    `max_rejected` ("0.1%", or 0.001) is broken. `intake` counts the lines.
    """
    from signal_stream import _core

    share_of(max_rejected)
    reader = open_tape(paths, instruments)
    counted = Intake() if intake is None else intake
    while True:
        try:
            batch = reader.next()
        except _core.CoreError as error:
            raise core_error(error, "feed") from None
        counted.read(reader)
        if batch is None:
            counted.check(max_rejected)
            return
        yield batch


@contextmanager
def open_live(paths: Sequence[str | Path], *, pace: str = "recorded") -> Iterator[Iterator[_core.EventBatch]]:
    """The same as a live stream: read by a thread of its own, at a pace, through a bounded queue."""
    from signal_stream import _core

    try:
        source = _core.LiveSource(_core.Feed.files(paths), pace=pace)
    except _core.CoreError as error:
        raise core_error(error, "feed") from None
    try:
        yield _live(source)
    finally:
        source.stop()


def _live(source: _core.LiveSource) -> Iterator[_core.EventBatch]:
    from signal_stream import _core

    while source.end is None:
        try:
            batch = source.next(0.2)
        except _core.CoreError as error:
            raise core_error(error, "feed") from None
        if batch is not None:
            yield batch


def check_regular(path: Path) -> None:
    """Raises TapeError if something else than a file lies there: reading it could wait for ever, or never end."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # whoever opens it says so
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise TapeError("UNREADABLE", "it is a folder", where=str(path), next_step="Name a file in it.")
    what = "a named pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
    advice = f'Serve it as a stream: write url = "stdin:", and start `signal-stream serve … < {path}`.'
    raise TapeError("UNREADABLE", f"it is {what}, and no regular file", where=str(path), next_step=advice)
