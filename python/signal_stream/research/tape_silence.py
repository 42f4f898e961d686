"""The silences of a tape: how long nothing came, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LONGEST: Final = 3
"""Silences that are told one by one."""
_NEVER: Final = np.iinfo(np.int64)


class Silence(NamedTuple):
    """Nothing came for so many nanoseconds from a moment on."""

    ns: int
    begin: int


class Silences:
    """How long nothing came, by time and not by place on the tape: where several connections were written one after another, it
    is silent only when all of them are. Clock marks are no messages here.

    Time is cut into parts, some of which make a piece. Between parts silences are exact, within a part they are those between
    messages that follow each other. Invariant: of a part that holds messages, `_first <= _last`.
    """

    def __init__(self, begin: int, end: int, bins: int, fine: int) -> None:
        parts = bins * fine
        self._begin, self._bins, self._fine = begin, bins, fine
        self._width = max(end - begin, 1) / parts
        self._first = np.full(parts, _NEVER.max)
        self._last = np.full(parts, _NEVER.min)
        self._within = np.zeros(parts, np.int64)
        self._since = np.zeros(parts, np.int64)
        """Where the longest silence of a part begins."""
        self._newest: int | None = None

    def add(self, times: NDArray[np.int64]) -> None:
        """Takes the times of the next messages."""
        if not len(times):
            return
        before = np.concatenate([[times[0] if self._newest is None else self._newest], times[:-1]])
        self._newest = int(times[-1])
        parts = self._parts(times)
        np.minimum.at(self._first, parts, times)
        np.maximum.at(self._last, parts, times)
        length = np.where(self._parts(before) == parts, times - before, 0)
        order = np.argsort(length, kind="stable")
        longer = order[length[order] > self._within[parts[order]]]
        # Of several in one part the longest is written last.
        self._within[parts[longer]], self._since[parts[longer]] = length[longer], before[longer]

    @property
    def by_bin(self) -> NDArray[np.int64]:
        """The longest silence of each piece of time in nanoseconds; one counts in each piece that it touches."""
        found: NDArray[np.int64] = self._within.reshape(self._bins, self._fine).max(axis=1)
        heard, lengths = self._between()
        for place, length in enumerate(lengths.tolist()):
            touched = slice(int(heard[place]) // self._fine, int(heard[place + 1]) // self._fine + 1)
            found[touched] = np.maximum(found[touched], length)
        return found

    @property
    def longest(self) -> list[Silence]:
        """The longest of all, the longest first."""
        heard, lengths = self._between()
        begins = np.concatenate([self._last[heard[:-1]], self._since])
        every = np.concatenate([lengths, self._within])
        order = np.lexsort((begins, -every))[:_LONGEST]
        return [Silence(int(every[place]), int(begins[place])) for place in order if every[place] > 0]

    def _between(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The parts that hold messages, and the silences between one and the next."""
        heard = np.flatnonzero(self._last >= self._first)
        return heard, self._first[heard[1:]] - self._last[heard[:-1]]

    def _parts(self, times: NDArray[np.int64]) -> NDArray[np.int64]:
        places = (times - self._begin).astype(np.float64) / self._width
        return np.clip(places.astype(np.int64), 0, len(self._first) - 1)
