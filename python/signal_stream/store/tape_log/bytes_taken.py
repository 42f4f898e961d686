"""The bytes of an Arrow stream, so that they can be written as one append."""

from __future__ import annotations

import io
from typing import Any


class BytesTaken(io.RawIOBase):
    """What a stream's writer writes to."""

    def __init__(self) -> None:
        self._data = bytearray()

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any) -> int:
        """Keeps the bytes."""
        self._data += data
        return len(data)

    def taken(self) -> bytes:
        """What was kept since the last time."""
        data, self._data = bytes(self._data), bytearray()
        return data
