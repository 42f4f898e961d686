"""Values across instruments against pandas' groupby over a panel with holes, equal values and moments of few members."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
from tests.conftest import DAILY_STOCKS

import signal_stream as ss
from signal_stream import _core, bars, cross, universe

NAMES = [f"{symbol}.X" for symbol in ("MSFT", "A", "ZM", "IBM", "T", "BA", "GE", "F", "KO", "C", "V")]
GROUPS = {name: "tech" if name < "J" else "rest" for name in NAMES}
CLOSE = bars("1m").close
SECTORS = universe("sectors", GROUPS)
MAD = 1.482602218505602


def panel(seed: int = 5) -> pd.DataFrame:
    """Closes of 80 minutes; a fifth is missing, many are equal."""
    rng = np.random.default_rng(seed)
    rows = [
        (
            pd.Timestamp("2024-03-01T00:00:00Z") + pd.Timedelta(minutes=minute),
            name,
            float(rng.integers(90, 104)) / 4 - 24,
        )
        for minute in range(80)
        for name in rng.permutation(NAMES)
        if minute < 2 or rng.random() > 0.2
    ]
    return pd.DataFrame(rows, columns=["ts_open", "instrument", "close"])


def mad(x: pd.Series) -> float:
    return float((x - x.median()).abs().median())


# Of a pandas group, the same number for each of its members.
WHOLE: dict[str, tuple[ss.Expression, Callable[[pd.Series], pd.Series]]] = {
    "rank": (cross(CLOSE).rank(), lambda x: (x.rank() - 0.5) / len(x)),
    "pct_rank": (cross(CLOSE).pct_rank(), lambda x: x.rank(pct=True)),
    "bucket": (cross(CLOSE).bucket(4), lambda x: np.floor(4 * (x.rank() - 0.5) / len(x))),
    "zscore": (cross(CLOSE).zscore(), lambda x: (x - x.mean()) / x.std()),
    "robust_zscore": (
        cross(CLOSE).robust_zscore(clip=1.5), lambda x: ((x - x.median()) / (MAD * mad(x))).clip(-1.5, 1.5)
    ),
    "winsorise": (
        cross(CLOSE).winsorise(k=1.25),
        lambda x: x.clip(x.median() - 1.25 * MAD * mad(x), x.median() + 1.25 * MAD * mad(x)),
    ),
    "winsorise_quantile": (
        cross(CLOSE).winsorise_quantile(q=0.2), lambda x: x.clip(x.quantile(0.2), x.quantile(0.8))
    ),
    "demean": (cross(CLOSE).demean(), lambda x: x - x.mean()),
    "scale": (cross(CLOSE).scale(), lambda x: x / x.abs().sum()),
    "mean": (cross(CLOSE).mean(), lambda x: x * 0 + x.mean()),
    "median": (cross(CLOSE).median(), lambda x: x * 0 + x.median()),
    "dispersion": (cross(CLOSE).dispersion(), lambda x: x * 0 + x.std()),
    "breadth": (cross(CLOSE).breadth(), lambda x: x * 0 + (x > 0).mean()),
    "count": (cross(CLOSE).count(), lambda x: x * 0 + len(x)),
    "neutralise": (
        cross(CLOSE, universe=SECTORS).neutralise(),
        lambda x: x - x.groupby(x.index.get_level_values("instrument").map(GROUPS)).transform("mean"),
    ),
}  # fmt: skip


def computed(features: dict[str, ss.Expression], frame: pd.DataFrame, on: str = "1m") -> pd.DataFrame:
    graph = ss.FeatureGraph(name="g", on=bars(on), features=features)
    found = ss.compute(graph, pa.Table.from_pandas(frame, preserve_index=False), missing_bars="skip").to_pandas()
    found["ts_open"] = found["ts_recv"] - pd.Timedelta(on.replace("d", "D"))
    return found.set_index(["ts_open", "instrument"]).sort_index()


def test_every_function_is_what_pandas_gives() -> None:
    frame = panel()
    found = computed({name: x for name, (x, _) in WHOLE.items()}, frame)
    closes = frame.set_index(["ts_open", "instrument"])["close"].sort_index()
    newest = closes.index.get_level_values("ts_open").max()
    for name, (_, oracle) in WHOLE.items():
        wanted = closes.groupby(level="ts_open", group_keys=False).apply(oracle).astype(float)
        wanted = wanted.where(np.isfinite(wanted))
        both = pd.DataFrame({"found": found[name], "wanted": wanted})
        assert len(both) == len(closes) > 600
        before = both.loc[both.index.get_level_values("ts_open") < newest]
        pd.testing.assert_series_equal(
            before["found"], before["wanted"], check_names=False, rtol=1e-13, atol=1e-13, obj=name
        )
        assert before["found"].notna().mean() > 0.95, name


def test_the_table_of_functions_is_the_one_that_is_tested() -> None:
    import json

    listed = {
        each["name"].removeprefix("cross.")
        for each in json.loads(_core.operators())
        if each["name"].startswith("cross.")
    }
    assert listed == set(WHOLE)


def test_windows_stand_before_and_behind_a_cross_section() -> None:
    """As the published alphas have them: a rank of a window of ranks."""
    frame = panel(9)
    step = CLOSE.diff()
    alpha = cross(cross(step).pct_rank().rolling(5).mean() - CLOSE.rolling(3).mean()).pct_rank()
    found = computed({"alpha": alpha}, frame)
    wide = frame.pivot(index="ts_open", columns="instrument", values="close")
    rank = pd.DataFrame({name: wide[name].dropna().diff() for name in wide}).rank(axis=1, pct=True)
    inner = pd.DataFrame({
        name: rank[name].dropna().rolling(5).mean() - wide[name].dropna().rolling(3).mean() for name in wide
    }).reindex(wide.index).where(wide.notna())  # fmt: skip
    wanted = inner.rank(axis=1, pct=True).stack().dropna().rename("wanted")
    wanted.index.names = ["ts_open", "instrument"]
    both = pd.concat([found["alpha"].dropna().rename("found"), wanted], axis=1)
    both = both[both.index.get_level_values("ts_open") < wide.index[-1]]
    assert len(both) > 500
    # Ranks of values that differ in their last bit only may swap where pandas sums in another order.
    assert (both["found"] - both["wanted"]).abs().le(1e-12).mean() > 0.99


def test_daily_stocks() -> None:
    frame = pd.read_csv(DAILY_STOCKS)
    rows = pd.DataFrame({
        "ts_open": pd.to_datetime(frame["Date"], utc=True), "instrument": frame["Stock"], "close": frame["Close"],
    }).sort_values("ts_open", kind="stable")  # fmt: skip
    daily = bars("1d").close
    found = computed(
        {"rank": cross(daily.pct_change()).pct_rank(), "demeaned": cross(daily.log()).demean()}, rows, "1d"
    )
    wide = rows.pivot(index="ts_open", columns="instrument", values="close")
    change = pd.DataFrame({name: wide[name].dropna().pct_change() for name in wide})
    log = np.log(wide)
    for name, wanted in (("rank", change.rank(axis=1, pct=True)), ("demeaned", log.sub(log.mean(axis=1), axis=0))):
        both = pd.concat([found[name].dropna(), wanted.stack().rename("wanted")], axis=1)
        both = both[both.index.get_level_values(0) < wide.index[-1]]
        assert len(both) > 3_500
        np.testing.assert_allclose(both[name], both["wanted"], rtol=1e-12, atol=1e-13)
