"""One pipeline a state folder."""

from __future__ import annotations

import fcntl
import os
import struct
from typing import TYPE_CHECKING, Final

from signal_stream.errors import JournalError

if TYPE_CHECKING:
    from pathlib import Path

_FLOCK: Final = "hhqqi4x"  # struct flock: type, whence, start, length, pid


class StateLock:
    """Held by the process that serves a state folder, for its life: kill -9 gives it back.

    The file holds the process id, so that others can name it. Raises JournalError LOCKED if another process, or
    another pipeline of this one, holds it.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "lock"
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, _whole_file(fcntl.F_WRLCK))
        except OSError as error:
            os.close(self._file)
            pid = _written_pid(path)
            raise JournalError(
                "LOCKED",
                f"process {pid or '(unknown)'} serves this state folder already",
                where=str(folder),
                value=pid,
                next_step="Stop it first, or give this pipeline a state folder of its own.",
            ) from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Gives the folder back. May be called twice."""
        if self._file >= 0:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = -1


def serving_pid(folder: Path) -> int | None:
    """The process that serves a state folder now; None if none does."""
    path = folder / "lock"
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        found = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_OFD_GETLK, _whole_file(fcntl.F_RDLCK)))
    finally:
        os.close(file)
    return None if found[0] == fcntl.F_UNLCK else _written_pid(path)


def _whole_file(kind: int) -> bytes:
    return struct.pack(_FLOCK, kind, os.SEEK_SET, 0, 0, 0)


def _written_pid(path: Path) -> int | None:
    text = path.read_bytes().strip()
    return int(text) if text.isdigit() else None
