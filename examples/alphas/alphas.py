"""Twenty-four of the alphas of Kakushadze's "101 Formulaic Alphas" (Wilmott 2016), as one graph over daily bars.

The numbers are the paper's. `rank` and `scale` are across the instruments of the run at each day's end; all else is each
instrument's own. The same graph runs over a panel and live.
"""

from signal_stream import Expression, FeatureGraph, bars, cross, where

bar = bars("1d")
open_, high, low, close, volume, vwap = bar.open, bar.high, bar.low, bar.close, bar.volume, bar.vwap
returns = close.pct_change()
adv20 = (close * volume).rolling(20).mean()


def rank(x: Expression) -> Expression:
    """Among all instruments, in (0, 1]."""
    return cross(x).pct_rank()


def corr(x: Expression, y: Expression, n: int) -> Expression:
    """Over the last n days."""
    return x.rolling(n).corr(y)


def trend(x: Expression, n: int) -> Expression:
    """A step that follows steps of its own sign, else its opposite (the paper's 9 and 10)."""
    step = x.diff()
    return where(step.rolling(n).min() > 0, step, where(step.rolling(n).max() < 0, step, -step))


five_days = open_.rolling(5).sum() * returns.rolling(5).sum()
alphas = {
    "alpha_002": -corr(rank(volume.log().diff(2)), rank((close - open_) / open_), 6),
    "alpha_003": -corr(rank(open_), rank(volume), 10),
    "alpha_004": -rank(low).rolling(9).rank(),
    "alpha_005": rank(open_ - vwap.rolling(10).mean()) * -rank(close - vwap).abs(),
    "alpha_006": -corr(open_, volume, 10),
    "alpha_007": where(
        adv20 < close * volume, -close.diff(7).abs().rolling(60).rank() * close.diff(7).sign(), -1 + 0 * close.diff(7)
    ),
    "alpha_008": -rank(five_days - five_days.shift(10)),
    "alpha_009": trend(close, 5),
    "alpha_010": rank(trend(close, 4)),
    "alpha_011": (rank((vwap - close).rolling(3).max()) + rank((vwap - close).rolling(3).min())) * rank(volume.diff(3)),
    "alpha_012": volume.diff().sign() * -close.diff(),
    "alpha_013": -rank(rank(close).rolling(5).cov(rank(volume))),
    "alpha_014": -rank(returns.diff(3)) * corr(open_, volume, 10),
    "alpha_016": -rank(rank(high).rolling(5).cov(rank(volume))),
    "alpha_018": -rank((close - open_).abs().rolling(5).std() + (close - open_) + corr(close, open_, 10)),
    "alpha_020": -rank(open_ - high.shift()) * rank(open_ - close.shift()) * rank(open_ - low.shift()),
    "alpha_022": -(corr(high, volume, 5).diff(5) * rank(close.rolling(20).std())),
    "alpha_023": where(high.rolling(20).mean() < high, -high.diff(2), 0 * high.diff(2)),
    "alpha_028": cross(corr(adv20, low, 5) + (high + low) / 2 - close).scale(),
    "alpha_033": rank(open_ / close - 1),
    "alpha_038": -rank(close.rolling(10).rank()) * rank(close / open_),
    "alpha_041": (high * low) ** 0.5 - vwap,
    "alpha_042": rank(vwap - close) / rank(vwap + close),
    "alpha_101": (close - open_) / (high - low + 0.001),
}
graph = FeatureGraph(name="alphas", on=bar, features=alphas)
