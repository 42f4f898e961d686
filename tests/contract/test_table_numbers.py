"""Numbers of tables are input, not truth: read right, whatever their type and however the table is cut, or refused by row."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tables import BAR, CUTS, NS, ON_BARS, ON_TRADES, T, cut, minutes, refusal

import signal_stream as ss
from signal_stream import bars, quotes, trades

PRICES = [61837.63, 0.07, 1234.56, 19.99, 61000.11]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([Decimal(str(price)) for price in PRICES], pa.decimal128(18, 8)),
        pa.array([Decimal(str(price)) for price in PRICES], pa.decimal256(60, 20)),
        pa.array(PRICES).dictionary_encode(),
        pa.array([Decimal(str(price)) for price in PRICES], pa.decimal128(18, 8)).dictionary_encode(),
    ],
)
def test_numbers_of_any_type_become_the_nearest_double(column: pa.Array) -> None:
    table = minutes(close=column, volume=[1.0] * 5)
    graph = ss.FeatureGraph(name="g", on=BAR, features={"close": BAR.close})
    assert ss.compute(graph, table)["close"].to_pylist() == PRICES


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=20), CUTS)
def test_whole_numbers_become_the_nearest_double(values, at) -> None:
    graph = ss.FeatureGraph(name="g", on=BAR, features={"close": BAR.close})
    out = ss.compute(
        graph, cut(minutes(close=pa.array(values, pa.int64()), ts_open=[T + 60 * i for i in range(len(values))]), at)
    )
    assert out["close"].to_pylist() == [None if value is None else float(value) for value in values]


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.decimals(-(10**12), 10**12, places=9)), min_size=1, max_size=20))
def test_decimals_become_the_double_of_their_digits(values) -> None:
    graph = ss.FeatureGraph(name="g", on=BAR, features={"close": BAR.close})
    out = ss.compute(
        graph, minutes(close=pa.array(values, pa.decimal128(24, 9)), ts_open=[T + 60 * i for i in range(len(values))])
    )
    assert out["close"].to_pylist() == [None if value is None else float(value) for value in values]


def test_null_and_nan_are_two_things_and_infinity_is_no_number() -> None:
    table = minutes(close=pa.array([None, math.nan, math.inf, 1.0]), volume=[1.0] * 4)
    graph = ss.FeatureGraph(name="g", on=BAR, features={"close": BAR.close})
    out = ss.compute(graph, table, reasons=True)
    assert out["close.reason"].to_pylist() == ["MISSING", "NAN", "NAN", "VALID"]
    frame = pl.from_arrow(table)
    assert ss.compute(graph, frame, reasons=True)["close.reason"].to_pylist() == ["MISSING", "NAN", "NAN", "VALID"]
    assert ss.compute(graph, table.to_pandas(), reasons=True)["close.reason"].to_pylist() == [
        "MISSING",
        "MISSING",
        "NAN",
        "VALID",
    ]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(1, 9), st.floats(0, 9), st.sampled_from([1.0, -1.0, 0.0, None])), min_size=1, max_size=25
    ),
    st.data(),
)
def test_what_lies_under_a_null_does_not_count(rows, data) -> None:
    graph = ss.FeatureGraph(
        name="g", on=trades, features={"signed": trades.signed_qty(), "side": trades.side, "price": trades.price}
    )
    built = ss.FeatureGraph(
        name="b", on=bars("1s"), features={"b": bars("1s").buy_volume, "v": bars("1s").volume, "w": bars("1s").vwap}
    )
    hidden = data.draw(st.lists(st.sampled_from([1.0, -1.0, 7.0, math.nan]), min_size=len(rows), max_size=len(rows)))
    dropped = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    times = [T * NS + 300_000_000 * i for i in range(len(rows))]
    sides = [side for _, _, side in rows]
    clear = pa.array(sides, pa.float64())
    garbage = pa.array(
        [h if side is None else side for h, side in zip(hidden, sides, strict=True)],
        mask=np.array([s is None for s in sides]),
    )
    prices = [price for price, _, _ in rows]
    masked = pa.array(prices, mask=np.array(dropped))
    plain = pa.array([None if gone else price for gone, price in zip(dropped, prices, strict=True)], pa.float64())
    tables = [
        pa.table({"ts_recv": times, "price": price, "qty": [qty for _, qty, _ in rows], "side": side})
        for price, side in ((masked, garbage), (plain, clear))
    ]
    for of in (graph, built):
        one, other = (ss.compute(of, table, reasons=True).to_pydict() for table in tables)
        assert one == other


@pytest.mark.parametrize(
    ("field", "column", "says", "row"),
    [
        ("qty", [1.0, -3.0], "qty is -3.0, below zero", 1),
        ("qty", [1, -3], "qty is -3, below zero", 1),
        ("side", [1.0, 7.0], "side 7.0 is none of", 1),
        ("side", [1, 2], "side 2 is none of", 1),
        ("side", [0.5, 1.0], "side 0.5 is none of", 0),
        ("side", ["buy", "long"], "side 'long' is none of", 1),
        ("price", ["1.0", "2.0"], "text, as '1.0', is not a number", 0),
        ("price", [True, False], "bool, as True, is not a number", 0),
        ("price", [dt.date(2024, 1, 1)] * 2, "is not a number", 0),
    ],
)
def test_values_outside_their_domain_are_refused_by_column_and_row(
    field: str, column: list[Any], says: str, row: int
) -> None:
    columns = {"ts_recv": [T, T + 1], "price": [1.0, 2.0], "qty": [1.0, 1.0], "side": [1, -1]} | {field: column}
    error = refusal(ON_TRADES, pa.table(columns))
    assert says in error.message
    assert error.where == f'column "{field}", row {row + 1}'


@pytest.mark.parametrize("field", ["volume", "buy_volume", "trades"])
def test_amounts_of_bars_and_quotes_are_not_negative(field: str) -> None:
    graph = ss.FeatureGraph(name="g", on=BAR, features={"x": getattr(BAR, field)})
    assert "below zero" in str(refusal(graph, minutes(**{field: [1.0, -1.0]})))
    levels = {"bid_price_1": [1.0], "bid_qty_1": [1.0], "ask_price_1": [2.0], "ask_qty_1": [-1.0]}
    graph = ss.FeatureGraph(name="g", on=quotes, features={"x": quotes.mid()})
    assert "below zero" in str(refusal(graph, pa.table({"ts_recv": [T], **levels})))
    negative = minutes(close=[-37.63, 10.0], volume=[1.0, 1.0])
    assert ss.compute(ON_BARS, negative)["step"].to_pylist() == [None, 47.63]


def test_sides_may_be_words() -> None:
    words = ["buy", "SELL", " Buy", "b", "S", "", "none", None]
    table = pa.table({"ts_recv": [T + i for i in range(8)], "price": [1.0] * 8, "qty": [1.0] * 8, "side": words})
    graph = ss.FeatureGraph(name="g", on=trades, features={"side": trades.side})
    for frame in (
        table,
        pl.from_arrow(table),
        pl.from_arrow(table).with_columns(pl.col("side").cast(pl.Categorical)),
        table.to_pandas(),
    ):
        assert ss.compute(graph, frame)["side"].to_pylist() == [1.0, -1.0, 1.0, 1.0, -1.0, 0.0, 0.0, 0.0]
