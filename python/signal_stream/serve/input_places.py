"""Where the source stood behind which message of the tape: what a sink may commit together with a signal."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from signal_stream.records import Inputs

_PLACES: Final = 4_096


class _Place(NamedTuple):
    messages: int
    position: bytes


class InputPlaces:
    """The source's newest positions by the number of messages on the tape, and the newest snapshot.

    A signal that rests on message N was made before anything of what followed N was used; all signals of the messages before N
    are before it in the journal. So `before(N)` is what may be committed with it: a place at or before message N - 1. The
    pipeline's thread notes, the sinks' threads ask.
    """

    def __init__(self, inputs_at: Callable[[bytes, str], Inputs | None]) -> None:
        """`inputs_at` reads a position of the source, and takes the snapshot's name."""
        self._inputs_at = inputs_at
        self._places: deque[_Place] = deque(maxlen=_PLACES)
        self._snapshots: deque[tuple[int, str]] = deque(maxlen=8)
        self._lock = threading.Lock()

    def note(self, messages: int, position: bytes) -> None:
        """The tape holds so many messages, and the source stands there behind them."""
        with self._lock:
            self._places.append(_Place(messages, position))

    def note_snapshot(self, messages: int, name: str) -> None:
        """A snapshot behind so many messages is on the disk."""
        with self._lock:
            self._snapshots.append((messages, name))

    def before(self, message: int) -> Inputs | None:
        """What a signal that rests on a message commits; None if nobody knows any more."""
        with self._lock:
            at = bisect_left(self._places, message, key=lambda place: place.messages)
            if at == 0:
                return None
            place = self._places[at - 1]
            snapshots = [name for messages, name in self._snapshots if messages <= place.messages]
        return self._inputs_at(place.position, snapshots[-1] if snapshots else "")
