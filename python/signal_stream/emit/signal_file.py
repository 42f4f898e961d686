"""A file that signals are appended to, each once, over any number of crashes."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol

from signal_stream.errors import SinkError
from signal_stream.records import Signal, speaks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from .sink import SignalHistory

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
    """One writer's file of signals in some format.

    Opening takes the file's lock and cuts a last signal that a crash left unfinished. `ahead` gives what a power cut
    took from the journal and the file still has. `resume` then compares the file's last signal with the journal and
    adds what is missing.

    The file may be rotated while it is written: renamed or removed, or copied and emptied. What follows goes to a new
    file of that name, or to the emptied one. A cursor beside it (`.NAME.cursor`: the ids of the last signal in the file
    before, and of the last in this one) says after a restart where an empty file goes on. A file that somebody else
    wrote to, or cut in part, raises SinkError CHANGED.
    """

    def __init__(self, path: Path, form: Format) -> None:
        self.path = path
        self._form = form
        self._file = -1
        self._cursor = -1
        self._swap = threading.Lock()
        self._identity = (0, 0)
        self._tail = Tail(0, None, list)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            cursor = _cursor_path(path)
            self._cursor = os.open(cursor, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._open()
        except OSError as error:
            self._give_back()
            raise SinkError("WRITE", f"cannot be opened: {error.strerror}", where=str(path)) from error
        except BaseException:
            self._give_back()
            raise

    def ahead(self, history: SignalHistory) -> list[str]:
        """The JSON of signals that the file has and the history lost. Raises SinkError FOREIGN if the history knows
        none of its last signals."""
        last_id = self._tail.last_id
        if last_id is None or history.find(last_id) is not None:
            return []
        texts = self._tail.texts()
        position = {json.loads(text)["signal_id"]: i for i, text in enumerate(texts)}
        known = None
        for record in history.records(kind="signal"):
            if record.key in position:
                known = record
        if known is None:
            raise self._foreign(last_id)
        return texts[position[known.key] + 1 :]

    def resume(self, history: SignalHistory) -> int:
        """Adds what the history has and the file lacks; returns how many signals that were."""
        last_id = self._last_id or self._before()
        from_seq = 0
        if last_id is not None:
            found = history.find(last_id)
            if found is None:
                raise self._foreign(last_id)
            from_seq = found.seq + 1
        added = 0
        missing = (
            record
            for record in history.records(kind="signal", from_seq=from_seq)
            if speaks(json.loads(record.body).get("stage"))
        )
        while some := list(islice(missing, 1000)):
            self._append([record.body for record in some], last_id=some[-1].key)
            added += len(some)
        return added

    def send(self, signals: Sequence[Signal]) -> None:
        """Appends signals, all or none. Raises SinkError if they were not written."""
        checked = [Signal.check(signal) for signal in signals]
        if checked:
            self._append([signal.json for signal in checked], last_id=checked[-1].signal_id)

    def sync(self) -> None:
        """Forces the file to the disk. Any thread may ask. Raises OSError."""
        with self._swap:  # the writer may be beginning another one
            file = os.dup(self._file) if self._file >= 0 else -1
        if file >= 0:
            try:
                os.fdatasync(file)
            finally:
                os.close(file)

    def close(self) -> None:
        """Forces the file to the disk and closes it. May be called twice."""
        with self._swap:
            file, self._file = self._file, -1
        if file < 0:
            return
        try:
            os.fsync(file)
        except OSError as error:
            raise SinkError("WRITE", f"the last sync failed: {error.strerror}", where=str(self.path)) from error
        finally:
            self._file = file
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
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        with self._swap:
            self._file = file
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
                raise self._changed(f"it has {found.st_size:,} bytes, and {self._size:,} were written")
            self._size = 0  # copied and emptied
            self._turn_page()
            return
        if found is not None and found.st_size:
            raise self._changed(f"it is another file, of {found.st_size:,} bytes")
        try:
            with self._swap:
                file, self._file = self._file, -1
            try:
                os.fsync(file)
            finally:
                os.close(file)
            self._open()
        except OSError as error:
            raise SinkError("WRITE", f"cannot be begun anew: {error.strerror}", where=str(self.path)) from error

    def _changed(self, how: str) -> SinkError:
        return SinkError(
            "CHANGED",
            f"somebody changed it while it was written: {how}",
            where=str(self.path),
            next_step="The journal has every signal. Move the file aside, empty or rename it as a whole, and restart.",
        )

    def _before(self) -> str | None:
        """The id of the last signal in the file before this one; None if there was none."""
        text = os.pread(self._cursor, _ID_CHARS, 0).decode(errors="replace")
        return text if len(text.strip("\0")) == _ID_CHARS else None

    def _turn_page(self) -> None:
        """This file is empty: it goes on behind the last signal of the one before."""
        last = os.pread(self._cursor, _ID_CHARS, _ID_CHARS)
        if len(last) == _ID_CHARS:
            os.pwrite(self._cursor, last, 0)

    def _foreign(self, last_id: str) -> SinkError:
        return SinkError(
            "FOREIGN",
            f"ends with signal {last_id}, which the journal does not hold, nor those before it",
            where=str(self.path),
            value=last_id,
            next_step=f"Move the file and {_cursor_path(self.path).name} aside, or restore the state folder that made "
            "them.",
        )

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
                next_step="The journal has them; a restart adds them here.",
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
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SinkError("LOCKED", "another process writes this file", where=str(self.path)) from error


def _cursor_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.cursor")
