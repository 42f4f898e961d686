"""Bars in sessions, against exchange_calendars' own schedule: half days, holidays, a change of summer time, weekends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import exchange_calendars as xc
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import signal_stream as ss
from signal_stream import _core, bars, trades
from signal_stream.errors import DataError
from signal_stream.features.sessions import FIRST, LAST, calendar

FIELDS = ("open", "high", "low", "close", "volume", "vwap", "trades", "buy_volume")


def a_trade_every(minutes: int, first: str, last: str) -> pd.DataFrame:
    """Trades day and night, weekends too."""
    t = pd.date_range(first, last, freq=f"{minutes}min", tz="UTC", unit="ns")
    n = np.arange(len(t))
    return pd.DataFrame({"ts_recv": t, "price": 100.0 + n % 17, "qty": 1.0 + n % 5, "side": np.where(n % 3, 1.0, -1.0)})


def bars_of(stream: ss.features.BarStream, frame: pd.DataFrame) -> pd.DataFrame:
    graph = ss.FeatureGraph(name="bars", on=stream, features={name: getattr(stream, name) for name in FIELDS})
    table = pa.Table.from_pandas(frame, preserve_index=False)
    return ss.compute(graph, table, instrument="X", reasons=True).to_pandas()


@pytest.mark.parametrize("venue", ["XNYS", "XLON", "CMES", "XTKS", "24/7"])
def test_daily_bars_are_the_sessions(venue: str) -> None:
    # Thanksgiving and its half day, Christmas, and the change of clocks in November.
    frame = a_trade_every(5, "2023-10-20", "2024-01-10")
    found = bars_of(bars("1d", session=venue), frame)
    days = xc.get_calendar(venue, start="2023-10-19", end="2024-01-10")
    ends = days.closes[(days.closes > frame["ts_recv"].iloc[0]) & (days.closes <= frame["ts_recv"].iloc[-1])]
    assert found["ts_recv"].tolist() == ends.tolist()
    for session, close in list(ends.items())[1:]:
        inside = frame[(frame["ts_recv"] >= days.opens[session]) & (frame["ts_recv"] < close)]
        bar = found[found["ts_recv"] == close].iloc[0]
        bought = inside["qty"][inside["side"] > 0].sum()
        assert (bar["open"], bar["close"]) == (inside["price"].iloc[0], inside["price"].iloc[-1])
        assert (bar["high"], bar["low"]) == (inside["price"].max(), inside["price"].min())
        assert (bar["volume"], bar["trades"], bar["buy_volume"]) == (inside["qty"].sum(), len(inside), bought)


def test_bars_of_a_length_begin_anew_at_each_opening_and_end_with_the_session() -> None:
    frame = a_trade_every(10, "2023-11-20", "2023-11-28")
    found = bars_of(bars("2h", session="XNYS"), frame)
    ends = [f"{end:%d %H:%M}" for end in found["ts_recv"]]
    # 14:30 to 21:00 UTC; Thursday the 23rd is a holiday, Friday the 24th ends at 18:00.
    whole = ["16:30", "18:30", "20:30", "21:00"]
    assert ends == [
        *(f"{day} {end}" for day in (20, 21, 22) for end in whole), "24 16:30", "24 18:00", *(f"27 {end}" for end in whole),
    ]  # fmt: skip
    assert found["trades"].tolist()[:4] == [12, 12, 12, 3]
    assert set(found["close.reason"]) == {"VALID"}


def test_windows_and_replays_over_sessions_have_the_same_bits(tmp_path) -> None:
    frame = a_trade_every(7, "2023-11-01", "2023-12-31")
    table = pa.Table.from_pandas(frame, preserve_index=False)
    day = bars("1d", session="XNYS")
    graph = ss.FeatureGraph(
        name="days", on=trades,
        features={"step": day.close.diff(), "mean": day.volume.rolling(5).mean(), "half": bars("30m", session="XNYS").vwap},
    )  # fmt: skip
    path = tmp_path / "tape.parquet"
    writer = _core.TapeWriter(str(path))
    for batch in ss.read_table(table, kind="trades", instrument="X"):
        writer.write(batch)
    writer.finish()
    report = ss.parity(graph, path, snapshots=20)
    assert report.same, report.difference
    research = ss.compute(graph, table, instrument="X")
    assert research["mean"].drop_null().num_chunks and research["mean"].null_count < research.num_rows
    assert research.select(["step", "mean", "half"]).equals(ss.compute(graph, path).select(["step", "mean", "half"]))


def test_a_bar_is_fresh_until_the_next_session_ends() -> None:
    """On a Monday morning Friday's bar is not old: the next is due at Monday's close."""
    engine = ss.Engine(ss.FeatureGraph(name="g", on=trades, features={"close": bars("1d", session="XNYS").close}))
    frame = a_trade_every(60, "2023-11-16", "2023-11-20 23:00")
    found = {}
    for batch in ss.read_table(pa.Table.from_pandas(frame, preserve_index=False), kind="trades", instrument="X"):
        for vectors in engine.push_vectors(batch):
            for i in range(len(vectors)):
                row = vectors.row(i)
                found[row.ts_recv] = (row.age_recv_ns, row.invalid)
    sunday, monday = (pd.Timestamp(t, tz="UTC").value for t in ("2023-11-19 12:00", "2023-11-20 20:00"))
    assert found[sunday] == found[monday] == (0, 0)


def test_the_sessions_and_the_version_are_in_the_graph_and_its_digest() -> None:
    stream = bars("1d", session="NYSE")
    graph = ss.FeatureGraph(name="g", on=stream, features={"close": stream.close})
    assert repr(stream) == "bars('1d', session='XNYS')"
    import json

    plain = json.loads(graph.to_json())
    (held,) = plain["calendars"]
    assert (held["name"], held["version"]) == ("XNYS", f"exchange_calendars {xc.__version__}")
    assert ss.FeatureGraph.from_plain(plain).digest == graph.digest
    held["version"] += "!"
    assert ss.FeatureGraph.from_plain(plain).digest != graph.digest
    plain = json.loads(graph.to_json())
    plain["calendars"][0]["sessions"] = plain["calendars"][0]["sessions"].rpartition(" ")[0]
    assert ss.FeatureGraph.from_plain(plain).digest != graph.digest
    unused = {"name": "XLON", "version": "x", "sessions": "0+5*1"}
    plain = json.loads(graph.to_json())
    plain["calendars"].append(unused)
    assert ss.FeatureGraph.from_plain(plain).digest == graph.digest
    plain["calendars"] = [unused]
    with pytest.raises(ss.errors.GraphError, match="XNYS"):
        ss.FeatureGraph.from_plain(plain)


def test_the_runs_are_the_schedule() -> None:
    """What the graph carries is every session of the calendar, to the second."""
    found = []
    for run in calendar("XNYS")["sessions"].split():
        first, _, rest = run.partition("+")
        length, _, days = rest.partition("*")
        found += [(int(first) + 86_400 * k, int(first) + 86_400 * k + int(length)) for k in range(int(days))]
    days = xc.get_calendar("XNYS", start=FIRST, end=LAST)
    assert found == [(int(a.timestamp()), int(b.timestamp())) for a, b in zip(days.opens, days.closes, strict=True)]


def minutes_of(frame: pd.DataFrame, length: str) -> pa.Table:
    """Bars of a length of all trades, day and night, as a vendor has them: none where nothing was traded."""
    at = frame.set_index("ts_recv")
    bought = at["qty"].where(at["side"] > 0, 0.0)
    money = (at["price"] * at["qty"]).resample(length).sum()
    rows = at["price"].resample(length).ohlc()
    rows["volume"] = at["qty"].resample(length).sum()
    rows["vwap"] = money / rows["volume"]
    rows["trades"] = at["qty"].resample(length).count().astype(float)
    rows["buy_volume"] = bought.resample(length).sum()
    rows = rows[rows["trades"] > 0].rename_axis("ts_open").reset_index()
    return pa.Table.from_pandas(rows, preserve_index=False)


@pytest.mark.parametrize("length", ["1d", "2h", "30m"])
def test_bars_in_sessions_are_made_of_shorter_rows(length: str, tmp_path: Path) -> None:
    """What lies between sessions is in none; a half day, a holiday and weekends. Of a table and of a tape they are the same."""
    frame = a_trade_every(5, "2023-11-17 15:00", "2023-11-28")
    stream = bars(length, session="XNYS")
    graph = ss.FeatureGraph(name="bars", on=stream, features={name: getattr(stream, name) for name in FIELDS})
    built = ss.compute(graph, pa.Table.from_pandas(frame, preserve_index=False), instrument="X", reasons=True)
    rows = minutes_of(frame, "10min")
    joined = ss.compute(graph, rows, instrument="X", length="10m", reasons=True)
    assert joined.num_rows == built.num_rows > 5
    # The first session began before the first row.
    assert joined["close.reason"].to_pylist() == built["close.reason"].to_pylist()
    for name in ("ts_recv", *FIELDS):
        expected, found = (table[name].to_pylist() for table in (built, joined))
        if name == "ts_recv" or name in ("open", "high", "low", "close", "trades"):
            assert found == expected, name
        else:
            told = [(a, b) for a, b in zip(found, expected, strict=True) if b is not None]
            assert [a is None for a in found] == [b is None for b in expected]
            assert [a for a, _ in told] == pytest.approx([b for _, b in told], rel=1e-12), name
    path = tmp_path / "rows.parquet"
    write(path, ss.read_table(rows, kind="bars", length="10m", instrument="X"))
    taped = ss.compute(graph, path, reasons=True)
    for name in FIELDS:
        assert taped[name].equals(joined[name]), name
    assert ss.parity(graph, path, snapshots=20).same


def write(path: Path, batches: Iterator[_core.EventBatch]) -> None:
    writer = _core.TapeWriter(str(path))
    for batch in batches:
        writer.write(batch)
    writer.finish()


def test_a_session_whose_minute_is_missing_is_a_gap_and_without_its_last_there_is_none() -> None:
    frame = a_trade_every(5, "2023-11-20", "2023-11-23")
    day = bars("1d", session="XNYS")
    graph = ss.FeatureGraph(name="day", on=day, features={"v": day.volume})
    rows = minutes_of(frame, "30min").to_pandas()
    at = rows["ts_open"]
    there = (at != "2023-11-20 18:00") & (at != "2023-11-21 20:30")
    table = pa.Table.from_pandas(rows[there], preserve_index=False)
    found = ss.compute(graph, table, instrument="X", length="30m", missing_bars="skip", reasons=True).to_pandas()
    assert [f"{end:%d %H}" for end in found["ts_recv"]] == ["20 21", "22 21"]
    assert found["v.reason"].tolist() == ["GAP", "VALID"]


def test_rows_that_reach_over_the_close_make_no_sessions() -> None:
    rows = minutes_of(a_trade_every(5, "2023-11-20", "2023-11-23"), "1h")
    day = bars("1d", session="XNYS")
    graph = ss.FeatureGraph(name="day", on=day, features={"v": day.volume})
    with pytest.raises(
        DataError, match="sessions of XNYS, which do not begin and end with rows of 1h: give shorter rows"
    ):
        ss.compute(graph, rows, instrument="X", length="1h")
