"""When a model's next worker may be started."""

from __future__ import annotations

from collections import deque
from typing import Final

DEATHS_WINDOW_NS: Final = 60_000_000_000
BACKOFF_NS: Final = 50_000_000
BACKOFF_NS_MAX: Final = 5_000_000_000
RETRIES_LONGER: Final = 10


class Restarts:
    """When a worker may be started after others died. Times are nanoseconds of one clock that never falls.

    After one death within a minute: at once. After more: `BACKOFF_NS` later, doubled with each, at most `BACKOFF_NS_MAX`.
    After more than `deaths_max`: a pause of `retry_after_ns`. A death within a minute of a pause's end makes the next pause at
    once, twice as long, up to ten times; a minute without one, and everything counts from the beginning.

    >>> restarts = Restarts(deaths_max=1, retry_after_ns=1_000)
    >>> restarts.note_death(0), restarts.not_before_ns, restarts.is_pausing
    (None, 0, False)
    >>> restarts.note_death(10), restarts.not_before_ns, restarts.is_pausing
    (None, 1010, True)
    """

    def __init__(self, *, deaths_max: int, retry_after_ns: int) -> None:
        self.not_before_ns = 0
        """The earliest moment of the next start."""
        self.is_pausing = False
        self._deaths_max = deaths_max
        self._retry_after_ns = retry_after_ns
        self._recent: deque[int] = deque()
        self._pauses = 0
        self._retried_ns: int | None = None

    def note_start(self, now_ns: int) -> None:
        """A worker is started."""
        if self.is_pausing:
            self.is_pausing, self._retried_ns = False, now_ns

    def note_death(self, now_ns: int) -> None:
        """A worker has died, or could not be started."""
        recent = self._recent
        recent.append(now_ns)
        while recent[0] < now_ns - DEATHS_WINDOW_NS:
            recent.popleft()
        retried = self._retried_ns is not None and now_ns - self._retried_ns < DEATHS_WINDOW_NS
        if not retried:
            self._pauses, self._retried_ns = 0, None
        if len(recent) > self._deaths_max or retried:
            times = min(1 << min(self._pauses, 8), RETRIES_LONGER)
            self._pauses += 1
            self.is_pausing = True
            self.not_before_ns = now_ns + times * self._retry_after_ns
        elif len(recent) > 1:
            self.not_before_ns = now_ns + min(BACKOFF_NS << (len(recent) - 2), BACKOFF_NS_MAX)
