"""Each composite against software by other people, or against its definition written out row by row, on real bars."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import talib
from scipy.special import binom
from scipy.stats import norm

import signal_stream as ss
from signal_stream import _core, bars, book, trades

DATA = Path(__file__).parents[1] / "data" / "binance-1m-bars" / "btcusdt_1m.csv.gz"
RANDOM = np.random.default_rng(11)
N = 1_500
BARS = pd.read_csv(DATA).head(N)
BARS["buy_volume"] = BARS.volume * RANDOM.uniform(0, 1, N)
BARS["vwap"] = (BARS.high + BARS.low + BARS.close) / 3
LEVELS = 4
for side, sign in (("bid", -1), ("ask", 1)):
    way = np.cumsum(RANDOM.integers(1, 4, (N, LEVELS)) * 0.01, axis=1)
    for level in range(LEVELS):
        BARS[f"{side}_price_{level + 1}"] = (BARS.close + sign * way[:, level]).round(2)
        BARS[f"{side}_qty_{level + 1}"] = 1.5 + RANDOM.exponential(5.0, N)
TRADES = pd.DataFrame(
    {
        "ts_recv": np.arange(N) * 1_000_000_000 + 1_700_000_000_000_000_000,
        "price": 100 + RANDOM.integers(-1, 2, N).cumsum() * 0.5,
        "qty": RANDOM.exponential(1.0, N),
        "side": RANDOM.choice([-1.0, 0.0, 1.0], N, p=[0.45, 0.1, 0.45]),
    }
)
O, H, L, C, V = (BARS[name].to_numpy() for name in ("open", "high", "low", "close", "volume"))
BUY, VWAP = BARS.buy_volume.to_numpy(), BARS.vwap.to_numpy()
P, Q, S = (TRADES[name].to_numpy() for name in ("price", "qty", "side"))
BID, ASK, BID_QTY, ASK_QTY = (
    np.array([BARS[f"{name}_{level}"] for level in range(1, LEVELS + 1)])
    for name in ("bid_price", "ask_price", "bid_qty", "ask_qty")
)
MID = (BID[0] + ASK[0]) / 2
MID_OF_SIDES = trades.price - 0.25 * trades.side
"""Below what buyers pay, above what sellers get, and the price where nobody says."""
BAR = bars("1m")
CLOSE = BAR.close
Column = np.ndarray[Any, np.dtype[np.float64]]


def before(x: Column, n: int = 1) -> Column:
    return np.concatenate([np.full(n, np.nan), x[:-n]])


def windows(n: int, of: Callable[..., float], *columns: Column) -> Column:
    """A function of the newest n rows, where none is missing."""
    out = np.full(len(columns[0]), np.nan)
    for i in range(n - 1, len(out)):
        parts = [column[i - n + 1 : i + 1] for column in columns]
        if not any(np.isnan(part).any() for part in parts):
            out[i] = of(*parts)
    return out


def ewm(x: Column, **weights: float) -> pd.Series:
    return pd.Series(x).ewm(**weights).mean()


R = np.log(C / before(C))


def wilder_rsi(n: int) -> pd.Series:
    change = pd.Series(C).diff()
    gain = change.clip(lower=0).ewm(alpha=1 / n, min_periods=2 * n - 1).mean()
    loss = (-change).clip(lower=0).ewm(alpha=1 / n, min_periods=2 * n - 1).mean()
    return 100 * gain / (gain + loss)


def chained(span: int, times: int) -> pd.Series:
    """The exponential mean of the exponential mean of …"""
    series = pd.Series(C)
    for _ in range(times):
        series = series.ewm(span=span, min_periods=span).mean()
    return series


def hosking(d: float, n: int) -> Column:
    """Coefficients of (1 - B)^d by the binomial series."""
    return np.array([(-1) ** k * binom(d, k) for k in range(n)])


def macd() -> pd.Series:
    return ewm(C, span=12, min_periods=12) - ewm(C, span=26, min_periods=26)


def macd_signal() -> pd.Series:
    return macd().ewm(span=9, min_periods=9).mean()


def wilder_range(n: int) -> pd.Series:
    return pd.Series(talib.TRANGE(H, L, C)).ewm(alpha=1 / n, min_periods=2 * n - 1).mean()


def lo_mackinlay(q: int) -> Callable[[Column], float]:
    """Their unbiased estimates, from the logarithms of n + 1 prices (1988, section 1.1)."""

    def ratio(prices: Column) -> float:
        x = np.log(prices)
        n = len(x) - 1
        mu = (x[-1] - x[0]) / n
        one = sum((x[k] - x[k - 1] - mu) ** 2 for k in range(1, n + 1)) / (n - 1)
        m = q * (n - q + 1) * (1 - q / n)
        many = sum((x[k] - x[k - q] - q * mu) ** 2 for k in range(q, n + 1)) / m
        return float(many / one)

    return ratio


def bipower(r: Column) -> float:
    m = len(r)
    return math.pi / 2 * m / (m - 1) * sum(abs(r[i]) * abs(r[i - 1]) for i in range(1, m))


def med_variance(r: Column) -> float:
    m = len(r)
    factor = math.pi / (6 - 4 * math.sqrt(3) + math.pi) * m / (m - 2)
    return factor * sum(float(np.median(np.abs(r[i - 1 : i + 2]))) ** 2 for i in range(1, m - 1))


def lee_mykland(k: int) -> Column:
    """L(i) = r(i) / sigma(i), where sigma² is the mean of k - 2 products (2008, definition 1)."""
    out = np.full(N, np.nan)
    for i in range(k, N):
        total = sum(abs(R[j]) * abs(R[j - 1]) for j in range(i - k + 2, i))
        out[i] = R[i] / math.sqrt(total / (k - 2)) if total > 0 else np.nan
    return out


def yang_zhang(n: int) -> Column:
    def variance(o: Column, h: Column, low: Column, c: Column, c0: Column) -> float:
        k = 0.34 / (1.34 + (n + 1) / (n - 1))
        rs = np.mean(np.log(h / c) * np.log(h / o) + np.log(low / c) * np.log(low / o))
        return float(np.var(np.log(o / c0), ddof=1) + k * np.var(np.log(c / o), ddof=1) + (1 - k) * rs)

    return windows(n, variance, O, H, L, C, before(C))


def last_tick(n: int) -> Column:
    out = np.full(N, np.nan)
    for i in range(1, N):
        changes = [P[j] - P[j - 1] for j in range(i, max(0, i - n), -1)]
        moves = [change for change in changes if change != 0]
        if moves or len(changes) == n:
            out[i] = np.sign(moves[0]) if moves else 0
    return out


def bulk_signed_volume(n: int) -> Column:
    """With scipy's normal distribution and pandas' standard deviation."""
    change = pd.Series(C).diff()
    bought = V * norm.cdf(change / change.rolling(n).std())
    return np.asarray(bought - (V - bought))


def roll(p: Column) -> float:
    d = np.diff(p)
    covariance = float(np.cov(d[1:], d[:-1])[0, 1])
    return 2 * math.sqrt(-covariance) if covariance <= 0 else math.nan


def corwin_schultz() -> Column:
    out = np.full(N, np.nan)
    for i in range(1, N):
        beta = math.log(H[i] / L[i]) ** 2 + math.log(H[i - 1] / L[i - 1]) ** 2
        gamma = math.log(max(H[i], H[i - 1]) / min(L[i], L[i - 1])) ** 2
        root = 3 - 2 * math.sqrt(2)
        alpha = (math.sqrt(2 * beta) - math.sqrt(beta)) / root - math.sqrt(gamma / root)
        out[i] = 2 * (math.exp(alpha) - 1) / (1 + math.exp(alpha))
    return out


def level_flow(level: int) -> Column:
    out = np.full(N, np.nan)
    b, a, qb, qa = (side[level - 1] for side in (BID, ASK, BID_QTY, ASK_QTY))
    for i in range(1, N):
        out[i] = qb[i] * (b[i] >= b[i - 1]) - qb[i - 1] * (b[i] <= b[i - 1])
        out[i] -= qa[i] * (a[i] <= a[i - 1]) - qa[i - 1] * (a[i] >= a[i - 1])
    return out


def naes_skjeltorp(levels: int) -> Column:
    def one(prices: Column, quantities: Column, mid: float) -> float:
        v = np.log(np.cumsum(quantities))
        total = v[0] / abs(prices[0] / mid - 1)
        for tau in range(1, levels):
            total += (v[tau] / v[tau - 1] - 1) / abs(prices[tau] / prices[tau - 1] - 1)
        return float(total / levels)

    sides = ((BID, BID_QTY), (ASK, ASK_QTY))
    return np.array([sum(one(p[:levels, i], q[:levels, i], MID[i]) for p, q in sides) / 2 for i in range(N)])


def sweep(prices: Column, quantities: Column, wanted: float) -> Column:
    out = np.full(N, np.nan)
    for i in range(N):
        left, paid = wanted, 0.0
        for price, qty in zip(prices[:, i], quantities[:, i], strict=True):
            taken = min(left, qty)
            paid, left = paid + taken * price, left - taken
        if left == 0:
            out[i] = paid / wanted
    return out


def near(prices: Column, quantities: Column, bps: float) -> Column:
    return (quantities * (np.abs(prices - MID) <= bps / 1e4 * MID)).sum(axis=0)


def decayed(quantities: Column) -> Column:
    return sum(math.exp(-0.5 * level) * quantities[level] for level in range(LEVELS))


Case = tuple[ss.Expression, Callable[[], object], float]
OF_BARS: dict[str, Case] = {
    "rsi": (CLOSE.rsi(14), lambda: wilder_rsi(14), 1e-9),
    "macd": (CLOSE.macd(), macd, 1e-6),
    "macd_signal": (CLOSE.macd_signal(), macd_signal, 1e-6),
    "macd_histogram": (CLOSE.macd_histogram(), lambda: macd() - macd_signal(), 1e-5),
    "bollinger_upper": (CLOSE.bollinger_upper(20), lambda: talib.BBANDS(C, 20)[0], 1e-8),
    "bollinger_lower": (CLOSE.bollinger_lower(20), lambda: talib.BBANDS(C, 20)[2], 1e-8),
    "bollinger_width": (
        CLOSE.bollinger_width(20, 1.5), lambda: windows(20, lambda x: 3 * np.std(x) / np.mean(x), C), 1e-9
    ),
    "percent_b": (
        CLOSE.percent_b(20),
        lambda: windows(20, lambda x: (x[-1] - np.mean(x) + 2 * np.std(x)) / (4 * np.std(x)), C), 1e-8,
    ),
    "stochastic": (
        CLOSE.stochastic(30), lambda: windows(30, lambda x: (x[-1] - x.min()) / (x.max() - x.min()), C), 1e-12
    ),
    "autocorr": (
        CLOSE.autocorr(30, n=2), lambda: pd.Series(C).rolling(32).apply(lambda x: x.autocorr(2)).to_numpy(), 1e-7
    ),
    "stochastic_k": (BAR.stochastic_k(14), lambda: talib.STOCHF(H, L, C, 14, 1)[0], 1e-12),
    "stochastic_d": (BAR.stochastic_d(14, 3), lambda: talib.STOCHF(H, L, C, 14, 3)[1], 1e-11),
    "true_range": (BAR.true_range(), lambda: talib.TRANGE(H, L, C), 1e-12),
    "atr": (BAR.atr(14), lambda: wilder_range(14), 1e-11),
    "close_location": (BAR.close_location(), lambda: ((C - L) - (H - C)) / (H - L), 1e-12),
    "gap": (BAR.gap(), lambda: np.log(O / before(C)), 1e-8),
    "dema": (CLOSE.dema(12), lambda: 2 * chained(12, 1) - chained(12, 2), 1e-8),
    "tema": (CLOSE.tema(12), lambda: 3 * chained(12, 1) - 3 * chained(12, 2) + chained(12, 3), 1e-8),
    "fracdiff": (CLOSE.fracdiff(0.4, 30), lambda: windows(30, lambda x: np.dot(hosking(0.4, 30)[::-1], x), C), 1e-9),
    "weighted_mean": (
        CLOSE.weighted_mean(BAR.volume, 20), lambda: windows(20, lambda x, w: np.average(x, weights=w), C, V), 1e-10
    ),
    "williams_r": (BAR.williams_r(14), lambda: talib.WILLR(H, L, C, 14), 1e-11),
    "money_flow_index": (BAR.money_flow_index(14), lambda: talib.MFI(H, L, C, V, 14), 1e-9),
    "ultimate_oscillator": (BAR.ultimate_oscillator(), lambda: talib.ULTOSC(H, L, C, 7, 14, 28), 1e-9),
    "natr": (BAR.natr(14), lambda: 100 * wilder_range(14) / C, 1e-10),
    "balance_of_power": (BAR.balance_of_power(), lambda: np.where(H > L, talib.BOP(O, H, L, C), np.nan), 1e-12),
    "efficiency_ratio": (
        CLOSE.efficiency_ratio(10), lambda: windows(11, lambda x: abs(x[-1] - x[0]) / np.abs(np.diff(x)).sum(), C), 1e-9
    ),
    "realised_variance": (CLOSE.realised_variance(30), lambda: windows(30, lambda r: np.sum(r**2), R), 1e-9),
    "upside_semivariance": (
        CLOSE.upside_semivariance(30), lambda: windows(30, lambda r: np.sum(r[r > 0] ** 2), R), 1e-9
    ),
    "downside_semivariance": (
        CLOSE.downside_semivariance(30), lambda: windows(30, lambda r: np.sum(r[r < 0] ** 2), R), 1e-9
    ),
    "bipower_variation": (CLOSE.bipower_variation(30), lambda: windows(30, bipower, R), 1e-9),
    "med_realised_variance": (CLOSE.med_realised_variance(30), lambda: windows(30, med_variance, R), 1e-9),
    "jump_statistic": (CLOSE.jump_statistic(60), lambda: lee_mykland(60), 1e-9),
    "ewma_volatility": (
        CLOSE.ewma_volatility(), lambda: np.sqrt(ewm(R**2, alpha=1 - 0.94, min_periods=33)), 1e-9
    ),
    "vol_of_vol": (
        CLOSE.vol_of_vol(20, 30), lambda: pd.Series(R).rolling(20).std().rolling(30).std(), 1e-6
    ),
    "vol_ratio": (
        CLOSE.vol_ratio(20, 100), lambda: pd.Series(R).rolling(20).std() / pd.Series(R).rolling(100).std(), 1e-7
    ),
    "variance_ratio": (CLOSE.variance_ratio(5, 60), lambda: windows(61, lo_mackinlay(5), C), 1e-9),
    "parkinson_variance": (
        BAR.parkinson_variance(20),
        lambda: windows(20, lambda h, low: np.sum(np.log(h / low) ** 2) / (4 * 20 * math.log(2)), H, L), 1e-10,
    ),
    "garman_klass_variance": (
        BAR.garman_klass_variance(20),
        lambda: windows(
            20,
            lambda o, h, low, c: np.mean(0.5 * np.log(h / low) ** 2 - (2 * math.log(2) - 1) * np.log(c / o) ** 2),
            O, H, L, C,
        ), 1e-10,
    ),
    "rogers_satchell_variance": (
        BAR.rogers_satchell_variance(20),
        lambda: windows(
            20, lambda o, h, low, c: np.mean(np.log(h / c) * np.log(h / o) + np.log(low / c) * np.log(low / o)), O, H, L, C
        ), 1e-9,
    ),
    "yang_zhang_variance": (BAR.yang_zhang_variance(20), lambda: yang_zhang(20), 1e-8),
    "signed_volume": (BAR.signed_volume(), lambda: BUY - (V - BUY), 1e-12),
    "bulk_signed_volume": (BAR.bulk_signed_volume(20), lambda: bulk_signed_volume(20), 1e-9),
    "volume_imbalance": (
        BAR.volume_imbalance(20), lambda: windows(20, lambda b, v: np.sum(2 * b - v) / np.sum(v), BUY, V), 1e-11
    ),
    "flow_toxicity": (
        BAR.flow_toxicity(50), lambda: windows(50, lambda b, v: np.sum(np.abs(b - (v - b))) / np.sum(v), BUY, V), 1e-11
    ),
    "amihud": (
        BAR.amihud(20),
        lambda: windows(20, lambda r, w: np.mean(np.abs(r) / w), C / before(C) - 1, VWAP * V), 1e-8,
    ),
    "kyle_lambda": (
        CLOSE.kyle_lambda(BAR.signed_volume(), 60),
        lambda: windows(60, lambda d, f: np.polyfit(f, d, 1)[0], C - before(C), 2 * BUY - V), 1e-8,
    ),
    "roll_spread": (CLOSE.roll_spread(60), lambda: windows(62, roll, C), 1e-6),
    "corwin_schultz": (BAR.corwin_schultz(), corwin_schultz, 1e-7),
    "relative_spread": (book.relative_spread(), lambda: (ASK[0] - BID[0]) / MID, 1e-12),
    "weighted_mid": (
        book.weighted_mid(4),
        lambda: (lambda i: i * ASK[0] + (1 - i) * BID[0])(BID_QTY.sum(0) / (BID_QTY.sum(0) + ASK_QTY.sum(0))), 1e-12,
    ),
    "weighted_imbalance": (
        book.weighted_imbalance(4, 0.5),
        lambda: (decayed(BID_QTY) - decayed(ASK_QTY)) / (decayed(BID_QTY) + decayed(ASK_QTY)), 1e-13,
    ),
    "level_ofi": (book.level_ofi(3), lambda: level_flow(3), 1e-12),
    "scaled_ofi": (
        book.scaled_ofi(20, 2, 4),
        lambda: windows(20, np.sum, level_flow(2))
        / windows(20, np.mean, (BID_QTY.sum(0) + ASK_QTY.sum(0)) / 8), 1e-10,
    ),
    "slope": (book.slope(4), lambda: naes_skjeltorp(4), 1e-6),
    "buy_cost": (book.buy_cost(20.0, 4), lambda: sweep(ASK, ASK_QTY, 20.0) - MID, 1e-8),
    "sell_cost": (book.sell_cost(20.0, 4), lambda: MID - sweep(BID, BID_QTY, 20.0), 1e-8),
    "bid_depth": (book.bid_depth(0.004, 4), lambda: near(BID, BID_QTY, 0.004), 1e-12),
    "ask_depth": (book.ask_depth(0.004, 4), lambda: near(ASK, ASK_QTY, 0.004), 1e-12),
    "depth_centre": (
        book.depth_centre(4),
        lambda: ((BID * BID_QTY).sum(0) + (ASK * ASK_QTY).sum(0)) / (BID_QTY.sum(0) + ASK_QTY.sum(0)), 1e-12,
    ),
}  # fmt: skip
OF_TRADES: dict[str, Case] = {
    "tick_rule": (trades.price.tick_rule(5), lambda: last_tick(5), 0),
    "tick_rule_far": (trades.price.tick_rule(), lambda: last_tick(1024), 0),
    "lee_ready": (trades.price.lee_ready(MID_OF_SIDES, 5), lambda: np.where(S == 0, last_tick(5), S), 0),
    "ellis_michaely_ohara": (
        trades.price.ellis_michaely_ohara(
            trades.price - 0.5 * (1 + trades.side), trades.price + 0.5 * (1 - trades.side), n=5
        ), lambda: np.where(S == 0, last_tick(5), S), 0,
    ),
    "effective_spread": (
        trades.price.effective_spread(trades.qty, trades.side), lambda: 2 * S * (P - Q), 1e-12
    ),
    "realised_spread": (
        trades.price.realised_spread(trades.qty, trades.side, 5), lambda: 2 * before(S, 5) * (before(P, 5) - Q), 1e-12
    ),
    "price_impact": (trades.price.price_impact(trades.side, 5), lambda: 2 * before(S, 5) * (P - before(P, 5)), 1e-12),
    "volume_delta": (trades.volume_delta(50), lambda: windows(50, lambda q, s: np.sum(q * s), Q, S), 1e-11),
    "trade_imbalance": (
        trades.trade_imbalance(50),
        lambda: windows(50, lambda q, s: (q[s > 0].sum() - q[s < 0].sum()) / q[s != 0].sum(), Q, S), 1e-11,
    ),
    "sign_autocorrelation": (
        trades.sign_autocorrelation(100, 2),
        lambda: windows(102, lambda s: np.corrcoef(s[2:], s[:-2])[0, 1], S), 1e-9,
    ),
}  # fmt: skip


def compare(expression: ss.Expression, on: Any, table: pd.DataFrame, oracle: object, tolerance: float) -> None:
    graph = ss.FeatureGraph(name="one", on=on, features={"x": expression})
    columns = {"ts_open": "timestamp"} if "timestamp" in table else {}
    got = ss.compute(graph, pa.Table.from_pandas(table), columns=columns, instrument="X").column("x").to_numpy()
    wanted = np.asarray(oracle, dtype=float)
    wanted = np.where(np.isfinite(wanted), wanted, np.nan)
    assert np.isnan(got).tolist() == np.isnan(wanted).tolist()
    assert not np.isnan(wanted).all()
    scale = np.maximum(np.abs(wanted), np.nanstd(wanted) if tolerance else 0)
    assert np.nanmax(np.abs(got - wanted) / np.where(scale == 0, 1, scale)) <= tolerance


@pytest.mark.parametrize("name", OF_BARS)
def test_a_composite_of_bars_or_a_book_equals_its_definition(name: str) -> None:
    expression, oracle, tolerance = OF_BARS[name]
    compare(expression, BAR, BARS, oracle(), tolerance)


@pytest.mark.parametrize("name", OF_TRADES)
def test_a_composite_of_trades_equals_its_definition(name: str) -> None:
    expression, oracle, tolerance = OF_TRADES[name]
    compare(expression, trades, TRADES, oracle(), tolerance)


ROWS: dict[str, dict[str, Any]] = {
    row["name"]: row for row in json.loads(_core.operators()) if "unit" in row and row["family"] != "scan"
}


def test_every_composite_is_compared_and_has_its_page() -> None:
    assert set(ROWS) == {case[0].node["op"] for case in (*OF_BARS.values(), *OF_TRADES.values())}
    pages = "".join(page.read_text() for page in (Path(__file__).parents[2] / "specs").glob("*.md"))
    assert {name for name in ROWS if f".{name}(" not in pages} == set()


@pytest.mark.parametrize("name", ROWS)
def test_the_first_value_comes_when_the_table_says(name: str) -> None:
    """The warm-up is an expression over the parameters; a window counts its values."""
    cases = [case[0] for case in (*OF_BARS.values(), *OF_TRADES.values()) if case[0].node["op"] == name]
    for expression in cases:
        node = {key: value for key, value in expression.node.items() if key in ROWS[name]["parameters"]}
        given = {key: value["count"] if key == "window" else value for key, value in node.items()}
        events = ROWS[name]["warm_up"].removesuffix(" events").removesuffix(" event")
        ast.parse(events, mode="eval")
        wanted = eval(events, {"max": max, "ceil": math.ceil}, given)
        on, table = (trades, TRADES) if repr(expression).startswith("trades") else (BAR, BARS)
        graph = ss.FeatureGraph(name="one", on=on, features={"x": expression})
        columns = {"ts_open": "timestamp"} if "timestamp" in table else {}
        found = ss.compute(graph, pa.Table.from_pandas(table), columns=columns, instrument="X", reasons=True)
        assert found.column("x.reason").to_pylist().count("WARMUP") + 1 == wanted


def test_atr_and_rsi_reach_talibs_once_its_seed_is_forgotten() -> None:
    for expression, wanted in ((BAR.atr(14), talib.ATR(H, L, C, 14)), (CLOSE.rsi(14), talib.RSI(C, 14))):
        graph = ss.FeatureGraph(name="one", on=BAR, features={"x": expression})
        got = ss.compute(graph, pa.Table.from_pandas(BARS), columns={"ts_open": "timestamp"}, instrument="X")
        assert np.nanmax(np.abs(got.column("x").to_numpy()[700:] / wanted[700:] - 1)) < 1e-11
