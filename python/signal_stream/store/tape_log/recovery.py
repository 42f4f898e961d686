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
    """What opening a log cut from its end: bytes that a crash or power cut left unfinished, put into `kept` where there were any;
    and how many appends are gone that had been written, of which only the checksums are left."""

    path: Path
    offset: int
    bytes_cut: int
    kept: Path | None
    appends_gone: int

    def __str__(self) -> str:
        cut = f"{self.path} ended with {self.bytes_cut:,} bytes that are no whole append: cut at byte {self.offset:,}"
        if self.kept is not None:
            cut += f", and kept in {self.kept.name}"
        gone = f"{self.appends_gone:,} appends that had been written behind byte {self.offset:,}"
        if not self.appends_gone:
            return cut
        return f"{cut}; it lost {gone}" if self.bytes_cut else f"{self.path} lost {gone}"


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
    gone = len(sums.appends) - number
    kept = path.with_suffix(f".{end}.cut") if end < size else None
    if kept is not None:
        with path.open("rb") as file:
            file.seek(end)
            kept.write_bytes(file.read())
        os.truncate(path, end)
    cut = LogCut(path, end, size - end, kept, gone) if kept is not None or gone else None
    os.truncate(sums.path, sums.size(number))
    if end == 0:
        segment.remove()
    return cut
