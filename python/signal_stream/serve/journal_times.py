"""When the records of a journal were written, as far as somebody looked."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Final

_SAMPLES_MAX: Final = 4096


class JournalTimes:
    """Pairs of a time and the number of records at it, in bounded memory: where there are too many, every second goes, and
    those that follow are as far apart. So an age is too low by a two thousandth at most."""

    def __init__(self) -> None:
        self._samples: list[tuple[int, int]] = []
        self._apart_ns = 0

    def note(self, records: int, now: int) -> None:
        """The journal holds so many records now."""
        samples = self._samples
        if samples and (samples[-1][0] == records or now - samples[-1][1] < self._apart_ns):
            return
        samples.append((records, now))
        if len(samples) > _SAMPLES_MAX:
            del samples[1::2]
            self._apart_ns = max(2 * self._apart_ns, (now - samples[0][1]) // len(samples))

    def forget(self, seq: int) -> None:
        """Nobody will ask for records before `seq`."""
        del self._samples[: bisect_right(self._samples, (seq, math.inf))]
        if not self._samples:
            self._apart_ns = 0

    def written_ns(self, seq: int, now: int) -> int:
        """When record `seq` was there for the first time that somebody looked; now where nobody has."""
        at = bisect_right(self._samples, (seq, math.inf))
        return self._samples[at][1] if at < len(self._samples) else now
