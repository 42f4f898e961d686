"""Functions of time, against exchange_calendars' own schedule: half days, holidays, changes of summer time, weekends."""

from __future__ import annotations

import json

import exchange_calendars as xc
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import signal_stream as ss
from signal_stream import _core, every, trades
from signal_stream.errors import GraphError
from signal_stream.features.sessions import LAST

FIRST, END = "2023-10-20", "2024-04-05"
# Thanksgiving and its half day, Christmas, and the changes of clocks in October, November and March.


def moments(minutes: int) -> pd.DatetimeIndex:
    """Day and night, and the openings and closes of New York to the nanosecond."""
    even = pd.date_range(FIRST, END, freq=f"{minutes}min", tz="UTC", unit="ns")
    days = xc.get_calendar("XNYS", start="2023-10-19", end="2024-04-10")
    edges = pd.DatetimeIndex([*days.opens[1:-4], *days.closes[1:-4]]).as_unit("ns")
    beside = edges.union(edges + pd.Timedelta(1, "ns")).union(edges - pd.Timedelta(1, "ns"))
    return even.union(beside)


def told(features: dict[str, ss.Expression], at: pd.DatetimeIndex) -> pd.DataFrame:
    graph = ss.FeatureGraph(name="time", on=trades, features=features)
    frame = pd.DataFrame({"ts_recv": at, "price": 1.0, "qty": 1.0})
    return ss.compute(graph, pa.Table.from_pandas(frame, preserve_index=False), instrument="X").to_pandas()


@pytest.mark.parametrize("venue", ["XNYS", "XLON", "CMES", "XTKS", "24/7"])
def test_times_are_those_of_the_schedule(venue: str) -> None:
    here = ss.session(venue)
    features = {
        "is_open": here.is_open(), "is_half_day": here.is_half_day(), "since": here.minutes_since_open(),
        "left": here.minutes_to_close(), "next": here.minutes_to_open(), "phase": here.phase(), "weekday": here.weekday(),
        "sin": here.phase_sin(), "cos": here.phase_cos(), "state": here.state(pre="90m"),
    }  # fmt: skip
    at = moments(7)
    found = told(features, at)
    days = xc.get_calendar(venue, start="2023-08-01", end="2024-06-30")
    opens, closes = (edge.dt.as_unit("ns").astype("int64").to_numpy() for edge in (days.opens, days.closes))
    t = at.astype("int64").to_numpy()
    # The session that has opened last, and the next one that has not closed: the schedule looked up another way.
    last = np.searchsorted(opens, t, side="right") - 1
    inside = t <= closes[last]
    coming = np.where(inside, last, last + 1)
    wanted = pd.DataFrame(
        {
            "is_open": inside.astype(float),
            "is_half_day": np.isin(days.sessions[coming], days.early_closes).astype(float),
            "since": np.where(inside, (t - opens[last]) / 60e9, np.nan),
            "left": np.where(inside, (closes[last] - t) / 60e9, np.nan),
            "next": (opens[last + 1] - t) / 60e9,
            "phase": np.where(inside, (t - opens[last]) / (closes[last] - opens[last]), np.nan),
            "weekday": days.sessions[coming].day_of_week.to_numpy().astype(float),
        }
    )
    pd.testing.assert_frame_equal(found[wanted.columns.tolist()], wanted, check_exact=True)
    angle = 2 * np.pi * wanted["phase"]
    np.testing.assert_allclose(found[["sin", "cos"]], np.column_stack([np.sin(angle), np.cos(angle)]), atol=1e-15)
    state = np.where(inside, 2 + wanted["is_half_day"], (wanted["next"] <= 90).astype(float))
    assert found["state"].tolist() == state.tolist()


def test_trading_time_to_an_expiry_is_the_minutes_of_the_schedule() -> None:
    expiry = "2023-11-24T21:00:00Z"  # after the close of a half day
    here = ss.session("XNYS")
    at = moments(61)
    at = at[at <= pd.Timestamp(expiry)]
    features = {
        "open": here.minutes_until(expiry), "years": here.years_until(expiry), "all": ss.minutes_until(expiry),
        "calendar_years": ss.years_until(expiry), "own": here.years_until(expiry, minutes_a_year=1000),
    }  # fmt: skip
    found = told(features, at)
    days = xc.get_calendar("XNYS", start="2023-10-19", end="2024-01-10")
    sessions = list(zip(days.opens, days.closes, strict=True))
    for k in range(0, len(at), 5):
        left = [min(c, pd.Timestamp(expiry)) - max(o, at[k]) for o, c in sessions]
        minutes = sum(span.value for span in left if span.value > 0) / 60e9
        assert found["open"][k] == minutes
        assert found["years"][k] == minutes / (252 * 390)
        assert found["own"][k] == minutes / 1000
    calendar = (pd.Timestamp(expiry).value - at.astype("int64").to_numpy()) / 60e9
    assert found["all"].tolist() == calendar.tolist()
    assert found["calendar_years"].tolist() == (calendar / (365 * 24 * 60)).tolist()


def test_of_several_times_the_next_one_counts() -> None:
    at = moments(61)
    meetings = at[[5, 0, len(at) // 2]]
    found = told({"next": ss.minutes_until(*meetings), "open": ss.session("24/7").minutes_until(*meetings)}, at)
    left = np.array([[(m - t).value / 60e9 for m in meetings] for t in at])
    wanted = np.where(left < 0, np.inf, left).min(axis=1)
    wanted[np.isinf(wanted)] = np.nan
    np.testing.assert_array_equal(found["next"], wanted)
    np.testing.assert_array_equal(found["open"], wanted)


def test_after_its_time_and_outside_of_what_is_known_nothing_is_said() -> None:
    at = pd.DatetimeIndex(["1999-06-01", "2023-11-22", "2023-11-25", "2044-01-04"], tz="UTC").as_unit("ns")
    here = ss.session("XNYS")
    features = {
        "open": here.is_open(),
        "left": here.minutes_until("2023-11-24T21:00:00Z"),
        "all": ss.minutes_until(at[1]),
    }
    found = told(features, at)
    assert found["open"].isna().tolist() == [True, False, False, True]
    assert found["left"].isna().tolist() == [True, False, True, True]
    assert found["all"].isna().tolist() == [False, False, True, True]


@pytest.mark.parametrize("on", [every("10m"), trades, ss.bars("1h")], ids=repr)
def test_live_history_and_restored_engines_tell_the_same_time(on, tmp_path) -> None:
    frame = pd.DataFrame({"ts_recv": pd.date_range("2023-11-22", "2023-11-28", freq="7min", tz="UTC", unit="ns")})
    n = np.arange(len(frame))
    frame = frame.assign(price=100.0 + n % 17, qty=1.0 + n % 5)
    here = ss.session("XNYS")
    features = {
        "phase": here.phase(),
        "left": here.years_until("2023-11-24T18:00:00Z"),
        # At the trades' own times, and remembered there.
        "flow": (trades.qty * here.is_open().at(trades)).rolling(20).sum(),
        "crossed": trades.price * here.is_open() + here.weekday().rolling(3).mean(),
        "shift": here.minutes_to_open().shift(2),
    }
    graph = ss.FeatureGraph(name="time", on=on, features=features)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    path = tmp_path / "tape.parquet"
    writer = _core.TapeWriter(str(path))
    for batch in ss.read_table(table, kind="trades", instrument="X"):
        writer.write(batch)
    writer.finish()
    report = ss.parity(graph, path, snapshots=20)
    assert report.same, report.difference
    made = ss.compute(graph, path).drop_columns(["instrument"])
    assert made.num_rows > 20
    assert ss.compute(graph, table, instrument="X").select(list(features)).equals(made.select(list(features)))


def test_a_calendar_is_in_the_digest_of_a_function_of_it() -> None:
    one, other = (ss.FeatureGraph(name="t", on=trades, features={"x": ss.session(v).phase()}) for v in ("XNYS", "XLON"))
    plain = json.loads(one.to_json())
    assert [each["name"] for each in plain["calendars"]] == ["XNYS"]
    plain["calendars"][0]["version"] = "of another day"
    assert len({one.digest, other.digest, ss.FeatureGraph.from_plain(plain).digest}) == 3


def test_what_is_no_time_or_lies_too_far_ahead_is_refused() -> None:
    for at in ("tomorrow", "2026-12-18T21:00:00", 5, None):
        with pytest.raises(GraphError, match="at is") as raised:
            ss.minutes_until(at)
        assert "with its zone" in raised.value.next_step
    far = ss.session("XNYS").minutes_until(f"{int(LAST[:4]) + 1}-06-01T00:00:00Z")
    with pytest.raises(GraphError, match="behind the last session of XNYS"):
        ss.FeatureGraph(name="far", on=trades, features={"x": far})
    with pytest.raises(GraphError, match="no calendar"):
        ss.session("XNIS")
    with pytest.raises(GraphError, match="minutes_to_close"):
        ss.session("XNYS").minutes_to_clos()


def test_every_function_of_time_is_compared() -> None:
    """The core's list of them, against what the first two tests compare."""
    rows = {row["name"] for row in json.loads(_core.operators()) if row["family"] == "time"}
    assert rows == {
        "is_open", "is_half_day", "minutes_since_open", "minutes_to_close", "minutes_to_open", "phase", "weekday",
        "open_minutes_until", "minutes_until",
    }  # fmt: skip
