"""Bars that finer bars fill, of a day of real trades and of years of real days, against loops of pandas' own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import signal_stream as ss
from signal_stream import bars

FIELDS = ("open", "high", "low", "close", "volume", "vwap", "trades", "buy_volume")
START = pd.Timestamp("2024-03-01T00:00:00Z")


@pytest.fixture(scope="module")
def day(deribit: Path) -> pd.DataFrame:
    raw = pd.read_csv(deribit)
    return pd.DataFrame(
        {
            "t": pd.to_datetime(raw["timestamp"], unit="ms", utc=True).dt.as_unit("ns"),
            "price": raw["price"],
            "qty": raw["volume"].abs(),
            "side": np.sign(raw["volume"]),
        }
    )


@pytest.fixture(scope="module")
def minutes(day: pd.DataFrame) -> pd.DataFrame:
    """The day as bars of a minute, from the first whole one on; those without trades have no row."""
    parts = day.assign(
        minute=day["t"].dt.floor("min"), money=day["price"] * day["qty"], bought=day["qty"].where(day["side"] > 0, 0.0)
    )
    grouped = parts.groupby("minute", sort=True)
    found = grouped.agg(
        open=("price", "first"), high=("price", "max"), low=("price", "min"), close=("price", "last"),
        volume=("qty", "sum"), trades=("price", "size"), buy_volume=("bought", "sum"), money=("money", "sum"),
    )  # fmt: skip
    found["vwap"] = found.pop("money") / found["volume"]
    return found.reset_index().iloc[1:]


def bars_of(stream: Any, rows: pd.DataFrame, **options: Any) -> pd.DataFrame:
    graph = ss.FeatureGraph(name="bars", on=stream, features={name: getattr(stream, name) for name in FIELDS})
    table = pa.Table.from_pandas(rows, preserve_index=False)
    return ss.compute(graph, table, instrument="X", reasons=True, **options).to_pandas()


def filled(rows: pd.DataFrame, amounts: list[int], full: int, *, divide: bool) -> pd.DataFrame:
    """The bars that these rows fill, one row at a time: each as its share of a row, then pandas' sums over the shares."""
    places, labels, shares = [], [], []
    bar = held = 0
    for row, amount in enumerate(amounts):
        left = amount
        while left:
            part = min(left, full - held) if divide else left
            places.append(row)
            labels.append(bar)
            shares.append(part / amount)
            held, left = held + part, left - part
            if held >= full:
                bar, held = bar + 1, 0
    parts = rows.iloc[places].assign(bar=labels, share=shares)
    parts = parts[parts["bar"] < bar]
    for name in ("volume", "trades", "buy_volume"):
        parts[name] *= parts["share"]
    parts = parts.assign(money=parts["vwap"] * parts["volume"])
    found = parts.groupby("bar").agg(
        t=("minute", "last"), open=("open", "first"), high=("high", "max"), low=("low", "min"), close=("close", "last"),
        volume=("volume", "sum"), trades=("trades", "sum"), buy_volume=("buy_volume", "sum"), money=("money", "sum"),
    )  # fmt: skip
    return found.assign(vwap=found["money"] / found["volume"])


def amounts_of(rows: pd.DataFrame, measure: str) -> tuple[list[int], int]:
    """What each row counts, and how many of it make one of the measure."""
    if measure == "ticks":
        return rows["trades"].astype(int).tolist(), 1
    money = rows["volume"] if measure == "volume" else rows["vwap"] * rows["volume"]
    return [int(each) for each in np.rint(money.to_numpy() * 1e9)], 10**9


def compare(found: pd.DataFrame, expected: pd.DataFrame, step: str) -> None:
    assert len(found) == len(expected) > 20
    assert (found["ts_recv"].to_numpy() == (expected["t"] + pd.Timedelta(step)).to_numpy()).all()
    for name in FIELDS:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-11, err_msg=name)


MEASURES = [
    ("ticks", 200, "whole"), ("volume", 500_000, "whole"), ("notional", 2e10, "whole"),
    ("volume", 500_000, "divide"), ("volume", 40_000, "divide"), ("notional", 2e10, "divide"),
]  # fmt: skip


@pytest.mark.parametrize(("measure", "amount", "split"), MEASURES)
def test_minutes_fill_bars(minutes: pd.DataFrame, measure: str, amount: float, split: str) -> None:
    stream = bars(**{measure: amount}, split=split, of="1m")
    found = bars_of(stream, minutes, columns={"ts_open": "minute"})
    counts, unit = amounts_of(minutes, measure)
    compare(found, filled(minutes, counts, int(amount * unit), divide=split == "divide"), "1min")


@pytest.mark.parametrize(("measure", "amount", "split"), MEASURES)
def test_minutes_that_trades_make_fill_the_same_bars(
    day: pd.DataFrame, minutes: pd.DataFrame, measure: str, amount: float, split: str
) -> None:
    stream = bars(**{measure: amount}, split=split, of="1m")
    rows = bars_of(stream, minutes, columns={"ts_open": "minute"})
    built = bars_of(stream, day, columns={"ts_recv": "t"})
    # Nothing shows that the last minute of the trades has ended.
    rows = rows[rows["ts_recv"] <= day["t"].iloc[-1]]
    assert len(rows) == len(built) > 20
    assert (rows["ts_recv"] == built["ts_recv"]).all()
    for name in FIELDS:
        np.testing.assert_allclose(built[name], rows[name], rtol=1e-9, err_msg=name)


def test_days_of_stocks_fill_bars_of_money() -> None:
    """Rows of days, without a vwap of their own: the close stands for it, as the user says."""
    rng = np.random.default_rng(3)
    n = 900
    close = 50 * np.exp(rng.normal(0, 0.02, n).cumsum())
    rows = pd.DataFrame(
        {
            "minute": pd.bdate_range("2015-01-01", periods=n, tz="UTC").as_unit("ns"),
            "open": close * 0.99, "high": close * 1.02, "low": close * 0.98, "close": close,
            "volume": rng.integers(1_000, 90_000, n).astype(float),
        }
    )  # fmt: skip
    stream = bars(notional=2e7, of="1d")
    names = ("open", "high", "low", "close", "volume", "vwap")
    graph = ss.FeatureGraph(name="g", on=stream, features={name: getattr(stream, name) for name in names})
    table = pa.Table.from_pandas(rows, preserve_index=False)
    found = ss.compute(graph, table, columns={"ts_open": "minute", "vwap": "close"}, instrument="X").to_pandas()
    whole = rows.assign(vwap=rows["close"], trades=0.0, buy_volume=0.0)
    expected = filled(whole, amounts_of(whole, "notional")[0], 2 * 10**16, divide=False)
    assert len(found) == len(expected) > 20
    for name in names:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-11, err_msg=name)
    with pytest.raises(ss.errors.DataError, match="reads vwap"):
        ss.compute(graph, table, columns={"ts_open": "minute"}, instrument="X")


def test_a_row_that_is_not_known_makes_its_bar_a_gap() -> None:
    rows = pa.table(
        {"t": [1_700_000_040 + 60 * i for i in range(8)], "close": [10.0] * 8, "volume": [3.0, None, *[3.0] * 6]}
    )
    graph = ss.FeatureGraph(name="g", on=bars(volume=6, of="1m"), features={"v": bars(volume=6, of="1m").volume})
    found = ss.compute(graph, rows, columns={"ts_open": "t"}, instrument="X", reasons=True)
    assert found["v.reason"].to_pylist() == ["GAP", "VALID", "VALID"]
    assert found["v"].to_pylist() == [None, 6.0, 6.0]


def test_what_does_not_fit_is_said() -> None:
    rows = pa.table({"t": [1_700_000_040 + 60 * i for i in range(8)], "close": [10.0] * 8, "volume": [3.0] * 8})
    for stream, told in (
        (bars(volume=6), "say in the graph which bars fill them"),
        (bars(ticks=6, of="1m"), "reads trades"),
        (bars(volume=6, of="5m"), "bars of 5m fill, but the rows are bars of 1m"),
    ):
        graph = ss.FeatureGraph(name="g", on=stream, features={"v": stream.close})
        length = "1m" if "5m" in told else None
        with pytest.raises(ss.errors.DataError, match=told):
            ss.compute(graph, rows, columns={"ts_open": "t"}, instrument="X", length=length)
    for wrong, told in (
        ({"length": "5m", "of": "1m"}, "of bars of time"),
        ({"ticks": 5, "rule": "run", "of": "1m"}, "only trades tell"),
        ({"ticks": 5, "of": "1x"}, "of is '1x'"),
    ):
        with pytest.raises(ss.errors.GraphError, match=told):
            bars(**wrong)  # type: ignore[arg-type]


def test_an_engine_goes_on_in_the_middle_of_a_bar() -> None:
    stream = bars(volume=10, split="divide", of="1m")
    graph = ss.FeatureGraph(
        name="g", on=stream, features={name: getattr(stream, name) for name in ("open", "vwap", "volume")}
    )
    rows = pa.table(
        {"ts_open": [1_700_000_040 + 60 * i for i in range(9)], "close": [10.0 + i for i in range(9)],
         "open": [10.0 + i for i in range(9)], "vwap": [9.0 + i for i in range(9)], "volume": [4.0] * 9}
    )  # fmt: skip
    [*batches] = ss.read_table(rows, kind="bars", length="1m", instrument="X")
    whole = ss.Engine(graph)
    expected = pa.Table.from_batches([whole.push(batch) for batch in batches])
    assert expected["volume"].to_pylist() == [10.0] * 3
    for cut in range(1, batches[0].messages):
        first = ss.Engine(graph)
        found = [first.push(batches[0].slice(0, cut))]
        second = ss.Engine.restore(graph, first.snapshot())
        found += [second.push(batches[0].slice(cut, batches[0].messages)), *map(second.push, batches[1:])]
        assert pa.Table.from_batches(found)["vwap"].to_pylist() == expected["vwap"].to_pylist(), cut
