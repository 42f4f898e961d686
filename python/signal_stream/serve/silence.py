"""How long a live stream has been silent, and the marks by which the clock goes on meanwhile."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from signal_stream import _core
    from signal_stream.settings import SourceSettings

_IDLE_MARK_NS: Final = 1_000_000_000
_DELAYS_NS: Final = 60_000_000_000


class Silence:
    """How long a live stream has been silent, and how far the clock may go on meanwhile.

    Invariants: a mark is never behind the newest event or mark; it is at least `idle_mark_ns` after it.
    """

    def __init__(self, settings: SourceSettings, *, wall_within_ns: float) -> None:
        self._wall_within_ns = wall_within_ns
        self._idle_mark_ns = settings.idle_mark_ns
        self._newest_ns: int | None = None
        self._heard_ns = time.monotonic_ns()
        self._heard_newest_ns: int | None = None
        self._delay_ns = 0
        """Between the newest event's receive time and now, when it came."""
        self._delays_max_ns = [0, 0]
        """The largest delay in this span of time and in the one before."""
        self._span_began_ns = self._heard_ns
        self.by_wall = wall_within_ns >= 0
        """Whether the newest event is judged by the wall clock."""

    @property
    def idle_mark_ns(self) -> int | None:
        """After how long a silence the clock goes on; None if it does not."""
        if self._idle_mark_ns is None and self.by_wall:
            return _IDLE_MARK_NS
        return self._idle_mark_ns

    def passed(self, batch: _core.EventBatch) -> None:
        """Events of an earlier process."""
        newest = batch.last_recv
        if newest is not None and (self._newest_ns is None or newest > self._newest_ns):
            self._newest_ns = newest

    def heard(self, batch: _core.EventBatch) -> None:
        """Events that came now."""
        first, newest = batch.first_recv, batch.last_recv
        if first is None or newest is None:
            return
        now, wall = time.monotonic_ns(), time.time_ns()
        self._heard_ns = now
        self._delay_ns = wall - newest
        self.by_wall = self._delay_ns <= self._wall_within_ns
        if now - self._span_began_ns > _DELAYS_NS:
            twice = now - self._span_began_ns > 2 * _DELAYS_NS
            self._delays_max_ns = [self._delay_ns, self._delay_ns if twice else self._delays_max_ns[0]]
            self._span_began_ns = now
        self._delays_max_ns[0] = max(self._delays_max_ns[0], self._delay_ns, wall - first)
        if self._newest_ns is None or newest > self._newest_ns:
            self._newest_ns = newest
        self._heard_newest_ns = self._newest_ns

    def mark(self) -> _core.EventBatch | None:
        """A mark, if the stream has been silent for long enough since the last event or mark."""
        from signal_stream import _core

        idle_ns = self.idle_mark_ns
        if idle_ns is None or self._newest_ns is None or self._heard_newest_ns is None:
            return None
        waits_ns = max(self._delays_max_ns) - self._delay_ns if self.by_wall else 0
        silent_ns = time.monotonic_ns() - self._heard_ns
        reached = self._heard_newest_ns + silent_ns - max(waits_ns, 0) - idle_ns
        if reached < self._newest_ns + idle_ns:
            return None
        self._newest_ns = reached
        return _core.EventBatch.mark(reached)

    def stats(self) -> dict[str, Any]:
        """For the status."""
        return {
            "clock": "wall" if self.by_wall else "recorded",
            "newest_recv": self._heard_newest_ns or self._newest_ns,
            "silent_ns": time.monotonic_ns() - self._heard_ns,
        }
