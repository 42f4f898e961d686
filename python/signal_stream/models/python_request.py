"""What goes through the ring to a Python model's worker: a row with its instrument and time, or something else to be done."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

_TAIL: Final = struct.Struct("<qHHII236s")
TAIL_BYTES: Final = _TAIL.size
INSTRUMENT_BYTES_MAX: Final = 236


class Do(IntEnum):
    """What a request asks for. All but a prediction is answered with one number.

    SNAPSHOT: the state's bytes go into the shared file, the answer is how many they are. RESTORE: the state is made of the
    first `first` bytes of the shared file, none of them: as at the beginning. FEED: `count` requests of the shared file from
    byte `first` on are computed, and their answers forgotten.
    """

    PREDICT = 0
    SNAPSHOT = 1
    RESTORE = 2
    FEED = 3


@dataclass(frozen=True, slots=True)
class Tail:
    """The part of a request behind the row's numbers."""

    do: Do
    instrument: str = ""
    ts_recv: int = 0
    first: int = 0
    count: int = 0

    def to_bytes(self) -> bytes:
        """Raises ValueError for an instrument whose name is too long."""
        name = self.instrument.encode()
        if len(name) > INSTRUMENT_BYTES_MAX:
            raise ValueError(
                f"an instrument's name of {len(name)} bytes; a model is told {INSTRUMENT_BYTES_MAX} at most"
            )
        return _TAIL.pack(self.ts_recv, self.do, len(name), self.first, self.count, name)

    @classmethod
    def of(cls, request: bytes | bytearray | memoryview, offset: int) -> Tail:
        """Reads what `to_bytes` wrote."""
        ts_recv, do, size, first, count, name = _TAIL.unpack_from(request, offset)
        return cls(Do(do), name[:size].decode(), ts_recv, first, count)
