"""The signals of a journal behind a place in it, read in small pieces while this process writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from signal_stream._core import journal_header_len, journal_scan
from signal_stream.errors import JournalError
from signal_stream.records import JournalRecord

from .open_segment import CHUNK_BYTES, CHUNK_BYTES_MAX, OpenSegment
from .segment import Segment, damage, missing, segments

if TYPE_CHECKING:
    from pathlib import Path


class Written(Protocol):
    """A journal as its writer sees it: where it lies, and how many records it holds."""

    folder: Path

    @property
    def next_seq(self) -> int:
        """Number of the next record."""


class JournalPlace(NamedTuple):
    """A place between two frames of a journal: the segment's first record, the byte in it, the next record's number."""

    segment: int
    offset: int
    seq: int


class JournalFollower:
    """Reads the signals of a journal, or another kind of records, in the order of their numbers, never beyond what its writer has
    finished.

    `seq` is the number of the next record. Each byte is read once and checked. One thread reads, another may write.
    """

    def __init__(self, journal: Written, kind: str = "signal") -> None:
        self._kind = kind
        self.seq = 0
        self._journal = journal
        self._open: OpenSegment | None = None
        self.piece: JournalPlace | None = None
        """Where the piece begins that was read last."""
        self._wanted = 0

    @property
    def place(self) -> JournalPlace | None:
        """Where the next piece begins; None where that is the next segment."""
        opened = self._open
        return None if opened is None else JournalPlace(opened.segment.first_seq, opened.offset, self.seq)

    @property
    def resume_seq(self) -> int:
        """The record at which a later `seek` goes on: `seq`, or what the last `seek` asked for until it is reached."""
        return max(self.seq, self._wanted)

    @property
    def first_seq(self) -> int:
        """The number of the oldest record that is still there."""
        found = segments(self._journal.folder)
        return found[0].first_seq if found else 0

    def seek(self, seq: int, near: JournalPlace | None = None) -> None:
        """Has `read` go on with record `seq`. `near`, a place before it, saves reading its segment from the start."""
        self.close()
        self._wanted = seq
        if near is not None and near.seq <= seq:
            segment = Segment.named(self._journal.folder, near.segment)
            try:
                self._begin(segment, near.offset, near.seq)
                if near.seq >= self._journal.next_seq:
                    return
                if self._scan()[1] is None:
                    self._begin(segment, near.offset, near.seq)
                    return
            except (OSError, JournalError):
                pass  # the journal was repaired or cut since: from the segment's start
            self.close()
        found = [segment for segment in segments(self._journal.folder) if segment.first_seq <= seq]
        if found:
            self._begin(found[-1], 0, found[-1].first_seq)
        else:
            self.seq = seq

    def read(self) -> list[JournalRecord]:
        """Signals of the next piece, perhaps none: all was read when `seq` is the number of the journal's records. Raises
        JournalError for damage and for records that are gone, OSError for a segment that cannot be read."""
        end = self._journal.next_seq
        while self.seq < end:
            if self._open is None:
                self._next_segment()
            self.piece = self.place
            rows, fault = self._scan()
            if fault is not None:
                assert self._open is not None
                raise damage(self._open.segment, self._open.offset, self.seq, fault)
            if found := [JournalRecord(*row) for row in rows if row[0] >= self._wanted]:
                return found
        return []

    def close(self) -> None:
        """Gives the file back. May be called twice; `seek` begins again."""
        opened, self._open = self._open, None
        if opened is not None:
            opened.close()

    def _begin(self, segment: Segment, offset: int, seq: int) -> None:
        self.close()
        self._open, self.seq = OpenSegment(segment, offset), seq

    def _next_segment(self) -> None:
        """The segment that begins with the next record. Raises JournalError if there is none."""
        following = Segment.named(self._journal.folder, self.seq)
        try:
            self._begin(following, 0, self.seq)
        except FileNotFoundError:
            later = [each for each in segments(self._journal.folder) if each.first_seq > self.seq]
            raise missing(self.seq, later[0] if later else following) from None

    def _scan(self) -> tuple[list[tuple[int, int, str, str, str]], str | None]:
        """The signals of the next piece, and what is wrong with it; moves behind it. Nothing wrong and no progress: the
        segment has ended, and the next one follows."""
        end, size, opened = self._journal.next_seq, CHUNK_BYTES, self._open
        assert opened is not None
        while True:
            data = opened.peek(size)
            at = 0
            if opened.offset == 0:
                try:
                    at = journal_header_len(data) or 0
                except ValueError as error:
                    return [], str(error)
            rows, consumed, seq, fault = journal_scan(data[at:] if at else data, self.seq, kind=self._kind)
            if seq > self.seq or seq >= end:
                opened.advance(at + consumed)
                self.seq = seq
                return rows, None  # what follows a good frame is looked at when it is the next
            if fault == "short" and len(data) == size and size < CHUNK_BYTES_MAX:
                size *= 4  # a frame longer than the piece
                continue
            if len(data) - at == consumed and fault is None:
                self.close()  # read to its end, and the journal goes on
                return [], None
            return [], fault or "the frame ends too early"
