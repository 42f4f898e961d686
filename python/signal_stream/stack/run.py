"""A stack that runs: its components, its lock and its status."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from signal_stream.components import Components, PeriodicTask, PeriodicTasks
from signal_stream.errors import ComponentError
from signal_stream.store.lock import StateLock

from .member import component, members
from .status import judge_parts, write_status

if TYPE_CHECKING:
    from collections.abc import Callable

    from signal_stream.settings.stack import Stack

_STATUS_NS: Final = 500_000_000
_LOGS_NS: Final = 2_000_000_000
_MS: Final = 1_000_000


class RunningStack:
    """Runs a stack until `ask_stop`. One process runs a stack: StateError LOCKED for another."""

    def __init__(self, stack: Stack, *, on_change: Callable[[dict[str, Any]], None]) -> None:
        """Starts nothing. `on_change` is told the status of each part whose state has changed. Raises ComponentError, with file
        and line, for needs that cannot be met."""
        self._stack = stack
        self._members = members(stack)
        try:
            self._components = Components(
                [component(stack, each.name, self._members[each.name]) for each in stack.parts]
            )
        except ComponentError as error:
            line = stack.lines.get(error.where, 1)
            error.where = f"{stack.path}:{line}"
            raise
        self._on_change = on_change
        self._seen: dict[str, str] = {}
        self._started_at = time.time_ns()
        self._tasks = PeriodicTasks(
            [
                PeriodicTask("changes", 0, 5 * _MS, self._note_changes),
                PeriodicTask("logs", _LOGS_NS, 100 * _MS, self._trim_logs),
                PeriodicTask("status", _STATUS_NS, 100 * _MS, self._write_status),
            ]
        )

    def run(self) -> None:
        """Starts all, watches over them, and stops them in reverse when that is asked. A KeyboardInterrupt kills what is left.
        Raises StateError LOCKED, OSError."""
        folder = self._stack.settings.state
        lock = StateLock(folder)
        try:
            (folder / "logs").mkdir(exist_ok=True)
            self._write_status()
            self._components.run(self._tasks.run_due)
        except BaseException:
            for each in self._members.values():
                each.child.kill()
            raise
        finally:
            with suppress(OSError):
                self._note_changes()
                self._write_status()
            lock.close()

    def ask_stop(self) -> None:
        """Has `run` stop all and return. May be called from a signal handler."""
        self._components.ask_stop()

    def parts(self) -> list[dict[str, Any]]:
        """Each part: its component's status, its process and log, and what is known of a pipeline."""
        return [
            {"kind": (member := self._members[each["name"]]).kind, **each, "pid": member.child.pid,
             "log": str(member.child.log), **member.details()}
            for each in self._components.status()
        ]  # fmt: skip

    def _note_changes(self) -> None:
        # Several may have changed since the last look: what changed first is said first.
        for each in sorted(self._components.status(), key=itemgetter("since_ns"), reverse=True):
            now = f"{each['state']} {each['reason'] if each['state'] in ('FAILED', 'DEGRADED', 'DONE') else ''}"
            if self._seen.get(each["name"], "WAITING ") != now:
                self._seen[each["name"]] = now
                self._on_change(each)

    def _trim_logs(self) -> None:
        for each in self._members.values():
            each.child.trim_log()

    def _write_status(self) -> None:
        parts = self.parts()
        overall, reasons = judge_parts(parts)
        document = {
            "name": self._stack.settings.name,
            "pid": os.getpid(),
            "started_at": self._started_at,
            "written_at": time.time_ns(),
            "overall": overall,
            "reasons": reasons,
            "parts": parts,
            "tasks": self._tasks.stats(),
        }
        with suppress(OSError):  # the parts go on without it
            write_status(self._stack.settings.state, document)
