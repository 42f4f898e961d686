"""Tables as people have them: other separators, decimal commas, times in text, stray dates. Read, or refused with what helps."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

import signal_stream as ss
from signal_stream import _core, bars, trades
from signal_stream.errors import DataError
from signal_stream.ingest import RefusedLines

CLOSE = ss.FeatureGraph(name="g", on=bars("1m"), features={"close": bars("1m").close})
COLUMNS = {"ts_open": "time", "close": "c"}
TIMES = ["2024-01-01T00:00:00Z", "2024-01-01T00:01:00Z", "2024-01-01T00:02:00Z"]


def close_of(data: object, **options: object) -> list[float]:
    return ss.compute(CLOSE, data, columns=COLUMNS, instrument="X", **options)["close"].to_pylist()


def closes(path: Path, columns: dict[str, str]) -> list[float]:
    graph = ss.FeatureGraph(name="g", on=bars("1d"), features={"close": bars("1d").close})
    return ss.compute(graph, path, columns=columns, instrument="X")["close"].to_pylist()


def written(tmp_path: Path, cells: list[str], separator: str = ",", times: list[str] = TIMES) -> Path:
    path = tmp_path / "table.csv"
    rows = [f"{time}{separator}{cell}" for time, cell in zip(times, cells, strict=True)]
    path.write_text("\n".join([f"time{separator}c", *rows]) + "\n")
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_header_says_what_separates_cells(tmp_path: Path, separator: str) -> None:
    assert close_of(written(tmp_path, ["1.5", "2", "2.25"], separator)) == [1.5, 2.0, 2.25]


MIXED = "time;c, EUR;c, USD\n2024-01-01;1,5;2,5\n2024-01-02;{};2,5\n"
EUROS = {"ts_open": "time", "close": "c, EUR"}


def test_rows_decide_where_a_header_has_several_marks(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(MIXED.format("1"))
    assert closes(path, EUROS) == [1.5, 1.0]
    path.write_text("time,c;adj,n\n2024-01-01,1.5,2\n2024-01-02,2.5,3\n")
    assert closes(path, {"ts_open": "time", "close": "c;adj"}) == [1.5, 2.5]
    path.write_text(MIXED.format("1,25"))
    with pytest.raises(DataError) as caught:
        closes(path, EUROS)
    assert "may be separated by ',' and ';': header and rows have as many of each" in str(caught.value)
    path.write_text(path.read_text().replace("c, EUR", '"c, EUR"'))
    assert closes(path, EUROS) == [1.5, 1.25]


def test_decimal_commas_are_read_where_they_can_be_nothing_else(tmp_path: Path) -> None:
    assert close_of(written(tmp_path, ["1,5", "2", "1,125"], ";")) == [1.5, 2.0, 1.125]
    with pytest.raises(DataError, match=r"'1,500' may be 1500 or 1\.500"):
        close_of(written(tmp_path, ["1,500", "2", "1,125"], ";"))
    with pytest.raises(DataError, match="Its comma may be a decimal one"):
        close_of(written(tmp_path, ['"1,5"', '"2,5"', '"1,1"']))


@pytest.mark.parametrize(
    "times",
    [
        [time.replace("Z", " UTC") for time in TIMES],
        [time.replace("T", " ").replace("Z", "+00:00") for time in TIMES],
        [f"2024-01-01T02:0{minute}:00.000000000+0200" for minute in range(3)],
        [f"2024-01-01 02:0{minute}:00 +02:00" for minute in range(3)],
        [time.removesuffix("Z") for time in TIMES],
    ],
)
@pytest.mark.parametrize("whole", [pa.string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())])
def test_times_in_text_are_moments(times: list[str], whole: pa.DataType) -> None:
    found = ss.compute(
        CLOSE, pa.table({"time": pa.array(times).cast(whole), "c": [1.0, 2.0, 3.0]}), columns=COLUMNS, instrument="X"
    )
    ends = pd.date_range("2024-01-01T00:01:00Z", periods=3, freq="min")
    assert found["ts_recv"].to_pandas().tolist() == ends.tolist()


REFUSED = {
    "another form": (["01/02/2024 00:00", "01/02/2024 00:01"], "Write 2024-06-28T08:00:00Z"),
    "a day": (["2024-01-01", "2024-01-02"], "A day is no moment"),
    "a number": (["1704067200", "1704067260"], "Make it a column of whole numbers"),
    "a zone once": (["2024-01-01T00:00:00Z", "2024-01-01T00:01:00"], "row 2: '2024-01-01T00:01:00' states no zone"),
    "a zone later": (["2024-01-01T00:00:00", "2024-01-01T00:01:00Z"], "row 2: '2024-01-01T00:01:00Z' states a zone"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_text_that_is_no_time_is_told_how_to_be_one(name: str) -> None:
    times, told = REFUSED[name]
    with pytest.raises(DataError, match=told):
        close_of(pa.table({"time": times, "c": [1.0] * len(times)}))


def test_what_text_states_of_its_zone_holds_in_every_piece() -> None:
    first = pa.table({"time": TIMES[:2], "c": [1.0, 2.0]})
    second = pa.table({"time": [TIMES[2].removesuffix("Z")], "c": [3.0]})
    with pytest.raises(DataError, match=r"row 3: .* states no zone, as the rows before do"):
        close_of(pa.concat_tables([first, second]))
    engine = ss.Engine(CLOSE, columns=COLUMNS, instrument="X")
    engine.push(first)
    with pytest.raises(DataError, match="states no zone"):
        engine.push(second)


STRAY = 1_700_000_040


@pytest.mark.parametrize("stream", [bars("1s"), ss.every("1s")])
def test_a_stray_date_does_not_become_bars_without_number(stream: object) -> None:
    times = [STRAY, STRAY + 1, STRAY + 20 * 365 * 86_400]
    rows = {"ts_recv": times, "price": [1.0] * 3, "qty": [1.0] * 3}
    graph = ss.FeatureGraph(name="g", on=stream, features={"x": trades.price})  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"row 3: .* at 2043.* 20 years after the row before it, at 2023-11") as caught:
        ss.compute(graph, pa.table(rows), instrument="X")
    assert 'missing_bars="7300d"' in caught.value.next_step


def test_a_stray_row_of_bars_is_refused_where_bars_stand_for_missing_rows() -> None:
    table = pa.table(
        {"ts_open": [STRAY, STRAY + 1, STRAY + 40 * 86_400], "close": [1.0] * 3, "instrument": ["A", "A", "B"]}
    )
    graph = ss.FeatureGraph(name="g", on=bars("1s"), features={"close": bars("1s").close})
    for run in (
        lambda **options: ss.compute(graph, table, **options),
        lambda **options: ss.read_table(table, kind="bars", length="1s", **options),
        lambda **options: ss.Engine(graph, **options).push(table),
    ):
        with pytest.raises(DataError, match=r"row 3: .* 40 days after the row before it.* at most") as caught:
            run()
        assert 'missing_bars="40d" (--missing-bars)' in caught.value.next_step
        with pytest.raises(DataError, match=r"row 3: .* 5 days without rows"):
            run(missing_bars="5d")
    assert ss.compute(graph, table, missing_bars="skip").num_rows == 3
    sizes = [batch.messages for batch in ss.read_table(table.slice(0, 2), kind="bars", length="1s", missing_bars="41d")]
    assert sum(sizes) == 4
    with pytest.raises(DataError, match='missing_bars is "often"'):
        ss.compute(graph, table, missing_bars="often")


HOSTILE = {
    "": "is empty", " A": "begins or ends", "A\n": "holds a line end", "A\u202eB": "cannot be seen", "A\0": "control character",
    "x" * 10_000: "more than 200 characters",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE, ids=[repr(name[:12]) for name in HOSTILE])
def test_a_hostile_id_is_refused_wherever_it_comes_from(tmp_path: Path, name: str) -> None:
    from signal_stream.ingest.instruments_file import read_instruments

    times = [STRAY, STRAY + 60]
    table = pa.table({"ts_open": times, "close": [1.0, 2.0], "instrument": ["A", name]})
    with pytest.raises(DataError, match=HOSTILE[name]) as caught:
        ss.compute(CLOSE, table)
    assert "row 2" in caught.value.where
    assert len(str(caught.value)) < 400
    assert "\n" not in caught.value.message
    with pytest.raises(DataError, match="names nothing|" + HOSTILE[name]):
        ss.compute(CLOSE, table.drop_columns("instrument"), instrument=name)
    with pytest.raises(ss.errors.GraphError, match="instrument"):
        ss.instrument(name)
    file = tmp_path / "instruments.parquet"
    pa.parquet.write_table(pa.table({"id": [name or " "]}), file)
    with pytest.raises(DataError, match="begins or ends|" + HOSTILE[name]):
        read_instruments(file)


def test_rows_that_come_too_late_are_counted_and_on_a_tape_they_amend(tmp_path: Path) -> None:
    known = [STRAY + 1, STRAY + 11, STRAY + 21, STRAY + 22]
    happened = [STRAY, STRAY + 10, STRAY + 20, STRAY + 5]
    rows = pa.table({"ts_event": happened, "ts_recv": known, "price": [1.0, 2.0, 3.0, 4.0], "qty": [1.0] * 4})
    graph = ss.FeatureGraph(name="g", on=trades, axis="event", features={"price": trades.price})
    with pytest.warns(RefusedLines, match="1 row came later than lateness allows, and was left out"):
        ss.compute(graph, rows, instrument="X", lateness="1s")
    with pytest.raises(DataError, match="amend_within is for tapes"):
        ss.compute(graph, rows, instrument="X", lateness="1s", amend_within="5m")
    tape = tmp_path / "late.parquet"
    writer = _core.TapeWriter(str(tape))
    for batch in ss.read_table(pa.concat_tables([rows, _later(rows)]), kind="trades", instrument="X"):
        writer.write(batch)
    writer.finish()
    found = ss.compute(graph, tape, lateness="1s", amend_within="5m").to_pylist()
    assert [each["price"] for each in found if each["revision"] == 1] == [4.0]


def _later(rows: pa.Table) -> pa.Table:
    """A row behind which the late one takes its place."""
    return (
        rows.slice(0, 1)
        .set_column(0, "ts_event", pa.array([STRAY + 60]))
        .set_column(1, "ts_recv", pa.array([STRAY + 61]))
    )
