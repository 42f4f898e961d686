"""A clock that stands until a test moves it."""

from __future__ import annotations

from threading import Lock
from typing import Final

_START_NS: Final = 1_700_000_000_000_000_000


class ManualClock:
    """Wall and monotonic time that pass only by `advance`, with the names of the module `time`. From any thread.

    >>> clock = ManualClock(1_000)
    >>> clock.advance(500)
    >>> clock.time_ns(), clock.monotonic_ns()
    (1500, 500)
    """

    def __init__(self, now_ns: int = _START_NS) -> None:
        """Stands at `now_ns` since 1970 UTC; its monotonic time begins at 0."""
        self._wall_ns = now_ns
        self._monotonic_ns = 0
        self._lock = Lock()

    def time_ns(self) -> int:
        """Nanoseconds since 1970 UTC."""
        return self._wall_ns

    def monotonic_ns(self) -> int:
        """Nanoseconds since some moment; never falls."""
        return self._monotonic_ns

    def advance(self, ns: int) -> None:
        """Lets time pass. Raises ValueError for less than none."""
        if ns < 0:
            raise ValueError(f"time passes forward, not by {ns} ns")
        with self._lock:
            self._wall_ns += ns
            self._monotonic_ns += ns

    def set_wall(self, now_ns: int) -> None:
        """Sets the wall clock, as an operator or NTP does; monotonic time stays."""
        with self._lock:
            self._wall_ns = now_ns
