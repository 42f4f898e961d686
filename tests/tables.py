"""Tables of a few minutes, as tests give them: cut anyhow, and refused with advice."""

from __future__ import annotations

import itertools
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import strategies as st

import signal_stream as ss
from signal_stream import bars, trades
from signal_stream.errors import DataError

T = 1_700_000_040
"""A full minute, in seconds."""
NS = 10**9
UNITS = {"s": NS, "ms": 10**6, "us": 10**3, "ns": 1}
ON_TRADES = ss.FeatureGraph(
    name="trades", on=trades, features={"p": trades.price, "v": trades.signed_qty().rolling(3).sum()}
)
BAR = bars("1m")
ON_BARS = ss.FeatureGraph(name="bars", on=BAR, features={"step": BAR.close.diff(), "sum": BAR.volume.rolling(2).sum()})
ON_DAYS = ss.FeatureGraph(name="days", on=bars("1d"), features={"step": bars("1d").close.diff()})
CUTS = st.lists(st.integers(0, 40), max_size=6)


def cut(table: pa.Table, at: list[int]) -> pa.Table:
    """The same rows in other chunks, some of them empty."""
    edges = [0, *sorted(min(place, table.num_rows) for place in at), table.num_rows]
    return pa.concat_tables([table.slice(0, 0), *(table.slice(a, b - a) for a, b in itertools.pairwise(edges))])


def minutes(**columns: Any) -> pa.Table:
    """Bars of a minute, one after another."""
    n = max(len(column) for column in columns.values())
    return pa.table({"ts_open": [T + 60 * i for i in range(n)], "close": [float(i) for i in range(n)]} | columns)


def refusal(graph: ss.FeatureGraph, table: Any, **options: Any) -> DataError:
    with pytest.raises(DataError) as refused:
        ss.compute(graph, table, **options)
    assert refused.value.next_step
    return refused.value
