"""Segments of the journal that are no longer written: compressed, entered in its index, removed when they are too old."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from .durable import sync_folder
from .head import Head
from .journal_index import JournalEntry, read_entries, write_entries
from .sealed import compress
from .segment import Segment, missing, segments

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def seal_journal(folder: Path, *, stopped: Callable[[], bool] = lambda: False) -> int:
    """Compresses the segments behind which others are on the disk, and enters them in the index; returns how many that were.
    One thread of one process at a time.

    Each step leaves a journal that everybody reads: a compressed segment is whole before it has its name, and was read back
    before the other goes. Raises JournalError for a segment that is not as it was written, and OSError.
    """
    synced = Head.beside(folder).read()
    entries = read_entries(folder)
    sealed = 0
    for first_seq in entries:
        if Segment.named(folder, first_seq).sealed_path.exists():
            _remove_plain(folder, first_seq)  # where a step was interrupted
    for segment, following in pairwise(segments(folder)):
        if stopped() or (synced is not None and following.first_seq > synced):
            break
        if segment.is_sealed and segment.first_seq in entries:
            continue
        entry = JournalEntry.of(segment)
        if entry.end_seq != following.first_seq:
            raise missing(entry.end_seq, following)
        if not segment.is_sealed:
            compress(segment.path, segment.sealed_path)
            if JournalEntry.of(Segment(segment.sealed_path, segment.first_seq)) != entry:
                raise OSError(f"{segment.sealed_path} was read back otherwise than it was written")
        write_entries(folder, (entries | {entry.first_seq: entry}).values())
        entries[entry.first_seq] = entry
        _remove_plain(folder, segment.first_seq)
        sealed += 1
    return sealed


def unsealed_segments(folder: Path) -> int:
    """How many segments are full and not compressed."""
    return sum(not segment.is_sealed for segment in segments(folder)[:-1])


def remove_journal_before(folder: Path, ts: int, *, needed_from: int) -> int:
    """Removes the oldest segments, as long as their newest signal is older than `ts` and no record from `needed_from` on is in
    them; returns how many. Never the newest, and none that is not in the index. Raises OSError."""
    entries = read_entries(folder)
    gone = []
    for segment, following in pairwise(segments(folder)):
        entry = entries.get(segment.first_seq)
        if entry is None or entry.ts_last >= ts or following.first_seq > needed_from:
            break
        gone.append(segment)
    for segment in gone:  # the oldest first: what is left has no hole
        segment.path.unlink(missing_ok=True)
        _remove_plain(folder, segment.first_seq)
    if gone:
        sync_folder(folder)
        removed = {segment.first_seq for segment in gone}
        write_entries(folder, (entry for first, entry in entries.items() if first not in removed))
    return len(gone)


def kept_offsets(folder: Path) -> dict[str, int]:
    """For each graph the message that its oldest signal rests on which is still in the journal. Reads what is not in the
    index, which is the newest segment and those that nobody has sealed."""
    entries = read_entries(folder)
    found: dict[str, int] = {}
    for segment in segments(folder):
        entry = entries.get(segment.first_seq)
        for graph, offset in (_offsets(segment) if entry is None else entry.offsets).items():
            found.setdefault(graph, offset)
    return found


def _offsets(segment: Segment) -> dict[str, int]:
    """Of a segment that may be written at the same time."""
    return dict(JournalEntry.of(segment, written=True).offsets)


def _remove_plain(folder: Path, first_seq: int) -> None:
    Segment.named(folder, first_seq).path.unlink(missing_ok=True)
