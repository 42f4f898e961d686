"""How many records of a journal are known to be on the disk: a witness of its length, in a file beside its folder."""

from __future__ import annotations

import json
import os
import zlib
from typing import TYPE_CHECKING, Final

from signal_stream.errors import JournalError

from .durable import sync_folder

if TYPE_CHECKING:
    from pathlib import Path

_BYTES: Final = 64


class Head:
    """Two lines of 64 bytes, written in turn after the journal was forced to the disk: the larger number counts.

    So a journal that holds fewer records was cut since, and what lies behind that number may be an unfinished write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1
        self._line = 0

    @classmethod
    def beside(cls, folder: Path) -> Head:
        """The witness of the journal in this folder."""
        return cls(folder.with_name(f"{folder.name}.head"))

    def read(self) -> int | None:
        """The number; None if it was never written. Raises JournalError DAMAGED if it is not as it was written."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise JournalError("NOT_FOUND", f"cannot be read: {error.strerror}", where=str(self.path)) from error
        if len(data) < _BYTES or not data.strip(b"\0"):
            return None  # its first write did not reach the disk
        found = [_records(data[at : at + _BYTES]) for at in (0, _BYTES)]
        records = max(found)
        if records < 0:
            raise JournalError(
                "DAMAGED",
                "the witness of the journal's length is not as it was written",
                where=str(self.path),
                next_step="Check the journal with `signal-stream doctor --state DIR`; if it is whole, delete this file.",
            )
        return records

    def write(self, records: int) -> None:
        """Puts a number there. It need not be on the disk at once: a smaller one is true as well. Raises OSError."""
        if self._file < 0:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.pwrite(self._file, _line(records), self._line * _BYTES)
        self._line = 1 - self._line

    def force(self) -> None:
        """Forces the number to the disk. Raises OSError."""
        if self._file >= 0:
            os.fsync(self._file)
            sync_folder(self.path.parent)

    def close(self) -> None:
        """Gives the file back. May be called twice."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)


def _records(line: bytes) -> int:
    """The number of a line; -1 if it is not as it was written."""
    try:
        records = int(json.loads(line)["records"])
    except (ValueError, KeyError, TypeError):
        return -1
    return records if line == _line(records) else -1


def _line(records: int) -> bytes:
    text = f'{{"records": {records}'
    line = f'{text}, "crc32": {zlib.crc32(text.encode())}}}'
    return line.ljust(_BYTES - 1).encode() + b"\n"
