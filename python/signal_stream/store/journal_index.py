"""What each full segment of a journal holds, so that nobody has to read it to know."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from .index_file import BrokenIndex, read_lines, write_lines
from .segment import Segment, SegmentScan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_NAME: Final = "index.jsonl"
_CHUNK_BYTES: Final = 64 << 10  # a signal waits meanwhile


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """A segment's records: numbers from `first_seq` to before `end_seq`. `ts_last` is the receive time of the newest signal
    (of the newest record where there is none), `offsets` for each graph the message that its first signal rests on."""

    first_seq: int
    end_seq: int
    ts_last: int
    offsets: Mapping[str, int]

    @classmethod
    def of(cls, segment: Segment, *, written: bool = False) -> JournalEntry:
        """Reads a segment, every byte. Raises JournalError for one that is not as it was written; the end of one that is being
        `written` may be unfinished."""
        scan = SegmentScan(segment, chunk_bytes=_CHUNK_BYTES)
        last: dict[bool, int] = {}
        offsets: dict[str, int] = {}
        for record in scan:
            is_signal = record.kind == "signal"
            last[is_signal] = record.ts
            if is_signal and not any(graph in record.body for graph in offsets):
                body: dict[str, Any] = json.loads(record.body)
                offsets[body["feature_graph_hash"]] = body["tape"]["offset"]
        if scan.fault is not None and not written:
            raise scan.damage()
        return cls(segment.first_seq, scan.next_seq, last.get(True, last.get(False, 0)), offsets)


def read_entries(folder: Path) -> dict[int, JournalEntry]:
    """The index of a journal by first record. What is not as it was written is not there: to be made anew."""
    try:
        lines = read_lines(folder / _NAME) or []
        return {
            line["first_seq"]: JournalEntry(line["first_seq"], line["end_seq"], line["ts_last"], line["offsets"])
            for line in lines
            if line["kind"] == "segment"
        }
    except (BrokenIndex, KeyError, TypeError):
        return {}


def write_entries(folder: Path, entries: Iterable[JournalEntry]) -> None:
    """Replaces the index. Raises OSError."""
    write_lines(
        folder / _NAME,
        (
            {
                "kind": "segment",
                "first_seq": each.first_seq,
                "end_seq": each.end_seq,
                "ts_last": each.ts_last,
                "offsets": dict(each.offsets),
            }
            for each in sorted(entries, key=lambda each: each.first_seq)
        ),
    )
