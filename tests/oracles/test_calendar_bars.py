"""Bars of weeks and months, against pandas: of trades, of days and hours, of tapes; stamped at their ends, empty ones too."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import signal_stream as ss
from signal_stream import _core, bars
from signal_stream.errors import DataError, GraphError
from signal_stream.features import periods

FIELDS = ("open", "high", "low", "close", "volume", "vwap", "trades", "buy_volume")
RULES = {"1w": "W-MON", "1mo": "MS", "3mo": "QS", "12mo": "YS"}
HOLE = slice("2023-10-01", "2024-01-21")
"""Without trades: whole months, and a quarter's end."""


def graph_of(length: str) -> ss.FeatureGraph:
    stream = bars(length)
    return ss.FeatureGraph(name="bars", on=stream, features={name: getattr(stream, name) for name in FIELDS})


def trades_of() -> pd.DataFrame:
    """A trade every few hours for more than two years, none in the hole, and one at each side of each turn of a month."""
    t = pd.date_range("2023-01-17", "2025-03-05", freq="7h", tz="UTC", unit="ns")
    turns = pd.date_range("2023-02-01", "2025-03-01", freq="MS", tz="UTC", unit="ns")
    t = t.union(turns).union(turns - pd.Timedelta(1, "ns")).as_unit("ns")
    t = t.delete(t.slice_indexer(HOLE.start, HOLE.stop))
    n = np.arange(len(t))
    return pd.DataFrame({"ts_recv": t, "price": 100.0 + n % 17, "qty": 1.0 + n % 5, "side": np.where(n % 3, 1.0, -1.0)})


def resampled(frame: pd.DataFrame, length: str) -> pd.DataFrame:
    """pandas' bars, by their ends; without the first, whose beginning nobody saw, and the last, which has not ended."""
    own = frame.assign(money=frame["price"] * frame["qty"], bought=frame["qty"].where(frame["side"] > 0, 0.0))
    grouped = own.set_index("ts_recv").resample(RULES[length], closed="left", label="left")
    found = grouped["price"].ohlc()
    found["volume"], found["trades"] = grouped["qty"].sum(), grouped["price"].count().astype(float)
    found["vwap"] = (grouped["money"].sum() / found["volume"]).where(found["volume"] > 0)
    found["buy_volume"] = grouped["bought"].sum()
    ends = found.index[1:]
    return found.iloc[1:-1].set_axis(ends[1:])


def same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert found["ts_recv"].tolist() == expected.index.tolist()
    empty = expected["trades"] == 0
    assert found["close.reason"].tolist() == np.where(empty, "EMPTY", "VALID").tolist()
    for name in FIELDS:
        np.testing.assert_allclose(
            found[name].to_numpy(float), expected[name].to_numpy(float), rtol=1e-12, err_msg=name
        )


@pytest.mark.parametrize("length", RULES)
def test_of_trades_they_are_those_of_pandas(length: str) -> None:
    frame = trades_of()
    table = pa.Table.from_pandas(frame, preserve_index=False)
    found = ss.compute(graph_of(length), table, instrument="X", reasons=True).to_pandas()
    assert found["close.reason"].iloc[0] == "WARMUP"
    expected = resampled(frame, length)
    same(found.iloc[1:], expected)
    assert length == "12mo" or (expected["trades"] == 0).any(), "the hole has bars"


def rows_of(frame: pd.DataFrame, length: str) -> pa.Table:
    """Bars of this length, those without trades too."""
    own = frame.assign(money=frame["price"] * frame["qty"], bought=frame["qty"].where(frame["side"] > 0, 0.0))
    grouped = own.set_index("ts_recv").resample(length)
    rows = grouped["price"].ohlc()
    rows["volume"], rows["trades"] = grouped["qty"].sum(), grouped["price"].count()
    rows["vwap"] = (grouped["money"].sum() / rows["volume"]).where(rows["volume"] > 0)
    rows["buy_volume"] = grouped["bought"].sum()
    return pa.Table.from_pandas(rows.reset_index(names="ts_open"), preserve_index=False)


@pytest.mark.parametrize("length", RULES)
@pytest.mark.parametrize(("rows", "pandas"), [("1d", "1D"), ("12h", "12h")])
def test_of_days_and_hours_they_are_those_of_the_trades(length: str, rows: str, pandas: str) -> None:
    frame = trades_of()
    table = rows_of(frame, pandas)
    found = ss.compute(graph_of(length), table, instrument="X", length=rows, reasons=True).to_pandas()
    expected = resampled(frame, length)
    same(found[found["close.reason"] != "WARMUP"], expected)
    # Days that a table leaves out are days without trades where that is said.
    traded = table.filter(pa.compute.greater(table["trades"], 0))
    assert traded.num_rows < table.num_rows
    short = ss.compute(graph_of(length), traded, instrument="X", length=rows, missing_bars="empty", reasons=True)
    same(short.to_pandas()[short.to_pandas()["close.reason"] != "WARMUP"], expected)


def test_of_a_tape_they_are_the_same_live_and_at_once(tmp_path: Path) -> None:
    frame = trades_of()
    for kind, table, options in (
        ("trades", pa.Table.from_pandas(frame, preserve_index=False), {}),
        ("bars", rows_of(frame, "1D"), {"length": "1d"}),
    ):
        path = tmp_path / f"{kind}.parquet"
        writer = _core.TapeWriter(str(path))
        for batch in ss.read_table(table, kind=kind, instrument="X", **options):
            writer.write(batch)
        writer.finish()
        month = bars("1mo")
        graph = ss.FeatureGraph(
            name="months", on=month, features={"step": month.close.diff(), "mean": month.volume.rolling(3).mean()}
        )
        at_once = ss.compute(graph, table, instrument="X", **options)
        assert at_once.num_rows >= 25
        assert ss.compute(graph, path).select(["step", "mean"]).equals(at_once.select(["step", "mean"]))
        assert ss.parity(graph, path, snapshots=20).same


def test_months_are_data_of_the_graph_and_have_their_names_in_text() -> None:
    graph = graph_of("1mo")
    assert repr(bars("1mo")) == "bars('1mo')"
    assert "bars(1mo)" in str(graph.explain())
    assert ss.FeatureGraph.from_plain(json.loads(graph.to_json())).digest == graph.digest
    assert graph_of("1w").digest != graph.digest
    days = pd.date_range(f"{periods.YEARS[0]}-01-01", f"{periods.YEARS[1] + 1}-01-01", freq="MS", tz="UTC").as_unit("s")
    edges = [(open_s, open_s + length_s) for open_s, length_s in spans("1mo")]
    assert edges == list(zip(days.astype(int)[:-1], days.astype(int)[1:], strict=True))


def spans(period: str) -> list[tuple[int, int]]:
    found = []
    for run in periods.spans_text(period).split():
        open_s, rest = run.split("+")
        length_s, count = map(int, rest.split("*"))
        found += [(int(open_s) + n * length_s, length_s) for n in range(count)]
    return found


REFUSED = {
    "2w": 'One week is a bar, "1w"', "5mo": "So many are a bar: 1, 2, 3, 4, 6, 12", "1w3d": "Weeks and months stand alone",
    "1mo1d": "Weeks and months stand alone", "99999mo": "Weeks and months stand alone",
    "1 month": 'here "1mo"', "y": 'here "12mo"', "MS": 'here "1mo"', "week": 'here "1w"',
}  # fmt: skip


@pytest.mark.parametrize("length", REFUSED)
def test_what_is_no_week_or_month_is_refused(length: str) -> None:
    with pytest.raises(GraphError) as caught:
        bars(length)
    assert REFUSED[length] in str(caught.value)


def test_what_goes_with_no_week_or_month_is_refused() -> None:
    with pytest.raises(GraphError, match="Weeks and months are of the calendar, in UTC"):
        bars("1mo", session="XNYS")
    rows = rows_of(trades_of(), "1D")
    with pytest.raises(
        DataError, match=r"reads bars\(1mo\), which are made of days or of parts of a day: say how long"
    ):
        ss.compute(graph_of("1mo"), rows, instrument="X")
    with pytest.raises(DataError, match=r"and the rows are bars of 7d: say how long"):
        ss.compute(graph_of("1mo"), rows, instrument="X", length="7d")


def test_weeks_of_days_without_sundays_are_refused_where_none_ends() -> None:
    days = pd.date_range("2024-01-01", "2024-03-01", freq="B", tz="UTC", unit="ns")
    table = pa.table({"ts_open": days, "close": np.arange(len(days), dtype=float)})
    graph = ss.FeatureGraph(name="g", on=bars("1d"), features={"week": bars("1w").close})
    for way in (None, "skip"):
        with pytest.raises(DataError, match="none of them ends") as refused:
            ss.compute(graph, table, instrument="X", missing_bars=way)
        assert 'missing_bars="empty"' in str(refused.value) and "ts_open" in str(refused.value)
    assert ss.compute(graph, table, instrument="X", missing_bars="empty")["week"].drop_null().length() > 0
    assert ss.compute(graph, table.slice(0, 6), instrument="X")["week"].null_count == 6, "too few to tell"
    whole = pa.table(
        {"ts_open": pd.date_range("2024-01-01", "2024-03-01", tz="UTC", unit="ns"), "close": np.arange(61.0)}
    )
    for rows in (2, 61):
        pieces = whole.to_batches(max_chunksize=rows)
        found = ss.compute(graph, pa.Table.from_batches(pieces), instrument="X")
        assert found["week"].drop_null().length() > 0, "days without a hole end weeks"
