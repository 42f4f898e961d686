"""Tables are input, not truth: what is in them is read right, whatever its type and however it is cut, or refused by row."""

from __future__ import annotations

import datetime as dt
import gzip
import itertools
import math
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv, feather

import signal_stream as ss
from signal_stream import bars, book, quotes, trades
from signal_stream.errors import DataError, GraphError

T = 1_700_000_040
"""A full minute, in seconds."""
NS = 10**9
UNITS = {"s": NS, "ms": 10**6, "us": 10**3, "ns": 1}
ON_TRADES = ss.FeatureGraph(
    name="trades", on=trades, features={"p": trades.price, "v": trades.signed_qty().rolling(3).sum()}
)
BAR = bars("1m")
ON_BARS = ss.FeatureGraph(name="bars", on=BAR, features={"step": BAR.close.diff(), "sum": BAR.volume.rolling(2).sum()})
ON_DAYS = ss.FeatureGraph(name="days", on=bars("1d"), features={"step": bars("1d").close.diff()})
CUTS = st.lists(st.integers(0, 40), max_size=6)


def cut(table: pa.Table, at: list[int]) -> pa.Table:
    """The same rows in other chunks, some of them empty."""
    edges = [0, *sorted(min(place, table.num_rows) for place in at), table.num_rows]
    return pa.concat_tables([table.slice(0, 0), *(table.slice(a, b - a) for a, b in itertools.pairwise(edges))])


def minutes(**columns: Any) -> pa.Table:
    """Bars of a minute, one after another."""
    n = max(len(column) for column in columns.values())
    return pa.table({"ts_open": [T + 60 * i for i in range(n)], "close": [float(i) for i in range(n)]} | columns)


def refusal(graph: ss.FeatureGraph, table: Any, **options: Any) -> DataError:
    with pytest.raises(DataError) as refused:
        ss.compute(graph, table, **options)
    assert refused.value.next_step
    return refused.value


# Times


def in_unit(seconds: list[int], unit: str, kind: str) -> pa.Array:
    whole = [second * NS // UNITS[unit] for second in seconds]
    return {
        "int64": lambda: pa.array(whole, pa.int64()),
        "uint64": lambda: pa.array(whole, pa.uint64()),
        "float64": lambda: pa.array([float(value) for value in whole]),
        "naive": lambda: pa.array(whole, pa.timestamp(unit)),
        "utc": lambda: pa.array(whole, pa.timestamp(unit, tz="UTC")),
        "zone": lambda: pa.array(whole, pa.timestamp(unit, tz="America/New_York")),
        "dictionary": lambda: pa.array(whole, pa.int64()).dictionary_encode(),
    }[kind]()


KINDS = ("int64", "uint64", "float64", "naive", "utc", "zone", "dictionary")


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.integers(0, 3600), min_size=1, max_size=40),
    st.sampled_from(list(UNITS)),
    st.sampled_from(KINDS),
    st.booleans(),
    CUTS,
)
def test_times_of_any_unit_and_type_are_the_same_however_the_table_is_cut(steps, unit, kind, declared, at) -> None:
    if kind == "float64" and unit == "ns":
        return  # beyond 2**53
    seconds = list(itertools.accumulate(steps, initial=T))
    table = pa.table({
        "ts_recv": in_unit(seconds, unit, kind), "price": [1.0 + i for i in range(len(seconds))], "qty": [1.0] * len(seconds),
        "side": [1.0] * len(seconds),
    })  # fmt: skip
    told = {"time_unit": unit} if declared and kind not in ("naive", "utc", "zone") else {}
    out = ss.compute(ON_TRADES, cut(table, at), **told)
    assert out["ts_recv"].cast(pa.int64()).to_pylist() == [second * NS for second in seconds]
    assert out["p"].to_pylist() == table["price"].to_pylist()


@settings(deadline=None)
@given(st.integers(1, 30), st.data(), st.permutations(list(UNITS)), CUTS)
def test_a_change_of_the_unit_is_refused_by_row_wherever_the_table_is_cut(rows, data, units, at) -> None:
    change = data.draw(st.integers(1, rows))
    values = [(T + i) * NS // UNITS[units[i >= change]] for i in range(rows + 1)]
    table = pa.table(
        {"ts_recv": values, "price": [1.0] * (rows + 1), "qty": [1.0] * (rows + 1), "side": [1] * (rows + 1)}
    )
    error = refusal(ON_TRADES, cut(table, at))
    assert error.where == f'column "ts_recv", row {change + 1:,}'
    assert "unit" in error.message
    assert units[1] in error.message


@pytest.mark.parametrize(
    ("times", "says"),
    [
        (pa.array([T, None]), "no time"),
        (pa.array([0, 60]), "no time of the years 1980 to 2200"),
        (pa.array(["2024-01-01", "2024-01-02"]), "text is not a time"),
        (pa.array([True, False]), "bool is not a time"),
        (pa.array([T + 0.5, T + 60.0]), "no whole number"),
        (pa.array([float(T), math.nan]), "no whole number"),
        (pa.array([T * NS, 2**64 - 1], pa.uint64()), "no whole number"),
        (pa.array([2**63 - 1, 2**63 - 1], pa.timestamp("ns")), "outside the years 1678 to 2261"),
        (pa.array([dt.date(2024, 1, 1), dt.date(9999, 12, 31)]), "outside the years 1678 to 2261"),
        (pa.array([0, 253402214400000], pa.timestamp("ms")), "outside the years 1678 to 2261"),
        (pa.array([0, -253402214400000], pa.timestamp("ms")), "outside the years 1678 to 2261"),
        (pa.array([-62135596800 * 10**6] * 2, pa.timestamp("us")), "outside the years 1678 to 2261"),
    ],
)
def test_times_that_are_none_are_refused_with_their_column(times: pa.Array, says: str) -> None:
    error = refusal(ON_BARS, pa.table({"ts_recv": times, "close": [1.0, 2.0], "volume": [1.0, 1.0]}))
    assert says in str(error)
    assert 'column "ts_recv"' in error.where


def test_a_declared_unit_is_believed_and_is_for_whole_numbers_alone() -> None:
    table = pa.table({"ts_recv": [0, 60, 120], "close": [1.0, 2.0, 4.0], "volume": [1.0] * 3})
    assert ss.compute(ON_BARS, table, time_unit="s")["ts_recv"].cast(pa.int64()).to_pylist() == [0, 60 * NS, 120 * NS]
    assert 'Did you mean "ms"' in str(refusal(ON_BARS, table, time_unit="millis")) or refusal(
        ON_BARS, table, time_unit="h"
    )
    stamped = table.set_column(0, "ts_recv", table["ts_recv"].cast(pa.timestamp("s")))
    assert "has its own" in str(refusal(ON_BARS, stamped, time_unit="s"))
    assert "outside the years" in str(
        refusal(ON_BARS, minutes(volume=[1.0] * 2, ts_open=[T * NS, T * NS + 60]), time_unit="s")
    )


@settings(deadline=None)
@given(st.permutations(range(6)), CUTS)
def test_rows_out_of_order_are_refused_by_row_wherever_the_table_is_cut(order, at) -> None:
    table = minutes(volume=[1.0] * 6).take(list(order))
    if list(order) == sorted(order):
        ss.compute(ON_BARS, cut(table, at))
        return
    first = next(i for i in range(1, 6) if order[i] < order[i - 1])
    error = refusal(ON_BARS, cut(table, at))
    assert error.code == "OUT_OF_ORDER"
    assert error.where == f'column "ts_open", row {first + 1}'
    assert "Sort" in error.next_step


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=30), CUTS)
def test_trades_out_of_order_are_refused_by_row_wherever_the_table_is_cut(seconds, at) -> None:
    n = len(seconds)
    table = pa.table({"ts_recv": [T + s for s in seconds], "price": [1.0] * n, "qty": [1.0] * n, "side": [1] * n})
    first = next((i for i in range(1, n) if seconds[i] < seconds[i - 1]), None)
    if first is None:
        assert ss.compute(ON_TRADES, cut(table, at)).num_rows == n
        return
    error = refusal(ON_TRADES, cut(table, at))
    assert (error.code, error.where) == ("OUT_OF_ORDER", f'column "ts_recv", row {first + 1}')


# Bars


def test_long_rows_are_proven_at_the_same_row_however_the_table_is_cut() -> None:
    table = pa.table({"ts_open": [T + 300 * i for i in range(30)], "close": [1.0] * 30, "volume": [1.0] * 30})
    for size in (1, 3, 30):
        with pytest.raises(DataError, match="nearest 5m") as refused:
            for _ in ss.compute(ON_BARS, table.to_reader(max_chunksize=size), batches=True):
                pass
        assert refused.value.where == 'column "ts_open", row 9'


@settings(deadline=None)
@given(st.data(), st.integers(1, 5), st.integers(2, 20), CUTS)
def test_bars_of_instruments_in_any_order_are_checked_one_by_one(data, instruments, minutes_, at) -> None:
    rows, names = [], [f"S{i}" for i in range(instruments)]
    for minute in range(minutes_):
        rows += [(minute, name) for name in data.draw(st.permutations(names)) if minute < 2 or data.draw(st.booleans())]
    table = pa.table({
        "instrument": [name for _, name in rows], "ts_open": [T + 60 * minute for minute, _ in rows],
        "close": [1.0] * len(rows), "volume": [1.0] * len(rows),
    })  # fmt: skip
    assert ss.compute(ON_BARS, cut(table, at)).num_rows >= len(rows)
    again = data.draw(st.integers(0, len(rows) - 1))
    later = next((i for i in range(again + 1, len(rows)) if rows[i][0] > rows[again][0]), len(rows))
    place = data.draw(st.integers(again + 1, later))
    twice = pa.concat_tables([table.slice(0, place), table.slice(again, 1), table.slice(place)])
    error = refusal(ON_BARS, cut(twice, at))
    assert "comes twice" in error.message
    assert error.where == f'column "ts_open", row {place + 1}'


@settings(deadline=None)
@given(st.integers(2, 12), st.data(), st.integers(1, 3), CUTS)
def test_a_bar_that_comes_twice_is_refused_by_row_and_time(rows, data, instruments, at) -> None:
    names = [f"S{i}" for i in range(instruments)]
    at_row = data.draw(st.integers(0, rows * instruments - 1))
    opens = [T + 60 * (i // instruments) for i in range(rows * instruments)]
    table = pa.table({
        "instrument": names * rows, "ts_open": opens, "close": np.arange(float(len(opens))), "volume": np.ones(len(opens)),
    })  # fmt: skip
    assert ss.compute(ON_BARS, cut(table, at)).num_rows == len(opens)
    twice = pa.concat_tables([table.slice(0, at_row + 1), table.slice(at_row, 1), table.slice(at_row + 1)])
    error = refusal(ON_BARS, cut(twice, at))
    assert "comes twice" in error.message
    assert table["instrument"][at_row].as_py() in error.message
    assert error.where == f'column "ts_open", row {at_row + 2}'


@settings(deadline=None)
@given(
    st.sampled_from(["1m", "5m", "15m", "1h", "4h", "1d"]),
    st.sampled_from(["1m", "5m", "15m", "1h", "4h", "1d"]),
    st.sampled_from([3, 9, 30]),
    CUTS,
)
def test_rows_of_another_length_than_the_graphs_bars_are_refused(length, real, rows, at) -> None:
    ns = {"1m": 60, "5m": 300, "15m": 900, "1h": 3600, "4h": 14400, "1d": 86400}
    graph = ss.FeatureGraph(name="g", on=bars(length), features={"close": bars(length).close})
    begin = T - T % 86400
    for time, shift in (("ts_open", 0), ("ts_event", ns[real])):
        table = pa.table({time: [begin + shift + ns[real] * i for i in range(rows)], "close": [1.0] * rows})
        if length == real:
            ends = ss.compute(graph, cut(table, at))["ts_recv"].cast(pa.int64()).to_pylist()
            assert ends == [(begin + ns[real] * (i + 1)) * NS for i in range(rows)]
        else:
            error = refusal(graph, cut(table, at))
            assert length in str(error)


def test_every_bar_twice_is_refused_though_instruments_take_turns() -> None:
    names, opens = ["A", "B", "B"] * 3, [T, T, T, T + 60, T + 60, T + 60, T + 120, T + 120, T + 120]
    table = pa.table({"instrument": names, "ts_open": opens, "close": [1.0] * 9, "volume": [1.0] * 9})
    error = refusal(ON_BARS, table)
    assert "the bar of B that ends" in error.message
    assert error.where == 'column "ts_open", row 3'


def test_a_close_just_before_the_end_is_the_end() -> None:
    table = pa.table(
        {"ts_event": [(T + 60 * i) * 1000 - 1 for i in range(1, 4)], "close": [1.0] * 3, "volume": [1.0] * 3}
    )
    out = ss.compute(ON_BARS, table)["ts_recv"].cast(pa.int64()).to_pylist()
    assert out == [(T + 60 * i) * NS for i in range(1, 4)]
    days = pa.table({"ts_event": [dt.date(2024, 3, 7), dt.date(2024, 3, 8)], "close": [1.0, 2.0]})
    assert str(ss.compute(ON_DAYS, days)["ts_recv"][0])[:16] == "2024-03-08 00:00"


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/London", "Australia/Sydney", "Asia/Kolkata", "UTC"])
def test_days_of_a_zone_end_with_their_day(zone: str) -> None:
    days = pd.date_range("2024-01-01", "2024-12-31", tz=zone)
    frame = pd.DataFrame({"ts_open": days, "close": np.arange(float(len(days)))})
    ends = ss.compute(ON_DAYS, frame)["ts_recv"].to_pandas()
    assert (ends.dt.tz_convert(zone) == days + pd.DateOffset(days=1)).all()


def test_days_that_begin_at_no_midnight_are_refused() -> None:
    days = pd.date_range("2024-01-01 09:30", periods=5, tz="America/New_York")
    for times in (days, days.tz_convert("UTC"), days.tz_localize(None)):
        error = refusal(ON_DAYS, pd.DataFrame({"ts_open": times, "close": [1.0] * 5}))
        assert "no multiple of 1d" in error.message
        assert "zone" in error.next_step


def test_open_and_close_of_a_bar_have_to_agree() -> None:
    table = minutes(volume=[1.0] * 3, ts_event=[T + 300 * i for i in range(1, 4)])
    error = refusal(ON_BARS, table)
    assert "is no bar of 1m" in error.message.replace("it is", "is")
    good = minutes(volume=[1.0] * 3, ts_event=[T + 60 * i for i in range(1, 4)])
    assert ss.compute(ON_BARS, good).num_rows == 3


def test_several_instruments_in_one_series_are_refused_and_the_column_named() -> None:
    frame = pl.DataFrame(
        {
            "Ticker": ["A", "B"] * 3,
            "ts_open": [T, T, T + 60, T + 60, T + 120, T + 120],
            "close": [1.0] * 6,
            "volume": 1.0,
        }
    )
    error = refusal(ON_BARS, frame)
    assert 'columns={"instrument": "Ticker"}' in error.next_step
    error = refusal(ON_BARS, frame.sort("Ticker", maintain_order=True))
    assert 'columns={"instrument": "Ticker"}' in error.next_step
    assert ss.compute(ON_BARS, frame, columns={"instrument": "Ticker"}).num_rows == 6


# Numbers

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


# Columns


@settings(deadline=None)
@given(st.permutations(["ts_open", "close", "volume", "instrument", "note"]), CUTS)
def test_the_order_of_columns_does_not_matter(order, at) -> None:
    table = minutes(
        close=[1.0, 3.0, 2.0], volume=[1.0, 2.0, 3.0], instrument=["A", "A", "A"], note=["x", None, "1,000"]
    )
    assert ss.compute(ON_BARS, cut(table.select(order), at)).equals(ss.compute(ON_BARS, table))


def test_columns_that_the_graph_does_not_read_may_hold_anything() -> None:
    class Odd:
        pass

    graph = ss.FeatureGraph(name="g", on=BAR, features={"close": BAR.close})
    base = {"ts_open": [T, T + 60], "close": [1.0, 2.0]}
    tables: list[Any] = [
        pa.table(base | {"volume": ["1,000", "2,000"], "side": ["?", "!"], "price": ["a", "b"]}),
        pa.table(base | {"volume": [-1.0, -2.0], "qty": [[1], [2]]}),
        pd.DataFrame(base | {"volume": [1, "x"], "note": [Odd(), Odd()]}),
        pl.DataFrame(base | {"volume": pl.Series([Odd(), Odd()], dtype=pl.Object)}),
        pl.DataFrame(base | {"volume": [2**100, 1]}),
        pd.DataFrame([[T, 1.0, 5, 6], [T + 60, 2.0, 7, 8]], columns=["ts_open", "close", "volume", "volume"]),
    ]
    for table in tables:
        assert ss.compute(graph, table)["close"].to_pylist() == [1.0, 2.0]
    for table in tables[2:]:
        assert "volume" in str(refusal(ON_BARS, table))


def test_a_column_that_is_there_twice_is_refused_where_it_is_read() -> None:
    table = pa.table(
        [pa.array([T, T + 60]), pa.array([1.0, 2.0]), pa.array([1.0, 3.0])], names=["ts_open", "close", "close"]
    )
    error = refusal(ss.FeatureGraph(name="g", on=BAR, features={"close": BAR.close}), table)
    assert '2 columns are named "close"' in error.message
    twice = pa.table(
        [pa.array([T, T + 60])] * 2 + [pa.array([1.0, 2.0])] * 2, names=["ts_open", "ts_open", "close", "volume"]
    )
    assert '2 columns are named "ts_open"' in refusal(ON_BARS, twice).message


def test_contradictions_are_refused() -> None:
    table = minutes(close=[1.0, 2.0], volume=[1.0, 1.0], instrument=["A", "A"])
    assert "names the instrument of each row" in refusal(ON_BARS, table, instrument="A").message
    traded = pa.table({"ts_recv": [T], "price": [1.0], "qty": [1.0], "side": [1]})
    assert "ts_recv says when" in refusal(ON_TRADES, traded, latency="1s").message


def test_options_of_tables_are_refused_for_captures(spot: Any) -> None:
    for name, value in {"instrument": "X", "columns": {"price": "p"}, "latency": "1s", "time_unit": "s"}.items():
        assert name in refusal(ON_TRADES, spot, **{name: value}).message


@pytest.mark.parametrize(
    ("names", "says"), [(["A", None], "has no instrument"), (["A", ""], "is empty"), ([1.5, 2.5], "does not name")]
)
def test_every_row_names_its_instrument(names: list[Any], says: str) -> None:
    assert says in str(refusal(ON_BARS, minutes(volume=[1.0, 1.0], instrument=names)))


def test_instruments_may_be_behind_a_dictionary_or_numbers() -> None:
    table = minutes(volume=[1.0] * 3, ts_open=[T, T, T + 60], instrument=["A", "B", "A"])
    frame = pl.from_arrow(table)
    frames: list[Any] = [
        frame.with_columns(pl.col("instrument").cast(pl.Categorical)),
        frame.with_columns(pl.col("instrument").cast(pl.Enum(["B", "A"]))),
        frame.lazy(),
        table.to_pandas().astype({"instrument": "category"}),
        table.set_column(3, "instrument", table["instrument"].dictionary_encode()),
        table.set_column(3, "instrument", table["instrument"].cast(pa.large_string())),
    ]
    for each in frames:
        out = ss.compute(ON_BARS, each)
        assert list(zip(out["instrument"].to_pylist(), out["step"].to_pylist(), strict=True)) == [
            ("A", None),
            ("B", None),
            ("A", 2.0),
        ]
    numbered = table.set_column(3, "instrument", pa.array([7, 8, 7]))
    assert ss.compute(ON_BARS, numbered)["instrument"].to_pylist() == ["7", "8", "7"]


def odd_columns() -> list[pa.Array]:
    """Two rows of every type that Arrow has."""
    whole, text, raw = [T, T + 60], ["a", "b"], [b"ab", b"cd"]
    kinds: list[tuple[list[Any], list[pa.DataType]]] = [
        (
            [1, 2],
            [
                pa.int8(),
                pa.uint8(),
                pa.int16(),
                pa.uint16(),
                pa.month_day_nano_interval(),
                pa.time32("s"),
                pa.time64("ns"),
            ],
        ),
        (whole, [pa.int32(), pa.uint32(), pa.int64(), pa.uint64(), pa.float64(), pa.duration("s")]),
        ([1.0, 2.0], [pa.float16(), pa.float32()]),
        (text, [pa.string(), pa.large_string(), pa.string_view()]),
        (raw, [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(2)]),
        ([True, False], [pa.bool_()]),
        ([None, None], [pa.null()]),
        (
            [Decimal(1), Decimal(200)],
            [pa.decimal32(6, 2), pa.decimal64(12, 2), pa.decimal128(20, 2), pa.decimal256(50, 2)],
        ),
        ([[1, 2], [2, 3]], [pa.list_(pa.int64()), pa.large_list(pa.int64()), pa.list_(pa.int64(), 2)]),
        ([{"a": 1}, {"a": 2}], [pa.struct({"a": pa.int64()})]),
        ([[("a", 1)], [("b", 2)]], [pa.map_(pa.string(), pa.int64())]),
    ]
    found = [
        pa.array([(1, 2, 3), (1, 2, 3)] if "interval" in str(kind) else values, kind)
        for values, types in kinds
        for kind in types
    ]
    for unit in UNITS:
        found += [pa.array([1, 2], pa.timestamp(unit, tz=zone)) for zone in (None, "Europe/Paris", "+05:30")]
        found += [pa.array([2**62, 2**62 + 1], pa.timestamp(unit)), pa.array([1 - 2**63, 2], pa.timestamp(unit))]
    ends = pa.array([1, 2], pa.int32())
    return [
        *found,
        pa.array([1, 2], pa.timestamp("s", tz="Nowhere/Land")),
        pa.array([2**31 - 1, 1 - 2**31], pa.int32()).cast(pa.date32()),
        pa.array([0, 86_400_000], pa.date64()),
        *(pa.array(values).dictionary_encode() for values in (text, whole, [1.5, 2.5])),
        pa.DictionaryArray.from_arrays(pa.array([0, None], pa.int8()), pa.array(["a"])),
        pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["a", None])),
        *(pa.RunEndEncodedArray.from_arrays(ends, pa.array(values)) for values in (text, whole, [1.0, 2.0])),
        pa.array([bytes(16), bytes(16)], pa.uuid()),
        pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0], pa.int8())),
        pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(text)]),
        pa.array([math.nan, math.inf]),
    ]


def refused_by_name(name: str, run: Any) -> bool:
    """Whether a column of this name is refused, with its name; False if it is taken."""
    try:
        run()
    except ss.SignalStreamError as error:
        return name in str(error) or pytest.fail(f"{error} does not name {name}")
    return False


def test_no_type_of_column_ends_in_an_error_of_another_library() -> None:
    rows: dict[ss.FeatureGraph, dict[str, list[Any]]] = {
        ON_BARS: {"instrument": ["A"] * 2, "ts_open": [T, T + 60], "close": [1.0, 2.0], "volume": [1.0, 1.0]},
        ON_TRADES: {
            "instrument": ["A"] * 2,
            "ts_recv": [T, T + 1],
            "price": [1.0, 2.0],
            "qty": [1.0, 1.0],
            "side": [1, 1],
        },
    }
    panel = {"instrument": ["A", "A"], "ts_recv": [T, T + 60], "mid": [1.0, 2.0]}
    taken = 0
    for column in odd_columns():
        for graph, columns in rows.items():
            for name in columns:
                table = pa.table(columns | {name: column})
                taken += not refused_by_name(name, lambda graph=graph, table=table: ss.compute(graph, table))
        for name in panel:
            table = pa.table(panel | {name: column})
            refused_by_name(name, lambda table=table: ss.label.forward_return(table, rows=1))
            refused_by_name(name, lambda table=table: list(ss.split.walk_forward(table, folds=1)))
    assert taken > 100


# Tables of every kind, everywhere


def test_a_table_may_come_from_any_library_and_file(tmp_path: Any) -> None:
    table = minutes(volume=[float(i) for i in range(50)])
    wanted = ss.compute(ON_BARS, table)
    pq.write_table(table, tmp_path / "bars.parquet", row_group_size=7)
    feather.write_feather(table, str(tmp_path / "bars.feather"), chunksize=7)
    with pa.OSFile(str(tmp_path / "bars.arrows"), "wb") as out, pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=7)
    csv.write_csv(table, tmp_path / "bars.csv")
    with gzip.open(tmp_path / "bars.csv.gz", "wb") as packed:
        packed.write((tmp_path / "bars.csv").read_bytes())
    indexed = table.to_pandas().set_index("ts_open")
    table.to_pandas().to_csv(tmp_path / "bars.pandas.csv")  # its first column has no name
    frames: dict[str, Any] = {
        "batch": table.to_batches()[0], "reader": table.to_reader(max_chunksize=3), "polars": pl.from_arrow(table),
        "lazy": pl.from_arrow(table).lazy(), "pandas": table.to_pandas(), "index": indexed,
        **{path.name: path for path in tmp_path.glob("bars.*")},
    }  # fmt: skip
    for name, frame in frames.items():
        assert ss.compute(ON_BARS, frame).equals(wanted), name
    for name in ("bars.csv.gz", "bars.feather"):
        assert ss.parity(ON_BARS, tmp_path / name, snapshots=5).same
        ss.backfill(ON_BARS, tmp_path / name, tmp_path / "out.parquet")
        assert pq.read_table(tmp_path / "out.parquet").select(["step"]).equals(wanted.select(["step"]))
    for frame in (table.to_reader(max_chunksize=3), pl.from_arrow(table).lazy()):
        assert ss.parity(ON_BARS, frame, snapshots=5).same
        ss.backfill(ON_BARS, table.to_reader(max_chunksize=3), tmp_path / "out.parquet")
        assert pq.read_table(tmp_path / "out.parquet").select(["step"]).equals(wanted.select(["step"]))
    engine = ss.Engine(ON_BARS)
    pushed = [engine.push(frame) for frame in (table.slice(0, 20).to_pandas(), pl.from_arrow(table.slice(20)).lazy())]
    assert [x for piece in pushed for x in piece["step"].to_pylist()] == wanted["step"].to_pylist()
    unnamed = indexed.set_index(pd.DatetimeIndex(pd.to_datetime(indexed.index, unit="s")))
    assert "reset_index" in refusal(ON_BARS, unnamed.rename_axis(None)).next_step


def test_an_empty_table_gives_an_empty_one_and_a_wrong_one_is_refused_all_the_same(tmp_path: Any) -> None:
    table = minutes(volume=[1.0, 2.0]).slice(0, 0)
    pq.write_table(table, tmp_path / "none.parquet")
    csv.write_csv(table, tmp_path / "none.csv")
    for frame in (
        table,
        table.to_reader(),
        table.to_batches(),
        pl.from_arrow(table),
        table.to_pandas(),
        tmp_path / "none.parquet",
        tmp_path / "none.csv",
    ):
        if isinstance(frame, list):
            continue
        assert ss.compute(ON_BARS, frame).num_rows == 0
    assert refusal(ON_BARS, table.drop_columns("close")).code == "MISSING_COLUMN"


@pytest.mark.parametrize("data", [[{"close": 1.0}], {"close": [1.0]}, np.ones(3), 5, None, pd.Series([1.0])])
def test_what_is_no_table_is_said(data: Any) -> None:
    with pytest.raises(DataError):
        ss.compute(ON_BARS, data)


def test_a_refused_piece_leaves_the_engine_where_it_was() -> None:
    table = minutes(volume=[1.0] * 4)
    engine = ss.Engine(ON_BARS)
    engine.push(table.slice(0, 2))
    with pytest.raises(DataError):
        engine.push(table.slice(1, 2))
    engine.push(table.slice(2, 2))
    assert engine.messages == 4


def test_a_restored_engine_knows_what_the_table_has_shown() -> None:
    table = minutes(volume=[1.0] * 4)
    engine = ss.Engine(ON_BARS)
    engine.push(table.slice(0, 2))
    other = ss.Engine.restore(ON_BARS, engine.snapshot(), like=engine)
    with pytest.raises(DataError, match="comes twice"):
        other.push(table.slice(1, 2))
    assert other.push(table.slice(2, 2))["step"].to_pylist() == [1.0, 1.0]


def test_sides_of_books_count_though_no_feature_reads_them() -> None:
    rows = {"bid_price_1": [1.0, 3.0], "ask_price_1": [2.0, 2.0]}
    graph = ss.FeatureGraph(name="g", on=book, features={"bid": book.bid(1).price})
    out = ss.compute(graph, pa.table({"ts_recv": [T, T + 1], **rows}), reasons=True)
    assert out["bid.reason"].to_pylist() == ["VALID", "CROSSED"]
    texts = rows | {"ask_price_1": ["x", "y"]}
    assert ss.compute(graph, pa.table({"ts_recv": [T, T + 1], **texts}))["bid"].to_pylist() == [1.0, 3.0]


@pytest.mark.parametrize("name", ["instrument", "ts_event", "ts_recv", "mid.reason", "fwd.known_at"])
def test_names_of_the_output_are_no_names_of_features(name: str) -> None:
    with pytest.raises(ss.SignalStreamError) as refused:
        ss.FeatureGraph(name="g", on=BAR, features={name: BAR.close})
    assert refused.value.code == "BAD_ARGUMENT"
    assert name in str(refused.value)


def test_numbers_are_read_without_pandas(tmp_path: Path) -> None:
    path = tmp_path / "bars.parquet"
    rows = {"ts_open": [T, T + 60], "close": [1.0, 2.0], "volume": [1.0, 1.0], "instrument": ["A", "A"]}
    pq.write_table(pa.table(rows), path)
    code = (
        "import sys, signal_stream as ss\n"
        "b = ss.bars('1m')\n"
        "g = ss.FeatureGraph(name='g', on=b, features={'d': b.close.diff()})\n"
        "assert ss.compute(g, sys.argv[1])['d'].to_pylist() == [None, 1.0]\n"
        "assert 'pandas' not in sys.modules, 'half a second and 40 MB'\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)


@pytest.mark.parametrize("gone", ["bid_price_1", "bid_qty_1"])
@pytest.mark.parametrize("rows", [3, 300])
def test_a_level_without_its_price_or_its_quantity_is_empty(gone: str, rows: int) -> None:
    """Row 1 of a quote has a null: nobody bids, as in a capture where the venue says so; the other side still holds."""
    columns = {"bid_price_1": 99.0, "bid_qty_1": 1.0, "ask_price_1": 101.0, "ask_qty_1": 2.0}
    table = pa.table(
        {"ts_recv": pa.array([(T + i) * 10**9 for i in range(rows)], pa.int64())}
        | {name: [None if (name, i) == (gone, 1) else value for i in range(rows)] for name, value in columns.items()}
    )
    graph = ss.FeatureGraph(
        name="g", on=quotes, features={"mid": quotes.mid(), "bid": quotes.bid.price, "ask": quotes.ask.price}
    )
    found = ss.compute(graph, table, reasons=True).slice(1, 1).to_pylist()[0]
    assert (found["mid"], found["bid"], found["ask"]) == (None, None, 101.0)
    assert (found["mid.reason"], found["bid.reason"]) == ("EMPTY", "EMPTY")


def test_a_graph_is_a_graph() -> None:
    with pytest.raises(GraphError, match="no FeatureGraph"):
        ss.compute("graph", pa.table({"close": [1.0]}))  # type: ignore[arg-type]
