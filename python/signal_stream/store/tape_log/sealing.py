"""Segments that are no longer written: compressed, and entered in the index."""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING, Any, Final

from ..durable import sync_folder
from .bytes_taken import BytesTaken
from .contents import POSITION, Contents, Group
from .index import LogIndex, SegmentEntry
from .segment import Segment
from .sums import Append, sums_header, sums_row
from .survey import Survey, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pyarrow as pa

_BLOCK_ROWS: Final = 65_536


def seal(folder: Path, *, compress: bool, stopped: Callable[[], bool] = lambda: False) -> int:
    """Compresses what is full and not compressed yet, if it is to be, and enters it in the index; returns how many segments
    that were. The newest segment is the writer's. One thread of one process at a time.

    Each step leaves a log that everybody reads: the compressed file is whole before it has its name, the index follows, then
    the file that was written goes. Raises TapeError DAMAGED for a segment that is not as it was written, and OSError.
    """
    seen = survey(folder, count_newest=False)
    if seen.lies:
        seen.index().write(folder)
    _sweep(folder, seen)
    entries = {piece.segment.number: piece.entry for piece in seen.pieces if piece.entry is not None}
    sealed = 0
    position = seen.begin.position
    for piece in seen.pieces[:-1]:
        if stopped():
            break
        segment = piece.segment
        if piece.entry is None or (compress and not segment.sealed):
            if compress and not segment.sealed:
                segment = _compressed(segment, piece.first)
            entries[segment.number] = SegmentEntry.of(segment, piece.first, position)
            LogIndex(seen.begin, tuple(entries[number] for number in sorted(entries))).write(folder)
            if segment != piece.segment:
                piece.segment.remove()
            sealed += 1
        position = entries[segment.number].holds.position
    if sealed:
        _sweep(folder, survey(folder, count_newest=False))
    return sealed


def _sweep(folder: Path, seen: Survey) -> None:
    """Removes what an interrupted step left: what was to be deleted, and what became a compressed segment."""
    for path in folder.glob("*.arrow"):
        segment = Segment.of(path)
        kept = next((piece for piece in seen.pieces if piece.segment.number == segment.number), None)
        removed = kept is None and segment.number < seen.begin.number
        became_another = kept is not None and kept.segment != segment and kept.entry is not None
        if removed or became_another:
            segment.remove()
    for path in folder.glob(".*.unfinished"):
        path.unlink(missing_ok=True)


def _compressed(segment: Segment, first: int) -> Segment:
    """Writes a segment's messages as one with compressed columns, beside it."""
    import pyarrow as pa

    sealed = Segment.named(segment.path.parent, segment.number, first, sealed=True)
    unfinished = sealed.path.with_name(f".{sealed.path.stem}.unfinished")
    rows = [sums_header()]
    taken = BytesTaken()
    with unfinished.open("wb") as file, Contents.open(segment) as contents:
        contents.sums.check_whole(contents.segment.path)
        stream: Any = None
        end = 0
        for table, messages, position in _blocks(contents.groups()):
            if stream is None:
                options = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
                stream = pa.ipc.new_stream(taken, table.schema, options=options)
            [batch] = table.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], table.schema)]
            stream.write_batch(batch, custom_metadata={POSITION: position} if position else None)
            data = taken.taken()
            file.write(data)
            end += len(data)
            rows.append(sums_row(Append(end, zlib.crc32(data), messages, len(position or b""))))
        file.flush()
        os.fsync(file.fileno())
    with sealed.sums_path.open("wb") as sums:
        sums.write(b"".join(rows))
        sums.flush()
        os.fsync(sums.fileno())
    sync_folder(sealed.path.parent)
    unfinished.rename(sealed.path)
    sync_folder(sealed.path.parent)
    return sealed


def _blocks(groups: Iterator[Group]) -> Iterator[tuple[pa.Table, int, bytes | None]]:
    """Whole messages in blocks of so many rows, about: with their number, and the newest position among them."""
    import pyarrow as pa

    batches: list[pa.RecordBatch] = []
    rows = messages = 0
    position: bytes | None = None
    for group in groups:
        events = group.events()
        messages += 0 if events is None else events.messages
        for batch, at in group.batches:
            batches.append(batch)
            rows += batch.num_rows
            position = position if at is None else at
        if rows >= _BLOCK_ROWS:
            yield pa.Table.from_batches(batches), messages, position
            batches, rows, messages, position = [], 0, 0, None
    if batches:
        yield pa.Table.from_batches(batches), messages, position
