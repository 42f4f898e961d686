"""The end of a journal after a stop, a crash or a power cut: what a writer may cut, and what it must not touch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from signal_stream.errors import JournalError

from .durable import sync_folder
from .segment import Segment, SegmentScan, missing, repair_advice, segments

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Recovery:
    """What opening cut from the end of the journal: writes that a crash left unfinished. Kept in `kept`."""

    segment: Path
    offset: int
    bytes_cut: int
    fault: str
    kept: Path


@dataclass(frozen=True, slots=True)
class JournalEnd:
    """Where a writer goes on: a segment, the bytes of it that are good, and the number of the next record."""

    segment: Segment
    bytes: int
    next_seq: int
    recovery: Recovery | None


def recover(folder: Path, synced: int | None) -> JournalEnd | None:
    """Finds the journal's end, and cuts what lies behind it; None for a journal without a segment.

    `synced` is the number of records that were on the disk for certain, None if nobody knows. What lies behind them
    may be cut: a frame cut off, zeros, and whole segments behind a hole, since a power cut takes pages in any order.
    Raises JournalError LOST or DAMAGED for everything else, and changes nothing then.

    Each step leaves a journal that this function mends: later segments are put away from the newest on, then the
    end of the last one is cut.
    """
    found = segments(folder)
    if not found:
        if synced:
            raise lost(folder, 0, synced)
        return None
    later = [] if synced is None else _behind_a_hole(found, synced)
    while True:
        segment = found[-1]
        scan, headless = _scan(segment)
        if (headless or scan.is_damaged()) and (synced is None or scan.next_seq < synced):
            raise scan.damage()
        if synced is not None and scan.next_seq < synced and segment.first_seq < synced:
            raise lost(segment.path, scan.next_seq, synced)
        if len(found) == 1:
            break
        certain = scan.next_seq > segment.first_seq if synced is None else segment.first_seq <= synced
        if certain:
            break
        before, _ = _scan(found[-2])
        if before.fault is None and before.next_seq == segment.first_seq:
            break
        if synced is None or before.next_seq < synced:
            raise before.damage() if before.fault is not None else missing(before.next_seq, segment)
        later.append(found.pop())
    end = _cut(scan, later)
    _force(found, synced)
    return end


def _behind_a_hole(found: list[Segment], synced: int) -> list[Segment]:
    """Takes the segments out of `found` that lie behind the first hole after what was synced; the newest first."""
    for number, (segment, following) in enumerate(pairwise(found), 1):
        if following.first_seq <= synced:
            continue
        scan, _ = _scan(segment)
        if scan.fault is None and scan.next_seq == following.first_seq:
            continue
        if scan.next_seq < synced:
            raise scan.damage() if scan.fault is not None else missing(scan.next_seq, following)
        later = found[: number - 1 : -1]
        del found[number:]
        return later
    return []


def _scan(segment: Segment) -> tuple[SegmentScan, bool]:
    """A segment after reading, and whether it does not even begin as one."""
    scan = SegmentScan(segment)
    try:
        scan.finish()
    except JournalError as error:
        if error.code != "DAMAGED":
            raise
        return scan, True
    return scan, False


def lost(where: Path, first: int, synced: int) -> JournalError:
    """The error for records that were on the disk and are gone."""
    folder = where if where.is_dir() else where.parent
    return JournalError(
        "LOST",
        f"records {first:,} to {synced - 1:,} are gone: they were on the disk, and the journal ends before them",
        where=str(where),
        value=first,
        next_step=f"Restore the journal from a copy, or {repair_advice(folder)}",
    )


def _force(found: list[Segment], synced: int | None) -> None:
    """Forces to the disk what an earlier process may have left in the system's memory."""
    for segment, following in pairwise(found):
        if synced is None or following.first_seq > synced:
            file = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(file)
            except OSError as error:
                raise JournalError("SYNC", f"cannot be forced to the disk: {error}", where=str(segment.path)) from error
            finally:
                os.close(file)


def _cut(scan: SegmentScan, later: list[Segment]) -> JournalEnd:
    folder = scan.segment.path.parent
    cut = 0
    kept = scan.segment.path.with_suffix(f".{scan.offset}.cut")
    try:
        for segment in later:
            kept = segment.path.with_suffix(".cut")
            cut += segment.path.stat().st_size
            segment.path.rename(kept)
            sync_folder(folder)
        tail = scan.tail()
        if tail:
            kept = scan.segment.path.with_suffix(f".{scan.offset}.cut")
            kept.write_bytes(tail)
            cut += len(tail)
            file = os.open(scan.segment.path, os.O_RDWR | os.O_CLOEXEC)
            try:
                os.ftruncate(file, scan.offset)
                os.fsync(file)
            finally:
                os.close(file)
    except OSError as error:
        raise JournalError("WRITE", f"cannot be repaired: {error}", where=str(scan.segment.path)) from error
    recovery = None
    if cut:
        fault = scan.fault or "the segments behind it do not follow"
        recovery = Recovery(scan.segment.path, scan.offset, cut, fault, kept)
    return JournalEnd(scan.segment, scan.offset, scan.next_seq, recovery)
