"""Instruments files: what they say reaches captures, tapes and batches, and what makes no sense is refused by name."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import signal_stream as ss
from signal_stream import _core
from signal_stream.errors import DataError, TapeError
from signal_stream.ingest.file_source import FileSource
from signal_stream.ingest.instruments_file import read_instruments

MAY = datetime(2024, 5, 1, tzinfo=UTC)
SINCE = int(MAY.timestamp()) * 10**9
TRADE = (
    '1723161255344000000 {"e":"trade","E":1723161255343,"s":"BTCUSDT","t":7,"p":"61837.63","q":"0.02",'
    '"T":1723161255342,"m":true,"M":true}\n'
)

TEXT = """
format = 1

[[instrument]]
id = "BTCUSDT.BINANCE"
price_scale = 2
qty_scale = 5
kind = "spot"
tick = "0.01"
currency = "USDT"

[[instrument]]
id = "BTCUSDT.BINANCE"
valid_from = 2024-05-01T00:00:00Z
kind = "spot"
tick = 0.1
currency = "USDT"

[[instrument]]
id = "BTC-25MAR22-30000-C.DERIBIT"
kind = "option"
underlying = "BTC.DERIBIT"
strike = 30000
expiry = 2022-03-25T08:00:00Z
right = "call"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "instruments.toml").write_text(TEXT)
    return tmp_path / "instruments.toml"


def converted(tmp_path: Path, file: Path) -> Path:
    """A capture of one trade as a tape."""
    capture, tape = tmp_path / "spot.capture", tmp_path / "spot.parquet"
    capture.write_text(TRADE)
    writer = _core.TapeWriter(str(tape))
    for batch in ss.read_tape(capture, instruments=file):
        writer.write(batch)
    writer.finish()
    return tape


def test_a_capture_has_the_scales_and_the_terms_of_the_file(tmp_path: Path, file: Path) -> None:
    [batch] = ss.read_tape(converted(tmp_path, file))
    [row] = pa.table(batch.records("trade")).to_pylist()
    assert (row["instrument"], row["price"], row["qty"]) == ("BTCUSDT.BINANCE", 6_183_763, 2_000)
    before, after = (batch.definition("BTCUSDT.BINANCE", ts) for ts in (SINCE - 1, SINCE))
    assert before == {"symbol": "BTCUSDT", "venue": "BINANCE", "kind": "spot", "tick": "0.01", "currency": "USDT"}
    assert after == {**before, "tick": "0.1"}
    option = batch.definition("BTC-25MAR22-30000-C.DERIBIT", SINCE)
    assert option is not None
    assert (option["strike"], option["right"], option["expiry"]) == ("30000", "call", 1_648_195_200_000_000_000)
    assert batch.definition("BTCUSDT.ELSEWHERE", SINCE) is None


def test_a_source_has_them(tmp_path: Path, file: Path) -> None:
    capture = tmp_path / "spot.capture"
    capture.write_text(TRADE)
    told = {"url": f"file://{capture}", "lateness": "0ms", "late": "drop", "queue_rows": 64, "instruments": str(file)}
    source = FileSource(FileSource.Settings.read(told))
    source.open(None)
    batch = source.next(10**10)
    source.close()
    assert batch is not None
    [row] = pa.table(batch.records("trade")).to_pylist()
    assert row["price"] == 6_183_763
    assert batch.definition("BTCUSDT.BINANCE", SINCE) is not None


def test_a_tape_keeps_its_scales_and_takes_the_terms(tmp_path: Path, file: Path) -> None:
    capture = tmp_path / "spot.capture"
    capture.write_text(TRADE)
    tape = tmp_path / "plain.parquet"
    writer = _core.TapeWriter(str(tape))
    for batch in ss.read_tape(capture):
        writer.write(batch)
    writer.finish()
    [batch] = ss.read_tape(tape, instruments=file)
    [row] = pa.table(batch.records("trade")).to_pylist()
    assert row["price"] == 61_837_630_000_000
    found = batch.definition("BTCUSDT.BINANCE", SINCE)
    assert found is not None
    assert found["tick"] == "0.1"
    assert batch.instruments == ["BTCUSDT.BINANCE"]


def test_a_parquet_file_says_the_same(tmp_path: Path, file: Path) -> None:
    rows = [
        {"id": "BTCUSDT.BINANCE", "price_scale": 2, "qty_scale": 5, "kind": "spot", "tick": "0.01", "currency": "USDT"},
        {"id": "BTCUSDT.BINANCE", "valid_from": MAY, "kind": "spot", "tick": "0.1", "currency": "USDT"},
        {"id": "BTC-25MAR22-30000-C.DERIBIT", "kind": "option", "underlying": "BTC.DERIBIT", "strike": "30000",
         "expiry": datetime(2022, 3, 25, 8, tzinfo=UTC), "right": "call"},
    ]  # fmt: skip
    names = list(dict.fromkeys(name for row in rows for name in row))
    pq.write_table(pa.Table.from_pylist([dict.fromkeys(names) | row for row in rows]), tmp_path / "instruments.parquet")
    told = [_core.Reader([str(converted(tmp_path, each))]).next() for each in (file, tmp_path / "instruments.parquet")]
    first, second = (pa.record_batch(batch).schema.metadata for batch in told)
    assert first == second


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[[instrument]]\nid = 'A.X'\nkind = 'swap'", '"A.X": "kind" is none of'),
        ("[[instrument]]\nid = 'A.X'\nkind = 'spot'\ntik = '1'", 'unknown key "tik". Did you mean "tick"?'),
        ("[[instrument]]\nkind = 'spot'", "instrument 1  it has no id"),
        ("[[instrument]]\nid = 'A.X'\nprice_scale = 19", "price_scale = 19 is not from 0 to 18"),
        ("[[instrument]]\nid = 'A.X'\nprice_scale = 2\n[[instrument]]\nid = 'A.X'\nprice_scale = 3", "never change"),
        ("[[instrument]]\nid = 'A.X'\nkind = 'future'\nexpiry = 'May'", "expiry is no time"),
        ("[[instrument]]\nid = 'A.X'\nkind = 'spot'\n[[instrument]]\nid = 'A.X'\nkind = 'spot'", "valid_from"),
        ("[instrument]\nid = 'A.X'", "no list of instruments"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, text: str, what: str) -> None:
    file = tmp_path / "instruments.toml"
    file.write_text(text)
    with pytest.raises(DataError) as caught:
        read_instruments(file)
    assert caught.value.code == "BAD_VALUE"
    assert what.replace("  ", ": ") in str(caught.value).replace("\n    ", " ")
    assert str(file) in str(caught.value)


def test_a_file_that_is_none_or_newer_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "instruments.toml"
    for text, code in (("= 1", "UNREADABLE"), ("format = 2", "UNKNOWN_FORMAT")):
        file.write_text(text)
        with pytest.raises(TapeError) as caught:
            read_instruments(file)
        assert caught.value.code == code
    with pytest.raises(TapeError) as caught:
        read_instruments(tmp_path / "none.toml")
    assert caught.value.code == "NOT_FOUND"
