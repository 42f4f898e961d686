"""The newest signals of a journal, or records of other kinds, and those that follow."""

from __future__ import annotations

from collections import deque
from itertools import starmap
from typing import TYPE_CHECKING, Final

from signal_stream._core import journal_header_len, journal_scan
from signal_stream.records import JournalRecord

from .journal_end import JournalEnd
from .segment import Segment, SegmentScan, damage, missing, segments

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from signal_stream.errors import JournalError

_CHUNK_BYTES: Final = 4 << 20


class JournalTail:
    """Reads signals, or records of some kinds, from the beginning, or from the newest ones, on; goes on where it stopped while
    a pipeline writes.

    Each byte is read once, and checked. A record that is being written ends the reading for now.
    """

    def __init__(self, folder: Path, *kinds: str) -> None:
        self._folder = folder
        self._kinds = kinds or ("signal",)
        self._segment: Segment | None = None
        self._offset = 0
        self._seq = 0

    def last(self, keep: int) -> list[JournalRecord]:
        """The newest `keep` records; `read` goes on behind them."""
        found = segments(self._folder) if self._folder.is_dir() else []
        if found or self._folder.is_dir():
            JournalEnd(self._folder).check()
        newest: deque[JournalRecord] = deque(maxlen=keep)
        for segment in reversed(found):
            self._begin(segment)
            newest = deque(self.read(), maxlen=keep)
            if len(newest) == keep:
                break
        return list(newest)

    def read(self) -> Iterator[JournalRecord]:
        """The records since the last call. Raises JournalError for damage."""
        while True:
            if self._segment is not None:
                fault = yield from self._read_segment(self._segment)
            later = self._later()
            if later is None:
                if self._segment is not None and fault is not None and SegmentScan(self._segment).finish().is_damaged():
                    raise self._damage(fault)
                return
            if self._segment is not None and (fault is not None or later.first_seq != self._seq):
                if fault is None:
                    raise missing(self._seq, later)
                raise self._damage(fault)
            self._begin(later)

    def _damage(self, fault: str) -> JournalError:
        assert self._segment is not None
        return damage(self._segment, self._offset, self._seq, fault)

    def _begin(self, segment: Segment) -> None:
        self._segment, self._offset, self._seq = segment, 0, segment.first_seq

    def _later(self) -> Segment | None:
        """The segment after the one that is read; None if it is the newest."""
        if not self._folder.is_dir():
            return None
        before = -1 if self._segment is None else self._segment.first_seq
        return next((segment for segment in segments(self._folder) if segment.first_seq > before), None)

    def _read_segment(self, segment: Segment) -> Generator[JournalRecord, None, str | None]:
        """Records to the segment's end as it is now; returns what is wrong with the bytes there, if any."""
        fault = None
        with segment.open(self._offset) as file:
            data = b""
            while chunk := file.read(_CHUNK_BYTES):
                data += chunk
                if self._offset == 0:
                    try:
                        header = journal_header_len(data)
                    except ValueError as error:
                        raise self._damage(str(error)) from error
                    if header is None:
                        continue
                    self._offset, data = header, data[header:]
                kind = self._kinds[0] if len(self._kinds) == 1 else None
                rows, consumed, self._seq, fault = journal_scan(data, self._seq, kind=kind)
                self._offset += consumed
                data = data[consumed:]
                for record in starmap(JournalRecord, rows):
                    if record.kind in self._kinds:
                        yield record
                if fault not in (None, "short"):
                    break
        return fault
