"""One file of the journal: its name, and its records read in bounded memory."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from signal_stream._core import journal_header_len, journal_resync, journal_scan
from signal_stream.errors import JournalError
from signal_stream.records import JournalRecord

from .sealed import open_sealed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

_CHUNK_BYTES: Final = 1 << 20
_SUFFIX: Final = ".arrows"
_SEALED: Final = ".arrows.zst"


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of the journal; `first_seq`, the sequence number of its first record, is its name. A sealed one is compressed,
    and no longer written."""

    path: Path
    first_seq: int

    @classmethod
    def named(cls, folder: Path, first_seq: int) -> Segment:
        """The segment of `folder` that begins at `first_seq`, whether it exists or not."""
        return cls(folder / f"{first_seq:020d}{_SUFFIX}", first_seq)

    @property
    def is_sealed(self) -> bool:
        """Whether its file is compressed."""
        return self.path.name.endswith(_SEALED)

    @property
    def sealed_path(self) -> Path:
        """The file that it is compressed to."""
        return self.path.with_name(f"{self.first_seq:020d}{_SEALED}")

    def open(self, at: int = 0) -> BinaryIO:
        """Its bytes from `at` on, decompressed. A segment may be sealed while others read it. Raises OSError."""
        if not self.is_sealed:
            try:
                file = self.path.open("rb", buffering=0)
                file.seek(at)
            except FileNotFoundError:
                if not self.sealed_path.exists():
                    raise
            else:
                return cast("BinaryIO", file)
        return open_sealed(self.sealed_path, at)


def segments(folder: Path) -> list[Segment]:
    """The journal's files, oldest first; of one that is being sealed the compressed one. Raises JournalError for a file that
    has a segment's suffix but no number."""
    found: dict[int, Segment] = {}
    for path in folder.iterdir():
        if path.suffix == _SUFFIX or path.name.endswith(_SEALED):
            number = path.name.partition(".")[0]
            if len(number) != 20 or not number.isdecimal():
                raise JournalError("DAMAGED", "not a segment's name", where=str(path))
            segment = Segment(path, int(number))
            if segment.is_sealed or segment.first_seq not in found:
                found[segment.first_seq] = segment
    return [found[first_seq] for first_seq in sorted(found)]


def repair_advice(folder: Path) -> str:
    """What to type where a journal cannot be restored."""
    command = f"signal-stream repair --state {shlex.quote(str(folder.parent))} --by NAME --reason TEXT"
    return f"run `{command}`, which keeps all that is good and marks the rest as lost."


def damage(segment: Segment, offset: int, next_seq: int, fault: str) -> JournalError:
    """The error for bytes in a segment, behind which there are good records."""
    return JournalError(
        "DAMAGED",
        f"damaged at byte {offset}, after record {next_seq - 1}: {fault}",
        where=str(segment.path),
        value=offset,
        next_step=f"Records up to that one are good. Restore this file from a copy, or {repair_advice(segment.path.parent)}",
    )


def missing(next_seq: int, later: Segment) -> JournalError:
    """The error for records that are in no segment."""
    return JournalError(
        "DAMAGED",
        f"records {next_seq} to {later.first_seq - 1} are missing",
        where=str(later.path),
        value=next_seq,
        next_step=f"Restore the missing file or end of file from a copy, or {repair_advice(later.path.parent)}",
    )


class SegmentScan:
    """Reads a segment from its start, or from a place that an earlier scan reached; iterating gives the wanted records.

    Afterwards `offset` is the end of its last good frame (0 where not even the header is whole), `next_seq` the
    number after its last record, and `fault` says why the file goes on behind `offset`: None if it does not, "short"
    for the beginning of a frame, else what is wrong there.
    """

    def __init__(
        self,
        segment: Segment,
        *,
        key: str | None = None,
        kind: str | None = None,
        newest: bool = False,
        chunk_bytes: int = _CHUNK_BYTES,
        start: tuple[int, int] | None = None,
    ) -> None:
        """Of the wanted records, `newest` gives only the last of each piece that is read: the last one of all is the newest.
        `start` is `offset` and `next_seq` of an earlier scan, behind the header."""
        self.segment = segment
        self.offset, self.next_seq = (0, segment.first_seq) if start is None else start
        self.fault: str | None = None
        self._key = key
        self._kind = kind
        self._newest = newest
        self._chunk_bytes = chunk_bytes

    def __iter__(self) -> Iterator[JournalRecord]:
        """Wanted records in order. Raises JournalError if the file is no segment or cannot be read."""
        with self._open(self.offset) as file:
            chunk = file.read(self._chunk_bytes)
            data = chunk if self.offset else chunk[self._header(chunk) :]
            while data:
                rows, consumed, self.next_seq, self.fault = journal_scan(
                    data, self.next_seq, key=self._key, kind=self._kind, newest=self._newest
                )
                for row in rows:
                    yield JournalRecord(*row)
                self.offset += consumed
                if self.fault not in (None, "short"):
                    return
                # a frame longer than what was read so far is read whole before the next try
                chunk = file.read(max(self._chunk_bytes, len(data) - consumed))
                if not chunk:
                    return
                data = data[consumed:] + chunk

    def finish(self) -> SegmentScan:
        """Reads to the end without giving records."""
        self._newest = True
        for _ in self:
            pass
        return self

    def is_damaged(self) -> bool:
        """After reading: whether good frames follow the fault, so that it is no write cut off at the end."""
        if self.fault is None:
            return False
        tail = self.tail()
        _, consumed, _, _ = journal_scan(tail, self.next_seq, key="")
        # good now: a writer was in the middle of this frame
        return consumed == 0 and journal_resync(tail, 1) is not None

    def tail(self) -> bytes:
        """After reading: the bytes behind the last good frame."""
        with self._open(self.offset) as file:
            return file.read()

    def damage(self) -> JournalError:
        """The error for a fault that cannot be cut away."""
        return damage(self.segment, self.offset, self.next_seq, self.fault or "")

    def _open(self, at: int = 0) -> BinaryIO:
        try:
            return self.segment.open(at)
        except OSError as error:
            raise JournalError("NOT_FOUND", f"cannot be read: {error}", where=str(self.segment.path)) from error

    def _header(self, chunk: bytes) -> int:
        """The header's length; the whole chunk if the header itself is cut off."""
        try:
            length = journal_header_len(chunk)
        except ValueError as error:
            self.fault = str(error)
            raise self.damage() from error
        if length is None:
            self.fault = "short" if chunk else None
            return len(chunk)
        self.offset = length
        return length
