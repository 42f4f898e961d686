"""The graph of 23 outputs that most figures are about: bars of a minute and the book at their close."""

import signal_stream as ss
from signal_stream import bars, book

bar = bars("1m")
close, volume = bar.close, bar.volume
short, long = close.rolling(20), close.rolling(60)
log_return = close.log_return()
typical = (bar.high + bar.low + close) / 3
deviation = short.std(ddof=0)

graph = ss.FeatureGraph(
    name="graph23",
    on=bar,
    features={
        "logret": log_return,
        "mean20": short.mean(),
        "std20": short.std(),
        "z20": short.zscore(),
        "mean60": long.mean(),
        "std60": long.std(),
        "z60": long.zscore(),
        "ema12": close.ewm(span=12).mean(),
        "ema26": close.ewm(span=26).mean(),
        "macd": ss.macd(close),
        "rsi14": ss.rsi(close, 14),
        "atr14": ss.atr(bar, 14),
        "bbpct20": (close - short.mean() + 2 * deviation) / (4 * deviation),
        "min60": long.min(),
        "max60": long.max(),
        "corr60": long.corr(volume),
        "skew60": long.skew(),
        "rank60": long.rank(),
        "vwap60": (typical * volume).rolling(60).sum() / volume.rolling(60).sum(),
        "rvol30": (log_return * log_return).rolling(30).sum().sqrt(),
        "imb5": book.imbalance(levels=5),
        "micro": book.microprice(),
        "ofi": book.ofi(levels=1),
    },
)
