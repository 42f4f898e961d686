"""Tables of what instruments are, and of numbers about them, as tapes."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import csv

import signal_stream as ss
from signal_stream import _core
from signal_stream.errors import DataError
from signal_stream.ingest.instruments_file import read_instruments
from signal_stream.ingest.tape_instruments import tape_instruments
from signal_stream.ingest.venue_instruments import write_instruments

JANUARY, MAY = (datetime(2024, month, 1, tzinfo=UTC) for month in (1, 5))
TERMS = {
    "id": ["BTC-C.D", "BTC.D", "BTC.D"], "kind": ["option", "spot", "spot"], "tick": [0.5, 0.01, 0.1], "lot": [None, 1e-8, None],
    "since": [JANUARY, JANUARY, MAY], "K": [30000.0, math.nan, None],
    "expiry": [datetime(2024, 6, 28, 8, tzinfo=UTC), None, None],
    "right": ["call", "", None], "underlying": ["BTC.D", None, None], "currency": ["USD"] * 3,
}  # fmt: skip
COLUMNS = {"valid_from": "since", "strike": "K"}


def tape_of(tmp_path: Path, batches: list[_core.EventBatch]) -> Path:
    path = tmp_path / "tape.parquet"
    writer = _core.TapeWriter(str(path))
    for batch in batches:
        writer.write(batch)
    writer.finish()
    return path


def ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 10**9


@pytest.mark.parametrize("form", ["frame", "csv", "shuffled"])
def test_definitions_are_messages_at_the_moment_from_which_they_hold(tmp_path: Path, form: str) -> None:
    data: object = pa.table(TERMS)
    if form == "shuffled":
        data = data.take([2, 0, 1])  # type: ignore[attr-defined]
    if form == "csv":
        csv.write_csv(data, tmp_path / "terms.csv")
        data = tmp_path / "terms.csv"
    tape = tape_of(tmp_path, list(ss.read_table(data, kind="definitions", columns=COLUMNS)))
    [batch] = ss.read_tape(tape)
    rows = pa.table(batch.records("definition")).to_pylist()
    assert [(row["instrument"], row["ts_recv"].value) for row in rows] == [
        ("BTC-C.D", ns(JANUARY)), ("BTC.D", ns(JANUARY)), ("BTC.D", ns(MAY))
    ]  # fmt: skip
    assert [(row["kind"], row["tick"], row["strike"]) for row in rows] == [
        ("option", "0.5", "30000"), ("spot", "0.01", None), ("spot", "0.1", None)
    ]  # fmt: skip
    assert batch.definition("BTC.D", ns(MAY) - 1)["lot"] == "0.00000001"
    assert "lot" not in batch.definition("BTC.D", ns(MAY))
    # What the tape says is an instruments file, and says the same again.
    for name in ("instruments.toml", "instruments.parquet"):
        write_instruments(tmp_path / name, tape_instruments(tape))
        known = read_instruments(tmp_path / name)
        [again] = ss.read_tape(tape, instruments=tmp_path / name)
        assert again.definition("BTC.D", ns(MAY)) == batch.definition("BTC.D", ns(MAY)), known


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"kind": ["option", "spot", "swap"]}, "kind"),
        ({"since": [JANUARY, JANUARY, None]}, "row 3: .*no valid_from|row 3.*it has no valid_from"),
        ({"id": ["A", "B ", "C"]}, 'row 2: the instrument "B " begins or ends'),
        ({"K": [None, None, None]}, "strike"),
        ({"since": [JANUARY, MAY, MAY]}, "valid_from is not after"),
    ],
)
def test_definitions_that_say_nothing_sensible_are_refused(change: dict[str, list[object]], told: str) -> None:
    with pytest.raises(DataError, match=told):
        ss.read_table(pa.table(TERMS | change), kind="definitions", columns=COLUMNS)


def test_definitions_need_to_know_since_when() -> None:
    with pytest.raises(DataError, match="definitions need valid_from") as caught:
        ss.read_table(pa.table(TERMS), kind="definitions", columns={"strike": "K"})
    assert "[source] instruments" in caught.value.next_step
    with pytest.raises(DataError, match="latency is given, which definitions do not have"):
        ss.read_table(pa.table(TERMS), kind="definitions", latency="1s")
    with pytest.raises(DataError, match='unknown key "strik"'):
        ss.read_table(pa.table(TERMS), kind="definitions", columns={"strik": "K"})


T = 1_704_067_200
NUMBERS = {
    "ts": [T, T, T + 1], "who": ["A.X", "B.X", "A.X"], "mark_price": [1.5, 20.0, None], "oi": [10.0, None, 11.5],
    "funding_rate": [1e-4, None, -2e-4], "next": [T + 3600, None, T + 7200],
}  # fmt: skip
NAMES = {"ts_event": "ts", "instrument": "who", "open_interest": "oi", "next_funding_ns": "next"}


@pytest.mark.parametrize("form", ["frame", "csv"])
def test_reference_data_are_messages(tmp_path: Path, form: str) -> None:
    data: object = pa.table(NUMBERS)
    if form == "csv":
        csv.write_csv(data, tmp_path / "numbers.csv")
        data = tmp_path / "numbers.csv"
    tape = tape_of(tmp_path, list(ss.read_table(data, kind="reference", columns=NAMES, latency="20ms")))
    [batch] = ss.read_tape(tape)
    found = pa.table(batch.records("reference")).to_pylist()
    names = ("instrument", "mark_price", "open_interest", "funding_rate", "next_funding_ns")
    assert [tuple(row[name] for name in names) for row in found] == [
        ("A.X", 1_500_000_000, 10_000_000_000, 1e-4, (T + 3600) * 10**9),
        ("B.X", 20_000_000_000, None, None, None),
        ("A.X", None, 11_500_000_000, -2e-4, (T + 7200) * 10**9),
    ]
    assert [row["ts_recv"].value - row["ts_event"].value for row in found] == [20_000_000] * 3


def test_each_field_of_reference_data_stands_where_a_tape_has_it(tmp_path: Path) -> None:
    from signal_stream.research.reference_rows import FIELDS

    numbers = {field: [float(place + 1)] for place, field in enumerate(FIELDS) if field != "next_funding_ns"}
    table = pa.table({"ts_recv": [T], **numbers, "next_funding_ns": [T * 10**9]})
    [batch] = ss.read_table(table, kind="reference", instrument="A.X")
    [row] = pa.table(batch.records("reference")).to_pylist()
    scale = {"price": 10**9, "qty": 10**9, "value": 1}
    for field, [value] in numbers.items():
        assert row[field] == value * scale[FIELDS[field][1]], field
    assert row["next_funding_ns"] == T * 10**9
    assert sum(value is not None for value in row.values()) == len(FIELDS) + 2


@pytest.mark.parametrize(
    ("change", "options", "told"),
    [
        ({"ts": [T, T + 2, T + 1]}, {}, "row 3: rows go back in time"),
        ({"mark_price": [1.0, math.inf, 1.0]}, {}, "row 2: inf is no number"),
        ({"mark_price": [1.0, None, 1.0]}, {}, "row 2: the row has no number"),
        ({}, {"latency": None}, "nobody knows when a row could be known"),
        ({}, {"instrument": "Z"}, 'column "who" names that of each row'),
        ({}, {"columns": NAMES | {"mark": "mark_price"}}, 'unknown field "mark"'),
        ({}, {"length": "1m"}, "length is given, which reference data do not have"),
    ],
)
def test_reference_data_that_cannot_be_believed_are_refused(change, options, told) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match=told):
        ss.read_table(pa.table(NUMBERS | change), **{"kind": "reference", "columns": NAMES, "latency": "0s"} | options)
