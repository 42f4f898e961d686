"""How a pipeline is now: its last status with what the state folder says beside it."""

from __future__ import annotations

import threading
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from signal_stream.durations import ago
from signal_stream.errors import JournalError, LatchError, StateError, TapeError
from signal_stream.store import JournalEnd, State, Status
from signal_stream.store.lock import serving_pid
from signal_stream.store.status import not_understood
from signal_stream.store.tape_log import LogLook, log_folders

from .health import judge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OVERDUE_NS: Final = 10_000_000_000


class Lookout:
    """Looks at a state folder again and again: what was read before of journal, tape and latches is not read again. Any thread
    may look."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        state = State(folder)
        self._end = JournalEnd(state.journal_folder)
        self._latches = state.latches()
        self._snapshots = state.snapshots()
        self._snapshot: Path | None = None
        """The newest snapshot that was as it was written."""
        self._logs: dict[Path, LogLook] = {}

    def look(self, *, now: int) -> dict[str, Any]:
        """As `look`."""
        with self._lock:
            return self._look(now)

    def _look(self, now: int) -> dict[str, Any]:
        folder = self.folder
        pid = serving_pid(folder)
        last = Status.read(folder) if folder.is_dir() else None
        if pid is None and last is not None and last.state == "SERVING":
            pid = serving_pid(folder)  # it may have begun since we looked
        found = {each.name: getattr(last, each.name) for each in fields(last)} if last else _nothing()
        found |= {"serving": pid is not None, "pid": pid, "damage": self._damage(last is not None)}
        found["damaged"] = dict(self._damaged(last))
        found["latches"] = self._standing(found["damaged"], served=last is not None)
        age_ns = found["status_age_ns"] = None if last is None else max(0, now - last.written_at)
        if pid is None:
            if found["state"] == "SERVING":
                found |= {"state": "DEAD", "reason": "the process ended without a word: it was killed, or crashed"}
        elif last is None or last.pid != pid or age_ns is None:
            found |= {"state": "STARTING", "reason": "it opens its models, or makes again what its journal holds"}
        elif found["state"] == "SERVING":
            if age_ns > _OVERDUE_NS:
                why = f"the process has not written its status for {ago(age_ns)}"
                found |= {"state": "HUNG", "reason": why}
            elif (silent_ns := _silent_ns(found["source"], age_ns)) is not None:
                why = f"nothing came from {found['source']['url']} for {ago(silent_ns)}"
                found |= {"state": "SILENT", "reason": why}
        try:
            return found | {"health": judge(found, now=now).to_dict()}
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise not_understood(folder, error) from error

    def _damage(self, served: bool) -> str | None:
        """What is wrong with the journal, None if nothing is, or nothing was served yet."""
        try:
            self._end.check()
        except JournalError as error:
            return None if error.code == "NOT_FOUND" and not served else error.one_line
        return None

    def _damaged(self, last: Status | None) -> Iterator[tuple[str, str]]:
        """What is wrong with events that were written down, and with the newest snapshot."""
        recorded = None if last is None else last.source.get("recorded")
        for each in log_folders(self.folder, recorded):
            try:
                self._logs.setdefault(each, LogLook(each)).check()
            except TapeError as error:
                yield "tape", error.one_line
                break
        try:
            newest = self._snapshots.newest()
            if newest != self._snapshot:
                self._snapshots.check_newest()
                self._snapshot = newest
        except StateError as error:
            yield "snapshots", error.one_line

    def _standing(self, damaged: dict[str, str], *, served: bool) -> tuple[str, ...]:
        """The kills that stand. Latches that cannot be read kill everything, and are damage."""
        try:
            return tuple(str(latch) for latch in self._latches.standing())
        except LatchError as error:
            if not served:
                return ()
            damaged["latches"] = error.one_line
            return (error.one_line,)


def look(folder: Path, *, now: int) -> dict[str, Any]:
    """The last status of a state folder, with what is true now: `state`, `serving`, `pid`, `latches`, `damage`, `damaged`,
    `status_age_ns`, and what follows from it all, `health`.

    `damage` says what is wrong with the journal, which the next start would refuse, or whoever reads there; `damaged` what is
    wrong with the recorded events (`tape`), the newest of the `snapshots`, and the `latches`, as far as a look tells.

    `state` is NEVER SERVED, STARTING, SERVING, SILENT (a live source brings nothing that a signal may rest on), HUNG
    (the process does not write its status), STOPPED, FAILED, HALTED or DEAD (it ended without a word).
    """
    return Lookout(folder).look(now=now)


def _silent_ns(source: dict[str, Any], age_ns: int) -> int | None:
    """How long a live source has been silent, None if that is not longer than an input may be old."""
    if "silent_ns" not in source:
        return None
    silent_ns: int = source["silent_ns"] + age_ns
    return silent_ns if silent_ns > source["silent_after_ns"] else None


def _nothing() -> dict[str, Any]:
    return {"state": "NEVER SERVED", "reason": "", "latency_ns": {}, "models": (), "signals": {}, "codes": {}}
