"""Which signals of a repeated run are in the journal already."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Replayed:
    """Answers `seen` for a run that repeats what the journal holds, in the same order, in bounded memory.

    A pipeline that goes on from a snapshot makes the signals since then again, in the order of the journal. So only
    a window of the coming ids is held: an id in it was written, and those before it will not be asked for. `skipped`
    counts these: not zero means that the repeated run is another one than the recorded.
    """

    def __init__(self, ids: Iterator[str], *, window: int = 65_536) -> None:
        self.skipped = 0
        self._ids = ids
        self._window_max = window
        self._order: deque[str] = deque()
        self._known: set[str] = set()
        self._refill()

    def seen(self, signal_id: str) -> bool:
        """Whether the journal holds this signal; each is asked for once."""
        if signal_id not in self._known:
            return False
        while (first := self._order.popleft()) != signal_id:
            self._known.discard(first)
            self.skipped += 1
        self._known.discard(signal_id)
        if len(self._order) * 2 < self._window_max:
            self._refill()
        return True

    def _refill(self) -> None:
        for signal_id in self._ids:
            self._order.append(signal_id)
            self._known.add(signal_id)
            if len(self._order) >= self._window_max:
                return
