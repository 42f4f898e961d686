"""A log as it lies there: its segments, compared with its index and with each other, and where each begins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from signal_stream.errors import TapeError

from ..index_file import BrokenIndex
from .contents import Contents, summary
from .index import NAME, LogBegin, LogIndex, SegmentEntry
from .segment import RESTORE, Segment, list_segments, missing
from .sums import newest_with_sums

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Piece:
    """A segment with its place in the log. `entry` is what the index says about it, None where it is not in it."""

    segment: Segment
    first: int
    messages: int
    entry: SegmentEntry | None

    @property
    def end(self) -> int:
        """Messages of the log up to and with the segment's."""
        return self.first + self.messages


@dataclass(frozen=True, slots=True)
class Survey:
    """The pieces in order. `lies` says what the index got wrong: it is to be written anew."""

    begin: LogBegin
    pieces: tuple[Piece, ...]
    lies: tuple[str, ...]

    @property
    def messages(self) -> int:
        """Messages that were ever written, the removed ones included."""
        return self.pieces[-1].end if self.pieces else self.begin.message

    def index(self) -> LogIndex:
        """The index as it ought to be, of the segments that are in it."""
        return LogIndex(self.begin, tuple(piece.entry for piece in self.pieces if piece.entry is not None))

    def position(self) -> bytes | None:
        """Where the source stood at the log's end; None if nobody knows. Reads the newest segments that are not indexed."""
        for piece in reversed(self.pieces):
            if piece.entry is not None:
                return piece.entry.holds.position
            with Contents.open(piece.segment) as contents:
                found = contents.last_position()
            if found is not None:
                return found
        return self.begin.position


def survey(folder: Path, *, count_newest: bool = True) -> Survey:
    """Looks at names, sizes and index; reads the checksums of what is not indexed, which is the newest segment and what
    the last process left. An index that contradicts the segments is not believed: what it says wrongly is counted anew.

    Without `count_newest` nothing is read of a newest segment that is not indexed, and it counts as empty: for what runs beside
    the writer. Raises TapeError DAMAGED with the segment that is missing, or is not as it was written.
    """
    lies: list[str] = []
    begun = newest_with_sums(folder)  # first: a segment is there before its first checksum, and longer than it
    found = list_segments(folder)
    try:
        index = LogIndex.read(folder)
    except BrokenIndex as error:
        lies.append(f"{folder / NAME}: {error}")
        index = LogIndex(_begin_of(found), ())
    index = index or LogIndex(LogBegin(), ())
    found = [segment for segment in found if segment.number >= index.begin.number]
    entries = {entry.number: entry for entry in index.entries}
    _check_numbers(folder, index, found)
    if begun is not None and begun > max((segment.number for segment in found), default=-1):
        raise missing(folder, begun)
    pieces: list[Piece] = []
    for segment in found:
        first = pieces[-1].end if pieces else index.begin.message
        if segment.first not in (None, first):
            first = _recount(folder, pieces, segment, lies)
        entry = entries.get(segment.number)
        if segment is found[-1] and entry is None and not count_newest:
            pieces.append(Piece(segment, first, 0, None))
            continue
        pieces.append(_piece(segment, first, entry, lies, is_newest=segment is found[-1]))
    return Survey(index.begin, tuple(pieces), tuple(lies))


def _piece(segment: Segment, first: int, entry: SegmentEntry | None, lies: list[str], *, is_newest: bool) -> Piece:
    if entry is not None and (entry.file, entry.first) == (segment.path.name, first):
        size = segment.path.stat().st_size
        if size == entry.size:
            return Piece(segment, first, entry.holds.messages, entry)
        holds = summary(segment)  # which of the two is wrong
        lies.append(f"{segment.path} has {size:,} bytes and is whole, its index says {entry.size:,}")
        return Piece(segment, first, holds.messages, None)
    with Contents.open(segment) as contents:
        if not is_newest:
            contents.sums.check_reach(contents.segment.path)
        messages = contents.sums.messages
        if messages is None:  # format 0
            messages = sum(events.messages for group in contents.groups() if (events := group.events()) is not None)
    return Piece(segment, first, messages, None)


def _recount(folder: Path, pieces: list[Piece], segment: Segment, lies: list[str]) -> int:
    """The first message of a segment whose name does not continue the piece before it: the index said wrongly how many
    that one holds, or else something is missing."""
    assert segment.first is not None
    before = pieces[-1] if pieces else None
    if before is not None and before.entry is not None:
        holds = summary(before.segment)
        if before.first + holds.messages == segment.first:
            said = before.messages
            lies.append(f"{before.segment.path} holds {holds.messages:,} messages, its index says {said:,}")
            pieces[-1] = replace(before, messages=holds.messages, entry=None)
            return segment.first
    ends = before.end if before is not None else 0
    raise TapeError(
        "DAMAGED",
        f"messages {ends:,} to {segment.first:,} are missing before segment {segment.number}",
        where=str(folder),
        value=segment.first,
        next_step=RESTORE,
    )


def _check_numbers(folder: Path, index: LogIndex, found: list[Segment]) -> None:
    """Raises TapeError DAMAGED if a segment is missing before the newest, or one that the index knows."""
    there = {segment.number for segment in found}
    entries = {entry.number: entry for entry in index.entries}
    last = max([*there, *entries], default=-1)
    for number in range(index.begin.number, last + 1):
        if number not in there:
            entry = entries.get(number)
            held = "" if entry is None else f": messages {entry.first:,} to {entry.end:,}, {entry.size:,} bytes"
            raise missing(folder, number, held)


def _begin_of(found: list[Segment]) -> LogBegin:
    """Where a log begins whose index cannot be read."""
    return LogBegin(found[0].number, found[0].first or 0) if found else LogBegin()
