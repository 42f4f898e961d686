"""The feature graph: expressions over market streams, as plain data.

An expression is a description; nothing is computed here. `FeatureGraph` turns expressions into the JSON form that the
core compiles, and that form's digest names the graph everywhere.
"""

from signal_stream.features.choice import coalesce, lookup, maximum, minimum, where
from signal_stream.features.cross import CrossSection, cross, universe
from signal_stream.features.expression import Expression
from signal_stream.features.file import load_graph
from signal_stream.features.graph import FeatureGraph
from signal_stream.features.indicators import atr, macd, rsi
from signal_stream.features.options import (
    black_charm,
    black_delta,
    black_gamma,
    black_price,
    black_theta,
    black_vanna,
    black_vega,
    implied_vol,
    log_moneyness,
    std_moneyness,
    straddle_move,
)
from signal_stream.features.session_times import Session, minutes_until, session, years_until
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
from signal_stream.features.windows import Ewm, EwmOverTime, Expanding, Rolling

__all__ = [
    "BarStream",
    "BookStream",
    "Clock",
    "CrossSection",
    "Ewm",
    "EwmOverTime",
    "Expanding",
    "Expression",
    "FeatureGraph",
    "Instrument",
    "Level",
    "QuoteStream",
    "Rolling",
    "Session",
    "TradeStream",
    "atr",
    "bars",
    "black_charm",
    "black_delta",
    "black_gamma",
    "black_price",
    "black_theta",
    "black_vanna",
    "black_vega",
    "book",
    "coalesce",
    "cross",
    "every",
    "implied_vol",
    "instrument",
    "load_graph",
    "log_moneyness",
    "lookup",
    "macd",
    "maximum",
    "minimum",
    "minutes_until",
    "quotes",
    "rsi",
    "session",
    "std_moneyness",
    "straddle_move",
    "trades",
    "universe",
    "where",
    "years_until",
]
