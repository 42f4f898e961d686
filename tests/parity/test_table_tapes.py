"""A table that was made a tape gives the bits that `compute` gives on the table: any kind, columns in any order, any cuts."""

from __future__ import annotations

import itertools
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import signal_stream as ss
from signal_stream import bars, book, quotes, trades
from signal_stream.features.streams import Clock
from signal_stream.research.decimals import Decimals, mantissas, rounded

T = 1_700_000_040
BAR = bars("1m")
OTHER = ss.instrument("B").bars("1m")
FILLED = bars(notional=900, split="divide", of="1m")
FIVE, THEIRS = bars("5m"), ss.instrument("B").bars("3m")
BARS = {
    "own": ss.FeatureGraph(
        name="own", on=BAR,
        features={
            **{name: getattr(BAR, name) for name in ("open", "close", "volume", "vwap", "trades", "buy_volume")},
            "step": BAR.close.diff(), "mean": BAR.volume.rolling(3).mean(), "hour": BAR.close.rolling("5m").max(),
        },
    ),
    "pair": ss.FeatureGraph(
        name="pair", on=BAR, features={"spread": BAR.close - OTHER.close, "theirs": OTHER.volume.rolling(2).sum()}
    ),
    "clock": ss.FeatureGraph(
        name="clock", on=ss.every("30s"), features={"close": BAR.close, "age": BAR.close.age(), "theirs": OTHER.close}
    ),
    "longer": ss.FeatureGraph(
        name="longer", on=FIVE,
        features={
            **{name: getattr(FIVE, name) for name in ("open", "close", "volume", "vwap", "trades", "buy_volume")},
            "step": FIVE.close.diff(), "mean": FIVE.volume.rolling(2).mean(),
        },
    ),
    "both": ss.FeatureGraph(
        name="both", on=BAR, features={"gap": BAR.close - FIVE.close, "theirs": THEIRS.close, "own": BAR.close}
    ),
    "filled": ss.FeatureGraph(
        name="filled", on=FILLED,
        features={
            **{name: getattr(FILLED, name) for name in ("open", "close", "volume", "vwap", "trades", "buy_volume")},
            "step": FILLED.close.diff(), "minute": BAR.close,
        },
    ),
    "filled_pair": ss.FeatureGraph(
        name="filled_pair", on=BAR,
        features={"own": bars(volume=30, of="1m").close, "theirs": ss.instrument("B").bars(ticks=7, of="1m").volume},
    ),
    "filled_venue": ss.FeatureGraph(
        name="filled_venue", on=FILLED, axis="event", features={"vwap": FILLED.vwap, "x": FILLED.volume.rolling(2).sum()}
    ),
    "longer_venue": ss.FeatureGraph(name="lv", on=FIVE, axis="event", features={"step": FIVE.close.diff(), "x": BAR.open}),
    "venue": ss.FeatureGraph(
        name="venue", on=BAR, axis="event", features={"step": BAR.close.diff(), "spread": BAR.close - OTHER.close}
    ),
}  # fmt: skip
TRADES = {
    "own": ss.FeatureGraph(
        name="own", on=trades, features={"price": trades.price, "flow": trades.signed_qty().rolling("3s").sum()}
    ),
    "bars": ss.FeatureGraph(
        name="bars",
        on=BAR,
        features={name: getattr(BAR, name) for name in ("open", "close", "volume", "vwap", "buy_volume")},
    ),
    "filled": ss.FeatureGraph(
        name="filled",
        on=trades,
        features={
            "ticks": bars(ticks=3).close,
            "part": bars(volume=20, split="divide").vwap,
            "theirs": ss.instrument("B").bars(notional=100).volume,
            "run": bars(ticks=2, rule="run").trades,
        },
    ),
    "divided": ss.FeatureGraph(
        name="divided",
        on=bars(volume=20, split="divide"),
        features={"vwap": bars(volume=20, split="divide").vwap, "price": trades.price, "theirs": OTHER.close},
    ),
    "pair": ss.FeatureGraph(
        name="pair", on=trades, features={"other": ss.instrument("B").trades.price, "own": trades.qty.rolling(2).sum()}
    ),
}
QUOTES = {
    "own": ss.FeatureGraph(
        name="own", on=quotes,
        features={"mid": quotes.mid(), "bid": quotes.bid.price, "ask": quotes.ask.qty, "mean": quotes.mid().rolling(3).mean()},
    ),
    "clock": ss.FeatureGraph(name="clock", on=ss.every("2s"), features={"mid": quotes.mid(), "age": quotes.mid().age()}),
}  # fmt: skip
BOOKS = {
    "own": ss.FeatureGraph(
        name="own", on=book,
        features={
            "obi": book.imbalance(levels=3), "ofi": book.ofi().rolling("5s").sum(), "mid": book.mid(),
            "deep": book.bid(3).price, "micro": book.microprice(), "far": book.ask(2).qty,
        },
    ),
}  # fmt: skip

FLOATS = st.one_of(
    st.decimals("0.01", "92", places=2).map(float),
    st.floats(1.0, 90.0),
    st.sampled_from([0.1 + 0.2 + 1, 1e-9, 3.0, 1 / 3 + 7]),
)
NAMES = st.sampled_from(["A", "B", "C"])
CUTS = st.lists(st.integers(0, 40), max_size=4)


def cut(table: pa.Table, at: list[int], random: Any) -> pa.Table:
    """The same table with its columns in another order and its rows in other chunks."""
    names = list(table.column_names)
    random.shuffle(names)
    edges = [0, *sorted(min(place, table.num_rows) for place in at), table.num_rows]
    return pa.concat_tables([table.select(names).slice(a, b - a) for a, b in itertools.pairwise(edges)])


def same(graph: ss.FeatureGraph, table: pa.Table, kind: str, *, chunk: int | None = None, **options: Any) -> None:
    lateness = {"lateness": "0s"} if graph.axis == "event" else {}
    research = ss.compute(graph, table, reasons=True, **options, **lateness)
    engine = ss.Engine(graph, **lateness)
    pieces = [
        vectors
        for batch in ss.read_table(table, kind=kind, **options)
        for vectors in engine.push_vectors(batch, chunk=chunk)
    ]
    waited = engine.end()
    assert graph.axis == "event" or not any(len(each) for each in waited), "marks end the moments of receive time"
    pieces += waited
    batches = [pa.record_batch(each.columns(reasons=True)) for each in pieces]
    live = pa.Table.from_batches(batches).unify_dictionaries()
    if isinstance(graph.on, Clock):
        # The mark behind the last bars says that their moment has passed, so that the clock ticks; the table does not.
        assert 0 <= live.num_rows - research.num_rows <= len(set(table["instrument"].to_pylist()))
        live = live.slice(0, research.num_rows)
    assert live.num_rows == research.num_rows
    for name in research.column_names:
        if name == "ts_event" and (options.get("latency") or "ts_recv" in table.column_names):
            continue  # a tape says when it happened, a table when it was known
        if name == "ts_recv" and graph.axis == "event":
            continue  # the mark behind the last bars has been heard too
        expected, found = research[name].to_pylist(), live[name].to_pylist()
        assert found == expected, name
    verdicts = engine.counts()
    assert verdicts["input"] == verdicts["accepted"]


MAYBE = st.one_of(st.none(), FLOATS)
A_BAR = st.tuples(
    st.integers(0, 3), NAMES, FLOATS, MAYBE, st.one_of(MAYBE, st.just(0.0)), st.one_of(st.none(), st.integers(0, 5))
)


@settings(deadline=None, max_examples=80)
@given(
    st.lists(A_BAR, min_size=1, max_size=40), CUTS, st.randoms(), st.sampled_from(list(BARS)),
    st.sampled_from([None, "empty", "skip"]), st.sampled_from([None, "20ms"]), st.sampled_from([None, 1, 3]),
)  # fmt: skip
def test_bars(rows, at, random, name, missing, latency, chunk) -> None:
    # Without two bars side by side nobody knows that they are minutes.
    step, seen, kept = 2, set(), [(T, "A", 7.0, 7.5, 1.0, 2), (T + 60, "A", 7.5, 7.25, 0.0, 0)]
    for ahead, who, *values in rows:
        step += ahead
        if (step, who) not in seen:
            seen.add((step, who))
            if values[2] is None:
                values[3] = None  # the volume says whether something traded, where the table has one
            kept.append((T + 60 * step, who, *values))
    columns = list(zip(*kept, strict=True))
    table = pa.table({
        "t": columns[0], "instrument": columns[1], "open": columns[2],
        "close": pa.array(columns[3], pa.float64()), "v": pa.array(columns[4], pa.float64()),
        "trades": pa.array(columns[5], pa.int64()), "vwap": columns[2], "buy_volume": columns[2],
    })  # fmt: skip
    graph = BARS[name]
    same(
        graph, cut(table, at, random), "bars", length="1m", columns={"ts_open": "t", "volume": "v"},
        missing_bars=missing, latency=latency, chunk=chunk,
    )  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 90), NAMES, FLOATS, FLOATS, st.sampled_from([1, -1, 0])), min_size=1, max_size=30),
    CUTS, st.randoms(), st.sampled_from(list(TRADES)), st.sampled_from([None, 1, 3]),
)  # fmt: skip
def test_trades(rows, at, random, name, chunk) -> None:
    table = pa.table({
        "ts_recv": [T + t for t in itertools.accumulate(row[0] for row in rows)], "who": [row[1] for row in rows],
        "price": [row[2] for row in rows], "qty": [row[3] for row in rows], "side": [row[4] for row in rows],
    })  # fmt: skip
    same(TRADES[name], cut(table, at, random), "trades", columns={"instrument": "who"}, chunk=chunk)


QTYS = st.decimals("0", "50", places=1).map(float)
NEAR = st.decimals("100", "100.05", places=2).map(float)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 5), NAMES, NEAR, QTYS, NEAR, QTYS), min_size=1, max_size=30),
    CUTS, st.randoms(), st.sampled_from(list(QUOTES)),
)  # fmt: skip
def test_quotes(rows, at, random, name) -> None:
    fields = ["bid_price_1", "bid_qty_1", "ask_price_1", "ask_qty_1"]
    table = pa.table({
        "ts_event": [T + t for t in itertools.accumulate(row[0] for row in rows)], "instrument": [row[1] for row in rows],
        **{field: [row[i] for row in rows] for i, field in enumerate(fields, 2)},
    })  # fmt: skip
    same(QUOTES[name], cut(table, at, random), "quotes", latency="0ms")


SIDE = st.lists(QTYS.filter(lambda qty: qty > 0), max_size=3)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 5), NAMES, NEAR, SIDE, NEAR, SIDE), min_size=1, max_size=30), CUTS, st.randoms(),
    st.sampled_from(list(BOOKS)),
)  # fmt: skip
def test_books(rows, at, random, name) -> None:
    def column(place: int, level: int, what: str) -> list[float | None]:
        found: list[float | None] = []
        for row in rows:
            price, qtys = row[place], row[place + 1]
            away = round(price + (level if place == 4 else -level) * 0.01, 2)
            found.append(None if level >= len(qtys) else away if what == "price" else qtys[level])
        return found

    levels = {
        f"{side}_{what}_{level + 1}": pa.array(column(place, level, what), pa.float64())
        for side, place in (("bid", 2), ("ask", 4)) for level in range(3) for what in ("price", "qty")
    }  # fmt: skip
    table = pa.table({
        "ts_recv": [T + t for t in itertools.accumulate(row[0] for row in rows)], "instrument": [row[1] for row in rows],
    } | levels)  # fmt: skip
    same(BOOKS[name], cut(table, at, random), "book")


def test_beyond_the_last_level_of_a_table_nobody_knows_what_stands() -> None:
    graph = ss.FeatureGraph(name="g", on=book, features={"bid": book.bid(3).price, "ask": book.ask(3).price})
    table = pa.table({
        "ts_recv": [T], "instrument": ["A"], "bid_price_1": [9.0], "bid_qty_1": [1.0], "bid_price_2": [8.0], "bid_qty_2": [1.0],
        "ask_price_1": [10.0], "ask_qty_1": [1.0], "ask_price_2": [None], "ask_qty_2": [0.0],
    })  # fmt: skip
    table = table.set_column(8, "ask_price_2", pa.nulls(1, pa.float64()))
    engine = ss.Engine(graph)
    found = [engine.push(batch, reasons=True) for batch in ss.read_table(table, kind="book")]
    assert [found[0][f"{side}.reason"].to_pylist() for side in ("bid", "ask")] == [["DEPTH"], ["EMPTY"]]


def test_a_hole_of_years_is_filled_in_pieces() -> None:
    opens = [T, T + 60, T + 60 * 600_000, T + 60 * 600_001]
    table = pa.table({"ts_open": opens, "close": [1.0, 2.0, 3.0, 4.0], "instrument": ["A"] * 4})
    sizes = [batch.messages for batch in ss.read_table(table, kind="bars", length="1m")]
    assert max(sizes) <= 2 * 65_536
    assert sum(sizes) == 2 * 600_002


def test_decimals_that_do_not_fit_name_their_row() -> None:
    table = pa.table({"ts_open": [T, T + 60], "close": [1e12, math.pi / 1e4], "instrument": ["A", "A"]})
    with pytest.raises(ss.errors.DataError, match=r'column "close", row 2: 0\.000314\S+ has 19 decimals'):
        ss.read_table(table, kind="bars", length="1m")


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.one_of(FLOATS, st.integers(0, 10**12).map(float), st.floats(1e-6, 1e6)), min_size=1, max_size=6),
    st.integers(0, 5),
)
def test_decimals_read_back_and_are_no_more_than_needed(values, at) -> None:
    found = Decimals()
    numbers = np.array(values)
    for part in (numbers[:at], numbers[at:]):
        found.see(part, "x", np.arange(len(part)))
    exact = [Decimal(repr(value)).normalize() for value in values]
    needed = max(0, *(-int(each.as_tuple().exponent) for each in exact))
    assert found.places == needed or min(found.places, needed) > 18
    scale = max(found.places, min(9, 18 - len(str(int(max(values))))))
    if needed > 18 or int(max(exact).scaleb(needed)) >= 2**63:
        with pytest.raises(ss.errors.DataError, match="decimals, which a tape cannot hold"):
            found.scale()
        return
    assert found.scale() in (scale, scale + 1)
    assert [Decimal(int(m)).scaleb(-found.scale()) for m in mantissas(numbers, found.scale())] == exact


@settings(deadline=None, max_examples=500)
@given(
    st.lists(st.one_of(FLOATS, st.floats(-1e12, 1e12), st.decimals("-9", "9", places=3).map(float)), max_size=6),
    st.integers(0, 12),
)
def test_numbers_are_rounded_as_their_text_is(values, places) -> None:
    wanted = [float(round(Decimal(repr(value)), places)) for value in values]
    assert rounded(np.array(values), places).tolist() == wanted


def test_halves_are_rounded_as_their_text_is() -> None:
    halves = [n / 1000 for n in range(-9_995, 10_000, 10)]
    wanted = [float(round(Decimal(repr(value)), 2)) for value in halves]
    assert rounded(np.array(halves), 2).tolist() == wanted
    assert any(np.rint(value * 100) / 100 != each for value, each in zip(halves, wanted, strict=True)), (
        "floats alone would not"
    )
