"""signal-stream: one feature graph for research and live, guarded signals, exact replay.

    import signal_stream as ss
    table = ss.compute(graph, "capture.gz")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from signal_stream.research import label, split
    from signal_stream.research.compute import compute
    from signal_stream.research.engine import Engine
    from signal_stream.research.parity import ParityReport, parity

__all__ = [
    "Engine",
    "Expression",
    "FeatureGraph",
    "ParityReport",
    "SignalStreamError",
    "atr",
    "bars",
    "book",
    "compute",
    "every",
    "instrument",
    "label",
    "load_graph",
    "macd",
    "maximum",
    "minimum",
    "parity",
    "quotes",
    "rsi",
    "split",
    "trades",
    "where",
]

# Loaded when first used, so that `import signal_stream` needs neither numpy nor pyarrow.
_LAZY = {
    "Engine": "signal_stream.research.engine",
    "ParityReport": "signal_stream.research.parity",
    "compute": "signal_stream.research.compute",
    "label": "signal_stream.research",
    "parity": "signal_stream.research.parity",
    "split": "signal_stream.research",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(_LAZY[name])
    value = getattr(module, name, None)
    if value is None:
        value = importlib.import_module(f"{_LAZY[name]}.{name}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
