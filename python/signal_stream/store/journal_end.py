"""The end of a journal that is looked at again and again, while a pipeline writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from signal_stream.errors import JournalError

from .head import Head
from .reader import JournalReader
from .recovery import lost
from .segment import Segment, SegmentScan, segments

if TYPE_CHECKING:
    from pathlib import Path


class JournalEnd:
    """Checks what `JournalReader.check_end` checks, each byte of the newest segment once: a look costs what was added since the
    one before. A byte that is changed after it was checked is found by `doctor`, or whoever begins anew."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._segment: tuple[Segment, int] | None = None
        """The newest segment, and its inode."""
        self._offset = self._seq = 0

    def check(self) -> int:
        """The number of records. Raises JournalError: LOST where records are gone that were on the disk, DAMAGED, NOT_FOUND."""
        synced = Head.beside(self._folder).read()  # first: a pipeline may be adding records
        newest = self._newest()
        if newest is None or newest != self._segment:
            self._segment, self._offset = newest, 0
        if self._segment is None:
            return JournalReader(self._folder).check_end()
        segment = self._segment[0]
        scan = SegmentScan(segment, start=(self._offset, self._seq)) if self._offset else SegmentScan(segment)
        try:
            scan.finish()
            if scan.is_damaged():
                raise scan.damage()
        except JournalError:
            self._segment = None
            raise
        self._offset, self._seq = scan.offset, scan.next_seq
        if synced is not None and self._seq < synced:
            self._segment = None
            raise lost(segment.path, scan.next_seq, synced)
        return self._seq

    def _newest(self) -> tuple[Segment, int] | None:
        """None where there is none, or it is shorter than it was: then all is to be looked at."""
        try:
            segment = segments(self._folder)[-1]
            about = segment.path.stat()
        except (FileNotFoundError, IndexError):
            return None
        known = self._segment == (segment, about.st_ino)
        return None if known and about.st_size < self._offset else (segment, about.st_ino)
