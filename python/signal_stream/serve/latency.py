"""How long each stage took: counts by length of time, in bounded memory."""

from __future__ import annotations

from bisect import bisect_right
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_SPLIT_BITS: Final = 5
_SPLIT: Final = 1 << _SPLIT_BITS
_NS_MAX: Final = 1 << 42  # more than an hour
_BUCKETS: Final = ((42 - _SPLIT_BITS) << _SPLIT_BITS) + _SPLIT + 1


BOUNDS_NS: Final = tuple(
    factor * 10**exponent
    for exponent in range(3, 11)
    for factor in (1, 2, 5)
    if factor * 10**exponent <= 10_000_000_000
)
"""Up to which durations are counted for programs that draw them: 1 µs to 10 s."""


class LatencyHistogram:
    """Durations in nanoseconds, in buckets that are at most 1/32 of their value wide.

    A percentile is the upper edge of its bucket, so it is never too low, and at most 3.2 % too high; the largest
    value is kept exactly.

    >>> histogram = LatencyHistogram()
    >>> histogram.add(range(1, 101))
    >>> histogram.count, histogram.percentile(0.5), histogram.percentile(1)
    (100, 50, 100)
    """

    __slots__ = ("_counts", "count", "max_ns", "sum_ns")

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self.count = 0
        self.max_ns = 0
        self.sum_ns = 0

    def add(self, durations: Iterable[int]) -> None:
        """Counts durations; below zero counts as zero. All at once: some 30 ns each."""
        import numpy as np

        ns = np.maximum(np.fromiter(durations, np.int64), 0)
        if not len(ns):
            return
        self.count += len(ns)
        self.sum_ns += int(ns.sum())
        self.max_ns = max(self.max_ns, int(ns.max()))
        ns = np.minimum(ns, _NS_MAX)
        shift = np.maximum(np.frexp(ns.astype(np.float64))[1] - _SPLIT_BITS - 1, 0)
        buckets, counts = np.unique((shift << _SPLIT_BITS) + (ns >> shift), return_counts=True)
        for bucket, count in zip(buckets.tolist(), counts.tolist(), strict=True):
            self._counts[bucket] += count

    def percentile(self, share: float) -> int | None:
        """The duration that at least this share (0 to 1) of all stayed within; None while there is none."""
        if self.count == 0:
            return None
        wanted = max(1, -(-round(share * self.count * 1e9) // 1_000_000_000))
        for bucket, count in enumerate(self._counts):
            wanted -= count
            if wanted <= 0:
                return min(_upper_edge(bucket), self.max_ns)
        return self.max_ns

    def summary(self) -> dict[str, Any]:
        """Count, p50, p99, p99.9 and the largest, None while there is none; the sum, and how many took at most each of
        `BOUNDS_NS`, by the upper edge of their bucket. Nanoseconds.

        >>> histogram = LatencyHistogram()
        >>> histogram.add([500, 1_500, 30_000])
        >>> found = histogram.summary()
        >>> found["sum"], [found["at_most"][bound] for bound in ("1000", "2000", "20000", "50000")]
        (32000, [1, 2, 2, 3])
        """
        return {
            "count": self.count,
            "p50": self.percentile(0.5),
            "p99": self.percentile(0.99),
            "p99.9": self.percentile(0.999),
            "max": self.max_ns if self.count else None,
            "sum": self.sum_ns,
            "at_most": self._at_most(),
        }

    def _at_most(self) -> dict[str, int]:
        counts = list(accumulate(self._counts))
        return {str(bound): counts[last] for bound, last in zip(BOUNDS_NS, _last_within(), strict=True)}


def _upper_edge(bucket: int) -> int:
    shift = (bucket >> _SPLIT_BITS) - 1
    if shift <= 0:
        return bucket
    return ((bucket - (shift << _SPLIT_BITS) + 1) << shift) - 1


@cache
def _last_within() -> tuple[int, ...]:
    """Of each of `BOUNDS_NS` the last bucket that lies within it."""
    edges = [_upper_edge(bucket) for bucket in range(_BUCKETS)]
    return tuple(bisect_right(edges, bound) - 1 for bound in BOUNDS_NS)


STAGES: Final = ("features", "model", "guards", "emit", "total")
"""What is measured on the way from an event to its signal.

features: the engine, for the batch of events that brought the vector about. model: the question and its answer.
guards: the verdict. emit: making the signal and journaling it. total: from the events to the journal.
"""


class StageLatencies:
    """One histogram a stage. `add` only keeps the numbers; `settle` sorts them in, when there is time."""

    __slots__ = ("_histograms", "_new", "add")

    _ROOM: Final = 8192

    def __init__(self) -> None:
        self._histograms = tuple(LatencyHistogram() for _ in STAGES)
        self._new: list[tuple[int, int, int, int, int]] = []
        self.add = self._new.append

    @property
    def is_full(self) -> bool:
        """Whether `settle` has to be called now."""
        return len(self._new) >= self._ROOM

    def settle(self) -> None:
        """Sorts new numbers in."""
        for stage, numbers in zip(self._histograms, zip(*self._new, strict=True), strict=False):
            stage.add(numbers)
        self._new.clear()

    def summary(self) -> dict[str, dict[str, Any]]:
        """`LatencyHistogram.summary` by stage, in the order of the line."""
        self.settle()
        return {name: histogram.summary() for name, histogram in zip(STAGES, self._histograms, strict=True)}
