"""Components that are started, watched over and stopped together."""

from __future__ import annotations

import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

from .call import on_a_thread
from .order import levels
from .running import Running

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .component import Component

_LOOK_NS = 200_000_000


class Clock(Protocol):
    """The module `time`, or a clock of a test."""

    def monotonic_ns(self) -> int: ...


class Components:
    """Starts components level by level, those of a level at the same time; watches them; stops them in reverse.

    Each begins as soon as what it needs is up, so a level does not wait for one of the level before that it does not need. One
    that fails is stopped and started again by its `backoff`; those that need it and were not started yet wait, all others go
    on, also those that need it and are up.

    `step` does what is due and never waits; `open`, `run` and `close` step until they have what they want. One thread calls
    all of them; `ask_stop` and `status` may be called from any, `ask_stop` from a signal handler too.
    """

    def __init__(
        self,
        components: Sequence[Component],
        *,
        clock: Clock = time,
        launch: Callable[[str, Callable[[], None]], None] = on_a_thread,
    ) -> None:
        """Starts nothing. Raises ComponentError for needs that cannot be met: see `levels`."""
        self.levels = levels(components)
        self._clock = clock
        self._bell: SimpleQueue[None] = SimpleQueue()  # a signal handler may put into it, whatever the thread is at
        self._all = [Running(each, launch=launch) for level in self.levels for each in level]
        by_name = {each.component.name: each for each in self._all}
        self._needs = {name: [by_name[need] for need in each.component.needs] for name, each in by_name.items()}
        self._needed_by: dict[str, list[Running]] = {
            name: [each for each in self._all if name in each.component.needs] for name in by_name
        }
        for each in self._all:
            each.tell = self._ring
        self._given = [by_name[each.name] for each in components]

    def step(self, *, begin: bool = True) -> int | None:
        """Does what is due now. How many nanoseconds there are until something else is; None if only a call that comes back
        can change anything. Without `begin` it only takes what came back."""
        while not self._bell.empty():
            self._bell.get()
        now = self._clock.monotonic_ns()
        due: list[int] = []
        for each in reversed(self._all) if self._is_stopping else self._all:
            name = each.component.name
            at = each.advance(now, needs=self._needs[name], needed_by=self._needed_by[name], begin=begin)
            if at is not None:
                due.append(at)
        return max(0, min(due) - now) if due else None

    def open(self) -> None:
        """Starts all and returns when all are up. Raises what the first of them raised that failed for good, when nothing is
        left running; of several that fail at the same time, the first as they were given."""
        try:
            while not all(each.is_up for each in self._all):
                due = self.step()
                if any(each.is_given_up for each in self._all):
                    self._settle()
                    raise next(each.error for each in self._given if each.is_given_up and each.error is not None)
                self._wait(due)
        except BaseException:
            with suppress(Exception):  # why it did not open counts
                self.close()
            raise

    def run(self, look: Callable[[], None] | None = None) -> None:
        """Starts all and watches over them until `ask_stop` was called or all are done, then stops them. `look` is called after
        each step, several times a second."""
        try:
            while not self._is_stopping and not all(each.is_final for each in self._all):
                due = self.step()
                if look is not None:
                    look()
                self._wait(_LOOK_NS if due is None else min(due, _LOOK_NS))
        finally:
            self.close(look)

    def ask_stop(self) -> None:
        """Has `run` stop all of them and return."""
        for each in self._all:
            each.is_stop_asked = True
        self._ring()

    def close(self, look: Callable[[], None] | None = None) -> None:
        """Stops all, in reverse: each when those that need it have stopped. Waits for each as long as it says. Raises, when all
        have stopped, what the first stop raised that failed. May be called twice."""
        self.ask_stop()
        while not all(each.state == "STOPPED" for each in self._all):
            due = self.step()
            if look is not None:
                look()
            if not all(each.state == "STOPPED" for each in self._all):
                self._wait(due)
        errors = [each.take_stop_error() for each in reversed(self._all)]
        for error in errors:
            if error is not None:
                raise error

    def status(self) -> tuple[dict[str, Any], ...]:
        """Each component's state, as `Running.status`, in the order in which they were given."""
        now = self._clock.monotonic_ns()
        return tuple(each.status(now) for each in self._given)

    @property
    def _is_stopping(self) -> bool:
        return self._all[0].is_stop_asked if self._all else True

    def _settle(self) -> None:
        """Waits for the calls that are under way, and begins nothing."""
        due = self.step(begin=False)
        while not all(each.is_settled for each in self._all):
            self._wait(due)
            due = self.step(begin=False)

    def _ring(self) -> None:
        self._bell.put(None)

    def _wait(self, due: int | None) -> None:
        with suppress(Empty):
            self._bell.get(timeout=None if due is None else due / 1e9)
