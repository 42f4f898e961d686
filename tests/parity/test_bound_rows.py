"""Rows bound to an engine one by one give what the same rows give as a table."""

import numpy as np
import pyarrow as pa
import pytest

import signal_stream as ss
from signal_stream import bars

close = bars("1m").close
graph = ss.FeatureGraph(
    name="bound",
    on=bars("1m"),
    features={"d": close.diff(), "ratio": 1 / close, "mean": close.rolling(3).mean(), "rank": close.rolling(3).rank()},
)
CLOSES = [10.0, 12.5, 11.0, float("nan"), 13.0, 0.0, 12.0, 12.0, 14.5]


def test_bound_rows_give_the_bits_of_the_table() -> None:
    rows, out, reasons = np.array(CLOSES).reshape(-1, 1), np.zeros(4), np.zeros(4, dtype=np.uint8)
    times = (np.arange(len(rows), dtype=np.int64) + 28_333_334) * 60_000_000_000
    step = ss.Engine(graph).bind(rows, out, fields=["close"], times=times, reasons=reasons)
    table = pa.table({"t": times // 1_000_000_000 - 60, "c": CLOSES})
    engine = ss.Engine(graph, columns={"ts_open": "t", "close": "c"}, instrument="X")
    vectors = engine.push(table)
    expected = np.column_stack(
        [vectors.column(name).to_numpy(zero_copy_only=False).astype(float) for name in ("d", "ratio", "mean", "rank")]
    )
    for i, values in enumerate(expected):
        assert step(i) == np.isnan(values).sum() == np.count_nonzero(reasons)
        np.testing.assert_array_equal(out, values)


def test_a_row_that_is_not_bound_is_refused() -> None:
    step = ss.Engine(graph).bind(np.ones((2, 1)), np.zeros(4), fields=["close"])
    with pytest.raises(IndexError, match="row 2 of 2"):
        step(2)


def test_what_is_written_has_memory_of_its_own() -> None:
    rows = np.ones((8, 1))
    with pytest.raises(ValueError, match="memory of their own"):
        ss.Engine(graph).bind(rows, rows[4:, 0], fields=["close"])
