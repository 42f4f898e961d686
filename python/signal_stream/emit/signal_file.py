"""A file that signals are appended to, each once, over any number of crashes."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol

from signal_stream.errors import SinkError
from signal_stream.records import Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from .sink import SignalHistory

TAIL_MAX: Final = 65_536
_NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a sink's file: where its last whole signal ends, that one's id, and the ids of the last ones."""

    end: int
    last_id: str | None
    ids: Callable[[], list[str]]


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

    Opening takes the file's lock and cuts a last signal that a crash left unfinished. `resume` then compares the
    file's last signal with the journal and adds what is missing. The file may be ahead of the journal, if a power
    cut took the journal's last second: these signals are made again, and not written twice.
    """

    def __init__(self, path: Path, form: Format) -> None:
        self.path = path
        self._form = form
        self._ahead: set[str] = set()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise SinkError("WRITE", f"cannot be opened: {error.strerror}", where=str(path)) from error
        try:
            self._take_lock()
            self._tail = self._cut()
        except BaseException:
            os.close(self._file)
            raise
        self._size = self._tail.end

    def resume(self, history: SignalHistory) -> int:
        """Adds what the history has and the file lacks; returns how many signals that were."""
        from_seq = self._known_until(history)
        added = 0
        missing = history.records(kind="signal", from_seq=from_seq)
        while some := list(islice(missing, 1000)):
            self._append([record.body for record in some], last_id=some[-1].key)
            added += len(some)
        return added

    def send(self, signals: Sequence[Signal]) -> None:
        """Appends signals, all or none. Raises SinkError if they were not written."""
        checked = [Signal.check(signal) for signal in signals]
        if self._ahead:
            checked = [signal for signal in checked if not self._was_ahead(signal.signal_id)]
        if checked:
            self._append([signal.json for signal in checked], last_id=checked[-1].signal_id)

    def close(self) -> None:
        """Forces the file to the disk and closes it. May be called twice."""
        if self._file < 0:
            return
        file, self._file = self._file, -1
        try:
            os.fsync(file)
        except OSError as error:
            raise SinkError("WRITE", f"the last sync failed: {error.strerror}", where=str(self.path)) from error
        finally:
            os.close(file)

    def _append(self, texts: Sequence[str], *, last_id: str) -> None:
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
        self._tail = Tail(self._size, last_id, lambda: [last_id])

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
                next_step="Move the file aside; it is then written anew from the journal.",
            ) from error
        if tail.end < size:
            os.ftruncate(self._file, tail.end)
        return tail

    def _known_until(self, history: SignalHistory) -> int:
        """The sequence number behind the file's last signal that the history knows."""
        tail = self._tail
        if tail.last_id is None:
            return 0
        found = history.find(tail.last_id)
        if found is not None:
            return found.seq + 1
        ids = tail.ids()
        position = {signal_id: i for i, signal_id in enumerate(ids)}
        known = None
        for record in history.records(kind="signal"):
            if record.key in position:
                known = record
        if known is None:
            raise SinkError(
                "FOREIGN",
                f"ends with signal {tail.last_id}, which the journal does not hold, nor those before it",
                where=str(self.path),
                value=tail.last_id,
                next_step="Move the file aside, or restore the state folder that made it.",
            )
        self._ahead = set(ids[position[known.key] + 1 :])
        return known.seq + 1

    def _was_ahead(self, signal_id: str) -> bool:
        if signal_id in self._ahead:
            self._ahead.discard(signal_id)
            return True
        return False

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SinkError("LOCKED", "another process writes this file", where=str(self.path)) from error
