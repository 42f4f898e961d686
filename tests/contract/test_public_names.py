"""What `import signal_stream` promises: these names, quickly, and nothing that needs a service."""

from __future__ import annotations

import json
import subprocess
import sys

import signal_stream as ss

NAMES = {
    "Engine", "Expression", "FeatureGraph", "LookaheadReport", "ParityReport", "ProfileReport", "SignalStreamError", "atr",
    "backfill", "bars", "black_charm", "black_delta", "black_gamma", "black_price", "black_theta", "black_vanna",
    "black_vega", "book", "coalesce", "compute", "connect", "cross", "every", "implied_vol", "instrument", "label",
    "load_graph", "log_moneyness", "lookahead", "lookup", "macd", "maximum", "minimum", "minutes_until", "parity",
    "profile", "quotes", "read_table", "read_tape", "register_python", "rsi", "save_onnx", "seal_onnx", "session", "split",
    "std_moneyness", "straddle_move", "trades", "universe", "where", "years_until",
}  # fmt: skip


def test_the_public_names_are_these() -> None:
    assert set(ss.__all__) == NAMES
    assert all(hasattr(ss, name) for name in NAMES)
    assert set(dir(ss)) == NAMES


def test_every_public_name_says_what_it_is() -> None:
    assert [name for name in NAMES if not getattr(ss, name).__doc__] == []


def test_importing_loads_no_heavy_library() -> None:
    code = "import sys, json; from signal_stream import parts; print(json.dumps(sorted(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    heavy = {"numpy", "pyarrow", "onnxruntime", "pydantic", "rich", "typer", "pandas", "sklearn", "matplotlib"}
    heavy.add("signal_stream.features")
    assert heavy & set(json.loads(out)) == set()
