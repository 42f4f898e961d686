"""A pipeline watched: each look is compared with the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .changes import changes
from .events import EVENTS, Event
from .look import Lookout

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .log import EventLog
    from .metric import Found


class Watch:
    """Looks at a state folder, writes what happened since the look before into a log, and counts it. One thread looks and notes;
    `events` may be read by any."""

    def __init__(self, folder: Path, *, log: EventLog) -> None:
        self.lookout = Lookout(folder)
        self._log = log
        self._last: Found | None = None
        self._counts = dict.fromkeys((each.kind for each in EVENTS), 0)

    @property
    def events(self) -> Mapping[str, int]:
        """How many events of each kind there were."""
        return dict(self._counts)

    def look(self, *, now: int) -> None:
        """Looks, at the wall clock's `now`. Raises StateError where the status cannot be read."""
        found = self.lookout.look(now=now)
        if self._last is not None:
            for event in changes(self._last, found):
                self.note(event, now=now)
        self._last = found

    def note(self, event: Event, *, now: int) -> None:
        """Something that no status tells: writes and counts it."""
        self._counts[event.kind] += 1
        self._log.write(event, now=now)
