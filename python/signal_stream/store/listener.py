"""The signals of a journal that another process writes, read piece by piece from a place in it on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from signal_stream._core import journal_header_len, journal_resync, journal_scan
from signal_stream.errors import JournalError
from signal_stream.records import JournalRecord

from .open_segment import CHUNK_BYTES, CHUNK_BYTES_MAX, OpenSegment
from .segment import Segment, damage, missing, segments

if TYPE_CHECKING:
    from pathlib import Path


class JournalListener:
    """Reads a journal's signals, or its records of another kind, in the order of their numbers; a record that is being written
    ends the reading for now.

    `seq` is the number of the next record. Each byte is read once, and checked. `JournalFollower` is for the process that
    writes the journal itself, and knows how far it has come. One thread.
    """

    def __init__(self, folder: Path, kind: str = "signal") -> None:
        self._kind = kind
        self.seq = 0
        self._folder = folder
        self._open: OpenSegment | None = None
        self._wanted = 0

    def seek(self, seq: int) -> None:
        """Has `read` go on with record `seq`. Raises JournalError NOT_FOUND where it was removed."""
        self.close()
        self._wanted = seq
        found = self._segments()
        if found and found[0].first_seq > seq:
            raise self._removed(seq, found[0].first_seq)
        self.seq = seq
        for segment in reversed(found):
            if segment.first_seq <= seq:
                self._begin(segment)
                break

    def read(self, *, known_end: int = 0) -> list[JournalRecord]:
        """The signals of the next piece, perhaps none: all that is there was read when `seq` stays the same.

        `known_end` is how many records there are for certain. Raises JournalError: DAMAGED for bytes that are not as they
        were written, LOST where the file became shorter, NOT_FOUND where what comes next was removed.
        """
        while True:
            before = self.seq
            rows, is_end = self._scan()
            if self.seq > before:
                return [JournalRecord(*row) for row in rows if row[0] >= self._wanted]
            if is_end:
                if self.seq < known_end:
                    self._explain()
                return []

    def close(self) -> None:
        """Gives the file back. May be called twice; `seek` begins again."""
        opened, self._open = self._open, None
        if opened is not None:
            opened.close()

    def _begin(self, segment: Segment) -> OpenSegment:
        self.close()
        try:
            self._open = OpenSegment(segment)
        except OSError as error:
            raise JournalError("NOT_FOUND", f"cannot be read: {error}", where=str(segment.path)) from error
        self.seq = segment.first_seq
        return self._open

    def _scan(self) -> tuple[list[tuple[int, int, str, str, str]], bool]:
        """The signals of the next piece, and whether nothing is behind it yet."""
        opened = self._open or self._begin_following()
        if opened is None:
            return [], True
        rows: list[tuple[int, int, str, str, str]]
        size = CHUNK_BYTES
        while True:
            data = opened.peek(size)
            at = 0
            if opened.offset == 0:
                at = self._header(opened, data)
            behind = data[at:] if at else data
            if self._wanted > self.seq:  # on the way to the place that is wanted, nothing is made of what is passed
                _, consumed, seq, fault = journal_scan(behind, self.seq, kind=self._kind, newest=True)
                rows = []
                if seq > self._wanted:
                    rows, consumed, seq, fault = journal_scan(behind, self.seq, kind=self._kind)
            else:
                rows, consumed, seq, fault = journal_scan(behind, self.seq, kind=self._kind)
            if seq > self.seq:
                opened.advance(at + consumed)
                self.seq = seq
                return rows, False
            if len(data) == size and fault == "short" and size < CHUNK_BYTES_MAX:
                size *= 4  # a frame longer than the piece
                continue
            return [], self._is_end(opened, data, fault)

    def _is_end(self, opened: OpenSegment, data: bytes, fault: str | None) -> bool:
        """Whether what lies at the offset is the end of the journal for now; else the next segment is open. Raises for damage."""
        if self._following() is None:
            if fault not in (None, "short") and journal_resync(data, 1) is not None and data == opened.peek(len(data)):
                raise damage(opened.segment, opened.offset, self.seq, fault or "")
            if not data:
                self._check_length(opened)
            return True
        if data and data != opened.peek(len(data) + 1):
            return False  # written since it was read
        if fault is not None:
            raise damage(opened.segment, opened.offset, self.seq, fault)
        if data:
            return False
        return self._begin_following() is None

    def _header(self, opened: OpenSegment, data: bytes) -> int:
        try:
            return journal_header_len(data) or 0
        except ValueError as error:
            raise damage(opened.segment, 0, self.seq, str(error)) from error

    def _following(self) -> Segment | None:
        """The segment that begins with the next record, if it is there."""
        if self._open is not None and self.seq == self._open.segment.first_seq:
            return None  # nothing was read of it
        segment = Segment.named(self._folder, self.seq)
        if os.access(segment.path, os.F_OK) or os.access(segment.sealed_path, os.F_OK):
            return segment
        return None

    def _begin_following(self) -> OpenSegment | None:
        following = self._following()
        return None if following is None else self._begin(following)

    def _check_length(self, opened: OpenSegment) -> None:
        """Raises JournalError LOST if the file is shorter than what was read of it."""
        segment = opened.segment
        if not segment.is_sealed and os.fstat(opened.fileno()).st_size < opened.offset:
            message = f"the file was cut before record {self.seq}"
            raise JournalError("LOST", message, where=str(segment.path), value=self.seq)

    def _explain(self) -> None:
        """Raises for records that must be there and cannot be found."""
        later = [segment for segment in self._segments() if segment.first_seq > self.seq]
        if later:
            if self._open is not None and self._open.segment.path.exists():
                raise missing(self.seq, later[0])
            raise self._removed(self.seq, later[0].first_seq)

    def _removed(self, seq: int, first_seq: int) -> JournalError:
        return JournalError(
            "NOT_FOUND",
            f"record {seq} was removed: the journal begins at record {first_seq}",
            where=str(self._folder),
            value=first_seq,
            next_step=f"Ask from {first_seq} on.",
        )

    def _segments(self) -> list[Segment]:
        return segments(self._folder) if self._folder.is_dir() else []
