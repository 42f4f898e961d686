"""The kill switch's memory: an append-only file, and its copy, that any process may add to and a pipeline looks at on
every emission.

One JSON object a line: `format`, `seq`, `ts`, `action` (begin, kill or rearm), `scope` ("all" or "model:NAME"), `by`, `reason`,
and `sha256` over the digest of the line before and the text of this one. Each line is written to the copy in the
journal's folder, then to the file, and both are forced to the disk. Whatever cannot be read, and wherever the two
differ, means that everything is killed: a missing or empty file, a changed byte, a line cut off, lost or put back.
"""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from signal_stream._core import FileWatch
from signal_stream.errors import LatchError
from signal_stream.locks import locked, try_lock

from .durable import sync_folder
from .latch import ALL, Latch, scope_of, standing_kills
from .latch_file import COPY_FOLDER, LatchReader, append_latches, difference, read_back, read_latches, replace_latches

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# what only a folder that was served, or killed, before can hold
_TRACES: Final = ("journal.head", "journal/*.arrows", "snapshots/*", "status.json", "tape/*", "late/*")


class Latches:
    """The standing kills, read from the file whenever it has changed.

    `create` begins the file and its copy in a state folder without a trace of an earlier run, which only a pipeline may
    ask for: to everybody else a missing file means that everything is killed.

    Invariants: a line is in the copy before it is in the file; the two are equal while nobody writes.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        self._copy = path.parent / COPY_FOLDER / path.name
        self._watch = FileWatch(path)
        self._copy_watch = FileWatch(self._copy)
        self._reader, self._copy_reader = LatchReader(self.path), LatchReader(self._copy)
        self._history: tuple[Latch, ...] = ()
        self._standing: dict[str, Latch] = {}
        self._why: dict[str, str] = {}
        self._why_all: str | None = None
        self._fault: str | None = None
        self._unsettled = False
        if create and self._is_new():
            self._make_folders()
            with locked(path.parent):
                if self._is_new():
                    now = datetime.now(UTC).timestamp() * 1e9
                    self._begin([self._first(now=int(now))])
        self._read_again()

    @property
    def is_settled(self) -> bool:
        """Whether each later change of the file will show in its time or size."""
        return not self._unsettled

    def killed(self, model: str) -> str | None:
        """Why this model must be silent; None if it need not be. Looks at the file's state: half a microsecond."""
        if self._watch.changed() or self._unsettled:
            self._read_again()
        return self._why_all or self._why.get(model)

    def standing(self) -> tuple[Latch, ...]:
        """The kills in force, in the order of the file. Raises LatchError if file or copy cannot be believed."""
        self._look()
        self._refuse_fault()
        return tuple(self._standing.values())

    def history(self) -> tuple[Latch, ...]:
        """Every kill and re-arm. Raises LatchError if file or copy cannot be believed."""
        self._look()
        self._refuse_fault()
        return tuple(latch for latch in self._history if latch.action != "begin")

    def head(self) -> Latch | None:
        """The newest line, which rests on all before it; None where file or copy cannot be believed."""
        self._look()
        return self._history[-1] if self._fault is None else None

    def kill(self, model: str | None, *, by: str, reason: str, now: int) -> Latch:
        """Silences a model, or all (None), until a re-arm. Killing twice changes nothing but is written down.

        When it returns, the kill is on the disk, twice, and was read back. Where the latches could not be believed,
        which kills everything already, new files begin with a kill of all. If the line cannot be written, the file is
        set aside, which kills everything; LatchError WRITE says whether that happened, or that nothing was killed.
        """
        _named(by, reason)
        try:
            self._make_folders()
            with locked(self.path.parent):
                return self._kill(model, by=by, reason=reason, now=now)
        except OSError as error:
            raise self._nothing_killed(error.strerror or str(error)) from error

    def rearm(self, model: str | None, *, by: str, reason: str, now: int) -> Latch:
        """Lifts the kill of one model, or the kill of all (None), which leaves models killed by name as they are.

        Re-arming all also begins new files where the old ones cannot be believed: whoever does it has seen what is
        missing. Kills of single models that stand in one of them are taken over. Raises LatchError without a name or a
        reason, or if there is nothing to lift.
        """
        _named(by, reason)
        if not self.path.parent.is_dir():
            raise LatchError("UNREADABLE", "there is no state folder", where=str(self.path.parent))
        try:
            with locked(self.path.parent):
                latches, fault = self._read(locked=True)
                if fault is None:
                    lines = [self._lifted(latches, model, by=by, reason=reason, now=now)]
                    self._append(lines)
                elif model is not None:
                    raise self._unreadable(fault)
                else:
                    lines = self._begun("rearm", by=by, reason=reason, now=now)
                    self._make_folders()
                    self._begin(lines)
        except OSError as error:
            raise LatchError("WRITE", f"not re-armed: {error.strerror}", where=str(self.path)) from error
        return lines[0]

    def lacks(self, noted: Latch) -> bool:
        """Whether a line that another witness has seen is neither here nor older than these files."""
        self._look()
        if self._fault is not None or noted in self._history:
            return False
        first = self._history[0]
        return first.action == "begin" or first.seq <= noted.seq

    def restore(self, lost: Sequence[Latch], *, by: str, reason: str, now: int) -> None:
        """Kills everything, since the latches lack what another witness holds, and kills again the models that were
        killed there. Raises LatchError WRITE."""
        self.kill(None, by=by, reason=reason, now=now)
        for latch in standing_kills(lost).values():
            if latch.scope not in self._standing_now():
                self.kill(latch.scope.removeprefix("model:"), by=latch.by, reason=latch.reason, now=latch.ts)

    def _standing_now(self) -> dict[str, Latch]:
        self._look()
        return self._standing

    def _kill(self, model: str | None, *, by: str, reason: str, now: int) -> Latch:
        latches, fault = self._read(locked=True)
        before = latches[-1] if latches else None
        begins = fault is not None
        if not begins:
            lines: list[Latch] = []
        elif self._is_new():
            lines = [self._first(now=now)]
        else:
            lines = self._begun("kill", by=by, reason=f"the latches could not be believed: {fault}", now=now)
        if lines:
            before = lines[-1]
        seq = 0 if before is None else before.seq + 1
        latch = Latch.after(before, action="kill", scope=scope_of(model), by=by, reason=reason, ts=now, seq=seq)
        try:
            if begins:
                self._begin([*lines, latch])
            else:
                self._append([latch])
        except OSError as error:
            raise self._killed_unwritten(error) from error
        return latch

    def _lifted(self, latches: Sequence[Latch], model: str | None, *, by: str, reason: str, now: int) -> Latch:
        """The line that lifts a kill. Raises LatchError if it does not stand."""
        standing = standing_kills(latches)
        scope = scope_of(model)
        if scope not in standing:
            killed = "; ".join(str(latch) for latch in standing.values())
            advice = f"Killed are: {killed}." if killed else "Nothing is killed."
            name = model or "all"
            raise LatchError("NOT_KILLED", f'"{name}" is not killed', where=str(self.path), next_step=advice)
        last = latches[-1]
        return Latch.after(last, action="rearm", scope=scope, by=by, reason=reason, ts=now, seq=last.seq + 1)

    @staticmethod
    def _first(*, now: int) -> Latch:
        """The line that a file begins with, so that an empty one is seen."""
        return Latch.after(
            None, action="begin", scope=ALL, by="signal-stream", reason="nothing is killed", ts=now, seq=0
        )

    def _begun(self, action: str, *, by: str, reason: str, now: int) -> list[Latch]:
        """The first lines of new files: an action on all, then the single models' kills that stood in one of the old
        ones, or, where the file is gone, in the one that was set aside last."""
        found = [read_latches(self._copy), read_latches(self.path)]
        if not self.path.exists():
            found += [read_latches(path) for path in self._asides()[-1:]]
        standing: dict[str, Latch] = {}
        for each in found:
            standing = standing_kills(each.latches) | standing
        seq = max((each.latches[-1].seq for each in found if each.latches), default=-1) + 1
        lines = [Latch.after(None, action=action, scope=ALL, by=by, reason=reason, ts=now, seq=seq)]
        for latch in standing.values():
            if latch.scope != ALL:
                fields = {"scope": latch.scope, "by": latch.by, "reason": latch.reason, "ts": latch.ts}
                lines.append(Latch.after(lines[-1], action="kill", seq=lines[-1].seq + 1, **fields))  # type: ignore[arg-type]
        return lines

    def _look(self) -> None:
        """Reads the files again if one is not the one that was read last."""
        if self._watch.changed() | self._copy_watch.changed() or self._unsettled:
            self._read_again()

    def _read_again(self) -> None:
        self._unsettled = False
        latches, fault = self._read()
        begun_anew = bool(latches) and latches[0].action != "begin" and latches[0] not in self._history
        if fault is None and self._history != latches[: len(self._history)] and not begun_anew:
            fault = f"{self.path.name}: records that were there before are gone"
        self._fault = fault
        self._standing = standing_kills(latches)
        self._why = {
            scope.removeprefix("model:"): str(latch) for scope, latch in self._standing.items() if scope != ALL
        }
        if fault is not None:
            self._why_all = f"{fault}; everything counts as killed"
        else:
            self._history = latches
            self._why_all = str(self._standing[ALL]) if ALL in self._standing else None

    def _read(self, *, locked: bool = False) -> tuple[tuple[Latch, ...], str | None]:
        """The lines, and why they cannot be believed.

        Between the two files a writer may be at work: then the longer one counts if it kills, until they are read again.
        """
        file = self._reader.read()
        copy = self._copy_reader.read(like=self._reader)
        if file.fault is None and copy.fault is None and file.latches == copy.latches:
            return file.latches, None
        if not locked and (handle := _try_lock(self.path.parent)) is None:
            more = copy.latches[len(file.latches) :]
            if file.fault is None and file.latches and copy.latches[: len(file.latches)] == file.latches:
                self._unsettled = True
                return (copy if all(latch.action == "kill" for latch in more) else file).latches, None
        elif not locked:
            assert handle is not None
            try:
                return self._read(locked=True)
            finally:
                os.close(handle)
        return file.latches or copy.latches, file.fault or copy.fault or difference(file, copy)

    def _append(self, latches: Sequence[Latch]) -> None:
        """Adds lines to copy and file, on the disk. Raises OSError."""
        for path in (self._copy, self.path):
            append_latches(path, latches)
        self._read_back(latches)

    def _begin(self, latches: Sequence[Latch]) -> None:
        """New files in the place of the old ones, which are set aside. Raises OSError."""
        self._set_aside()
        for path in (self._copy, self.path):
            replace_latches(path, latches)
        self._read_back(latches)

    def _read_back(self, latches: Sequence[Latch]) -> None:
        for path in (self._copy, self.path):
            read_back(path, latches)

    def _killed_unwritten(self, error: OSError) -> LatchError:
        """Kills everything by renaming the file, which needs no space, and says whether that worked."""
        cause = error.strerror or str(error)
        try:
            self._set_aside()
        except OSError as second:
            return self._nothing_killed(f"{cause}; {second.strerror}")
        if self._is_new():
            return self._nothing_killed(cause)
        message = f"the kill could not be written ({cause}); everything is killed instead"
        advice = "Free space, then re-arm --all; models killed before stay killed."
        return LatchError("WRITE", message, where=str(self.path), next_step=advice)

    def _nothing_killed(self, cause: str) -> LatchError:
        advice = "End the serving process, and keep it from being started again."
        return LatchError("WRITE", f"NOTHING WAS KILLED: {cause}", where=str(self.path), next_step=advice)

    def _set_aside(self) -> None:
        if self.path.exists():
            aside = f"{self.path.name}.aside-{len(self._asides()):04d}"
            self.path.rename(self.path.with_name(aside))
            sync_folder(self.path.parent)

    def _asides(self) -> list[Path]:
        return sorted(self.path.parent.glob(f"{self.path.name}.aside-*"))

    def _is_new(self) -> bool:
        """Whether nothing shows that this state folder was ever served or killed."""
        folder = self.path.parent
        if self.path.exists() or self._copy.exists() or self._asides():
            return False
        return not any(any(folder.glob(trace)) for trace in _TRACES)

    def _make_folders(self) -> None:
        self._copy.parent.mkdir(parents=True, exist_ok=True)

    def _refuse_fault(self) -> None:
        if self._fault is not None:
            raise self._unreadable(self._fault)

    def _unreadable(self, fault: str) -> LatchError:
        folder = self.path.parent
        command = f"signal-stream rearm --all --state {shlex.quote(str(folder))} --by NAME --reason TEXT"
        advice = (
            f"Everything counts as killed. Find out who was killed; then `{command}` begins new files, and models that are "
            "killed by name in one of them stay killed."
        )
        return LatchError("UNREADABLE", fault, where=str(folder), next_step=advice)


def _named(by: str, reason: str) -> None:
    for what, text in (("name", by), ("reason", reason)):
        if not text.strip():
            raise LatchError("ANONYMOUS", f"a {what} is needed", value=text, next_step="Use --by and --reason.")


def _try_lock(folder: Path) -> int | None:
    """A handle that keeps writers out until it is closed; None if one is at work."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    with suppress(OSError):
        if try_lock(handle):
            return handle
    os.close(handle)
    return None
