"""One of the two files that hold the latches: its lines as they can be believed, and adding to it on the disk."""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .durable import sync_folder
from .latch import ALL, Latch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

COPY_FOLDER: Final = "journal"
"""Where the copy lies, in the state folder."""


@dataclass(frozen=True, slots=True)
class ReadLatches:
    """One of the two files: its readable lines, and what is wrong with the others."""

    path: Path
    latches: tuple[Latch, ...]
    fault: str | None


class LatchReader:
    """Reads one of the two files, again and again: where it begins as it was, only what was added is parsed.

    So a kill costs a serving process the comparison of the bytes, not of every line ever written: a file of 100,000 acts is
    parsed once at a start (1 s) and compared in hundredths of a second from then on.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._data = b""
        self._latches: tuple[Latch, ...] = ()

    def read(self, like: LatchReader | None = None) -> ReadLatches:
        """What the file says. `like` has read the other one just now, which mostly holds the same. Raises nothing."""
        name = _name(self._path)
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return ReadLatches(self._path, (), f"{name} is missing")
        except OSError as error:
            return ReadLatches(self._path, (), f"{name} cannot be read: {error.strerror}")
        known = like if like is not None and data.startswith(like._data) else self
        if not data.startswith(known._data):
            self._data, self._latches = b"", ()
            known = self
        added = _parsed(self._path, data[len(known._data) :], known._latches)
        if added.fault is None:
            self._data, self._latches = data, added.latches
        return added


def read_latches(path: Path) -> ReadLatches:
    """What a file says. Raises nothing."""
    return LatchReader(path).read()


def _name(path: Path) -> str:
    return path.name if path.parent.name != COPY_FOLDER else f"{COPY_FOLDER}/{path.name}"


def _parsed(path: Path, data: bytes, known: tuple[Latch, ...]) -> ReadLatches:
    """What a file says that goes on with `data` behind lines that were read before."""
    name = _name(path)
    latches = list(known)
    faults = []
    *lines, rest = data.split(b"\n")
    before = known[-1] if known else None
    for number, line in enumerate(lines, len(known) + 1):
        try:
            latch = Latch.from_line(line.decode(), before)
            if before is not None and latch.seq != before.seq + 1:
                raise ValueError("a number is missing")
        except (ValueError, TypeError, AttributeError):
            faults.append(f"{name}: line {number} is not as it was written, or does not follow the line before")
            with suppress(ValueError, TypeError, AttributeError):
                before = Latch.from_plain(json.loads(line.decode()))  # what follows may be whole
            continue
        latches.append(latch)
        before = latch
    if rest:
        faults.append(f"{name}: line {len(known) + len(lines) + 1} is cut off")
    elif not known and not lines:
        faults.append(f"{name} is empty")
    elif not faults and latches[0].scope != ALL:
        faults.append(f"{name} does not begin as it was begun")
    return ReadLatches(path, tuple(latches), faults[0] if faults else None)


def difference(file: ReadLatches, copy: ReadLatches) -> str:
    """What one of two whole files holds and the other does not."""
    names = (file.path.name, f"{COPY_FOLDER}/{copy.path.name}")
    for mine, other in zip(file.latches, copy.latches, strict=False):
        if mine != other:
            return f"record {mine.seq} is ({mine}) in {names[0]} and ({other}) in {names[1]}"
    shared = min(len(file.latches), len(copy.latches))
    short, long_, held = (names[0], names[1], copy) if len(file.latches) == shared else (names[1], names[0], file)
    missing = "; ".join(f"record {latch.seq} ({latch})" for latch in held.latches[shared:])
    return f"{short} lacks {missing}, which {long_} holds"


def append_latches(path: Path, latches: Sequence[Latch]) -> None:
    """Adds lines to a file that exists, on the disk. Raises OSError."""
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    try:
        _write(file, latches)
    finally:
        os.close(file)


def replace_latches(path: Path, latches: Sequence[Latch]) -> None:
    """A file with these lines alone, on the disk, whatever was there. Raises OSError."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    file = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        _write(file, latches)
    finally:
        os.close(file)
    unfinished.rename(path)
    sync_folder(path.parent)


def read_back(path: Path, latches: Sequence[Latch]) -> None:
    """Raises OSError where a file does not end with these lines."""
    read = read_latches(path)
    if read.fault is not None or read.latches[-len(latches) :] != tuple(latches):
        raise OSError(errno.EIO, f"{path.name} was read back otherwise than it was written")


def _write(file: int, latches: Sequence[Latch]) -> None:
    """One write, forced to the disk. Raises OSError."""
    data = "".join(latch.to_line() for latch in latches).encode()
    if os.write(file, data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(file)
