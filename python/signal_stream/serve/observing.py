"""Observers on threads of their own: told everything, in nobody's way."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from .passed_signal import PassedSignal

if TYPE_CHECKING:
    from signal_stream.records import Decision
    from signal_stream.roles import Observer

_CLOSE_S: Final = 2.0
_REST_S: Final = 0.005
"""Between two looks into the queue: what comes meanwhile is shown together. A thread that wakes up for each decision would
take the interpreter from the pipeline's thread each time."""


class ObserverThread:
    """One observer with its bounded queue. `offer` never waits: what finds the queue full is dropped, and counted.

    The first decision after a silence is shown at once, others 5 ms later at most, and earlier where the queue is half full.
    """

    def __init__(self, observer: Observer, *, name: str, queue: int) -> None:
        self.name = name
        self._observer = observer
        self._queue: deque[Decision | PassedSignal] = deque()
        self._room = queue
        self._awake = threading.Event()
        self._sleeps = self._ends = False
        self._shown = 0
        self._dropped = 0
        self._failed = 0
        self._last_error = ""
        self._thread = threading.Thread(target=self._run, name=f"signal-stream-observer-{name}", daemon=True)
        self._thread.start()

    def offer(self, decision: Decision | PassedSignal) -> None:
        """Puts a decision into the queue, if there is room."""
        if len(self._queue) >= self._room:
            self._dropped += 1
            return
        self._queue.append(decision)
        if self._sleeps or 2 * len(self._queue) >= self._room:
            self._awake.set()

    def stats(self) -> dict[str, Any]:
        """How many decisions it was shown, how many wait, were dropped, and ended in an exception of its own."""
        return {
            "name": self.name,
            "shown": self._shown,
            "waiting": len(self._queue),
            "dropped": self._dropped,
            "failed": self._failed,
            "last_error": self._last_error,
        }

    def close(self) -> None:
        """Shows what waits, for two seconds at most, and closes the observer. One that never returns is left behind."""
        if self._thread.is_alive():
            self._ends = True
            self._awake.set()
            self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        while not self._ends or self._queue:
            self._show_waiting()
            self._wait()
        try:
            self._observer.close()
        except Exception as error:  # noqa: BLE001  as below
            self._note_failure(error)

    def _show_waiting(self) -> None:
        queue, observe = self._queue, self._observer.observe
        while queue:
            try:
                waiting = queue.popleft()
                observe(waiting.decision() if isinstance(waiting, PassedSignal) else waiting)
                self._shown += 1
            except Exception as error:  # noqa: BLE001  what an observer does wrong is its own affair
                self._note_failure(error)

    def _wait(self) -> None:
        """Until something is there, and for a moment at least, so that more of it is."""
        self._awake.clear()
        if self._ends:
            return
        if 2 * len(self._queue) < self._room and self._awake.wait(_REST_S):
            return
        self._awake.clear()
        self._sleeps = True
        # what was offered before `_sleeps` was seen is found here, what comes later wakes
        if not self._queue and not self._ends:
            self._awake.wait()
        self._sleeps = False

    def _note_failure(self, error: Exception) -> None:
        self._failed += 1
        self._last_error = f"{type(error).__name__}: {error}"
