"""Whole captures of Binance's three markets over real sockets: messages and vectors have the digests of the file."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
from tests.conftest import Capture
from tests.venue_run import PATIENCE_S, SETTINGS

import signal_stream as ss
from signal_stream import book, trades
from signal_stream.ingest.websocket_source import WebSocketSource
from signal_stream.testing import VenueEmulator

SCRIPTS = {
    "BTCUSDT.BINANCE": ("binance", "BTCUSDT"),
    "BTCUSDT-PERP.BINANCE": ("binance-usdm", "BTCUSDT"),
    "BTCUSD-PERP.BINANCE": ("binance-coinm", "BTCUSD_PERP"),
}
COLUMNS = ("kind", "ts_recv", "ts_event", "sequence", "sequence_prev", "side", "price", "qty", "flags")


class Digest:
    """Of rows and vectors, however they were cut into batches."""

    def __init__(self) -> None:
        self._sums = {name: hashlib.sha256() for name in COLUMNS}
        self._vectors = hashlib.sha256()
        self._engine = ss.Engine(graph())
        self.rows = self.vectors = self.last = 0

    def take(self, batch: Any) -> None:
        rows = pa.record_batch(batch)
        self.rows += rows.num_rows
        self.last = batch.last_recv
        for name, total in self._sums.items():
            # No id, time, price or quantity of these captures is -1.
            total.update(rows.column(name).cast(pa.int64()).fill_null(-1).to_numpy().tobytes())
        for vector in self._engine.push(batch).to_pylist():
            self.vectors += 1
            self._vectors.update(repr(vector).encode())

    def text(self) -> str:
        return " ".join([*(total.hexdigest() for total in self._sums.values()), self._vectors.hexdigest()])


def graph() -> ss.FeatureGraph:
    features = {"mid": book.mid(), "obi": book.imbalance(levels=5), "flow": trades.signed_qty().rolling("1s").sum()}
    return ss.FeatureGraph(name="whole", on=ss.every("100ms"), features=features)


def of_batches(batches: Iterable[Any]) -> Digest:
    digest = Digest()
    for batch in batches:
        digest.take(batch)
    return digest


def over_sockets(path: Path, venue: str, symbol: str) -> Digest:
    digest = Digest()
    with VenueEmulator(path, stamped=True) as emulator:
        keys = {"url": emulator.url, "rest": emulator.rest, "venue": venue, "symbols": [symbol]}
        source = WebSocketSource(WebSocketSource.Settings.read(SETTINGS | keys))
        source.open(None)
        last, latest = emulator.frames[-1].ts_recv, time.monotonic() + PATIENCE_S
        while digest.last < last:
            assert time.monotonic() < latest, source.stats()
            batch = source.next(5_000_000)
            if batch is not None:
                digest.take(batch)
        source.close()
    return digest


def test_a_venue_over_sockets_has_the_digest_of_its_file(captures: list[Capture]) -> None:
    for capture in captures:
        of_file = of_batches(ss.read_tape(capture.path))
        found = over_sockets(capture.path, *SCRIPTS[capture.instrument])
        assert (found.rows, found.vectors) == (of_file.rows, of_file.vectors)
        assert found.text() == of_file.text(), capture.instrument
        assert of_file.vectors > 100
