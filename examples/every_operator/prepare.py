"""Tables for `trades.py` and `stocks.py`: `python prepare.py trades|stocks SOURCE.csv OUT.parquet`.

Trades have `timestamp` (ms), `price` and `volume`, below 0 where the seller came to the buyer. Stocks have a row a stock and day,
in any order; their vwap is not known, and (high + low + close) / 3 stands for it.
"""

import sys

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv


def trades(rows: pa.Table) -> pa.Table:
    """Trades with their side."""
    return pa.table({
        "ts_recv": pc.cast(rows["timestamp"], pa.timestamp("ms", tz="UTC")), "price": rows["price"],
        "qty": pc.abs(rows["volume"]), "side": pc.sign(rows["volume"]),
    })  # fmt: skip


def stocks(rows: pa.Table) -> pa.Table:
    """A panel, sorted by day."""
    high, low, close = (rows[name] for name in ("High", "Low", "Close"))
    return pa.table({
        "ts_open": pc.cast(pc.cast(rows["Date"], pa.timestamp("s")), pa.timestamp("s", tz="UTC")), "instrument": rows["Stock"],
        "open": rows["Open"], "high": high, "low": low, "close": close, "volume": rows["Volume"],
        "vwap": pc.divide(pc.add(pc.add(high, low), close), 3),
    }).sort_by([("ts_open", "ascending"), ("instrument", "ascending")])  # fmt: skip


if __name__ == "__main__":
    kind, source, out = sys.argv[1:]
    pq.write_table({"trades": trades, "stocks": stocks}[kind](csv.read_csv(source)), out)
