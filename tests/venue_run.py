"""A WebSocket source that reads the venue emulator, and an engine behind it: everything that came out, to be looked at."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

import signal_stream as ss
from signal_stream import _core, book
from signal_stream.ingest.websocket_source import WebSocketSource
from signal_stream.testing import VenueEmulator

PATIENCE_S = 60.0
EXCERPT = Path(__file__).parent / "data" / "binance-excerpt" / "spot_btcusdt.gz"
LEVELS = 5
ALWAYS = frozenset(pa.record_batch(_core.EventBatch.mark(0)).schema.names)
"""The columns that every batch has."""
SETTINGS: dict[str, Any] = {
    "venue": "binance", "symbols": ["BTCUSDT"], "lateness": "0ms", "late": "drop", "queue_rows": 65_536, "stale_after": "30s",
    "reconnect": "5ms", "reconnect_max": "50ms", "seed": 1, "stamped": True,
}  # fmt: skip


def ladder() -> ss.FeatureGraph:
    """The best levels of the book, at each of its events."""
    sides = {"bid": book.bid, "ask": book.ask}
    features = {f"{name}_{n}": side(n).price for name, side in sides.items() for n in range(1, LEVELS + 1)}
    features |= {f"{name}_qty_{n}": side(n).qty for name, side in sides.items() for n in range(1, LEVELS + 1)}
    return ss.FeatureGraph(name="ladder", on=book, features=features)


@dataclass
class VenueRun:
    """Reads the emulator until a moment of the capture, or until told otherwise."""

    venue: VenueEmulator
    graph: ss.FeatureGraph
    settings: dict[str, Any] = field(default_factory=dict)
    instrument: str | None = None
    """Whose vectors are kept; None: all."""
    messages: list[dict[str, Any]] = field(default_factory=list)
    """Of each message its kind, ids, receive time and first row."""
    vectors: list[dict[str, Any]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    stats: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        keys = SETTINGS | {"url": self.venue.url, "rest": self.venue.rest} | self.settings
        self.source = WebSocketSource(WebSocketSource.Settings.read(keys))
        self.engine = ss.Engine(self.graph)
        symbols = {symbol.upper() for symbol in keys["symbols"]}
        used = (each for each in reversed(self.venue.frames) if each.channel.kind != "other")
        self.last = next((each.ts_recv for each in used if each.channel.symbol.upper() in symbols), 0)

    def read(self, until: Callable[[VenueRun], bool]) -> VenueRun:
        """Pushes what comes until the condition holds; fails after a minute."""
        self.source.open(None)
        try:
            self.read_on(until)
        finally:
            self.source.close()
        return self

    def read_on(self, until: Callable[[VenueRun], bool]) -> None:
        """The same on an open source."""
        latest = time.monotonic() + PATIENCE_S
        while not until(self):
            assert time.monotonic() < latest, f"nothing came for long: {self.source.stats()}"
            batch = self.source.next(5_000_000)
            if batch is not None:
                self.take(batch)
        self.stats, self.counts = self.source.stats(), self.engine.counts()

    def stats_now(self) -> dict[str, Any]:
        """What the connection has gone through so far."""
        found: dict[str, Any] = self.source.stats().get("connection", {})
        return found or {"books_asked": 0, "subscriptions_refused": 0}

    def take(self, batch: _core.EventBatch) -> None:
        """Keeps a batch, and computes on it."""
        self.messages += messages_of(batch)
        vectors = self.engine.push(batch, reasons=True)
        if self.instrument is not None:
            vectors = vectors.filter(pc.equal(vectors["instrument"], self.instrument))
        self.vectors += plain(vectors)
        for instrument, kind, ts_recv, _ in self.engine.core.take_notices():
            self.notices.append(kind)
            if kind in ("BOOK_GAP", "CHECKSUM_MISMATCH"):
                self.source.notice(instrument, kind, ts_recv)

    def of_kind(self, code: int) -> Sequence[dict[str, Any]]:
        """The messages of a kind, by its code."""
        return [message for message in self.messages if message["kind"] == code]


def messages_of(batch: _core.EventBatch) -> list[dict[str, Any]]:
    """Of each message its first row: what it says, with the instrument's id.

    A rare column is there if any row of the batch needs it, so its default is left out: where a batch ends says nothing.
    """
    found, begins, names = [], True, batch.instruments
    for row in plain(pa.record_batch(batch)):
        if begins:
            said = {key: value for key, value in row.items() if value is not None and (key in ALWAYS or value != 0)}
            found.append(said | {"instrument": names[row["instrument"]]})
        begins = bool(row["flags"] & 1)
    return found


def plain(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """Rows with times in nanoseconds."""
    times = [i for i, column in enumerate(batch.schema) if pa.types.is_timestamp(column.type)]
    for i in times:
        batch = batch.set_column(i, batch.schema.names[i], batch.column(i).cast(pa.int64()))
    rows: list[dict[str, Any]] = batch.to_pylist()
    return rows


def at_the_end(run: VenueRun) -> bool:
    """Whether the capture's last frame has come."""
    return bool(run.messages) and run.messages[-1]["ts_recv"] >= run.last
