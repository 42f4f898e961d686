"""The index of a tape log: where it begins, and what each segment holds that is no longer written."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from ..index_file import BrokenIndex, read_lines, write_lines
from .contents import Summary, summary

if TYPE_CHECKING:
    from pathlib import Path

    from .segment import Segment

NAME: Final = "index.jsonl"


@dataclass(frozen=True, slots=True)
class LogBegin:
    """Where a log begins: the number of its oldest segment, the messages that lay before it and were removed, and where the
    source stood there."""

    number: int = 0
    message: int = 0
    position: bytes | None = None


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    """What the index says about a segment. `size` is in bytes, `sums_crc32` the checksum of its checksums; `position` where
    the source stood at its end, whichever append said so last."""

    number: int
    file: str
    first: int
    size: int
    sums_crc32: int
    holds: Summary

    @classmethod
    def of(cls, segment: Segment, first: int, before: bytes | None) -> Self:
        """Reads a segment, every byte. `before` is the position at its beginning. Raises TapeError DAMAGED, OSError."""
        found = summary(segment)
        if found.position is None:
            found = Summary(found.messages, found.marks, found.recv_first, found.recv_last, before)
        size = segment.path.stat().st_size
        return cls(segment.number, segment.path.name, first, size, zlib.crc32(segment.sums_path.read_bytes()), found)

    @property
    def end(self) -> int:
        """Messages of the log up to and with the segment's."""
        return self.first + self.holds.messages


@dataclass(frozen=True, slots=True)
class LogIndex:
    """Begin and entries, oldest first."""

    begin: LogBegin
    entries: tuple[SegmentEntry, ...]

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The index of a log; None if there is none. Fields and lines of another kind are passed over. Raises BrokenIndex."""
        lines = read_lines(folder / NAME)
        if lines is None:
            return None
        begin, entries = LogBegin(), []
        try:
            for line in lines:
                if line["kind"] == "begin":
                    begin = LogBegin(line["segment"], line["message"], _bytes(line["position"]))
                elif line["kind"] == "segment":
                    entries.append(_entry(line))
        except (KeyError, TypeError, ValueError) as error:
            raise BrokenIndex(f"a line lacks what it has to say: {error}") from error
        return cls(begin, tuple(entries))

    def write(self, folder: Path) -> None:
        """Replaces the index, on the disk when this returns. Raises OSError."""
        begin = {
            "kind": "begin",
            "segment": self.begin.number,
            "message": self.begin.message,
            "position": _text(self.begin.position),
        }
        write_lines(folder / NAME, [begin, *map(_line, self.entries)])


def _line(entry: SegmentEntry) -> dict[str, Any]:
    holds = entry.holds
    return {
        "kind": "segment",
        "segment": entry.number,
        "file": entry.file,
        "first_message": entry.first,
        "messages": holds.messages,
        "marks": holds.marks,
        "ts_recv_first": holds.recv_first,
        "ts_recv_last": holds.recv_last,
        "bytes": entry.size,
        "sums_crc32": entry.sums_crc32,
        "position": _text(holds.position),
    }


def _entry(line: dict[str, Any]) -> SegmentEntry:
    holds = Summary(
        line["messages"], line["marks"], line["ts_recv_first"], line["ts_recv_last"], _bytes(line["position"])
    )
    return SegmentEntry(line["segment"], line["file"], line["first_message"], line["bytes"], line["sums_crc32"], holds)


def _text(position: bytes | None) -> str | None:
    return None if position is None else base64.b64encode(position).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
