"""`examples/alphas`: each alpha against the paper's formula in pandas, over a panel in which some days are missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import signal_stream as ss

EXAMPLE = Path(__file__).parents[2] / "examples" / "alphas" / "alphas.py"
DAYS, STOCKS = 140, 40
START = pd.Timestamp("2024-01-01T00:00:00Z")


def panel() -> pd.DataFrame:
    rng = np.random.default_rng(16)
    rows = []
    for number in range(STOCKS):
        close = 50 * np.exp(rng.normal(0, 0.02, DAYS).cumsum())
        opened = close * np.exp(rng.normal(0, 0.01, DAYS))
        high, low = (
            np.maximum(opened, close) + rng.exponential(0.3, DAYS),
            np.minimum(opened, close) - rng.exponential(0.3, DAYS),
        )
        frame = pd.DataFrame({
            "ts_open": pd.date_range(START, periods=DAYS, freq="D", unit="ns"), "instrument": f"S{number:02}.X",
            "open": opened, "high": high, "low": low, "close": close, "volume": rng.exponential(1e5, DAYS).round(),
            "vwap": (high + low + close + opened) / 4,
        })  # fmt: skip
        # Every tenth share comes to the market later.
        rows.append(frame[25:] if number % 10 == 3 else frame)
    return pd.concat(rows).sort_values(["ts_open", "instrument"], kind="stable")


FRAME = panel()
WIDE = {name: FRAME.pivot(index="ts_open", columns="instrument", values=name) for name in FRAME.columns[2:]}
O, H, L, C, V, W = (WIDE[name] for name in ("open", "high", "low", "close", "volume", "vwap"))
RETURNS, ADV20 = C / C.shift() - 1, (C * V).rolling(20).mean()


def rank(x: pd.DataFrame) -> pd.DataFrame:
    return x.rank(axis=1, pct=True)


def corr(x: pd.DataFrame, y: pd.DataFrame, n: int) -> pd.DataFrame:
    """None where either does not vary, of which pandas makes what its rounding left."""
    vary = (x.rolling(n).std() > 1e-12) & (y.rolling(n).std() > 1e-12)
    return pd.DataFrame({name: x[name].rolling(n).corr(y[name]) for name in x}).where(vary)


def cov(x: pd.DataFrame, y: pd.DataFrame, n: int) -> pd.DataFrame:
    """Of ranks: rounded, so that equal ones are equal for the rank that follows."""
    return pd.DataFrame({name: x[name].rolling(n).cov(y[name]) for name in x}).round(12)


def trend(n: int) -> pd.DataFrame:
    step = C.diff()
    return step.where((step.rolling(n).min() > 0) | (step.rolling(n).max() < 0), -step).where(
        step.rolling(n).min().notna()
    )


FIVE = O.rolling(5).sum() * RETURNS.rolling(5).sum()
WANTED = {
    "alpha_002": -corr(rank(np.log(V).diff(2)), rank((C - O) / O), 6),
    "alpha_003": -corr(rank(O), rank(V), 10),
    "alpha_004": -rank(L).rolling(9).rank(pct=True),
    "alpha_005": rank(O - W.rolling(10).sum() / 10) * (-1 * rank(C - W).abs()),
    "alpha_006": -corr(O, V, 10),
    "alpha_007": (-C.diff(7).abs().rolling(60).rank(pct=True) * np.sign(C.diff(7))).where(ADV20 < C * V, -1.0),
    "alpha_008": -rank(FIVE - FIVE.shift(10)),
    "alpha_009": trend(5),
    "alpha_010": rank(trend(4)),
    "alpha_011": (rank((W - C).rolling(3).max()) + rank((W - C).rolling(3).min())) * rank(V.diff(3)),
    "alpha_012": np.sign(V.diff()) * -C.diff(),
    "alpha_013": -rank(cov(rank(C), rank(V), 5)),
    "alpha_014": -rank(RETURNS.diff(3)) * corr(O, V, 10),
    "alpha_016": -rank(cov(rank(H), rank(V), 5)),
    "alpha_018": -rank((C - O).abs().rolling(5).std() + (C - O) + corr(C, O, 10)),
    "alpha_020": -rank(O - H.shift()) * rank(O - C.shift()) * rank(O - L.shift()),
    "alpha_022": -(corr(H, V, 5).diff(5) * rank(C.rolling(20).std())),
    "alpha_023": (-H.diff(2)).where(H.rolling(20).mean() < H, 0.0),
    "alpha_028": (lambda x: x.div(x.abs().sum(axis=1), axis=0))(corr(ADV20, L, 5) + (H + L) / 2 - C),
    "alpha_033": rank(-(1 - O / C)),
    "alpha_038": -rank(C.rolling(10).rank(pct=True)) * rank(C / O),
    "alpha_041": (H * L) ** 0.5 - W,
    "alpha_042": rank(W - C) / rank(W + C),
    "alpha_101": (C - O) / ((H - L) + 0.001),
}


@pytest.fixture(scope="module")
def found() -> pd.DataFrame:
    graph = ss.load_graph(EXAMPLE)
    assert set(graph.features) == set(WANTED)
    table = ss.compute(graph, pa.Table.from_pandas(FRAME, preserve_index=False), missing_bars="skip").to_pandas()
    table["ts_open"] = table["ts_recv"] - pd.Timedelta("1D")
    return table


@pytest.mark.parametrize("name", WANTED)
def test_an_alpha_is_the_papers(found: pd.DataFrame, name: str) -> None:
    ours = found.pivot(index="ts_open", columns="instrument", values=name).iloc[:-1]
    # What pandas says before its windows are full is not asked for.
    wanted = WANTED[name].reindex(ours.index)[ours.columns]
    settled, wanted = ours.iloc[90:], wanted.iloc[90:]
    assert settled.notna().mean().mean() > 0.9
    # Covariances of ranks are often equal but for the last bit, which parts them here: a few places in the rank above them.
    place = 5.01 / STOCKS if name in ("alpha_013", "alpha_016") else 0.0
    same = (settled - wanted).abs().le(1e-7 * wanted.abs() + 1e-9 + place) | settled.isna() & wanted.isna()
    assert same.mean().mean() > 0.9999
