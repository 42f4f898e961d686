"""signal-stream: one feature graph for research and live, guarded signals, exact replay.

    import signal_stream as ss
    table = ss.compute(graph, "capture.gz")
"""

from __future__ import annotations

from signal_stream.errors import SignalStreamError
from signal_stream.features import (
    Expression,
    FeatureGraph,
    atr,
    bars,
    book,
    every,
    instrument,
    load_graph,
    macd,
    maximum,
    minimum,
    quotes,
    rsi,
    trades,
    where,
)

__all__ = [
    "Expression",
    "FeatureGraph",
    "SignalStreamError",
    "atr",
    "bars",
    "book",
    "every",
    "instrument",
    "load_graph",
    "macd",
    "maximum",
    "minimum",
    "quotes",
    "rsi",
    "trades",
    "where",
]
