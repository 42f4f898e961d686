"""What time it is on the axis of `ts_recv`: the one clock of the pipeline."""

from __future__ import annotations

import time
from math import inf
from typing import Final, Protocol

RECORDING_NS: Final = 30 * 86_400 * 1_000_000_000
"""An event so far behind the wall clock did not wait in a pipe: it is of a recording that is being played."""


class Clock(Protocol):
    """The clocks of a machine, by the names that the module `time` has for them."""

    def monotonic_ns(self) -> int:
        """Nanoseconds since some moment; never falls."""

    def time_ns(self) -> int:
        """Nanoseconds since 1970 UTC."""


class AxisClock:
    """Axis time at this moment. What an event waited, in a queue, a pipe or a file, the staleness guard adds to its age.

    An event of a live source, which is at most `wall_within_ns` behind the wall clock, is judged by that clock: a
    backlog of an hour is an hour old, however fast it is read now. `wall_within_ns` is -1 where recorded events are
    replayed, infinity where there is no such bound.

    For all others axis time passes as the monotonic clock lets it, counted from the least delayed event seen so far.
    `rate` is how many axis nanoseconds pass in one: 1 for recorded pace, 8 for a replay at 8x, infinity for a replay
    as fast as it goes, where no time passes beside that of the events.

    The clock never stands before the event that it is asked about: where the recorder's clock is ahead of ours, its
    event is now.

    >>> AxisClock(inf).now(5)
    5
    """

    __slots__ = ("_axis", "_clock", "_monotonic", "_rate", "_wall", "_wall_within_ns")

    def __init__(self, rate: float, *, wall_within_ns: float = -1, clock: Clock = time) -> None:
        self._rate = rate
        self._wall_within_ns = wall_within_ns
        self._axis: int | None = None
        self._monotonic = 0
        self._clock = clock.monotonic_ns
        self._wall = clock.time_ns

    def now(self, ts_recv: int) -> int:
        """Axis time at this moment, in which an event of `ts_recv` is being handled."""
        if self._wall_within_ns >= 0:
            wall = self._wall()
            if wall - ts_recv <= self._wall_within_ns:
                return max(wall, ts_recv)
        if self._rate == inf:
            return ts_recv
        clock = self._clock()
        if self._axis is not None:
            passed = clock - self._monotonic
            now = self._axis + (passed if self._rate == 1 else int(passed * self._rate))
            if now > ts_recv:
                return now
        self._axis, self._monotonic = ts_recv, clock
        return ts_recv

    def since(self, ts_recv: int, monotonic_ns: int) -> int:
        """How far axis time was beyond an event of `ts_recv` at a moment of the monotonic clock, not long ago. Nanoseconds;
        0 where no time passes beside that of the events."""
        if self._wall_within_ns >= 0:
            wall = self._wall() - (self._clock() - monotonic_ns)
            if wall - ts_recv <= self._wall_within_ns:
                return max(wall - ts_recv, 0)
        if self._rate == inf or self._axis is None:
            return 0
        return max(self._axis + int((monotonic_ns - self._monotonic) * self._rate) - ts_recv, 0)


def recorded_moment(ts_recv: int) -> int:
    """The moment at which what the journal holds already is made again: that of the vector, as in a replay."""
    return ts_recv
