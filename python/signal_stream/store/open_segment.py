"""A segment that is read piece by piece, perhaps while it is written."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .segment import Segment

CHUNK_BYTES: Final = 64 << 10
"""Some 90 signals: what one reading takes, and holds."""
CHUNK_BYTES_MAX: Final = 256 << 20


class OpenSegment:
    """The bytes of a segment from `offset` on. What its writer had not finished when it was read is read again; of a compressed
    segment, which nobody writes, nothing is read twice."""

    def __init__(self, segment: Segment, offset: int = 0) -> None:
        """Raises OSError where it cannot be opened."""
        self.segment = segment
        self.offset = offset
        self._file = segment.open(offset)
        self._left = b""

    def peek(self, size: int) -> bytes:
        """So many bytes from the offset on, fewer at the end. Raises OSError."""
        file = self._file
        if isinstance(file, io.FileIO):
            file.seek(self.offset)
            return file.read(size)
        while len(self._left) < size and (chunk := file.read(size - len(self._left))):
            self._left += chunk
        return self._left[:size]

    def advance(self, size: int) -> None:
        """Moves the offset behind what was peeked at and used."""
        self.offset += size
        self._left = self._left[size:]

    def fileno(self) -> int:
        """The descriptor of a segment that is not compressed."""
        return self._file.fileno()

    def close(self) -> None:
        """Gives the file back. May be called twice."""
        self._file.close()
