"""Whether a journal is as it was written, as far as a look tells: again and again, while a pipeline writes."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from signal_stream._core import journal_header_len, journal_scan
from signal_stream.errors import JournalError

from .head import Head
from .journal_index import read_entries
from .reader import JournalReader
from .recovery import lost
from .segment import Segment, SegmentScan, damage, missing, segments

if TYPE_CHECKING:
    from pathlib import Path


_HEAD_BYTES: Final = 64 << 10
_TRIES: Final = 3


class JournalEnd:
    """Checks what `JournalReader.check_end` checks, each byte of the newest segment once: a look costs what was added since the
    one before. Of the segments before it, whether they are there, and begin as they were written; one that is not compressed
    yet is read once. A byte within a compressed segment, or one that is changed after it was checked, is found by `doctor`, or
    whoever reads there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._segment: tuple[Segment, int] | None = None
        """The newest segment, and its inode."""
        self._offset = self._seq = 0
        self._known: dict[str, int] = {}
        """Segments before the newest that were looked at, by name, with their sizes."""

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
        self._check_older()
        return self._seq

    def _check_older(self) -> None:
        for left in reversed(range(_TRIES)):
            known: dict[str, int] = {}
            try:
                found, entries = segments(self._folder), read_entries(self._folder)
                for segment, following in pairwise(found):
                    entry, size = entries.get(segment.first_seq), segment.path.stat().st_size
                    if entry is not None and entry.end_seq != following.first_seq:
                        raise missing(entry.end_seq, following)
                    if self._known.get(segment.path.name) != size:
                        _check_head(segment) if segment.is_sealed else _check_whole(segment, following)
                    known[segment.path.name] = size
            except (JournalError, FileNotFoundError):  # sealed or removed since it was listed
                self._known = {}
                if left:
                    continue
                raise
            self._known = known
            return

    def _newest(self) -> tuple[Segment, int] | None:
        """None where there is none, or it is shorter than it was: then all is to be looked at."""
        try:
            segment = segments(self._folder)[-1]
            about = segment.path.stat()
        except (FileNotFoundError, IndexError):
            return None
        known = self._segment == (segment, about.st_ino)
        return None if known and about.st_size < self._offset else (segment, about.st_ino)


def _check_head(segment: Segment) -> None:
    """Raises JournalError DAMAGED unless a segment begins with its first record."""
    try:
        with segment.open() as file:
            data = file.read(_HEAD_BYTES)
        begin = journal_header_len(data) or 0
    except OSError as error:
        raise JournalError("NOT_FOUND", f"cannot be read: {error}", where=str(segment.path)) from error
    except ValueError as error:
        raise damage(segment, 0, segment.first_seq, str(error)) from error
    _, _, seq, fault = journal_scan(data[begin:], segment.first_seq, newest=True)
    if seq == segment.first_seq and (fault != "short" or len(data) < _HEAD_BYTES):
        raise damage(segment, begin, segment.first_seq, fault or "it ends before its first record")


def _check_whole(segment: Segment, following: Segment) -> None:
    """Raises JournalError DAMAGED unless a segment goes on to the one that follows."""
    scan = SegmentScan(segment).finish()
    if scan.fault is not None:
        raise scan.damage()
    if scan.next_seq != following.first_seq:
        raise missing(scan.next_seq, following)
