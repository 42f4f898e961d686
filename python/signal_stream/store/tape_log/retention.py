"""How much of a tape log is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .index import LogBegin, LogIndex
from .survey import survey

if TYPE_CHECKING:
    from pathlib import Path


def message_before(folder: Path, ts: int) -> int:
    """The first message of the first segment that holds something received at `ts` or later: what lies before is older."""
    seen = survey(folder, count_newest=False)
    for piece in seen.pieces:
        if piece.entry is None:
            return piece.first
        last = piece.entry.holds.recv_last  # None where the source's position was all that was written
        if last is not None and last >= ts:
            return piece.first
    return seen.messages


def newest_ts(folder: Path) -> int | None:
    """The newest receive time in the log's index; None if it has none."""
    times = [entry.holds.recv_last for entry in survey(folder, count_newest=False).index().entries]
    return max((ts for ts in times if ts is not None), default=None)


def remove_before(folder: Path, message: int) -> int:
    """Removes the segments that lie before a message as a whole, in the index first; returns how many. Never the newest, and
    none that is not indexed. One thread of one process at a time. Raises OSError."""
    seen = survey(folder, count_newest=False)
    gone = 0
    for piece in seen.pieces[:-1]:
        if piece.entry is None or piece.end > message:
            break
        gone += 1
    if not gone:
        return 0
    last = seen.pieces[gone - 1]
    assert last.entry is not None
    begin = LogBegin(last.segment.number + 1, last.end, last.entry.holds.position)
    LogIndex(begin, seen.index().entries[gone:]).write(folder)
    for piece in seen.pieces[:gone]:
        piece.segment.remove()
    return gone
