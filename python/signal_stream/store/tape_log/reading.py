"""A log as others read it, also while it is written."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from signal_stream.errors import TapeError

from .contents import MARK, Contents, summary
from .segment import RESTORE, damaged
from .survey import Piece, survey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from signal_stream import _core


def log_batches(folder: Path, skip: int = 0) -> Iterator[_core.EventBatch]:
    """What a log holds from message `skip` on, to its end as it is now. Of what lies before nothing is read.

    Each byte is compared with its checksum before it is used. Raises TapeError DAMAGED, or TRUNCATED if the messages from
    `skip` on were removed.
    """
    seen = survey(folder)
    if skip < seen.begin.message:
        raise TapeError(
            "TRUNCATED", f"its first {seen.begin.message:,} messages were removed", where=str(folder),
            value=seen.begin.message, next_step="[tape] keep in the deployment file says how long they stay.",
        )  # fmt: skip
    for piece in seen.pieces:
        if piece.end > skip:
            yield from _piece_batches(piece, max(0, skip - piece.first))


def _piece_batches(piece: Piece, skip: int) -> Iterator[_core.EventBatch]:
    with Contents.open(piece.segment) as contents:
        start = 0
        appends = contents.sums.appends
        holds = contents.sums.messages
        if holds is not None and holds < piece.messages:  # without checksums nothing of a segment is read
            raise TapeError(
                "DAMAGED", f"it has the checksums of {holds:,} messages, and {piece.segment.path.name} holds {piece.messages:,}",
                where=str(piece.segment.sums_path), value=holds, next_step=RESTORE,
            )  # fmt: skip
        while start < len(appends) and (of_one := appends[start].messages) is not None and of_one <= skip:
            skip -= of_one
            start += 1
        for group in contents.groups(start):
            events = group.events()
            if events is None:
                continue
            if skip >= events.messages:
                skip -= events.messages
                continue
            yield events.slice(skip, events.messages) if skip else events
            skip = 0


def marks_in(folder: Path) -> int:
    """How many of a log's messages are marks, which no source has given. Reads all of it; raises TapeError DAMAGED."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kinds = (pa.record_batch(batch)["kind"] for batch in log_batches(folder, survey(folder).begin.message))
    return sum(pc.sum(pc.equal(kind, MARK)).as_py() or 0 for kind in kinds)


def check_log(folder: Path) -> None:
    """Compares every byte with its checksum, and the index with what the segments hold. The end of the newest segment may be
    an append that is being written. Raises TapeError DAMAGED with file and byte."""
    seen = survey(folder)
    if seen.lies:
        advice = "The next `signal-stream serve` makes the index anew."
        raise TapeError("DAMAGED", "; ".join(seen.lies), where=str(folder), next_step=advice)
    for piece in seen.pieces:
        if piece is seen.pieces[-1]:
            _check_newest(piece)
            continue
        holds = summary(piece.segment)
        entry = piece.entry
        if entry is None:
            continue
        said = (entry.holds.messages, entry.holds.marks, entry.holds.recv_first, entry.holds.recv_last)
        sums_crc32 = zlib.crc32(piece.segment.sums_path.read_bytes())
        if said != (holds.messages, holds.marks, holds.recv_first, holds.recv_last) or sums_crc32 != entry.sums_crc32:
            raise TapeError(
                "DAMAGED", "it does not hold what the index says", where=str(piece.segment.path), value=holds.messages,
                next_step=RESTORE,
            )  # fmt: skip


def _check_newest(piece: Piece) -> None:
    with Contents.open(piece.segment) as contents:
        end, whole, _ = contents.sums.check(contents.segment.path)
        if whole < len(contents.sums.appends):
            raise damaged(contents.segment.path, end)
