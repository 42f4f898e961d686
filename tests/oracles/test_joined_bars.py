"""Longer bars made of shorter ones: pandas' resampling of the rows, and what it means where one is missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import signal_stream as ss
from signal_stream import bars

FIELDS = ("open", "high", "low", "close", "volume", "vwap", "trades", "buy_volume")
START = pd.Timestamp("2024-03-01T00:00:00Z")


def minutes(n: int, seed: int) -> pd.DataFrame:
    """Bars of a minute; some hold no trades."""
    rng = np.random.default_rng(seed)
    close = 100 + rng.normal(0, 0.1, n).cumsum().round(2)
    traded = rng.random(n) > 0.2
    frame = pd.DataFrame(
        {
            "t": pd.date_range(START, periods=n, freq="min", unit="ns"),
            "open": np.append(100.0, close[:-1]),
            "close": close,
            "volume": np.where(traded, rng.integers(1, 90, n) / 4, 0.0),
            "trades": np.where(traded, rng.integers(1, 9, n), 0).astype(float),
        }
    )
    frame["high"], frame["low"] = (
        frame[["open", "close"]].max(axis=1) + 0.25,
        frame[["open", "close"]].min(axis=1) - 0.5,
    )
    frame["vwap"], frame["buy_volume"] = (frame["open"] + frame["close"]) / 2, frame["volume"] / 2
    frame.loc[~traded, ["open", "high", "low", "close", "vwap"]] = np.nan
    return frame


def table(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False)


def bars_of(length: str, rows: pa.Table, **options: str) -> pd.DataFrame:
    stream = bars(length)
    graph = ss.FeatureGraph(name="g", on=stream, features={name: getattr(stream, name) for name in FIELDS})
    found = ss.compute(graph, rows, columns={"ts_open": "t"}, instrument="X", length="1m", reasons=True, **options)
    return found.to_pandas()


def resampled(frame: pd.DataFrame, length: str) -> pd.DataFrame:
    frame = frame.assign(money=(frame["vwap"] * frame["volume"]).fillna(0.0)).set_index("t")
    found = frame.resample(length.replace("m", "min")).agg(
        {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum", "trades": "sum",
         "buy_volume": "sum", "money": "sum"}
    )  # fmt: skip
    return found.assign(vwap=(found["money"] / found["volume"]).where(found["volume"] > 0))


@pytest.mark.parametrize("length", ["5m", "15m", "1h"])
def test_five_minutes_of_one(length: str) -> None:
    frame = minutes(2_400, 5)
    found, expected = bars_of(length, table(frame)), resampled(frame, length)
    assert len(found) == len(expected)
    assert (found["ts_recv"].to_numpy() == (expected.index + pd.Timedelta(length.replace("m", "min"))).to_numpy()).all()
    for name in FIELDS:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-12, err_msg=name)
    empty = (expected["volume"] == 0).to_numpy()
    assert length != "5m" or empty.any() or len(expected) > 100
    assert (found["close.reason"][empty] == "EMPTY").all()


def test_a_minute_without_a_row_is_one_without_trades() -> None:
    frame = minutes(600, 6)
    there = frame[frame["volume"] > 0]  # as vendors write them
    whole, found = bars_of("5m", table(frame)), bars_of("5m", table(there))
    assert len(there) < 550
    pd.testing.assert_frame_equal(found, whole.iloc[: len(found)], check_categorical=False)
    assert len(whole) - len(found) <= 1


def test_where_rows_are_all_there_is_a_missing_minute_is_a_gap() -> None:
    frame = minutes(60, 7).assign(close=lambda f: f["close"].fillna(1.0), volume=1.0)
    lost = frame.drop(index=[12, 29])  # in the middle of the third bar, at the end of the sixth
    found = bars_of("5m", table(lost), missing_bars="skip")
    assert found["volume.reason"].tolist() == ["VALID", "VALID", "GAP", *["VALID"] * 8]
    ends = ((found["ts_recv"] - START) / pd.Timedelta("5min")).tolist()
    assert ends == [1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12], "the sixth bar never ended"
    stream = bars("5m")
    graph = ss.FeatureGraph(name="g", on=stream, features={"mean": stream.volume.rolling(2).mean()})
    windows = ss.compute(
        graph, table(lost), columns={"ts_open": "t"}, instrument="X", length="1m", missing_bars="skip", reasons=True
    )
    reasons = ["WARMUP", "VALID", "GAP", "GAP", "VALID", "GAP", *["VALID"] * 5]
    assert windows["mean.reason"].to_pylist() == reasons, "what was lost begins the stream anew"


def test_the_first_bar_was_not_seen_from_its_start() -> None:
    found = bars_of("5m", table(minutes(60, 8).iloc[2:]))
    assert found["volume.reason"].tolist() == ["WARMUP", *["VALID"] * 11]


def test_the_length_of_the_rows_is_said_once_and_must_fit() -> None:
    rows = table(minutes(60, 9))
    with pytest.raises(ss.errors.DataError, match="length"):
        stream = bars("5m")
        graph = ss.FeatureGraph(name="g", on=stream, features={"close": stream.close})
        ss.compute(graph, rows, columns={"ts_open": "t"}, instrument="X")
    with pytest.raises(ss.errors.DataError, match="not made of rows of 1m"):
        bars_of("90s", rows)
    both = ss.FeatureGraph(name="g", on=bars("1m"), features={"gap": bars("1m").close - bars("5m").close})
    found = ss.compute(both, rows, columns={"ts_open": "t"}, instrument="X")
    assert found["gap"].null_count < 60 and found.num_rows == 60
    ticks = ss.FeatureGraph(name="g", on=bars(ticks=5), features={"close": bars(ticks=5).close})
    with pytest.raises(ss.errors.DataError, match="made of trades"):
        ss.compute(ticks, rows, columns={"ts_open": "t"}, instrument="X")
