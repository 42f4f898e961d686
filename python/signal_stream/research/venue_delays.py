"""How long a venue's messages were under way, and its clock against ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KEPT: Final = 4_096
"""Delays that are kept of each piece of time; of more every second, fourth, eighth… is."""
_PIECES_MIN: Final = 20
"""Pieces of time with delays below which nothing is said of a drift."""
_MARGIN_MAX: Final = 5e-6
"""A drift is told if its margin of error is at most so wide, or a third of it."""


@dataclass(frozen=True, slots=True)
class VenueClock:
    """The venue's clock against ours: `ts_recv - ts_event` of its messages, in nanoseconds.

    `p1` is what the quickest messages take: the way from the venue, and how far the clocks are apart. `drift` is by how much it
    grows in a second, as a share (1e-6 is a microsecond), with its margin of error (95 %); both are None where the tape is too
    short, or its delays too uneven, to tell.
    """

    venue: str
    messages: int
    p1: float
    p50: float
    p99: float
    drift: float | None
    drift_margin: float | None
    before: int
    """Messages that came before they happened."""
    declared: bool
    """Whether all of them took the same time: it was declared and not measured."""


class VenueDelays:
    """The delays of one venue over a tape's time: an even share of each piece of it.

    Which ones are kept does not depend on how the messages came in batches. Invariant: of piece i every `_step[i]`-th delay is
    kept, the first included, and at most `_KEPT` of them; the step is a power of two, as small as that allows.
    """

    def __init__(self, bins: int) -> None:
        self.messages = 0
        self.before = 0
        self._range: tuple[int, int] | None = None
        self._kept: list[NDArray[np.int64]] = [np.empty(0, np.int64) for _ in range(bins)]
        self._seen = [0] * bins
        self._step = [1] * bins

    def add(self, delays: NDArray[np.int64], bins: NDArray[np.int64]) -> None:
        """Takes the delays of the next messages, and the pieces of time in which they came."""
        self.messages += len(delays)
        if not len(delays):
            return
        self.before += int((delays < 0).sum())
        low, high = self._range or (int(delays[0]), int(delays[0]))
        self._range = min(low, int(delays.min())), max(high, int(delays.max()))
        order = np.argsort(bins, kind="stable")
        heads = np.flatnonzero(np.diff(bins[order], prepend=-1))
        for rows in np.split(order, heads[1:]):
            self._add(int(bins[rows[0]]), delays[rows])

    def _add(self, piece: int, delays: NDArray[np.int64]) -> None:
        step, seen = self._step[piece], self._seen[piece]
        kept = np.concatenate([self._kept[piece], delays[-seen % step :: step]])
        while len(kept) > _KEPT:
            kept, step = kept[::2], step * 2
        self._kept[piece], self._step[piece], self._seen[piece] = kept, step, seen + len(delays)

    @property
    def declared(self) -> bool:
        """Whether all messages took the same time: it was declared and not measured."""
        return self.messages > 2 and self._range is not None and self._range[0] == self._range[1]

    def percentiles(self, *shares: float) -> NDArray[np.float64]:
        """Percentiles of the delays of each piece of time, one row each; NaN where nothing came."""
        found = np.full((len(shares), len(self._kept)), np.nan)
        for piece, kept in enumerate(self._kept):
            if len(kept):
                found[:, piece] = np.percentile(kept, shares)
        return found

    def clock(self, venue: str, middles: NDArray[np.float64]) -> VenueClock:
        """The venue's clock against ours; `middles` are the times of the pieces."""
        weights = np.concatenate([np.full(len(kept), step) for kept, step in zip(self._kept, self._step, strict=True)])
        p1, p50, p99 = _weighted(np.concatenate(self._kept), weights, (0.01, 0.5, 0.99))
        quick = self.percentiles(1)[0]
        there = ~np.isnan(quick)
        drift, margin = slope_of(middles[there], quick[there])
        told = int(there.sum()) >= _PIECES_MIN and (margin <= _MARGIN_MAX or 3 * margin <= abs(drift))
        told &= not self.declared
        return VenueClock(
            venue, self.messages, p1, p50, p99, drift if told else None, margin if told else None, self.before,
            self.declared,
        )  # fmt: skip


def _weighted(values: NDArray[np.int64], weights: NDArray[np.int64], shares: tuple[float, ...]) -> list[float]:
    """Percentiles of values that stand for so many each."""
    order = np.argsort(values, kind="stable")
    upto = np.cumsum(weights[order])
    places = np.searchsorted(upto, np.array(shares) * upto[-1])
    return [float(values[order[min(place, len(order) - 1)]]) for place in places]


def slope_of(times: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[float, float]:
    """The slope of points in time, against outliers: the median of the slopes between pairs (Theil and Sen); and its margin
    of error (95 %), by how far the points lie from the line.

    >>> slope, margin = slope_of(np.array([0.0, 1.0, 2.0, 3.0, 4.0]), np.array([5.0, 6.0, 7.0, 99.0, 9.0]))
    >>> slope, margin
    (1.0, 0.0)
    """
    if len(times) < 3:
        return 0.0, float("inf")
    i, j = np.triu_indices(len(times), 1)
    slope = float(np.median((values[j] - values[i]) / (times[j] - times[i])))
    left = values - slope * times
    spread = 1.4826 * float(np.median(np.abs(left - np.median(left))))
    return slope, 1.96 * 1.2533 * spread / (float(np.std(times)) * len(times) ** 0.5)
