"""The feature graph: expressions over market streams, as plain data.

An expression is a description; nothing is computed here. `FeatureGraph` turns expressions into the JSON form that the
core compiles, and that form's digest names the graph everywhere.
"""

from signal_stream.features.choice import coalesce, maximum, minimum, where
from signal_stream.features.cross import CrossSection, cross, universe
from signal_stream.features.expression import Expression
from signal_stream.features.file import load_graph
from signal_stream.features.graph import FeatureGraph
from signal_stream.features.indicators import atr, macd, rsi
from signal_stream.features.streams import (
    BarStream,
    BookStream,
    Clock,
    Instrument,
    Level,
    QuoteStream,
    TradeStream,
    bars,
    book,
    every,
    instrument,
    quotes,
    trades,
)
from signal_stream.features.windows import Ewm, Rolling

__all__ = [
    "BarStream",
    "BookStream",
    "Clock",
    "CrossSection",
    "Ewm",
    "Expression",
    "FeatureGraph",
    "Instrument",
    "Level",
    "QuoteStream",
    "Rolling",
    "TradeStream",
    "atr",
    "bars",
    "book",
    "coalesce",
    "cross",
    "every",
    "instrument",
    "load_graph",
    "macd",
    "maximum",
    "minimum",
    "quotes",
    "rsi",
    "trades",
    "universe",
    "where",
]
