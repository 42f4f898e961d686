"""Times of tables are input, not truth: read right, whatever their type and however the table is cut, or refused by row."""

from __future__ import annotations

import datetime as dt
import itertools
import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tables import CUTS, NS, ON_BARS, ON_DAYS, ON_TRADES, UNITS, T, cut, minutes, refusal

import signal_stream as ss
from signal_stream import bars
from signal_stream.errors import DataError


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
