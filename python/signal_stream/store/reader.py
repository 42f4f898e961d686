"""The journal as others read it, also while a pipeline writes."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

from signal_stream.errors import JournalError

from .head import Head
from .recovery import lost
from .segment import Segment, SegmentScan, missing, segments

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from signal_stream.records import JournalRecord


class JournalReader:
    """Reads a journal's folder, checking every byte that it passes.

    The end of the newest segment may hold a frame that is being written, or was cut off: reading ends before it. Any
    other fault raises JournalError with file, byte and the last good record.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def records(self, *, kind: str | None = None, key: str | None = None, from_seq: int = 0) -> Iterator[JournalRecord]:
        """Records from `from_seq` on, oldest first, to the end as it is when it is reached."""
        found = self._segments()
        at = max(0, bisect.bisect_right([segment.first_seq for segment in found], from_seq) - 1)
        while at < len(found):
            scan = SegmentScan(found[at], kind=kind, key=key)
            for record in scan:
                if record.seq >= from_seq:
                    yield record
            at += 1
            if at == len(found):
                found += [segment for segment in self._segments() if segment.first_seq > scan.segment.first_seq]
            self._check_end(scan, found[at] if at < len(found) else None)

    def find(self, key: str, *, kind: str | None = None) -> JournalRecord | None:
        """The record with this key, and of a kind, the newest if there are several; None if there is none."""
        return self._newest(kind=kind, key=key)

    def last(self, kind: str | None = None) -> JournalRecord | None:
        """The newest record, or the newest of a kind; None if there is none."""
        return self._newest(kind=kind)

    def before(self, seq: int, kind: str) -> JournalRecord | None:
        """The newest record of a kind with a smaller number than `seq`; None if there is none."""
        for segment in reversed(self._segments()):
            if segment.first_seq >= seq:
                continue
            newest = None
            for record in SegmentScan(segment, kind=kind):
                if record.seq >= seq:
                    break
                newest = record
            if newest is not None:
                return newest
        return None

    def newest_first(self, kind: str) -> Iterator[JournalRecord]:
        """Records of a kind, segment by segment from the newest on; within a segment oldest first."""
        later: Segment | None = None
        for segment in reversed(self._segments()):
            scan = SegmentScan(segment, kind=kind)
            yield from scan
            self._check_end(scan, later)
            later = segment

    @property
    def first_seq(self) -> int:
        """The number of the first record that is here: above 0 where older segments were removed."""
        found = self._segments()
        return found[0].first_seq if found else 0

    def check_end(self) -> int:
        """The number of records, after looking at the newest segment and at the witness beside the folder. Raises
        JournalError LOST if records are gone that were on the disk."""
        synced = Head.beside(self.folder).read()  # first: a pipeline may be adding records
        found = self._segments()
        end = 0
        if found:
            scan = SegmentScan(found[-1]).finish()
            self._check_end(scan, None)
            end = scan.next_seq
        if synced is not None and end < synced:
            raise lost(found[-1].path if found else self.folder, end, synced)
        return end

    def _newest(self, *, kind: str | None = None, key: str | None = None) -> JournalRecord | None:
        later: Segment | None = None
        for segment in reversed(self._segments()):
            scan = SegmentScan(segment, kind=kind, key=key, newest=True)
            newest = None
            for record in scan:
                newest = record
            self._check_end(scan, later)
            if newest is not None:
                return newest
            later = segment
        return None

    def _segments(self) -> list[Segment]:
        try:
            return segments(self.folder)
        except FileNotFoundError as error:
            raise JournalError(
                "NOT_FOUND",
                "there is no journal",
                where=str(self.folder),
                next_step="It is made by the first `signal-stream serve`.",
            ) from error

    @staticmethod
    def _check_end(scan: SegmentScan, later: Segment | None) -> None:
        """Raises unless the segment ends as it may: whole before a later one, anyhow but not damaged as the last."""
        if later is None:
            if scan.is_damaged():
                raise scan.damage()
        elif scan.fault is not None:
            # the writer may have ended this frame, and begun the next segment, since it was read
            again = SegmentScan(scan.segment).finish()
            if again.fault is not None or again.next_seq != later.first_seq:
                raise again.damage()
        elif scan.next_seq != later.first_seq:
            raise missing(scan.next_seq, later)
