"""The same trades and quotes as a raw capture and as a table: the same vectors, to the bit, with the same reasons."""

from __future__ import annotations

import itertools
import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

import signal_stream as ss
from signal_stream import bars, quotes, trades

START_MS = 1_700_000_040_000
BAR = bars("1s")
GRAPHS = {
    "trades": ss.FeatureGraph(
        name="trades", on=trades,
        features={
            "price": trades.price, "qty": trades.qty, "side": trades.side, "signed": trades.signed_qty(),
            "count": trades.count().rolling("2s").sum(), "flow": trades.signed_qty().rolling(3).sum(),
        },
    ),
    "bars": ss.FeatureGraph(
        name="bars", on=BAR,
        features={
            **{name: getattr(BAR, name) for name in ("open", "high", "low", "close", "volume", "vwap", "trades", "buy_volume")},
            "step": BAR.close.diff(),
        },
    ),
    "quotes": ss.FeatureGraph(
        name="quotes", on=quotes,
        features={
            "mid": quotes.mid(), "spread": quotes.spread(), "imbalance": quotes.imbalance(), "bid": quotes.bid.price,
            "ask": quotes.ask.price, "mean": quotes.mid().rolling(3).mean(), "sum": quotes.bid.qty.rolling("1s").sum(),
        },
    ),
    "clock": ss.FeatureGraph(
        name="clock", on=ss.every("500ms"),
        features={"mid": quotes.mid(), "age": quotes.mid().age(), "far": quotes.mid().rolling("3s").max()},
    ),
}  # fmt: skip

STEPS = st.integers(0, 2500)
PRICES = st.decimals("0.01", "99999.99", places=2)
QTYS = st.decimals("0", "5000", places=3)
TRADES = st.lists(st.tuples(STEPS, PRICES, QTYS.filter(lambda qty: qty > 0), st.booleans()), min_size=1, max_size=30)
NEAR = st.decimals("100", "100.05", places=2)
QUOTES = st.lists(st.tuples(STEPS, NEAR, QTYS, NEAR, QTYS), min_size=1, max_size=30)


def line(ms: int, stream: str, data: dict[str, Any]) -> str:
    return f"{ms * 10**6} " + json.dumps({"stream": f"btcusdt@{stream}", "data": data}, separators=(",", ":")) + "\n"


def same(graph: ss.FeatureGraph, lines: list[str], table: pa.Table, at: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        capture = Path(folder) / "live.cap"
        capture.write_text("".join(lines))
        live = ss.compute(graph, capture, reasons=True).drop_columns("instrument")
    edges = [0, *sorted(min(place, table.num_rows) for place in at), table.num_rows]
    pieces = pa.concat_tables([table.slice(a, b - a) for a, b in itertools.pairwise(edges)])
    research = ss.compute(graph, pieces, reasons=True).drop_columns("instrument")
    for name in live.column_names:
        if name != "ts_event":
            assert research[name].to_pylist() == live[name].to_pylist(), name


@settings(deadline=None, max_examples=60)
@given(TRADES, st.lists(st.integers(0, 30), max_size=4), st.sampled_from(["decimal", "text", "number"]))
def test_trades(rows, at, kind) -> None:
    times = list(itertools.accumulate((row[0] for row in rows), initial=START_MS))[1:]
    lines = [
        line(ms, "trade", {
            "e": "trade", "E": ms, "s": "BTCUSDT", "t": i + 1, "p": str(price), "q": str(qty), "T": ms, "m": sold, "M": True,
        })
        for i, (ms, (_, price, qty, sold)) in enumerate(zip(times, rows, strict=True))
    ]  # fmt: skip
    exact = kind == "decimal"
    sides = [("sell" if sold else "buy") if kind == "text" else -1 if sold else 1 for *_, sold in rows]
    table = pa.table({
        "ts_recv": pa.array(times, pa.timestamp("ms")),
        "price": pa.array([row[1] if exact else float(row[1]) for row in rows], pa.decimal128(12, 4) if exact else pa.float64()),
        "qty": pa.array([row[2] if exact else float(row[2]) for row in rows], pa.decimal128(12, 4) if exact else pa.float64()),
        "side": sides,
    })  # fmt: skip
    for name in ("trades", "bars"):
        same(GRAPHS[name], lines, table, at)


@settings(deadline=None, max_examples=60)
@given(QUOTES, st.lists(st.integers(0, 30), max_size=4), st.randoms())
def test_quotes(rows, at, random) -> None:
    times = list(itertools.accumulate((row[0] for row in rows), initial=START_MS))[1:]
    lines = [
        line(
            ms, "bookTicker", {"u": i + 1, "s": "BTCUSDT", "b": str(bid), "B": str(bids), "a": str(ask), "A": str(asks)}
        )
        for i, (ms, (_, bid, bids, ask, asks)) in enumerate(zip(times, rows, strict=True))
    ]
    names = ["bid_price_1", "bid_qty_1", "ask_price_1", "ask_qty_1"]
    columns = {"ts_recv": times} | {name: [float(row[i]) for row in rows] for i, name in enumerate(names, 1)}
    order = list(columns)
    random.shuffle(order)
    table = pa.table({name: columns[name] for name in order})
    for name in ("quotes", "clock"):
        same(GRAPHS[name], lines, table, at)
