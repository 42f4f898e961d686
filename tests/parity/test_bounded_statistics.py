"""Statistics that have bounds keep them, to the last bit, whatever the series and however it is run."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

import signal_stream as ss

START = 1_700_000_040 * 10**9
MINUTE = 60 * 10**9
bar = ss.bars("1m")


def graph(n: int) -> ss.FeatureGraph:
    x, y = bar.open, bar.close
    counted, timed = x.rolling(n), x.rolling(f"{n}m", cap=64)
    return ss.FeatureGraph(
        name="bounded",
        on=bar,
        features={
            "corr": counted.corr(y),
            "corr_timed": timed.corr(y),
            "rest": (1.0 - counted.corr(y) * counted.corr(y)).sqrt(),
            "self": counted.corr(x),
            "rank": counted.rank(),
            "rank_timed": timed.rank(),
            "var": counted.var(),
            "var_timed": timed.var(ddof=0),
            "std": counted.std(),
            "z": counted.zscore(),
        },
    )


number = st.floats(-10, 10) | st.floats(1 - 1e-12, 1 + 1e-12) | st.sampled_from([0.0, 1.0, -1.0, 1e-7])
factor = st.floats(-5, 5) | st.sampled_from([1.0, -1.0, 1 / 3, 3.7, -1e-3])
scale = st.sampled_from([1.0, 1e-3, 1e8, 1e-90, 1e90, 1e-140, 1e140])
noise = st.sampled_from([0.0, 0.0, 1e-16, 1e-9, 1.0])


@settings(max_examples=150, deadline=None)
@given(st.data(), st.lists(number, min_size=8, max_size=60), factor, scale, scale, noise, st.integers(2, 9))
def test_bounds_hold_in_every_run(data, xs, times, scale_x, scale_y, noise, n) -> None:  # type: ignore[no-untyped-def]
    jitter = data.draw(st.lists(st.floats(-1, 1), min_size=len(xs), max_size=len(xs)))
    x = np.array(xs) * scale_x
    y = (np.array(xs) * times + noise * np.array(jitter)) * scale_y
    built = graph(n)
    table = pa.table({"ts_open": START + np.arange(len(x)) * MINUTE, "open": x, "close": y})
    whole = ss.compute(built, table)
    engine = ss.Engine(built)
    pieces = [engine.push(table.slice(i, 1)) for i in range(len(x) // 2)]
    engine = ss.Engine.restore(built, engine.snapshot(), like=engine)
    pieces += [engine.push(table.slice(i, 3)) for i in range(len(x) // 2, len(x), 3)]
    rows, out = np.column_stack([x, y]), np.zeros(len(built.features))
    step = ss.Engine(built).bind(rows, out, fields=["open", "close"], times=np.arange(1, len(x) + 1) * MINUTE + START)
    bound = []
    for i in range(len(x)):
        step(i)
        bound.append(out.copy())
    for f, name in enumerate(built.features):
        values = [math.nan if v is None else v for v in whole[name].to_pylist()]
        cut = [math.nan if v is None else v for piece in pieces for v in piece[name].to_pylist()]
        np.testing.assert_array_equal(values, cut, err_msg=name)
        np.testing.assert_array_equal(values, [row[f] for row in bound], err_msg=name)
        known = np.array([v for v in values if not math.isnan(v)])
        if name.startswith(("corr", "self")):
            assert np.all(np.abs(known) <= 1), known
        elif name.startswith("rank"):
            assert np.all((known > 0) & (known <= 1)), known
        elif name.startswith(("var", "std")):
            assert np.all(known >= 0), known
        elif name == "z":
            assert np.all(np.abs(known) <= (n - 1) / math.sqrt(n) * (1 + 1e-9)), known
    for c, rest in zip(whole["corr"].to_pylist(), whole["rest"].to_pylist(), strict=True):
        assert (c is None) == (rest is None)
    same = [v for v in whole["self"].to_pylist() if v is not None]
    assert all(abs(v - 1) < 1e-12 for v in same)
