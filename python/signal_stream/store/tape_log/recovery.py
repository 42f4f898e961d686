"""The end of a log after a stop, a crash or a power cut: what may be cut."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .segment import damaged, list_segments
from .sums import Sums

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class LogCut:
    """What opening a log cut from its end, and where it is kept: an append that a crash or power cut left unfinished."""

    path: Path
    offset: int
    bytes_cut: int
    kept: Path

    def __str__(self) -> str:
        return f"{self.path} ended with {self.bytes_cut:,} bytes that are no whole append: cut at byte {self.offset:,}"


def cut_newest(folder: Path) -> LogCut | None:
    """Cuts what lies behind the last whole append of the newest segment, and removes the segment if nothing is left. Raises
    TapeError DAMAGED where whole appends follow, or where the checksums are gone."""
    found = list_segments(folder)
    if not found or found[-1].sealed:
        return None
    segment = found[-1]
    path = segment.path
    sums = Sums.read(segment)
    end, number, size = sums.check(path)
    if number < len(sums.appends) and sums.any_whole(path, number + 1):
        raise damaged(path, end)
    cut = None
    if end < size:
        kept = path.with_suffix(f".{end}.cut")
        with path.open("rb") as file:
            file.seek(end)
            kept.write_bytes(file.read())
        cut = LogCut(path, end, size - end, kept)
        os.truncate(path, end)
    os.truncate(sums.path, sums.size(number))
    if end == 0:
        segment.remove()
    return cut
