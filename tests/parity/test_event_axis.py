"""axis="event": events in the order of venue time, whatever the order in which they came."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import signal_stream as ss
from signal_stream import bars, book, trades
from signal_stream.errors import DataError

if TYPE_CHECKING:
    from conftest import Capture

MID = book.mid()
GRAPH = ss.FeatureGraph(
    name="venue",
    on=ss.every("100ms"),
    axis="event",
    features={
        "obi_5": book.imbalance(levels=5),
        "vol_30s": MID.log().diff().rolling("30s").std(),
        "flow_5s": trades.signed_qty().rolling("5s").sum(),
        "last_20": trades.qty.rolling(20).mean(),
        "bar": bars("1s").close.diff(),
        "age": trades.price.age(),
    },
)
TRADES = ss.FeatureGraph(
    name="trades", on=trades, axis="event", features={"flow_5s": trades.signed_qty().rolling("5s").sum(), "price": trades.price}
)  # fmt: skip


@pytest.mark.parametrize("lateness", ["0s", "50ms", "2s"])
def test_the_same_bits_however_it_is_run(captures: list[Capture], lateness: str) -> None:
    for capture in captures:
        report = ss.parity(GRAPH, capture.path, lateness=lateness, snapshots=50)
        assert report.same, (capture, report.difference)
        counts = report.counts
        judged = sum(counts[name] for name in ("accepted", "duplicate", "late", "rejected"))
        assert (counts["input"], counts["input"] + counts["waiting"]) == (judged, report.events)


def test_enough_lateness_loses_nothing(captures: list[Capture]) -> None:
    for capture in captures:
        counts = ss.parity(GRAPH, capture.path, lateness="2s", snapshots=0).counts
        assert (counts["late"], counts["gaps"], counts["book_gaps"], counts["book_crossed"]) == (0, 0, 0, 0)
        streams = counts["streams"]
        quotes = streams[f"{capture.instrument} quote"]
        bare = capture.instrument == "BTCUSDT.BINANCE"
        assert quotes["rejected"] == (quotes["input"] if bare else 0), "spot quotes have no venue time"
        assert counts["rejected"] == quotes["rejected"]


def shuffled(spot: Path, folder: Path, *, seed: int) -> tuple[Path, Path, list[dict[str, int]]]:
    """The trades of a capture in venue order, and with each held back by up to a second; and their frames."""
    lines = [line for line in gzip.decompress(spot.read_bytes()).splitlines() if b"@trade" in line]
    received = sorted(int(line.split(b" ", 1)[0]) for line in lines)
    frames = [json.loads(line.split(b" ", 1)[1])["data"] for line in lines]
    frames.sort(key=lambda frame: (frame["T"], frame["t"]))
    chooser = random.Random(seed)
    held = sorted(range(len(frames)), key=lambda i: frames[i]["T"] + chooser.uniform(0.0, 1000.0))
    assert held != sorted(held)
    out = []
    for name, order in (("ordered", range(len(frames))), ("shuffled", held)):
        text = "".join(
            f"{ts} {json.dumps({'stream': 'btcusdt@trade', 'data': frames[i]}, separators=(',', ':'))}\n"
            for ts, i in zip(received, order, strict=True)
        )
        out.append(folder / f"{name}.txt")
        out[-1].write_text(text)
    return out[0], out[1], frames


def test_the_order_of_arrival_changes_nothing_but_when_it_was_known(spot: Path, tmp_path: Path) -> None:
    ordered, held, frames = shuffled(spot, tmp_path, seed=7)
    tables = [ss.compute(TRADES, file, lateness="1001ms") for file in (ordered, held)]
    rows = min(table.num_rows for table in tables)
    assert rows > 0.9 * len(frames)
    one, other = (table.slice(0, rows) for table in tables)
    assert one.drop_columns("ts_recv").equals(other.drop_columns("ts_recv"))
    assert not one["ts_recv"].equals(other["ts_recv"])
    for table in tables:
        assert np.all(np.diff(table["ts_event"].to_numpy().astype(np.int64)) >= 0)
        assert np.all(np.diff(table["ts_recv"].to_numpy().astype(np.int64)) >= 0)
    # What is late under a shorter lateness is counted, kept aside, and not in the vectors.
    engine = ss.Engine(TRADES, lateness="100ms")
    made = sum(engine.push(batch).num_rows for batch in ss.read_tape(held))
    counts = engine.counts()
    assert counts["late"] > 0
    assert counts["late"] + made + counts["waiting"] + counts["duplicate"] == len(frames)


def test_values_equal_pandas_on_venue_time(spot: Path, tmp_path: Path) -> None:
    _, held, _ = shuffled(spot, tmp_path, seed=11)
    table = ss.compute(TRADES, held, lateness="1001ms")
    tape = pa.Table.from_batches([pa.record_batch(batch) for batch in ss.read_tape(held)]).to_pandas()
    tape = tape.sort_values(["ts_event", "sequence"], kind="stable").iloc[: table.num_rows]
    assert np.array_equal(tape["ts_event"].astype("int64"), table["ts_event"].to_numpy().astype(np.int64))
    signed = np.where(tape["side"] == 1, 1.0, -1.0) * tape["qty"].to_numpy() / 1e9
    # Several trades share a moment: pandas counts all of them from the first on, we one after the other.
    flow = pd.Series(signed, index=pd.to_datetime(tape["ts_event"])).rolling("5s").sum()
    last = ~tape["ts_event"].duplicated(keep="last").to_numpy()
    ours = table["flow_5s"].to_numpy(zero_copy_only=False)
    full = last & ~np.isnan(ours)
    assert full.sum() > 0.5 * last.sum()
    np.testing.assert_allclose(ours[full], flow.to_numpy()[full], rtol=1e-9, atol=1e-9)


def test_a_tape_needs_a_lateness_and_a_table_none(spot: Path) -> None:
    with pytest.raises(DataError, match='Say lateness="2s"'):
        ss.compute(GRAPH, spot)
    with pytest.raises(DataError, match="lateness is 'soon'"):
        ss.compute(GRAPH, spot, lateness="soon")
    features = {"up": bars("1m").close.diff()}
    on_bars = {
        axis: ss.FeatureGraph(name="g", on=bars("1m"), axis=axis, features=features) for axis in ("recv", "event")
    }
    day = pa.table({"t": [1_700_000_040, 1_700_000_100], "close": [10.0, 12.5]})
    known, venue = (ss.compute(graph, day, columns={"ts_open": "t"}) for graph in on_bars.values())
    assert known.equals(venue)
    assert on_bars["recv"].digest != on_bars["event"].digest


def test_late_refuse_names_the_venue_time(spot: Path, tmp_path: Path) -> None:
    from signal_stream import _core

    _, held, _ = shuffled(spot, tmp_path, seed=3)
    engine = _core.Engine(TRADES.plan, _core.EngineOptions(refuse_late=True))
    with pytest.raises(_core.CoreError, match="ts_event"):
        for batch in ss.read_tape(held):
            engine.push(batch)
