"""A file that signals are appended to, each once, over any number of crashes."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from signal_stream.errors import SinkError
from signal_stream.locks import try_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from signal_stream.records import JournalRecord

TAIL_MAX: Final = 65_536
_ID_CHARS: Final = 32
_NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a sink's file: where its last whole signal ends, that one's id, and the JSON of the last ones."""

    end: int
    last_id: str | None
    texts: Callable[[], list[str]]


class Format(Protocol):
    """How signals lie in a file."""

    def head(self) -> bytes:
        """What the file begins with."""

    def encode(self, texts: Sequence[str]) -> bytes:
        """The signals with these JSON texts."""

    def tail(self, path: Path, size: int) -> Tail:
        """The end of a file that is not empty. Raises ValueError if it is no such file."""


class SignalFile:
    """A sink that appends signals to one file in some format, as its only writer. One thread uses it.

    Opening takes the file's lock, cuts a last signal that a crash left unfinished, and says which signal is the last.
    `tail` gives the JSON of the last ones: after a power cut the file may have what the journal lost.

    The file may be rotated while it is written: renamed or removed, or copied and emptied. What follows goes to a new
    file of that name, or to the emptied one. A cursor beside it (`.NAME.cursor`: the ids of the last signal in the file
    before, and of the last in this one) says after a restart where an empty file resumes. A file that somebody else
    wrote to, or cut in part, raises SinkError CHANGED until it is moved aside or emptied, or the process is another one.
    """

    def __init__(self, path: Path, form: Format) -> None:
        """Opens nothing."""
        self.path = path
        self._form = form
        self._file = -1
        self._cursor = -1
        self._identity = (0, 0)
        self._size = 0
        self._last_id: str | None = None
        self._tail = Tail(0, None, list)
        self._spoilt: tuple[tuple[int, int], SinkError] | None = None

    def open(self, last_id: str | None) -> str:  # noqa: ARG002  the file itself says what it holds
        """Opens the file; the id of its last signal or, where it is empty, of the last in the file before: "" if there is
        none. Raises SinkError."""
        self._check_spoilt()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._cursor = os.open(_cursor_path(self.path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._open()
        except OSError as error:
            self._give_back()
            raise SinkError("WRITE", f"cannot be opened: {error.strerror}", where=str(self.path)) from error
        except BaseException:
            self._give_back()
            raise
        return self._last_id or self._before() or ""

    def tail(self) -> list[str]:
        """The JSON of the last signals in the file as it was opened, oldest first; 65,536 at most."""
        return self._tail.texts()

    def send(self, records: Sequence[JournalRecord]) -> None:
        """Appends signals, all or none. Raises SinkError if they were not written."""
        if records:
            self._append([record.body for record in records], last_id=records[-1].key)

    def sync(self) -> None:
        """Forces the file to the disk. Raises SinkError."""
        try:
            os.fdatasync(self._file)
        except OSError as error:
            raise SinkError("WRITE", f"a sync failed: {error.strerror}", where=str(self.path)) from error

    def close(self) -> None:
        """Forces the file to the disk and closes it; `open` begins again. May be called twice."""
        if self._file < 0:
            self._give_back()
            return
        try:
            os.fsync(self._file)
        except OSError as error:
            raise SinkError("WRITE", f"the last sync failed: {error.strerror}", where=str(self.path)) from error
        finally:
            self._give_back()

    def _give_back(self) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)
        cursor, self._cursor = self._cursor, -1
        if cursor >= 0:
            os.close(cursor)

    def _open(self) -> None:
        """The file of the path, from its last whole signal on. Raises OSError and SinkError."""
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._take_lock()
        found = os.fstat(self._file)
        self._identity = (found.st_ino, found.st_dev)
        if found.st_size == 0:
            self._turn_page()
        self._tail = self._cut()
        self._size, self._last_id = self._tail.end, self._tail.last_id

    def _look(self) -> None:
        """Notices what was done to the file since the last signal. Raises SinkError CHANGED."""
        try:
            found = os.stat(self.path)  # noqa: PTH116  half the time of a Path's own, and on the way of each signal
        except FileNotFoundError:
            found = None
        if found is not None and found.st_size == self._size and (found.st_ino, found.st_dev) == self._identity:
            return
        if found is not None and (found.st_ino, found.st_dev) == self._identity:
            if found.st_size:
                raise self._changed(found, f"it has {found.st_size:,} bytes, and {self._size:,} were written")
            self._size = 0  # copied and emptied
            self._turn_page()
            return
        if found is not None and found.st_size:
            raise self._changed(found, f"it is another file, of {found.st_size:,} bytes")
        try:
            file, self._file = self._file, -1
            try:
                os.fsync(file)
            finally:
                os.close(file)
            self._open()
        except OSError as error:
            raise SinkError("WRITE", f"cannot be begun anew: {error.strerror}", where=str(self.path)) from error

    def _changed(self, found: os.stat_result, how: str) -> SinkError:
        error = SinkError(
            "CHANGED",
            f"somebody changed it while it was written: {how}",
            where=str(self.path),
            next_step="The journal has every signal. Move the file aside, empty or rename it as a whole.",
        )
        self._spoilt = (found.st_ino, found.st_dev), error
        return error

    def _check_spoilt(self) -> None:
        """Raises SinkError CHANGED while the file that somebody changed is there, with what they left in it."""
        if self._spoilt is None:
            return
        identity, error = self._spoilt
        with suppress(FileNotFoundError):
            found = self.path.stat()
            if (found.st_ino, found.st_dev) == identity and found.st_size:
                raise error
        self._spoilt = None

    def _before(self) -> str | None:
        """The id of the last signal in the file before this one; None if there was none."""
        text = os.pread(self._cursor, _ID_CHARS, 0).decode(errors="replace")
        return text if len(text.strip("\0")) == _ID_CHARS else None

    def _turn_page(self) -> None:
        """This file is empty: it goes on behind the last signal of the one before."""
        last = os.pread(self._cursor, _ID_CHARS, _ID_CHARS)
        if len(last) == _ID_CHARS:
            os.pwrite(self._cursor, last, 0)

    def _append(self, texts: Sequence[str], *, last_id: str) -> None:
        self._look()
        data = self._form.encode(texts)
        if self._size == 0:
            data = self._form.head() + data
        try:
            written = os.pwrite(self._file, data, self._size)
            while written < len(data):
                written += os.pwrite(self._file, data[written:], self._size + written)
        except OSError as error:
            self._undo()
            code = "DISK_FULL" if error.errno in _NO_SPACE else "WRITE"
            raise SinkError(
                code,
                f"{len(texts)} signals were not written: {error.strerror}",
                where=str(self.path),
                next_step="The journal has them; they are added when there is room again.",
            ) from error
        self._size += len(data)
        self._last_id = last_id
        with suppress(OSError):  # only a file that is emptied needs it
            os.pwrite(self._cursor, last_id.encode(), _ID_CHARS)

    def _undo(self) -> None:
        with suppress(OSError):  # else the next opening cuts it
            os.ftruncate(self._file, self._size)

    def _cut(self) -> Tail:
        """The file's tail, with an unfinished signal behind it cut away."""
        size = os.fstat(self._file).st_size
        if size == 0:
            return Tail(0, None, list)
        try:
            tail = self._form.tail(self.path, size)
        except ValueError as error:
            raise SinkError(
                "DAMAGED",
                f"cannot be gone on with: {error}",
                where=str(self.path),
                next_step=f"Move it and {_cursor_path(self.path).name} aside; it is then written anew from the journal.",
            ) from error
        if tail.end < size:
            os.ftruncate(self._file, tail.end)
        return tail

    def _take_lock(self) -> None:
        if not try_lock(self._file):
            raise SinkError("LOCKED", "another process writes this file", where=str(self.path))


def _cursor_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.cursor")
