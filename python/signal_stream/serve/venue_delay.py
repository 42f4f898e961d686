"""How long events are on their way from the venue to us, and how far its clock and ours stand apart."""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import Final

_KEPT: Final = 512
_BLOCK: Final = 16


class VenueDelay:
    """Receive time less venue time of the newest vectors, 512 at most.

    The least of these differences is what a message takes at best plus what the clocks stand apart. It is estimated as the
    middle of the least of each 16, so that single wrong times do not decide it. Below zero, the venue's clock is ahead of ours
    by so much at least.

    >>> delay = VenueDelay()
    >>> for ns in [7, 5, 6, 5] * 16 + [-900]:
    ...     delay.add(ns)
    >>> delay.stats()
    {'least': 5, 'p50': 5, 'p99': 7}
    """

    def __init__(self) -> None:
        self._ns: deque[int] = deque(maxlen=_KEPT)
        self.add = self._ns.append

    def stats(self) -> dict[str, int | None]:
        """The least, the middle and the 99th percentile in nanoseconds; None while there is none."""
        ns = list(self._ns)
        if not ns:
            return {"least": None, "p50": None, "p99": None}
        least = [min(ns[at : at + _BLOCK]) for at in range(0, len(ns), _BLOCK)]
        ns.sort()
        return {"least": int(median(least)), "p50": ns[len(ns) // 2], "p99": ns[min(len(ns) - 1, len(ns) * 99 // 100)]}
