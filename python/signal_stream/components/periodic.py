"""What a thread does now and then beside its work, each task with how often, and how long it may take."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .lifecycle import Clock


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    """One task: `run`, at most every `every_ns`, meant to take `budget_ns` at most. What takes longer is counted, and not cut
    off: half a task is worse than a late one. What it raises is raised to whoever runs the tasks."""

    name: str
    every_ns: int
    budget_ns: int
    run: Callable[[], None]


class PeriodicTasks:
    """Runs those of its tasks that are due, in their order, on the thread that asks.

    >>> from signal_stream.testing import ManualClock
    >>> clock, done = ManualClock(), []
    >>> tasks = PeriodicTasks([PeriodicTask("status", 1_000, 10, lambda: done.append("status"))], clock=clock)
    >>> tasks.run_due(), clock.advance(1_000), tasks.run_due(), done
    (None, None, None, ['status'])
    """

    def __init__(self, tasks: Sequence[PeriodicTask], *, clock: Clock = time) -> None:
        """Each is due for the first time when its `every_ns` have passed."""
        self._tasks = tuple(tasks)
        self._now = clock.monotonic_ns
        self._due_ns = [self._now() + task.every_ns for task in tasks]
        self._runs = [0] * len(tasks)
        self._overruns = [0] * len(tasks)
        self._longest_ns = [0] * len(tasks)

    def run_due(self) -> None:
        """Runs what is due. One that is overdue several times runs once. Raises what a task raises; that task is due again
        after its time, and those behind it when this is called next."""
        now = begun = self._now()
        for i, task in enumerate(self._tasks):
            if now < self._due_ns[i]:
                continue
            self._due_ns[i] = now + task.every_ns
            try:
                task.run()
            finally:
                ended = self._now()
                took, begun = ended - begun, ended
                self._runs[i] += 1
                self._overruns[i] += took > task.budget_ns
                self._longest_ns[i] = max(self._longest_ns[i], took)

    def stats(self) -> tuple[dict[str, Any], ...]:
        """Each task's name, `every_ns`, `budget_ns`, how often it ran, `overruns` of its budget and `longest_ns`."""
        return tuple(
            {
                "task": task.name,
                "every_ns": task.every_ns,
                "budget_ns": task.budget_ns,
                "runs": self._runs[i],
                "overruns": self._overruns[i],
                "longest_ns": self._longest_ns[i],
            }
            for i, task in enumerate(self._tasks)
        )
