"""What time it is on the axis of `ts_recv`: the one clock of the pipeline."""

from __future__ import annotations

import time
from math import inf


class AxisClock:
    """Axis time as the monotonic clock lets it pass, counted from the least delayed event seen so far.

    `rate` is how many axis nanoseconds pass in one: 1 for a live feed or recorded pace, 8 for a replay at 8x, infinity
    for a replay as fast as it goes, where no time passes beside that of the events. An event that waited longer than
    the least delayed one (in a queue, in a pipe) has a `ts_recv` behind the clock by so much: that is what the
    staleness guard adds to the age of its inputs. The clock never stands before the event that it is asked about.

    >>> AxisClock(inf).now(5)
    5
    """

    __slots__ = ("_axis", "_clock", "_monotonic", "_rate")

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._axis: int | None = None
        self._monotonic = 0
        self._clock = time.monotonic_ns

    def now(self, ts_recv: int) -> int:
        """Axis time at this moment, in which an event of `ts_recv` is being handled."""
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
