"""A damaged journal made whole again: what is good stays as it is, and each missing record is marked as lost."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from signal_stream._core import (
    journal_encode_rows,
    journal_header,
    journal_header_len,
    journal_resync,
    journal_scan,
)
from signal_stream.errors import JournalError

from .durable import sync_folder
from .head import Head
from .segment import Segment, segments

if TYPE_CHECKING:
    from pathlib import Path

_ROWS_MAX: Final = 4_096


@dataclass(frozen=True, slots=True)
class Mended:
    """A segment that was written anew: records that were marked as lost, and where the old file is kept, if there was
    one."""

    segment: Path
    lost: int
    kept: Path | None


def repair(folder: Path, *, body: str, now: int) -> list[Mended]:
    """Writes `lost` records with this body in the places of records that are missing or unreadable, so that the journal
    has no hole and is as long as its witness says. Empty if nothing was wrong.

    A damaged segment is kept under another name beside the new one. A power cut in between leaves a journal that can be
    repaired again. Raises JournalError if two segments hold the same records, or the files cannot be written.
    """
    head = Head.beside(folder)
    try:
        synced = head.read()
    except JournalError:
        head.path.rename(head.path.with_name(f"{head.path.name}.damaged"))
        synced = None
    found = segments(folder)
    if not found and synced:
        found = [Segment.named(folder, 0)]
    mended = []
    for number, segment in enumerate(found):
        until = found[number + 1].first_seq if number + 1 < len(found) else synced
        try:
            one = _mend(segment, until, is_last=number + 1 == len(found), body=body, now=now)
        except OSError as error:
            raise JournalError("WRITE", f"cannot be repaired: {error.strerror}", where=str(segment.path)) from error
        if one is not None:
            mended.append(one)
    return mended


def _mend(segment: Segment, until: int | None, *, is_last: bool, body: str, now: int) -> Mended | None:
    """One segment, up to the record before `until`."""
    new = not segment.path.exists()
    data = b"" if new else _read(segment)
    parts, next_seq, lost = [journal_header()], segment.first_seq, 0

    def mark(count: int) -> None:
        nonlocal next_seq, lost
        lost += count
        while count > 0:
            rows = [(now, "lost", "", body)] * min(count, _ROWS_MAX)
            parts.append(journal_encode_rows(next_seq, rows))
            next_seq += len(rows)
            count -= len(rows)

    try:
        at = journal_header_len(data) or len(data)
    except ValueError:
        at = 0  # good records may follow
    while at < len(data) and (step := journal_resync(data[at:], 0)) is not None:
        at += step
        found = _first_seq(data[at:])
        if found < next_seq or (until is not None and found >= until and not is_last):
            at += 8  # a record that stands twice
            continue
        mark(found - next_seq)
        _, consumed, next_seq, _ = journal_scan(data[at:], next_seq, key="")
        parts.append(data[at : at + consumed])
        at += consumed
    if until is not None:
        if next_seq > until and not is_last:
            raise JournalError("DAMAGED", "two segments hold the same records", where=str(segment.path), value=until)
        mark(max(0, until - next_seq))
    text = b"".join(parts)
    if text == data:
        return None
    plain = Segment.named(segment.path.parent, segment.first_seq).path
    unfinished = plain.with_suffix(".unfinished")
    with unfinished.open("wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    kept = None
    if not new:
        kept = _free(segment.path.with_suffix(".damaged"))
        os.link(segment.path, kept)
    unfinished.rename(plain)
    sync_folder(plain.parent)
    if segment.path != plain:
        segment.path.unlink()
    return Mended(plain, lost, kept)


def _read(segment: Segment) -> bytes:
    with segment.open() as file:
        return file.read()


def _first_seq(data: bytes) -> int:
    """The number of the first record of the good frame at the start of `data`."""
    import pyarrow as pa

    schema = pa.ipc.read_schema(pa.py_buffer(journal_header()))
    batch = pa.ipc.read_record_batch(pa.ipc.read_message(data), schema)
    seq: int = batch.column("seq")[0].as_py()
    return seq


def _free(path: Path) -> Path:
    """The path, or the next of its kind that is not there yet."""
    number = 0
    free = path
    while free.exists():
        number += 1
        free = path.with_suffix(f"{path.suffix}-{number}")
    return free
