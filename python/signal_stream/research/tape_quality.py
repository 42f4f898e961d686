"""How good the data on a tape is: over its time, what came, how long nothing came, how long it was under way, and where something
is missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from signal_stream.research.tape_silence import Silences
from signal_stream.research.venue_delays import VenueClock, VenueDelays

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from signal_stream import _core

BINS_MAX: Final = 480
"""Pieces into which a tape's time is cut at most."""
_BINS_MIN: Final = 24
_MESSAGES: Final = 16
"""Messages that a piece holds about, where there are fewer pieces."""
FINE: Final = 8
"""Parts of a piece of which the busiest is told."""
_LAST: Final = 1
"""The flag of a message's last row."""


def bins_for(messages: int) -> int:
    """Into how many pieces the time of a tape is cut.

    >>> bins_for(3), bins_for(3_000), bins_for(10**9)
    (24, 187, 480)
    """
    return max(_BINS_MIN, min(BINS_MAX, messages // _MESSAGES))


@dataclass(slots=True)
class TapeQuality:
    """Counts over a tape's time, which is cut into `bins` pieces. Times are nanoseconds."""

    first: int
    last: int
    bins: int
    fine: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    """Messages of each kind by part of a piece of time."""
    delays: dict[str, VenueDelays] = field(default_factory=dict)
    faults: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    """Gaps, duplicates and times that go back, by piece of time: "gap BTCUSDT.BINANCE", "time goes back"."""
    silences: Silences = field(init=False)
    _ends: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    _newest: int | None = None

    def __post_init__(self) -> None:
        self.silences = Silences(self.first, self.last, self.bins, FINE)

    @classmethod
    def of(cls, batches: Iterable[_core.EventBatch], first: int, last: int, messages: int) -> TapeQuality:
        """The quality of a stream of about so many messages whose receive times lie between two."""
        quality = cls(first, last, bins_for(messages))
        for batch in batches:
            quality.add(batch)
        return quality

    @property
    def edges(self) -> NDArray[np.float64]:
        """The times between which the pieces lie."""
        return np.linspace(self.first, max(self.last, self.first + 1), self.bins + 1)

    @property
    def counts(self) -> dict[str, NDArray[np.int64]]:
        """Messages of each kind by piece of time."""
        return {kind: fine.reshape(self.bins, FINE).sum(axis=1) for kind, fine in self.fine.items()}

    @property
    def peaks(self) -> dict[str, NDArray[np.int64]]:
        """Messages of each kind that a piece of time would hold if all of it were as busy as its busiest part."""
        return {kind: fine.reshape(self.bins, FINE).max(axis=1) * FINE for kind, fine in self.fine.items()}

    def clocks(self) -> list[VenueClock]:
        """Each venue's clock against ours."""
        middles = (self.edges[1:] + self.edges[:-1]) / 2
        return [delays.clock(venue, middles) for venue, delays in sorted(self.delays.items())]

    def add(self, batch: _core.EventBatch) -> None:
        """Counts the messages of a batch."""
        import pyarrow as pa

        from signal_stream import _core

        table = pa.record_batch(batch)
        names, kinds = batch.instruments, _core.event_kinds()
        ends = np.flatnonzero(table["flags"].to_numpy(zero_copy_only=False) & _LAST)
        column = {
            name: table[name].cast(kind).fill_null(0).to_numpy(zero_copy_only=False)[ends]
            for name, kind in (
                ("ts_recv", "int64"), ("ts_event", "int64"), ("sequence", "uint64"), ("sequence_prev", "uint64"),
                ("kind", "uint8"),
            )
        }  # fmt: skip
        for name in ("ts_event", "sequence_prev"):
            column[f"has {name}"] = table[name].is_valid().to_numpy(zero_copy_only=False)[ends]
        owner = table["instrument"].fill_null(len(names)).to_numpy(zero_copy_only=False)[ends]
        parts = self._parts(column["ts_recv"])
        bins = parts // FINE
        for code in np.unique(column["kind"]):
            kind, rows = kinds.get(int(code), str(code)), column["kind"] == code
            self.fine.setdefault(kind, np.zeros(self.bins * FINE, np.int64))
            self.fine[kind] += np.bincount(parts[rows], minlength=self.bins * FINE)
        self._add_order(column["ts_recv"], bins)
        self.silences.add(column["ts_recv"][column["kind"] != _mark(kinds)])
        timed = np.flatnonzero(column["has ts_event"] & (owner < len(names)))
        for venue, rows in self._by_venue(names, owner[timed]):
            self._add_delays(venue, column, bins, timed[rows])
        told = np.flatnonzero((column["sequence"] != 0) & (owner < len(names)))
        for rows in _groups(owner[told].astype(np.int64) * 256 + column["kind"][told]):
            mine = told[rows]
            name, kind = names[int(owner[mine[0]])], kinds.get(int(column["kind"][mine[0]]), "")
            self._add_ids(name, kind, column, mine, bins[mine])

    def _parts(self, times: NDArray[np.int64]) -> NDArray[np.int64]:
        """In which part of a piece each time lies."""
        span, parts = max(self.last - self.first, 1), self.bins * FINE
        # The span of centuries times thousands of parts does not fit into 64 bits.
        places = (times - self.first).astype(np.float64) * (parts / span)
        return np.clip(places.astype(np.int64), 0, parts - 1)

    def _add_order(self, times: NDArray[np.int64], bins: NDArray[np.int64]) -> None:
        if not len(times):
            return
        before = np.concatenate([[times[0] if self._newest is None else self._newest], times[:-1]])
        self._newest = int(times[-1])
        self._note("time goes back", times < before, bins)

    @staticmethod
    def _by_venue(names: list[str], owner: NDArray[Any]) -> Iterator[tuple[str, NDArray[np.int64]]]:
        venues = [name.rpartition(".")[2] or name for name in names]
        codes = {venue: code for code, venue in enumerate(dict.fromkeys(venues))}
        of_instrument = np.array([codes[venue] for venue in venues], np.int64)
        each = of_instrument[owner.astype(np.int64)] if len(owner) else np.empty(0, np.int64)
        for rows in _groups(each):
            yield venues[int(owner[rows[0]])], rows

    def _add_delays(
        self, venue: str, column: Mapping[str, Any], bins: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> None:
        if venue not in self.delays:
            self.delays[venue] = VenueDelays(self.bins)
        self.delays[venue].add((column["ts_recv"][rows] - column["ts_event"][rows]).astype(np.int64), bins[rows])

    def _add_ids(
        self, name: str, kind: str, column: Mapping[str, Any], rows: NDArray[np.int64], bins: NDArray[np.int64]
    ) -> None:
        """Notes gaps and duplicates of a stream whose ids say so, as the sequencer judges them: only ids that name the one before
        have gaps; a trade whose id is not above those before came twice, and a diff that is the one before."""
        if kind not in ("trade", "book_diff"):
            return
        ids, link = (column[key][rows].astype(np.int64) for key in ("sequence", "sequence_prev"))
        ruled = column["has sequence_prev"][rows]
        last, last_link = self._ends.get((name, kind), (None, None))
        prior = np.concatenate([[ids[0] - 1 if last is None else last], ids[:-1]])
        if kind == "trade":
            # What came before leaves the newest where it was.
            prior = np.maximum.accumulate(prior)
            torn, twice = ruled & (ids > prior + 1), ids <= prior
        else:
            before = np.concatenate([[link[0] - 1 if last_link is None else last_link], link[:-1]])
            torn, twice = ruled & (link > prior), (ids == prior) & (link == before)
            torn[0] &= last is not None
        self._ends[name, kind] = int(max(ids[-1], prior[-1]) if kind == "trade" else ids[-1]), int(link[-1])
        self._note(f"gap {name}", torn, bins)
        self._note(f"duplicate {name}", twice, bins)

    def _note(self, fault: str, rows: NDArray[np.bool_], bins: NDArray[np.int64]) -> None:
        if rows.any():
            found = self.faults.setdefault(fault, np.zeros(self.bins, np.int64))
            found += np.bincount(bins[rows], minlength=self.bins)


def _groups(keys: NDArray[Any]) -> list[NDArray[np.int64]]:
    """The places of each key, in order."""
    if not len(keys):
        return []
    order = np.argsort(keys, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(keys[order])) + 1)


def _mark(kinds: Mapping[int, str]) -> int:
    return next((code for code, name in kinds.items() if name == "mark"), -1)
