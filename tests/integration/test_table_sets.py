"""Sets of tables, where they are at hand (`test_recordings.py` says where): each becomes a tape, and what `tape info` counts,
what was refused of it, is what its README says."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

import signal_stream as ss
from signal_stream import _core
from signal_stream.ingest import RefusedLines

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("SIGNAL_STREAM_DATA", ROOT.parent / "shared" / "data"))

OHLC = {"open": "Open", "high": "High", "low": "Low", "close": "Close", "volume": "Volume"}
DAYS: dict[str, Any] = {"kind": "bars", "length": "1d", "columns": {"ts_open": "Date", **OHLC}}
STOCKS: dict[str, Any] = {**DAYS, "columns": DAYS["columns"] | {"instrument": "Stock"}}
MINUTES: dict[str, Any] = {"kind": "bars", "length": "1m", "columns": {"ts_open": "timestamp"}, "instrument": "BTCUSDT"}
VIX = {"ts_open": "DATE", "open": "OPEN", "high": "HIGH", "low": "LOW", "close": "CLOSE"}
SETS: dict[str, tuple[dict[str, Any], int, int, int]] = {
    "binance-1m-bars/btcusdt_1m.csv.gz": (MINUTES, 3_000, 1, 0),
    "vix-daily/vix-daily.csv.gz": ({"kind": "bars", "length": "1d", "columns": VIX, "instrument": "VIX"}, 9_235, 1, 47),
    "wiki-daily/AAPL.csv.gz": ({**DAYS, "instrument": "AAPL"}, 8_336, 1, 0),
    # Volumes of old days were split-adjusted: they have more decimals than a tape holds beside the largest.
    "wiki-daily/BA.csv.gz": ({**DAYS, "instrument": "BA", "decimals": 6}, 13_090, 1, 1),
    "wiki-daily/CAT.csv.gz": ({**DAYS, "instrument": "CAT", "decimals": 6}, 13_090, 1, 2),
    "wiki-daily/EBAY.csv.gz": ({**DAYS, "instrument": "EBAY"}, 3_842, 1, 0),
    "wiki-daily/five-stocks-2015-2017.csv.gz": (STOCKS, 753 + 3 * 754 + 619, 5, 0),
    "fx-fed-monthly/monthly.csv.gz": (
        {"kind": "trades", "columns": {"ts_event": "Date", "price": "Exchange rate", "instrument": "Country"}, "latency": "0ms"},
        17_237, 34, 0,
    ),
    "deribit-trades-2023-08-04/deribit.trades.btc-perpetual.20230804T000000.20230805T000000.csv.gz": (
        {"kind": "trades", "columns": {"ts_event": "timestamp"}, "latency": "0ms", "instrument": "BTC-PERPETUAL.DERIBIT"},
        33_411, 1, 0,
    ),
}  # fmt: skip
"""Of each file: how it is read, rows, instruments, and bars whose open or close lies outside of low and high."""


def table_of(name: str) -> pa.Table:
    """The file in the order of time, with the columns that its form does not have."""
    table = csv.read_csv(DATA / name)
    if "Exchange rate" in table.column_names:
        table = table.append_column("qty", pa.array(np.ones(len(table))))
    if "deribit" in name:
        signed = table["volume"].to_numpy().astype(float)
        table = table.append_column("qty", pa.array(np.abs(signed))).append_column("side", pa.array(np.sign(signed)))
        return table.drop_columns("volume")
    time = next(column for column in ("Date", "DATE", "timestamp") if column in table.column_names)
    return table.sort_by([(time, "ascending")])


@pytest.mark.parametrize("name", [name for name in SETS if (DATA / name).is_file()])
def test_counts_are_those_of_the_readme(name: str, tmp_path: Path) -> None:
    options, rows, instruments, refused = SETS[name]
    tape = tmp_path / "tape.parquet"
    writer = _core.TapeWriter(str(tape))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for batch in ss.read_table(table_of(name), **options, max_rejected="1%"):
            writer.write(batch)
    writer.finish()
    told = [str(each.message) for each in said if each.category is RefusedLines]
    assert [text.split(":")[0] for text in told] == ([f"refused {refused} of {rows:,} rows"] if refused else [])
    found = json.loads(_core.tape_info([str(tape)]))
    streams = [stream for stream in found["streams"] if stream["kind"] in ("bar", "trade")]
    assert sum(stream["messages"] for stream in streams) == rows
    assert len(streams) == instruments
    assert (found["backwards"]["count"], sum(stream["gaps"] for stream in streams)) == (0, 0)
