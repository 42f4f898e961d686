"""Observers on threads of their own: told everything, in nobody's way."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from signal_stream.records import Decision
    from signal_stream.roles import Observer

_CLOSE_S: Final = 2.0


class ObserverThread:
    """One observer with its bounded queue. `offer` never waits: what finds the queue full is dropped, and counted."""

    def __init__(self, observer: Observer, *, name: str, queue: int) -> None:
        self.name = name
        self._observer = observer
        self._queue: SimpleQueue[Decision | None] = SimpleQueue()
        self._waiting = self._queue.qsize
        self._room = queue
        self._shown = 0
        self._dropped = 0
        self._failed = 0
        self._last_error = ""
        self._thread = threading.Thread(target=self._run, name=f"signal-stream-observer-{name}", daemon=True)
        self._thread.start()

    def offer(self, decision: Decision) -> None:
        """Puts a decision into the queue, if there is room."""
        if self._waiting() < self._room:
            self._queue.put(decision)
        else:
            self._dropped += 1

    def stats(self) -> dict[str, Any]:
        """How many decisions it was shown, how many wait, were dropped, and ended in an exception of its own."""
        return {
            "name": self.name,
            "shown": self._shown,
            "waiting": self._waiting(),
            "dropped": self._dropped,
            "failed": self._failed,
            "last_error": self._last_error,
        }

    def close(self) -> None:
        """Shows what waits, for two seconds at most, and closes the observer. One that never returns is left behind."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        while (decision := self._queue.get()) is not None:
            try:
                self._observer.observe(decision)
                self._shown += 1
            except Exception as error:  # noqa: BLE001  what an observer does wrong is its own affair
                self._failed += 1
                self._last_error = f"{type(error).__name__}: {error}"
        try:
            self._observer.close()
        except Exception as error:  # noqa: BLE001  as above
            self._failed += 1
            self._last_error = f"{type(error).__name__}: {error}"
