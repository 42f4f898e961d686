"""The kill switch's memory: an append-only file that any process may add to and a pipeline looks at on every emission.

One JSON object a line, checksummed: `seq`, `ts`, `action` (kill or rearm), `scope` ("all" or "model:NAME"), `by`,
`reason`, `crc32` over the text before it. Whatever cannot be read means that everything is killed: a missing file, a
changed byte, a line cut off, records that were there before and are gone.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import zlib
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self

from signal_stream._core import FileWatch
from signal_stream.errors import LatchError

from .durable import sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_ALL: Final = "all"
_CRC: Final = ', "crc32": '


@dataclass(frozen=True, slots=True)
class Latch:
    """One line of the file: who did what to which scope, when and why."""

    seq: int
    ts: int
    action: str
    scope: str
    by: str
    reason: str

    def to_line(self) -> str:
        """The line, with its checksum and line end."""
        text = json.dumps(asdict(self))[:-1]
        return f"{text}{_CRC}{zlib.crc32(text.encode())}}}\n"

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Raises ValueError if one character is not as written."""
        text, _, _ = line.rpartition(_CRC)
        latch = cls(**json.loads(text + "}")) if text else None
        if latch is None or latch.to_line() != line + "\n":
            raise ValueError("not a latch as it was written")
        return latch

    def __str__(self) -> str:
        when = datetime.fromtimestamp(self.ts / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        what = "everything" if self.scope == _ALL else self.scope.removeprefix("model:")
        verb = "killed" if self.action == "kill" else "re-armed"
        return f"{what} {verb} by {self.by} at {when}: {self.reason}"


def _scope(model: str | None) -> str:
    return _ALL if model is None else f"model:{model}"


class Latches:
    """The standing kills, read from the file whenever it has changed.

    `create` makes an empty file if there is none, which only a pipeline that never ran before may ask for: to
    everybody else a missing file means that everything is killed.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self._path = path
        self._watch = FileWatch(path)
        self._history: tuple[Latch, ...] = ()
        self._standing: dict[str, Latch] = {}
        self._why: dict[str, str] = {}
        self._why_all: str | None = None
        self._fault: str | None = None
        if create and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                os.fsync(file.fileno())
            sync_folder(path.parent)
        self._look()

    def killed(self, model: str) -> str | None:
        """Why this model must be silent; None if it need not be. Looks at the file's state: half a microsecond."""
        if self._watch.changed():
            self._read_again()
        return self._why_all or self._why.get(model)

    def standing(self) -> tuple[Latch, ...]:
        """The kills in force, in the order of the file. Raises LatchError if the file cannot be read."""
        self._look()
        self._refuse_fault()
        return tuple(self._standing.values())

    def history(self) -> tuple[Latch, ...]:
        """Every kill and re-arm. Raises LatchError if the file cannot be read."""
        self._look()
        self._refuse_fault()
        return self._history

    def kill(self, model: str | None, *, by: str, reason: str, now: int) -> Latch:
        """Silences a model, or all (None), until a re-arm. Killing twice changes nothing but is written down.

        Where the file is missing, which kills everything already, the new one begins with a kill of all. If the line
        cannot be written, the file is set aside, which kills everything, and LatchError WRITE is raised.
        """
        _named(by, reason)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with _Locked(self._path.parent):
            latches, _ = self._read()
            lines = []
            if not self._path.exists():
                latches = self._set_aside_last()
                missing = "the latches were missing"
                lines = self._begun(latches, action="kill", by=by, reason=missing, now=now)
            latch = Latch(_next_seq(lines or latches), now, "kill", _scope(model), by, reason)
            try:
                self._append([*lines, latch])
            except OSError as error:
                raise self._killed_unwritten(error) from error
        return latch

    def rearm(self, model: str | None, *, by: str, reason: str, now: int) -> Latch:
        """Lifts the kill of one model, or the kill of all (None), which leaves models killed by name as they are.

        Re-arming all also begins a new file where the old one is missing or damaged; readable kills of single models
        are taken over. Raises LatchError without a name or a reason, or if there is nothing to lift.
        """
        _named(by, reason)
        if not self._path.parent.is_dir():
            raise LatchError("UNREADABLE", "there is no state folder", where=str(self._path.parent))
        with _Locked(self._path.parent):
            latches, fault = self._read()
            if fault is None:
                lines = [self._lifted(latches, model, by=by, reason=reason, now=now)]
            elif model is not None:
                raise self._unreadable(fault)
            else:
                latches = latches or self._set_aside_last()
                lines = self._begun(latches, action="rearm", by=by, reason=reason, now=now)
            try:
                if fault is not None:
                    self._set_aside()
                self._append(lines)
            except OSError as error:
                raise LatchError("WRITE", f"not re-armed: {error.strerror}", where=str(self._path)) from error
        return lines[0]

    def _lifted(self, latches: list[Latch], model: str | None, *, by: str, reason: str, now: int) -> Latch:
        """The line that lifts a kill. Raises LatchError if it does not stand."""
        standing = _standing(latches)
        scope = _scope(model)
        if scope not in standing:
            killed = "; ".join(str(latch) for latch in standing.values())
            advice = f"Killed are: {killed}." if killed else "Nothing is killed."
            name = model or "all"
            raise LatchError("NOT_KILLED", f'"{name}" is not killed', where=str(self._path), next_step=advice)
        return Latch(_next_seq(latches), now, "rearm", scope, by, reason)

    @staticmethod
    def _begun(latches: list[Latch], *, action: str, by: str, reason: str, now: int) -> list[Latch]:
        """The first lines of a new file: an action on all, then the single models' kills that stood in the old one."""
        lines = [Latch(_next_seq(latches), now, action, _ALL, by, reason)]
        for latch in _standing(latches).values():
            if latch.scope != _ALL:
                lines.append(Latch(lines[-1].seq + 1, now, "kill", latch.scope, latch.by, latch.reason))
        return lines

    def _look(self) -> None:
        """Reads the file again if it is not the one that was read last."""
        if self._watch.changed():
            self._read_again()

    def _read_again(self) -> None:
        latches, fault = self._read()
        if fault is None and self._history != tuple(latches[: len(self._history)]):
            begun = latches[0] if latches else None
            if begun is None or begun.scope != _ALL:
                fault = "records that were there before are gone"
        self._fault = fault
        self._standing = _standing(latches)
        self._why = {
            scope.removeprefix("model:"): str(latch) for scope, latch in self._standing.items() if scope != _ALL
        }
        if fault is not None:
            self._why_all = f"{self._path.name}: {fault}; everything counts as killed"
        else:
            self._history = tuple(latches)
            self._why_all = str(self._standing[_ALL]) if _ALL in self._standing else None

    def _read(self) -> tuple[list[Latch], str | None]:
        """The readable lines, and what is wrong with the others."""
        try:
            data = self._path.read_bytes()
        except OSError as error:
            return [], f"cannot be read: {error.strerror}"
        return _parse(data)

    def _append(self, latches: Iterable[Latch]) -> None:
        file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            size = os.fstat(file).st_size
            cut_off = size > 0 and os.pread(file, 1, size - 1) != b"\n"
            text = "".join(latch.to_line() for latch in latches)
            data = (f"\n{text}" if cut_off else text).encode()
            if os.write(file, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file)
        finally:
            os.close(file)
        sync_folder(self._path.parent)

    def _killed_unwritten(self, error: OSError) -> LatchError:
        """Kills everything by renaming the file, which needs no space, and says so."""
        where = str(self._path)
        try:
            self._set_aside()
        except OSError as second:
            message = f"NOTHING WAS KILLED: {error.strerror}; {second.strerror}"
            return LatchError("WRITE", message, where=where, next_step="End the serving process.")
        message = f"the kill could not be written ({error.strerror}); everything is killed instead"
        advice = "Free space, then re-arm --all; models killed before stay killed."
        return LatchError("WRITE", message, where=where, next_step=advice)

    def _set_aside(self) -> None:
        if self._path.exists():
            aside = f"{self._path.name}.aside-{len(self._asides()):04d}"
            self._path.rename(self._path.with_name(aside))

    def _set_aside_last(self) -> list[Latch]:
        """The readable lines of the file that was set aside last."""
        aside = self._asides()
        return _parse(aside[-1].read_bytes())[0] if aside else []

    def _asides(self) -> list[Path]:
        return sorted(self._path.parent.glob(f"{self._path.name}.aside-*"))

    def _refuse_fault(self) -> None:
        if self._fault is not None:
            raise self._unreadable(self._fault)

    def _unreadable(self, fault: str) -> LatchError:
        advice = "Everything counts as killed until `signal-stream rearm --all` begins a new file."
        return LatchError("UNREADABLE", fault, where=str(self._path), next_step=advice)


def _parse(data: bytes) -> tuple[list[Latch], str | None]:
    latches: list[Latch] = []
    fault = None
    lines = data.split(b"\n")
    for number, line in enumerate(lines[:-1], 1):
        try:
            latch = Latch.from_line(line.decode())
            if latches and latch.seq != latches[-1].seq + 1:
                fault = fault or f"line {number} does not follow line {number - 1}"
            latches.append(latch)
        except (ValueError, TypeError):
            fault = fault or f"line {number} is not as it was written"
    if lines[-1]:
        fault = fault or f"line {len(lines)} is cut off"
    return latches, fault


def _standing(latches: list[Latch]) -> dict[str, Latch]:
    standing: dict[str, Latch] = {}
    for latch in latches:
        if latch.action == "kill":
            standing.setdefault(latch.scope, latch)
        else:
            standing.pop(latch.scope, None)
    return standing


def _next_seq(latches: list[Latch]) -> int:
    return latches[-1].seq + 1 if latches else 0


def _named(by: str, reason: str) -> None:
    for what, text in (("name", by), ("reason", reason)):
        if not text.strip():
            raise LatchError("ANONYMOUS", f"a {what} is needed", value=text, next_step="Use --by and --reason.")


class _Locked:
    """Keeps other writers out while one reads and appends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        self._handle = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(self._handle, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)
