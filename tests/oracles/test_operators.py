"""Each operator against software by other people, on real one-minute bars. Conventions that differ are noted in place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import talib
from scipy.special import expit
from scipy.stats import linregress, median_abs_deviation
from tests.oracles import formula_cases

import signal_stream as ss
from signal_stream import _core, bars, book, quotes, trades
from signal_stream.features.expression import in_order

DATA = Path(__file__).parents[1] / "data" / "binance-1m-bars" / "btcusdt_1m.csv.gz"
BARS = pd.read_csv(DATA)
RANDOM = np.random.default_rng(7)
N = len(BARS)
for level in range(1, 6):
    BARS[f"bid_price_{level}"] = BARS.close - 0.01 * level
    BARS[f"ask_price_{level}"] = BARS.close + 0.01 * level * RANDOM.integers(1, 4, N)
    BARS[f"bid_qty_{level}"] = RANDOM.exponential(5.0, N)
    BARS[f"ask_qty_{level}"] = RANDOM.exponential(5.0, N)
TIMES = pd.to_datetime(BARS.timestamp, unit="ms", utc=True) + pd.Timedelta("1min")

O, H, L, C, V = BARS.open, BARS.high, BARS.low, BARS.close, BARS.volume
BAR = bars("1m")
CLOSE, VOLUME = BAR.close, BAR.volume


def timed(series: pd.Series, length: str) -> pd.core.window.Rolling:
    """A pandas window over time; its window is (t - length, t] too."""
    return pd.Series(series.to_numpy(), index=TIMES).rolling(length)


def after(values: pd.Series | np.ndarray, length: str) -> np.ndarray:
    """Null until so much time has passed since the first value: pandas starts at once."""
    out = np.asarray(values, dtype=float).copy()
    out[(TIMES - TIMES[0] < pd.Timedelta(length)).to_numpy()] = np.nan
    return out


def windows(n: int, f: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """A function of all windows of n values, a row each."""
    return np.concatenate([np.full(n - 1, np.nan), f(np.lib.stride_tricks.sliding_window_view(C.to_numpy(), n))])


def lines(n: int, f: Callable[[object, np.ndarray], float]) -> np.ndarray:
    """A function of scipy's least squares line of each window of n values, and of the window."""
    return windows(n, lambda all_of_them: np.array([f(linregress(np.arange(n), w), w) for w in all_of_them]))


def line_slope(window: np.ndarray) -> float:
    """Of numpy's least squares line."""
    return float(np.polyfit(np.arange(len(window)), window - window[0], 1)[0]) if len(window) > 1 else np.nan


def pandas_prod(n: int) -> pd.Series:
    return (1 + C.pct_change()).rolling(n).apply(np.prod, raw=True)


def pandas_rsi(n: int) -> pd.Series:
    change = C.diff()
    gain = change.clip(lower=0).ewm(alpha=1 / n, min_periods=2 * n - 1).mean()
    loss = (-change).clip(lower=0).ewm(alpha=1 / n, min_periods=2 * n - 1).mean()
    return 100 * gain / (gain + loss)


def numpy_ofi() -> np.ndarray:
    """Cont, Kukanov & Stoikov (2014), written out row by row."""
    pb, qb, pa_, qa = (BARS[name].to_numpy() for name in ("bid_price_1", "bid_qty_1", "ask_price_1", "ask_qty_1"))
    out = np.full(N, np.nan)
    for i in range(1, N):
        flow = qb[i] * (pb[i] >= pb[i - 1]) - qb[i - 1] * (pb[i] <= pb[i - 1])
        flow -= qa[i] * (pa_[i] <= pa_[i - 1]) - qa[i - 1] * (pa_[i] >= pa_[i - 1])
        out[i] = flow
    return out


def depth(side: str, levels: int) -> pd.Series:
    return sum(BARS[f"{side}_qty_{level}"] for level in range(1, levels + 1))


EDGES = np.quantile(C, [0.05, 0.2, 0.5, 0.6, 0.95], method="lower")
"""Prices that are there: a bucket has its lower edge."""

CASES: dict[str, tuple[ss.Expression, Callable[[], object], float]] = {
    "add": (CLOSE + VOLUME, lambda: C + V, 0),
    "sub": (CLOSE - 100.5, lambda: C - 100.5, 0),
    "mul": (2 * CLOSE, lambda: 2 * C, 0),
    "div": (CLOSE / VOLUME, lambda: C / V, 0),
    "neg": (-CLOSE, lambda: -C, 0),
    "abs": ((CLOSE - 75_800).abs(), lambda: (C - 75_800).abs(), 0),
    "sign": ((CLOSE - 75_800).sign(), lambda: np.sign(C - 75_800), 0),
    "log": (CLOSE.log(), lambda: np.log(C), 1e-15),
    "log1p": ((VOLUME / 1e6).log1p(), lambda: np.log1p(V / 1e6), 1e-15),
    "exp": ((CLOSE / 1e5).exp(), lambda: np.exp(C / 1e5), 1e-15),
    "sqrt": (VOLUME.sqrt(), lambda: np.sqrt(V), 0),
    "tanh": ((VOLUME / 50).tanh(), lambda: np.tanh(V / 50), 1e-15),
    "sigmoid": ((CLOSE - 75_750).sigmoid(), lambda: expit(C - 75_750), 1e-15),
    "round": (CLOSE.round(), lambda: np.round(C), 0),
    "mod": ((CLOSE - 75_750) % 0.7, lambda: np.mod(C - 75_750, 0.7), 0),
    "rmod": (75_750 % -CLOSE, lambda: np.mod(75_750, -C), 0),
    "pow": (VOLUME**0.75, lambda: V**0.75, 1e-15),
    "rpow": (1.01 ** (VOLUME / 10), lambda: 1.01 ** (V / 10), 1e-14),
    "pow_outside": ((CLOSE - 75_750) ** 0.5, lambda: (C - 75_750) ** 0.5, 1e-15),
    "signed_power": (
        (CLOSE - 75_750).signed_power(0.5), lambda: np.sign(C - 75_750) * np.abs(C - 75_750) ** 0.5, 1e-15
    ),
    "fill": (CLOSE.shift(3).fill(-1), lambda: C.shift(3).fillna(-1), 0),
    "coalesce": (
        ss.coalesce(CLOSE.shift(9), CLOSE.shift(3), VOLUME),
        lambda: C.shift(9).combine_first(C.shift(3)).combine_first(V), 0,
    ),
    "is_valid": (CLOSE.shift(3).is_valid(), lambda: C.shift(3).notna().astype(float), 0),
    "clip": (CLOSE.clip(75_700, 75_800), lambda: C.clip(75_700, 75_800), 0),
    "minimum": (ss.minimum(BAR.open, CLOSE), lambda: np.minimum(O, C), 0),
    "maximum": (ss.maximum(BAR.open, CLOSE), lambda: np.maximum(O, C), 0),
    "lt": (BAR.open < CLOSE, lambda: (O < C).astype(float), 0),
    "le": (BAR.open <= CLOSE, lambda: (O <= C).astype(float), 0),
    "gt": (BAR.open > CLOSE, lambda: (O > C).astype(float), 0),
    "ge": (BAR.open >= CLOSE, lambda: (O >= C).astype(float), 0),
    "eq": (BAR.open == CLOSE, lambda: (O == C).astype(float), 0),
    "ne": (BAR.open != CLOSE, lambda: (O != C).astype(float), 0),
    "where": (ss.where(BAR.open < CLOSE, VOLUME, -VOLUME), lambda: np.where(O < C, V, -V), 0),
    "lookup": (
        ss.lookup(CLOSE, list(EDGES), [float(i) for i in range(len(EDGES))] + [VOLUME]),
        lambda: np.where(np.digitize(C, EDGES) == len(EDGES), V, np.digitize(C, EDGES)), 0,
    ),
    **formula_cases.mathematics(CLOSE, VOLUME, C, V),
    **formula_cases.options(CLOSE, VOLUME, C, V),
    "shift": (CLOSE.shift(3), lambda: C.shift(3), 0),
    "diff": (CLOSE.diff(5), lambda: C.diff(5), 0),
    "pct_change": (CLOSE.pct_change(2), lambda: C.pct_change(2), 1e-10),
    "log_return": (CLOSE.log_return(), lambda: np.log(C / C.shift()), 1e-9),
    "rolling_sum": (VOLUME.rolling(20).sum(), lambda: V.rolling(20).sum(), 1e-11),
    "rolling_sum_talib": (VOLUME.rolling(20).sum(), lambda: talib.SUM(V.to_numpy(), 20), 1e-11),
    "rolling_mean": (CLOSE.rolling(20).mean(), lambda: C.rolling(20).mean(), 1e-13),
    "rolling_mean_talib": (CLOSE.rolling(20).mean(), lambda: talib.SMA(C.to_numpy(), 20), 1e-13),
    "rolling_var": (CLOSE.rolling(60).var(), lambda: C.rolling(60).var(), 1e-7),
    "rolling_std": (CLOSE.rolling(20).std(), lambda: C.rolling(20).std(), 1e-7),
    # TA-Lib's STDDEV divides by n.
    "rolling_std_talib": (CLOSE.rolling(20).std(ddof=0), lambda: talib.STDDEV(C.to_numpy(), 20), 1e-5),
    "rolling_zscore": (
        CLOSE.rolling(60).zscore(), lambda: (C - C.rolling(60).mean()) / C.rolling(60).std(), 1e-7
    ),
    "rolling_skew": (CLOSE.rolling(60).skew(), lambda: C.rolling(60).skew(), 1e-7),
    "rolling_min": (CLOSE.rolling(60).min(), lambda: C.rolling(60).min(), 0),
    "rolling_max": (CLOSE.rolling(60).max(), lambda: talib.MAX(C.to_numpy(), 60), 0),
    "rolling_rank": (CLOSE.rolling(60).rank(), lambda: C.rolling(60).rank(pct=True), 1e-15),
    "rolling_corr": (CLOSE.rolling(60).corr(VOLUME), lambda: C.rolling(60).corr(V), 1e-7),
    "rolling_corr_talib": (
        CLOSE.rolling(60).corr(VOLUME), lambda: talib.CORREL(C.to_numpy(), V.to_numpy(), 60), 1e-3
    ),
    "rolling_cov": (CLOSE.rolling(60).cov(VOLUME), lambda: C.rolling(60).cov(V), 1e-7),
    "rolling_beta": (
        CLOSE.rolling(60).beta(VOLUME), lambda: C.rolling(60).cov(V) / V.rolling(60).var(), 1e-7
    ),
    "rolling_kurt": (CLOSE.rolling(60).kurt(), lambda: C.rolling(60).kurt(), 1e-6),
    "rolling_median": (CLOSE.rolling(60).median(), lambda: C.rolling(60).median(), 1e-15),
    "rolling_median_of_many": (CLOSE.rolling(301).median(), lambda: C.rolling(301).median(), 0),
    "rolling_quantile": (CLOSE.rolling(60).quantile(0.9), lambda: C.rolling(60).quantile(0.9), 1e-15),
    "rolling_quantile_polars": (
        CLOSE.rolling(57).quantile(0.3), lambda: pl.Series(C).rolling_quantile(0.3, "linear", 57).to_numpy(), 1e-15
    ),
    # scipy's is not scaled either.
    "rolling_mad": (CLOSE.rolling(60).mad(), lambda: windows(60, lambda w: median_abs_deviation(w, axis=1)), 1e-15),
    # Of equal values numpy takes the first, which is the oldest.
    "rolling_argmin": (CLOSE.rolling(60).argmin(), lambda: windows(60, lambda w: w.argmin(axis=1)), 0),
    "rolling_argmax": (CLOSE.rolling(60).argmax(), lambda: windows(60, lambda w: w.argmax(axis=1)), 0),
    "rolling_count": (CLOSE.rolling(20).count(), lambda: C.rolling(20, min_periods=20).count(), 0),
    "rolling_prod": ((1 + CLOSE.pct_change()).rolling(20).prod(), lambda: pandas_prod(20), 1e-14),
    "rolling_decay_linear": (CLOSE.rolling(20).decay_linear(), lambda: talib.WMA(C.to_numpy(), 20), 1e-13),
    "rolling_slope": (CLOSE.rolling(20).slope(), lambda: talib.LINEARREG_SLOPE(C.to_numpy(), 20), 1e-8),
    "rolling_slope_scipy": (CLOSE.rolling(20).slope(), lambda: lines(20, lambda line, _: line.slope), 1e-9),
    "rolling_rsquare": (CLOSE.rolling(20).rsquare(), lambda: lines(20, lambda line, _: line.rvalue**2), 1e-9),
    "rolling_resid": (
        CLOSE.rolling(20).resid(), lambda: lines(20, lambda line, w: w[-1] - line.intercept - line.slope * 19), 1e-9
    ),
    "rolling_resid_talib": (CLOSE.rolling(20).resid(), lambda: C - talib.LINEARREG(C.to_numpy(), 20), 1e-7),
    "timed_sum": (VOLUME.rolling("10m").sum(), lambda: after(timed(V, "10min").sum(), "10min"), 1e-11),
    "timed_mean": (CLOSE.rolling("10m").mean(), lambda: after(timed(C, "10min").mean(), "10min"), 1e-13),
    "timed_std": (CLOSE.rolling("10m").std(), lambda: after(timed(C, "10min").std(), "10min"), 1e-6),
    "timed_sum_or_0": (VOLUME.rolling("10m").sum(empty=0), lambda: after(timed(V, "10min").sum(), "10min"), 1e-11),
    "timed_count": (VOLUME.rolling("10m").count(), lambda: after(timed(V, "10min").count(), "10min"), 0),
    "timed_kurt": (CLOSE.rolling("30m").kurt(), lambda: after(timed(C, "30min").kurt(), "30min"), 1e-6),
    "timed_median": (CLOSE.rolling("30m").median(), lambda: after(timed(C, "30min").median(), "30min"), 1e-15),
    "timed_quantile": (
        CLOSE.rolling("30m").quantile(0.1), lambda: after(timed(C, "30min").quantile(0.1), "30min"), 1e-15
    ),
    "timed_slope": (
        CLOSE.rolling("30m").slope(),
        lambda: after(timed(C, "30min").apply(line_slope, raw=True), "30min"), 1e-8,
    ),
    "timed_argmax": (CLOSE.rolling("30m").argmax(), lambda: after(timed(C, "30min").apply(np.argmax, raw=True), "30min"), 0),
    "timed_decay_linear": (
        CLOSE.rolling("30m").decay_linear(),
        lambda: after(timed(C, "30min").apply(lambda w: np.average(w, weights=range(1, len(w) + 1)), raw=True), "30min"), 1e-14,
    ),
    "timed_min": (CLOSE.rolling("10m").min(), lambda: after(timed(C, "10min").min(), "10min"), 0),
    "timed_max": (CLOSE.rolling("10m").max(), lambda: after(timed(C, "10min").max(), "10min"), 0),
    "timed_skew": (CLOSE.rolling("30m").skew(), lambda: after(timed(C, "30min").skew(), "30min"), 1e-6),
    "timed_zscore": (
        CLOSE.rolling("30m").zscore(),
        lambda: after((C.to_numpy() - timed(C, "30min").mean()) / timed(C, "30min").std(), "30min"), 1e-6,
    ),
    "timed_rank": (CLOSE.rolling("30m").rank(), lambda: after(timed(C, "30min").rank(pct=True), "30min"), 1e-15),
    "ewm_span": (CLOSE.ewm(span=26).mean(), lambda: C.ewm(span=26, min_periods=26).mean(), 1e-14),
    "ewm_half_life": (
        CLOSE.ewm(half_life=5, min_periods=1).mean(), lambda: C.ewm(halflife=5, min_periods=1).mean(), 1e-14
    ),
    "ewm_com": (CLOSE.ewm(com=9, min_periods=1).mean(), lambda: C.ewm(com=9).mean(), 1e-14),
    "ewm_alpha": (CLOSE.ewm(alpha=0.1, min_periods=1).mean(), lambda: C.ewm(alpha=0.1).mean(), 1e-14),
    "ewm_var": (CLOSE.ewm(span=26).var(), lambda: C.ewm(span=26, min_periods=26).var(), 1e-8),
    "ewm_std": (CLOSE.ewm(half_life=5, min_periods=1).std(), lambda: C.ewm(halflife=5).std(), 1e-8),
    "ewm_zscore": (
        CLOSE.ewm(span=26).zscore(),
        lambda: (C - C.ewm(span=26, min_periods=26).mean()) / C.ewm(span=26, min_periods=26).std(), 1e-8,
    ),
    "ewm_cov": (CLOSE.ewm(span=26).cov(VOLUME), lambda: C.ewm(span=26, min_periods=26).cov(V), 1e-8),
    "ewm_corr": (CLOSE.ewm(alpha=0.1, min_periods=5).corr(VOLUME), lambda: C.ewm(alpha=0.1, min_periods=5).corr(V), 1e-8),
    "ewm_beta": (
        CLOSE.ewm(span=26).beta(VOLUME),
        lambda: C.ewm(span=26, min_periods=26).cov(V) / V.ewm(span=26, min_periods=26).var(), 1e-8,
    ),
    "macd": (ss.macd(CLOSE), lambda: C.ewm(span=12, min_periods=26).mean() - C.ewm(span=26, min_periods=26).mean(), 1e-6),
    "rsi": (ss.rsi(CLOSE, 14), lambda: pandas_rsi(14), 1e-9),
    "mid": (book.mid(), lambda: (BARS.bid_price_1 + BARS.ask_price_1) / 2, 0),
    "spread": (book.spread(), lambda: BARS.ask_price_1 - BARS.bid_price_1, 0),
    "microprice": (
        book.microprice(),
        lambda: (BARS.ask_price_1 * BARS.bid_qty_1 + BARS.bid_price_1 * BARS.ask_qty_1)
        / (BARS.bid_qty_1 + BARS.ask_qty_1), 1e-15,
    ),
    "imbalance_1": (
        book.imbalance(), lambda: (BARS.bid_qty_1 - BARS.ask_qty_1) / (BARS.bid_qty_1 + BARS.ask_qty_1), 1e-15
    ),
    "imbalance_5": (
        book.imbalance(levels=5),
        lambda: (depth("bid", 5) - depth("ask", 5)) / (depth("bid", 5) + depth("ask", 5)), 1e-13,
    ),
    "ofi": (book.ofi(levels=1), numpy_ofi, 1e-12),
    "ofi_sum": (book.ofi().rolling(10).sum(), lambda: pd.Series(numpy_ofi()).rolling(10).sum(), 1e-9),
    "level": (book.bid(3).price - book.ask(2).qty, lambda: BARS.bid_price_3 - BARS.ask_qty_2, 1e-15),
    "quotes_mid": (quotes.mid(), lambda: (BARS.bid_price_1 + BARS.ask_price_1) / 2, 0),
    "vwap_20": (
        (CLOSE * VOLUME).rolling(20).sum() / VOLUME.rolling(20).sum(),
        lambda: (C * V).rolling(20).sum() / V.rolling(20).sum(), 1e-12,
    ),
    "realised_vol": (
        (CLOSE.log_return() * CLOSE.log_return()).rolling(30).sum().sqrt(),
        lambda: np.sqrt((np.log(C / C.shift()) ** 2).rolling(30).sum()), 1e-9,
    ),
}  # fmt: skip


def run(expression: ss.Expression) -> np.ndarray:
    graph = ss.FeatureGraph(name="one", on=BAR, features={"x": expression})
    table = ss.compute(graph, pa.Table.from_pandas(BARS), columns={"ts_open": "timestamp"}, instrument="BTCUSDT")
    return table.column("x").to_numpy()


@pytest.mark.parametrize("name", CASES)
def test_operator_equals_independent_software(name: str) -> None:
    expression, oracle, tolerance = CASES[name]
    got, wanted = run(expression), np.asarray(oracle(), dtype=float)
    wanted = np.where(np.isfinite(wanted), wanted, np.nan)
    assert np.isnan(got).tolist() == np.isnan(wanted).tolist()
    scale = np.maximum(np.abs(wanted), np.nanstd(wanted) if tolerance else 0)
    error = np.abs(got - wanted) / np.where(scale == 0, 1, scale)
    assert np.nanmax(error) <= tolerance


def test_atr_reaches_talibs_once_its_seed_is_forgotten() -> None:
    got = run(ss.atr(BAR, 14))
    wanted = talib.ATR(H.to_numpy(), L.to_numpy(), C.to_numpy(), 14)
    assert np.nanmax(np.abs(got[700:] / wanted[700:] - 1)) < 1e-12


def test_rsi_reaches_talibs_once_its_seed_is_forgotten() -> None:
    assert np.nanmax(np.abs(run(ss.rsi(CLOSE, 14))[700:] / talib.RSI(C.to_numpy(), 14)[700:] - 1)) < 1e-11


def test_bollinger_percent_b_equals_talibs() -> None:
    window = CLOSE.rolling(20)
    deviation = window.std(ddof=0)
    got = run((CLOSE - window.mean() + 2 * deviation) / (4 * deviation))
    upper, _, lower = talib.BBANDS(C.to_numpy(), 20)
    wanted = (C.to_numpy() - lower) / (upper - lower)
    assert np.nanmax(np.abs(got - wanted)) < 1e-6


def test_every_public_operator_has_a_case() -> None:
    """An operator that is added without an oracle fails here."""
    text = " ".join(repr(expression) for expression, _, _ in CASES.values())
    methods = {name for name in vars(ss.Expression) if not name.startswith("_")}  # those of the table: the test below
    methods -= {"node", "operands", "code", "precedence", "source_location", "named"}
    methods -= {"rolling", "ewm", "expanding", "age", "max_age", "at"}
    for windowed in (CLOSE.rolling(2), CLOSE.ewm(span=2)):
        methods |= {name for name in dir(windowed) if not name.startswith("_")} - {"x", "window", "code"}
    missing = {name for name in methods if f".{name}(" not in text and f"{name}(" not in text}
    assert not missing


def test_every_row_of_the_table_is_compared() -> None:
    """The core's list of operators, against what the cases above are made of."""
    nodes = [each.node for expression, _, _ in CASES.values() for each in in_order(expression)]
    plain = [node for node in nodes if node["op"] != "ewm"]
    seen = {node.get("stat", node["name"] if node["op"] == "book" else node["op"]) for node in plain}
    seen |= {f"ewm.{node.get('stat', 'mean')}" for node in nodes if node["op"] == "ewm"}
    rows = json.loads(_core.operators())
    # A clock and messages are needed for these: the test below, tests/parity and specs/crossing.md have them. Those across
    # instruments, of the time, made of others and over all so far have cases in test_cross_section, test_session_times,
    # test_composites, test_scans.
    families = ("crossing", "across instruments", "time", "ewm over time", "expanding", "scan")
    elsewhere = {row["name"] for row in rows if row["family"] in families or "unit" in row}
    assert {row["name"] for row in rows} - seen - elsewhere == set()


def test_trades_sampled_by_a_clock_equal_a_direct_evaluation() -> None:
    """Signed quantity and count of trades over time, at the ticks of a clock, as pandas computes them at those moments."""
    count = 2000
    gaps = RANDOM.exponential(0.05, count).cumsum()
    ts = (1_700_000_000 + gaps) * 1e9
    table = pd.DataFrame({"ts_recv": ts.astype("int64"), "price": 100 + RANDOM.normal(0, 1, count).cumsum() / 100})
    table["qty"], table["side"] = RANDOM.exponential(1, count), RANDOM.choice([-1.0, 1.0], count)
    graph = ss.FeatureGraph(
        name="flow",
        on=ss.every("100ms"),
        features={
            "flow": trades.signed_qty().rolling("5s").sum(),
            "count": trades.count().rolling("5s").sum(),
            "last": trades.price,
            "age": trades.price.age(),
            "fresh": trades.price.max_age("100ms"),
        },
    )
    got = ss.compute(graph, pa.Table.from_pandas(table), instrument="X").to_pandas()
    known = table.ts_recv.to_numpy()
    for row in got.itertuples():
        t = row.ts_recv.value
        inside = table[(known > t - 5_000_000_000) & (known <= t)]
        newest = table[known <= t].iloc[-1]
        if t - known[0] >= 5_000_000_000:
            assert row.flow == pytest.approx((inside.qty * inside.side).sum(), abs=1e-9)
            assert row.count == len(inside)
        else:
            assert np.isnan(row.flow)
        assert row.last == newest.price
        assert row.age == pytest.approx((t - newest.ts_recv) / 1e9, abs=0)
        assert np.isnan(row.fresh) == (t - newest.ts_recv > 100_000_000)
    assert (got.ts_recv.astype("int64") % 100_000_000 == 0).all()
    assert np.diff(got.ts_recv.astype("int64")).tolist() == [100_000_000] * (len(got) - 1)
