"""Rows bound to an engine one by one give what the same rows give as a table."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import signal_stream as ss
from signal_stream import bars
from signal_stream.errors import EngineError

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


trade_graph = ss.FeatureGraph(name="t", on=ss.trades, features={"p": ss.trades.price.rolling("3s").mean()})
clock_graph = ss.FeatureGraph(name="c", on=ss.every("1s"), features={"p": ss.trades.price})
other_graph = ss.FeatureGraph(
    name="o", on=ss.trades, features={"p": ss.trades.price, "x": ss.instrument("BTC").trades.price}
)
PRICES = np.arange(1.0, 9.0).reshape(-1, 1)


def bind(graph: ss.FeatureGraph, rows: Any = PRICES, out: Any = None, options: Any = None, **given: Any) -> Any:
    """Binds one column of prices, or what else is given."""
    given = {"fields": ["price"], **given}
    engine = ss.Engine(graph, **(options or {}))
    return engine.bind(rows, np.zeros(len(graph.features)) if out is None else out, **given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"graph": clock_graph}, r"do not move the clock.*every\(1s\).*push"),
        ({"graph": graph, "fields": ["price", "qty"], "rows": np.ones((4, 2)), "out": np.zeros(4)}, "built from trades"),
        ({"graph": other_graph}, "instrument"),
        ({"options": {"columns": {"price": "p"}}}, "columns"),
        ({"options": {"latency": "1s"}}, "latency"),
        ({"options": {"instruments": ["BTC"]}}, "no vectors for TABLE"),
        ({"fields": ["prize"]}, "prize"),
        ({"fields": ["qty"]}, "price"),
        ({"fields": "price"}, "list of names"),
        ({"fields": ["price", "price"], "rows": np.ones((4, 2))}, "each once"),
        ({"rows": np.ones((4, 1), dtype=np.float32)}, "float64"),
        ({"rows": np.ones((4, 1), dtype=np.int64)}, "float64"),
        ({"rows": np.ones((4, 3))[:, :1]}, "contiguous"),
        ({"rows": np.ones((0, 1))}, "contiguous"),
        ({"rows": [[1.0], [2.0]]}, "cannot be bound"),
        ({"out": np.zeros(2)}, "1 numbers"),
        ({"out": np.zeros(0)}, "1 numbers"),
        ({"out": np.zeros(1, dtype=np.float32)}, "float64"),
        ({"out": np.broadcast_to(np.zeros(1), (1,))}, "writable|read-only|cannot be bound"),
        ({"times": np.zeros(3, dtype=np.int64)}, "one for each of 8 rows"),
        ({"times": np.zeros(8)}, "int64"),
        ({"reasons": np.zeros(3, dtype=np.uint8)}, "1 codes"),
        ({"reasons": np.zeros(1)}, "uint8"),
        ({"step": "0s"}, "step is '0s'"),
        ({"step": "5 min"}, '"5m"'),
        ({"step": 5}, "step is 5"),
        ({"graph": graph, "fields": ["close"], "out": np.zeros(4), "step": "5m"}, '"1m", the length of the bars'),
    ],
)  # fmt: skip
def test_rows_that_would_not_do_what_a_table_does_are_refused_when_bound(given: dict[str, Any], said: str) -> None:
    with pytest.raises(EngineError, match=said) as raised:
        bind(**{"graph": trade_graph, **given})
    assert isinstance(raised.value, ValueError)


def test_an_engine_with_a_state_is_not_bound() -> None:
    engine = ss.Engine(trade_graph)
    engine.push(pa.table({"ts_recv": [1_700_000_000], "price": [1.0], "qty": [1.0]}))
    with pytest.raises(EngineError, match="has a state"):
        engine.bind(PRICES, np.zeros(1), fields=["price"])


def test_times_that_fall_are_an_error_of_the_tree_at_their_row() -> None:
    times = np.array([5, 6, 4, 7, 8, 9, 10, 11], dtype=np.int64) * 10**9
    take = bind(trade_graph, times=times)
    assert [take(0), take(1)] == [1, 1]
    with pytest.raises(EngineError, match="rows must be in order") as raised:
        take(2)
    assert raised.value.code == "OUT_OF_ORDER"
    assert [take(3), take(4)] == [1, 0], "rows in order go on"


def test_a_bar_that_is_missing_is_an_error_of_the_tree_at_the_row_behind_the_hole() -> None:
    """A table makes the missing bar; a row makes one vector, and there would be two."""
    minute = 60 * 10**9
    times = np.array([1, 2, 4, 3], dtype=np.int64) * minute
    take = bind(graph, PRICES[:4], fields=["close"], times=times)
    assert [take(0), take(1)] == [3, 2]
    with pytest.raises(EngineError, match=f"bar that ends at {3 * minute} is missing .* as a table") as raised:
        take(2)
    assert (raised.value.code, isinstance(raised.value, ValueError)) == ("BAD_INPUT", True)
    assert take(3) == 0, "the bar itself may come yet"


def test_days_without_a_bar_are_days_without_trading() -> None:
    days = ss.FeatureGraph(name="d", on=bars("1d"), features={"d": bars("1d").close.diff()})
    out = np.zeros(1)
    take = bind(
        days, out=out, fields=["close"], times=np.array([1, 4, 5, 6, 7, 8, 9, 10], dtype=np.int64) * 86_400 * 10**9
    )
    assert [take(0), take(1), float(out[0])] == [1, 0, 1.0]


def test_without_times_bars_are_their_length_apart() -> None:
    timed = ss.FeatureGraph(name="g", on=bars("5m"), features={"m": bars("5m").close.rolling("10m").mean()})
    out = np.zeros(1)
    take = ss.Engine(timed).bind(PRICES, out, fields=["close"])
    got = [(take(i), float(out[0]))[1] for i in range(4)]
    table = pa.table({"ts_open": 1_700_000_100 + np.arange(4) * 300, "close": PRICES[:4, 0]})
    np.testing.assert_array_equal(got, ss.compute(timed, table)["m"].to_numpy(zero_copy_only=False).astype(float))


def test_a_restored_engine_follows_the_options_given_or_is_refused() -> None:
    def table(start: int) -> pa.Table:
        at = 1_700_000_040 + start + np.arange(4)
        return pa.table({"at": at, "p": np.arange(4.0) + start, "q": np.ones(4)})

    columns = {"ts_recv": "at", "price": "p", "qty": "q"}
    engine = ss.Engine(trade_graph, columns=columns, instrument="A")
    engine.push(table(0))
    state = engine.snapshot()
    want = engine.push(table(4))["p"].to_pylist()
    again = ss.Engine.restore(trade_graph, state, like=ss.Engine(trade_graph, columns=columns, instrument="A"))
    assert again.push(table(4))["p"].to_pylist() == want
    with pytest.raises(EngineError, match='like= is an engine of graph "g"'):
        ss.Engine.restore(
            trade_graph, state, like=ss.Engine(ss.FeatureGraph(name="g", on=ss.trades, features={"q": ss.trades.qty}))
        )
    with pytest.raises(EngineError, match="give those of the snapshot"):
        ss.Engine.restore(trade_graph, state, like=ss.Engine(trade_graph, instruments=["B"], columns=columns))
    same = ss.FeatureGraph(name="another name", on=ss.trades, features={"p": ss.trades.price.rolling("3s").mean()})
    again = ss.Engine.restore(same, state, like=engine)
    assert again.push(table(4))["p"].to_pylist() == want
