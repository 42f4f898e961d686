"""Recursions over all values so far, against pandas, polars, scipy, or their definitions: trades at irregular times."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy.signal import lfilter
from tests.conftest import ROOT

import signal_stream as ss
from signal_stream import _core, trades

RANDOM = np.random.default_rng(36)
N = 1_200
GAPS = np.where(RANDOM.uniform(size=N) < 0.2, 0, RANDOM.exponential(2e9, N)).astype(np.int64)
"""A fifth of the trades come at the moment of the one before."""
T = 1_700_000_000_000_000_000 + GAPS.cumsum()
P = 100 + RANDOM.normal(0, 0.3, N).cumsum()
P[RANDOM.uniform(size=N) < 0.1] = np.nan
"""A tenth have no price: what is missing takes no place."""
Q = RANDOM.exponential(1.0, N)
R = Q - 1
THERE = ~np.isnan(P)
VALID, TIMES = P[THERE], T[THERE]
PRICE = trades.price
HALF_LIFE = 5e9
Column = np.ndarray[Any, np.dtype[np.float64]]


def placed(values: Any) -> Column:
    """Values of the prices that are there, in their places."""
    out = np.full(N, np.nan)
    out[THERE] = values
    return out


def pandas_mean() -> Column:
    # pandas makes doubles of the times: from 0 on they are exact.
    return placed(pd.Series(VALID).ewm(halflife="5s", times=pd.to_datetime(TIMES - TIMES[0])).mean())


def weighted_variance() -> Column:
    """Around the weighted mean, without the bias that unequal weights have: numpy's, at each price alone."""
    out = np.full(len(VALID), np.nan)
    for i in range(1, len(VALID)):
        weights = 0.5 ** ((TIMES[i] - TIMES[: i + 1]) / HALF_LIFE)
        out[i] = np.cov(VALID[: i + 1], aweights=weights)
    return placed(out)


def polars_mean() -> Column:
    frame = pl.DataFrame({"x": VALID, "t": pl.Series(TIMES).cast(pl.Datetime("ns"))})
    return placed(frame.select(pl.col("x").ewm_mean_by("t", half_life="5s"))["x"].to_numpy())


def mueller_mean(interpolation: str) -> Column:
    """Müller's operator, as Dacorogna et al. (2001), 3.55, write it with tau."""
    tau = HALF_LIFE / np.log(2)
    out = [VALID[0]]
    for i in range(1, len(VALID)):
        alpha = (TIMES[i] - TIMES[i - 1]) / tau
        u = np.exp(-alpha)
        v = {"previous": 1.0, "linear": (1 - u) / alpha if alpha else 1.0}[interpolation]
        out.append(u * out[-1] + (v - u) * VALID[i - 1] + (1 - v) * VALID[i])
    return placed(out)


def expanding(name: str) -> Column:
    return placed(getattr(pd.Series(VALID).expanding(), name)())


def cusum(h: float) -> Column:
    """Snippet 2.4 of López de Prado (2018) with the sign of each event."""
    out, up, down = [np.nan], 0.0, 0.0
    for change in np.diff(VALID):
        up, down = max(0.0, up + change), min(0.0, down + change)
        event = 0.0
        if down < -h:
            down, event = 0.0, -1.0
        elif up > h:
            up, event = 0.0, 1.0
        out.append(event)
    return placed(out)


def garch(omega: float, alpha: float, beta: float) -> Column:
    """A linear filter of squared returns."""
    start = omega / (1 - alpha - beta)
    made, _ = lfilter([1.0], [1.0, -beta], omega + alpha * R**2, zi=np.array([beta * start]))
    return np.asarray(made)


def hawkes(mu: float, alpha: float, beta: float, marks: Column) -> Column:
    """The sum over all events before, written out."""
    age = np.tril((T[:, None] - T[None, :]) / 1e9, -1)
    return mu + alpha * (np.tril(np.exp(-beta * age), -1) @ marks)


OVER_TIME, SO_FAR = PRICE.ewm(half_life="5s"), PRICE.expanding()
CASES: dict[str, tuple[ss.Expression, Callable[[], Column], float]] = {
    "mean": (OVER_TIME.mean(), pandas_mean, 1e-14),
    "var": (OVER_TIME.var(), weighted_variance, 1e-11),
    "std": (OVER_TIME.std(), lambda: np.sqrt(weighted_variance()), 1e-11),
    "mean_previous": (OVER_TIME.mean_previous(), lambda: mueller_mean("previous"), 1e-13),
    "mean_linear": (OVER_TIME.mean_linear(), lambda: mueller_mean("linear"), 1e-13),
    "mean_next": (OVER_TIME.mean_next(), polars_mean, 1e-13),
    "expanding_count": (SO_FAR.count(), lambda: expanding("count"), 0),
    "expanding_sum": (SO_FAR.sum(), lambda: expanding("sum"), 1e-14),
    "expanding_mean": (SO_FAR.mean(), lambda: expanding("mean"), 1e-14),
    "expanding_var": (SO_FAR.var(), lambda: expanding("var"), 1e-11),
    "expanding_std": (SO_FAR.std(), lambda: expanding("std"), 1e-11),
    "expanding_min": (SO_FAR.min(), lambda: expanding("min"), 0),
    "expanding_max": (SO_FAR.max(), lambda: expanding("max"), 0),
    "cusum": (PRICE.cusum_events(h=0.5), lambda: cusum(0.5), 0),
    "garch": ((trades.qty - 1).garch_variance(omega=1e-6, alpha=0.1, beta=0.85), lambda: garch(1e-6, 0.1, 0.85), 1e-13),
    "hawkes": (
        trades.count().hawkes_intensity(mu=0.2, alpha=0.3, beta=0.7), lambda: hawkes(0.2, 0.3, 0.7, np.ones(N)), 1e-13
    ),
    "hawkes_of_marks": (
        trades.qty.hawkes_intensity(mu=0.2, alpha=0.3, beta=0.7), lambda: hawkes(0.2, 0.3, 0.7, Q), 1e-13
    ),
}  # fmt: skip


def run(expression: ss.Expression) -> Column:
    table = pa.table({"ts_recv": T, "price": pa.array(P, from_pandas=True), "qty": Q})
    graph = ss.FeatureGraph(name="one", on=trades, features={"x": expression})
    made: Column = ss.compute(graph, table, instrument="X").column("x").to_numpy()
    return made


@pytest.mark.parametrize("name", CASES)
def test_a_scan_equals_independent_software(name: str) -> None:
    expression, oracle, tolerance = CASES[name]
    got, wanted = run(expression), oracle()
    assert np.isnan(got).tolist() == np.isnan(wanted).tolist()
    assert np.nanmax(np.abs(got - wanted) / np.maximum(np.abs(wanted), 1e-3 if name == "var" else 1e-12)) <= tolerance


def test_every_scan_of_the_table_is_compared() -> None:
    words = {"ewm": "ewm_over_time.", "expanding": "expanding."}
    nodes = [expression.node for expression, _, _ in CASES.values()]
    seen = {f"{words.get(node['op'], '')}{node.get('stat', node['op'])}" for node in nodes}
    families = ("ewm over time", "expanding", "scan")
    rows = {row["name"] for row in json.loads(_core.operators()) if row["family"] in families}
    assert seen == rows
    pages = "".join((ROOT / "specs" / f"{name}.md").read_text() for name in ("ewm", "scans"))
    assert {name for name in rows if name.rpartition(".")[2] not in pages} == set()


def test_equal_values_have_no_variance() -> None:
    table = pa.table({"ts_recv": T, "price": np.full(N, 0.1)})
    features = {"over_time": OVER_TIME.var(), "so_far": SO_FAR.var(), "mean": OVER_TIME.mean()}
    got = ss.compute(ss.FeatureGraph(name="flat", on=trades, features=features), table, instrument="X").to_pandas()
    assert set(got.over_time[1:]) == set(got.so_far[1:]) == {0.0}
    assert set(got["mean"]) == {0.1}


def test_a_scan_begins_anew_after_a_number_beyond_a_double() -> None:
    table = pa.table({"ts_recv": T[::200], "price": [1.0, 3.0, 1e200, 5.0, 7.0, 9.0]})
    graph = ss.FeatureGraph(name="anew", on=trades, features={"x": SO_FAR.var()})
    got = ss.compute(graph, table, instrument="X", reasons=True)
    assert got.column("x.reason").to_pylist()[2:4] == ["DOMAIN", "WARMUP"]
    assert got.column("x").to_pylist()[4:] == [2.0, 4.0]


def test_parameters_that_do_not_fit_each_other_are_refused() -> None:
    explosive = PRICE.garch_variance(omega=1e-6, alpha=0.2, beta=0.8)
    with pytest.raises(ss.errors.GraphError, match="alpha \\+ beta must be below 1") as raised:
        ss.FeatureGraph(name="g", on=trades, features={"x": explosive})
    assert raised.value.where == explosive.source_location
