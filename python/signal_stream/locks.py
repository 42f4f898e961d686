"""Locks between processes, on files and folders. A lock is given back when its file is closed, or its process ends."""

from __future__ import annotations

import fcntl
import os
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FLOCK: Final = "hhqqi4x"  # struct flock: type, whence, start, length, pid


def try_lock(handle: int) -> bool:
    """Locks an open file or folder against everybody who opened it anew; False if somebody else holds it.

    Raises OSError where the file system has no locks.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Waits for the lock of a folder, and holds it for the block. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class OwnerLock:
    """A lock file that names the process that holds it, for others who only look (`owner`)."""

    @classmethod
    def take(cls, path: Path) -> Self | None:
        """Locks the file, which is made if it is not there; None if somebody holds it, this process included."""
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.fcntl(handle, fcntl.F_OFD_SETLK, _whole_file(fcntl.F_WRLCK))
        except BlockingIOError:
            os.close(handle)
            return None
        except BaseException:
            os.close(handle)
            raise
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        return cls(handle)

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def close(self) -> None:
        """Gives the lock back. May be called twice."""
        if self._handle >= 0:
            os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = -1


def owner(path: Path) -> int | None:
    """The process that holds an OwnerLock; None if none does. Looking takes no lock, so it stops nobody from taking it."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        found = struct.unpack(_FLOCK, fcntl.fcntl(handle, fcntl.F_OFD_GETLK, _whole_file(fcntl.F_RDLCK)))
    finally:
        os.close(handle)
    return None if found[0] == fcntl.F_UNLCK else written_owner(path)


def written_owner(path: Path) -> int | None:
    """The process that wrote the lock file last; None if it does not name one."""
    text = path.read_bytes().strip()
    return int(text) if text.isdigit() else None


def _whole_file(kind: int) -> bytes:
    return struct.pack(_FLOCK, kind, os.SEEK_SET, 0, 0, 0)
