"""signal-stream: one feature graph for research and live, guarded signals, exact replay.

import signal_stream as ss
table = ss.compute(graph, "capture.gz")
"""

from __future__ import annotations

import sys

if sys.argv[:1] == ["-m"] and sys.orig_argv[sys.orig_argv.index("-m") + 1] == "signal_stream":
    # `python -m signal_stream`: a signal.py or queue.py of the folder where the user stands is no module of ours.
    sys.path[:] = sys.path if sys.flags.safe_path else sys.path[1:]

import importlib.util
from typing import TYPE_CHECKING, Any

from signal_stream import errors
from signal_stream.errors import SignalStreamError

if TYPE_CHECKING:
    from signal_stream.client import connect
    from signal_stream.features import (
        Expression,
        FeatureGraph,
        atr,
        bars,
        black_charm,
        black_delta,
        black_gamma,
        black_price,
        black_theta,
        black_vanna,
        black_vega,
        book,
        coalesce,
        every,
        implied_vol,
        instrument,
        load_graph,
        log_moneyness,
        lookup,
        macd,
        maximum,
        minimum,
        minutes_until,
        quotes,
        rsi,
        session,
        std_moneyness,
        straddle_move,
        trades,
        where,
        years_until,
    )
    from signal_stream.features.cross import cross, universe
    from signal_stream.ingest import read_tape
    from signal_stream.research import label, split
    from signal_stream.research.backfill import backfill
    from signal_stream.research.compute import compute
    from signal_stream.research.engine import Engine
    from signal_stream.research.lookahead import LookaheadReport, lookahead
    from signal_stream.research.onnx_file import save_onnx, seal_onnx
    from signal_stream.research.parity import ParityReport, parity
    from signal_stream.research.profile import ProfileReport, profile
    from signal_stream.research.python_model import register_python
    from signal_stream.research.read_table import read_table

    __version__: str
    """The version of the package, as `signal-stream --version` shows it."""

__all__ = [
    "Engine",
    "Expression",
    "FeatureGraph",
    "LookaheadReport",
    "ParityReport",
    "ProfileReport",
    "SignalStreamError",
    "atr",
    "backfill",
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
    "compute",
    "connect",
    "cross",
    "every",
    "implied_vol",
    "instrument",
    "label",
    "load_graph",
    "log_moneyness",
    "lookahead",
    "lookup",
    "macd",
    "maximum",
    "minimum",
    "minutes_until",
    "parity",
    "profile",
    "quotes",
    "read_table",
    "read_tape",
    "register_python",
    "rsi",
    "save_onnx",
    "seal_onnx",
    "session",
    "split",
    "std_moneyness",
    "straddle_move",
    "trades",
    "universe",
    "where",
    "years_until",
]

# Loaded when first used: a command starts without what it does not use. (module, name in it).
_LAZY = {
    "__version__": ("signal_stream._core", "__version__"),
    "Engine": ("signal_stream.research.engine", "Engine"),
    "LookaheadReport": ("signal_stream.research.lookahead", "LookaheadReport"),
    "ParityReport": ("signal_stream.research.parity", "ParityReport"),
    "ProfileReport": ("signal_stream.research.profile", "ProfileReport"),
    "backfill": ("signal_stream.research.backfill", "backfill"),
    "compute": ("signal_stream.research.compute", "compute"),
    "connect": ("signal_stream.client", "connect"),
    "label": ("signal_stream.research.label", None),
    "lookahead": ("signal_stream.research.lookahead", "lookahead"),
    "parity": ("signal_stream.research.parity", "parity"),
    "profile": ("signal_stream.research.profile", "profile"),
    "read_table": ("signal_stream.research.read_table", "read_table"),
    "read_tape": ("signal_stream.ingest", "read_tape"),
    "register_python": ("signal_stream.research.python_model", "register_python"),
    "save_onnx": ("signal_stream.research.onnx_file", "save_onnx"),
    "seal_onnx": ("signal_stream.research.onnx_file", "seal_onnx"),
    "split": ("signal_stream.research.split", None),
}
_LAZY |= {
    each: ("signal_stream.features", each) for each in __all__ if each not in _LAZY and each != "SignalStreamError"
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        if name.startswith("_") or importlib.util.find_spec(f"{__name__}.{name}") is not None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if hasattr(errors, name):
            raise AttributeError(f"errors have a module of their own: signal_stream.errors.{name}")
        from signal_stream.features.refusal import no_such_name

        no_such_name(name, "signal_stream", {each for each in __all__ if each.islower()})
    module, inner = _LAZY[name]
    loaded = importlib.import_module(module)
    value = loaded if inner is None else getattr(loaded, inner)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
