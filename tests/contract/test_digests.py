"""Digests name graphs in journals, registries and snapshots: they stay as they are, whatever builds or compiles them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import signal_stream as ss
from signal_stream import bars, book, every, instrument, maximum, minimum, quotes, trades, where

mid, close = book.mid(), bars("1m").close


def chain() -> ss.Expression:
    x = trades.price
    for i in range(30):
        x = x * 0.5 + trades.qty.rolling(5 + i % 3).mean()
    return x


def twice(n: int) -> ss.Expression:
    x = trades.price
    for _ in range(n):
        x = x + x
    return x


GRAPHS: dict[str, tuple[str, dict[str, Any]]] = {
    "book": (
        "6081167b632ca869e64c03fd2b3e45147b7a3191942c6f04f645c01ba0310684",
        {
            "on": every("100ms"),
            "features": {
                "obi_5": book.imbalance(levels=5),
                "ofi_1s": book.ofi(levels=1).rolling("1s").sum(),
                "flow_5s": trades.signed_qty().rolling("5s").sum(),
                "vol_30s": mid.log().diff().rolling("30s").std(),
            },
        },
    ),
    "bars": (
        "731e272c4bd4066ded3c7ddac0baefd4bef0a63b548263b9aaacaf6fd16eca6f",
        {
            "on": bars("1m"),
            "features": {
                "rsi": ss.rsi(close),
                "macd": ss.macd(close),
                "atr": ss.atr(bars("1m"), 20),
                "z": close.rolling(20).zscore(),
            },
        },
    ),
    "pairs": (
        "e31963fa63d41adc7137c8f28280e770841725987b280fcfa487c61688221007",
        {
            "on": trades,
            "axis": "event",
            "features": {
                "corr": trades.price.rolling(3).corr(trades.qty),
                "beta": trades.price.rolling("1m", cap=99).beta(trades.qty),
                "age": mid.age(),
                "fresh": (mid - quotes.mid()).max_age("2s"),
                "at": mid.at(trades),
            },
        },
    ),
    "words": (
        "2cb43157d890f291838b27c12e353df625e11221da1a72b4b633d13ef93c05b1",
        {
            "on": quotes,
            "features": {
                "clip": quotes.mid().clip(lower=-1, upper=2.5),
                "where": where(quotes.spread() > 0.5, quotes.mid(), -quotes.mid()),
                "min": minimum(quotes.bid.qty, maximum(quotes.ask.qty, 3)),
                "other": instrument("BTCUSDT-PERP.BINANCE").book.mid() / quotes.mid() - 1,
                "eq": (quotes.mid() == 1) + (quotes.mid() != 2) * (quotes.mid() >= 1),
            },
        },
    ),
    "lags": (
        "c3c1ac525492bd2ef7d9f1609fecce73f9de9e6e51ae72bc3e14ac984cb09452",
        {
            "on": bars("5m"),
            "features": {
                f"{word}_{n}": getattr(bars("5m").close, word)(n)
                for word in ("shift", "diff", "pct_change", "log_return")
                for n in (1, 7)
            },
        },
    ),
    "chain": (
        "f3d0f2bdadd68c248b6ab9569c5d242a9708049759423e7f8c8be425bd6ec53c",
        {"on": trades, "features": {"x": chain(), "y": chain().rolling(9).skew()}},
    ),
    "filled": (
        "a8f95543fba9ba5db45f6294e8d041fd02577220d3c4d4a3347acfb888119265",
        {
            "on": bars(ticks=500),
            "features": {
                "volume": bars(volume=1e3).close.diff(),
                "divided": bars(volume=0.5, split="divide").vwap,
                "notional": bars(notional=1e6).trades,
                "imbalance": bars(ticks=500, rule="imbalance").close,
                "run": bars(notional=1e6, rule="run", span=7).close,
            },
        },
    ),
    "twice": (
        "c95ef234eb066cab98421a7e08053a4f9a69720bd387d688beaaff9b0ec12e30",
        {"on": trades, "features": {"x": twice(8)}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GRAPHS)
def test_a_digest_is_as_it_was(name: str) -> None:
    digest, graph = GRAPHS[name]
    assert ss.FeatureGraph(name=name, **graph).digest == digest
    assert ss.FeatureGraph(name="another name", **graph).digest == digest


def test_a_digest_of_sessions_is_as_it_was() -> None:
    """Made of plain data, so that it does not change with the package that says the sessions."""
    source = {"bars_ns": 86_400 * 10**9, "session": "XNYS"}
    plain = {
        "signal_stream": 1, "name": "days", "axis": "recv", "on": source,
        "calendars": [{"name": "XNYS", "version": "4.11", "sessions": "946909800+23400*5 947514600+23400*5"}],
        "nodes": [{"op": "field", "of": source, "name": "close"}], "features": [["close", 0]],
    }  # fmt: skip
    assert ss.FeatureGraph.from_plain(plain).digest == DAYS


DAYS = "aada1e5f54aef7a1e54e2e4447d4cbfbcc3ee8f2c848302a013d43ca8ecad69a"
STEPS = [
    lambda x, y: x + y,
    lambda x, y: x * y - x,
    lambda x, y: where(x < y, x, y),
    lambda x, y: maximum(x, 0.5),
    lambda x, y: x.rolling(3).corr(y),
    lambda x, y: x.rolling("2s").mean(),
    lambda x, y: x.ewm(span=4).mean(),
    lambda x, y: x.diff(2).clip(lower=-1),
    lambda x, y: -x,
]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=7))
def test_sharing_a_value_or_writing_it_twice_is_the_same_graph(steps: list[tuple[Any, int, int]]) -> None:
    made = [trades.price, trades.qty]
    for step, i, j in steps:
        made.append(step(made[i % len(made)], made[j % len(made)]))

    def again(number: int) -> ss.Expression:
        """The value written out anew: a tree in which nothing is shared."""
        if number < 2:
            return trades.price if number == 0 else trades.qty
        step, i, j = steps[number - 2]
        return step(again(i % number), again(j % number))  # type: ignore[no-any-return]

    shared = ss.FeatureGraph(name="g", on=trades, features={"x": made[-1]})
    tree = ss.FeatureGraph(name="g", on=trades, features={"x": again(len(made) - 1)})
    assert tree.digest == shared.digest
    assert tree.explain() == shared.explain()
    assert repr(tree.expressions["x"]) == repr(shared.expressions["x"])
    assert ss.FeatureGraph.from_plain(json.loads(shared.to_json())).digest == shared.digest
