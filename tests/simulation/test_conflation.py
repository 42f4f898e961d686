"""A pipeline that is behind its venue: it gets every trade and the newest quote, and the tape says how many are missing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner
from tests.venue_run import PATIENCE_S, SETTINGS

import signal_stream as ss
from signal_stream import _core, quotes, trades
from signal_stream.commands import program
from signal_stream.ingest.websocket_source import WebSocketSource
from signal_stream.store.tape_log import TapeLog, log_batches
from signal_stream.testing import VenueEmulator

START_MS = 1_700_000_000_000
GRAPH = ss.FeatureGraph(
    name="trades",
    on=trades,
    features={"bid": quotes.bid.price, "mean": quotes.bid.price.rolling("10s").mean(), "price": trades.price},
)
STEPS = 40


def frames(first: int, last: int) -> list[str]:
    """For each number a quote, a trade and a quote, a millisecond apart."""
    found = []
    for n in range(first, last):
        for at in range(3):
            ms = START_MS + 3 * n + at
            if at == 1:
                data = {
                    "e": "trade",
                    "E": ms,
                    "s": "BTCUSDT",
                    "t": n,
                    "p": f"{n}",
                    "q": "1",
                    "T": ms,
                    "m": False,
                    "M": True,
                }
                frame = {"stream": "btcusdt@trade", "data": data}
            else:
                data = {"u": 2 * n + at // 2, "s": "BTCUSDT", "b": f"{n}.{at}", "B": "1", "a": f"{n}.5", "A": "1"}
                frame = {"stream": "btcusdt@bookTicker", "data": data}
            found.append(f"{ms * 10**6} {json.dumps(frame, separators=(',', ':'))}")
    return found


def read_behind(venue: VenueEmulator, rows: int, **more: Any) -> tuple[_core.EventBatch, dict[str, Any]]:
    """What a line gets that asks for nothing before so many rows wait, and the source's figures."""
    keys = {"url": venue.url, "rest": venue.rest, "streams": ["trades", "quotes"]}
    source = WebSocketSource(WebSocketSource.Settings.read(SETTINGS | keys | more))
    source.open(None)
    try:
        until = time.monotonic() + PATIENCE_S
        while source.stats()["queue_rows"] < rows:
            assert time.monotonic() < until, source.stats()
        batch = source.next(0)
        assert batch is not None
        return batch, source.stats()
    finally:
        source.close()


def kinds_of(batch: _core.EventBatch) -> list[str]:
    """The kind of each message, a quote's id, and of what was left out how many."""
    words = []
    table = pa.record_batch(batch)
    names = _core.event_kinds()
    count = table["count"].to_pylist() if "count" in table.schema.names else [0] * len(table)
    for at in range(len(table)):
        if table["flags"][at].as_py() & 1:
            name = names[table["kind"][at].as_py()]
            words.append(f"{count[at]} left out" if name == "status" else f"{name} {table['sequence'][at]}")
    return words


@pytest.fixture(scope="module")
def behind() -> Iterator[tuple[_core.EventBatch, dict[str, Any]]]:
    with VenueEmulator(frames(1, STEPS + 1), stamped=True) as venue:
        yield read_behind(venue, 5 * STEPS, conflate="latest")


def test_it_gets_every_trade_and_the_newest_quote(behind: tuple[_core.EventBatch, dict[str, Any]]) -> None:
    batch, stats = behind
    expected = [f"trade {n}" for n in range(1, STEPS + 1)]
    newest = [f"{2 * STEPS - 1} left out", f"quote {2 * STEPS + 1}"]
    assert kinds_of(batch) == [*expected, *newest]
    assert (stats["messages"], stats["conflated_messages"]) == (3 * STEPS, 2 * STEPS - 1)
    told = pa.table(batch.records("status"))
    assert told.select(["status", "stream", "count"]).to_pylist() == [
        {"status": "conflated", "stream": "quote", "count": 2 * STEPS - 1}
    ]


def test_without_it_everything_comes() -> None:
    with VenueEmulator(frames(1, 4), stamped=True) as venue:
        batch, stats = read_behind(venue, 15)
    assert stats["conflated_messages"] == 0
    assert not pa.table(batch.records("status")).num_rows


def test_a_replay_of_the_tape_is_the_same_and_adds_up(
    behind: tuple[_core.EventBatch, dict[str, Any]], tmp_path: Path
) -> None:
    batch, _ = behind
    log = TapeLog(tmp_path / "tape")
    log.append(batch)
    log.close()
    live, again = ss.Engine(GRAPH), ss.Engine(GRAPH)
    given = live.push(batch, reasons=True)
    replayed = [again.push(part, reasons=True) for part in log_batches(tmp_path / "tape")]
    assert pa.Table.from_batches(replayed).equals(pa.Table.from_batches([given]))
    assert given.num_rows == STEPS
    counts = live.counts()
    assert counts == again.counts()
    assert (counts["conflated"], counts["input"]) == (2 * STEPS - 1, 3 * STEPS + 1)
    assert counts["input"] == sum(counts[name] for name in ("accepted", "duplicate", "late", "rejected", "conflated"))
    assert counts["streams"]["BTCUSDT.BINANCE quote"]["conflated"] == 2 * STEPS - 1
    # A snapshot holds the figure too.
    assert ss.Engine.restore(GRAPH, live.snapshot()).counts() == counts


def test_what_a_tape_lacks_is_shown(behind: tuple[_core.EventBatch, dict[str, Any]], tmp_path: Path) -> None:
    writer = _core.TapeWriter(str(tmp_path / "short.parquet"))
    writer.write(behind[0])
    writer.finish()
    shown = CliRunner().invoke(program("tape"), ["tape", "info", str(tmp_path / "short.parquet")])
    assert f"+ rejected 0 + conflated {2 * STEPS - 1} = input {3 * STEPS + 1}" in shown.output
    checked = CliRunner().invoke(program("tape"), ["tape", "check", str(tmp_path / "short.parquet")])
    assert checked.exit_code == 0, checked.output
