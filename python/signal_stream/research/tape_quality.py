"""How good the data on a tape is: over its time, what came, how long it was under way, and where something is missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from signal_stream import _core

BINS: Final = 240
"""Pieces into which a tape's time is cut."""
_LAST: Final = 1
"""The flag of a message's last row."""
_DELAYS_MAX: Final = 4_000
"""Delays that are kept of each venue and piece of time."""


@dataclass(frozen=True, slots=True)
class VenueClock:
    """The venue's clock against ours: `ts_recv - ts_event` of its messages, in nanoseconds.

    `offset` is the least delay that is usual: the way from the venue, and how far the clocks are apart. `drift` is by how much it
    grows in a second, as a share: 1e-6 is a microsecond.
    """

    venue: str
    messages: int
    offset: float
    drift: float
    p50: float
    p99: float
    before: int
    """Messages that came before they happened."""


@dataclass(slots=True)
class TapeQuality:
    """Counts over a tape's time. `edges` are the `BINS` + 1 times between which its pieces lie."""

    first: int
    last: int
    counts: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    """Messages of each kind by piece of time."""
    delays: dict[str, list[list[NDArray[np.int64]]]] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)
    with_time: dict[str, int] = field(default_factory=dict)
    faults: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    """Gaps and duplicates by instrument and piece of time: "gap BTCUSDT.BINANCE"."""
    _ends: dict[tuple[str, str], int] = field(default_factory=dict)

    @classmethod
    def of(cls, batches: Iterable[_core.EventBatch], first: int, last: int) -> TapeQuality:
        """The quality of a stream whose receive times lie between two."""
        quality = cls(first, last)
        for batch in batches:
            quality.add(batch)
        return quality

    @property
    def edges(self) -> NDArray[np.float64]:
        """The times between which the pieces lie, in nanoseconds."""
        return np.linspace(self.first, max(self.last, self.first + 1), BINS + 1)

    def add(self, batch: _core.EventBatch) -> None:
        """Counts the messages of a batch."""
        import pyarrow as pa

        from signal_stream import _core

        table = pa.record_batch(batch)
        names, kinds = batch.instruments, _core.event_kinds()
        ends = np.flatnonzero(table["flags"].to_numpy(zero_copy_only=False) & _LAST)
        column = {
            name: table[name].cast(kind).fill_null(0).to_numpy(zero_copy_only=False)[ends]
            for name, kind in (("ts_recv", "int64"), ("ts_event", "int64"), ("sequence", "uint64"), ("kind", "uint8"))
        }
        has_time = table["ts_event"].is_valid().to_numpy(zero_copy_only=False)[ends]
        linked = table["sequence_prev"].is_valid().to_numpy(zero_copy_only=False)[ends]
        link = table["sequence_prev"].fill_null(0).to_numpy(zero_copy_only=False)[ends]
        owner = table["instrument"].fill_null(len(names)).to_numpy(zero_copy_only=False)[ends]
        span = max(self.last - self.first, 1)
        bins = np.clip((column["ts_recv"] - self.first) * BINS // span, 0, BINS - 1).astype(np.int64)
        for code in np.unique(column["kind"]):
            kind, rows = kinds.get(int(code), str(code)), column["kind"] == code
            self.counts.setdefault(kind, np.zeros(BINS, np.int64))
            self.counts[kind] += np.bincount(bins[rows], minlength=BINS)
        for at, name in enumerate(names):
            mine = owner == at
            if not mine.any():
                continue
            self._add_delays(name.rpartition(".")[2] or name, column, bins, mine & has_time)
            for code in np.unique(column["kind"][mine]):
                rows = mine & (column["kind"] == code) & (column["sequence"] != 0)
                kind = kinds.get(int(code), "")
                self._add_ids(name, kind, column["sequence"][rows], link[rows], linked[rows], bins[rows])

    def _add_delays(
        self, venue: str, column: Mapping[str, Any], bins: NDArray[np.int64], rows: NDArray[np.bool_]
    ) -> None:
        delays = (column["ts_recv"][rows] - column["ts_event"][rows]).astype(np.int64)
        self.with_time[venue] = self.with_time.get(venue, 0) + len(delays)
        self.before[venue] = self.before.get(venue, 0) + int((delays < 0).sum())
        pieces = self.delays.setdefault(venue, [[] for _ in range(BINS)])
        where = bins[rows]
        for piece in np.unique(where):
            found, kept = delays[where == piece], pieces[piece]
            room = _DELAYS_MAX - sum(map(len, kept))
            if room > 0:
                kept.append(found[:room])

    def _add_ids(self, name: str, kind: str, ids: Any, link: Any, linked: Any, bins: NDArray[np.int64]) -> None:
        """Notes gaps and duplicates of a stream whose ids say so."""
        if kind not in ("trade", "book_diff") or not len(ids):
            return
        before = self._ends.get((name, kind))
        self._ends[name, kind] = int(ids[-1])
        prior = np.concatenate([[ids[0] - 1 if before is None else before], ids[:-1]]).astype(np.int64)
        ids = ids.astype(np.int64)
        torn = (link.astype(np.int64) > prior) & linked if kind == "book_diff" else ids > prior + 1
        if kind == "book_diff" and before is None:
            torn[0] = False
        for fault, rows in (("gap", torn), ("duplicate", ids <= prior)):
            if rows.any():
                found = self.faults.setdefault(f"{fault} {name}", np.zeros(BINS, np.int64))
                found += np.bincount(bins[rows], minlength=BINS)

    def lower_edges(self, venue: str, q: float = 1.0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The middle of each piece of time in which the venue said something, and the least usual delay in it (its `q`-th
        percentile)."""
        middles = (self.edges[1:] + self.edges[:-1]) / 2
        found = [
            (middles[i], np.percentile(np.concatenate(each), q)) for i, each in enumerate(self.delays[venue]) if each
        ]
        times, edges = zip(*found, strict=True) if found else ((), ())
        return np.array(times, float), np.array(edges, float)

    def clocks(self) -> list[VenueClock]:
        """Each venue's clock against ours, robustly: by the least usual delays, and the median of the slopes between them."""
        clocks = []
        for venue, pieces in sorted(self.delays.items()):
            delays = [piece for each in pieces for piece in each]
            if not delays:
                continue
            every = np.concatenate(delays)
            times, edges = self.lower_edges(venue)
            offset, drift = _line(times, edges)
            p50, p99 = (float(each) for each in np.percentile(every, (50, 99)))
            clocks.append(VenueClock(venue, self.with_time[venue], offset, drift, p50, p99, self.before[venue]))
        return clocks


def _line(times: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[float, float]:
    """The level and the slope of points in time, against outliers: the medians of the slopes between pairs (Theil and Sen), and
    of what is left.

    >>> level, slope = _line(np.array([0.0, 1.0, 2.0, 3.0, 4.0]), np.array([5.0, 6.0, 7.0, 99.0, 9.0]))
    >>> level, slope
    (7.0, 1.0)
    """
    if len(times) < 2:
        return (float(values[0]) if len(values) else 0.0), 0.0
    i, j = np.triu_indices(len(times), 1)
    slope = float(np.median((values[j] - values[i]) / (times[j] - times[i])))
    middle = float(np.median(times))
    return float(np.median(values - slope * (times - middle))), slope
