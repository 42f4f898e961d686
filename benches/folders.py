"""Where the benches find things, and where they leave them."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NATIVE = ROOT / "benches" / "native"
CAPTURES = ROOT.parent / "shared" / "data" / "binance-raw-2024-08-08"
RECORDINGS = ROOT.parent / "shared" / "data" / "ws-frames"
FIGURES = ROOT / "docs" / "figures"
PEERS = ROOT / ".venv-bench" / "bin" / "python"
"""The Python beside whose packages peers are measured, where `make bench` has made it."""


def out() -> Path:
    """`benches/out`, which git ignores: results, compiled floors, inputs that are made once."""
    folder = ROOT / "benches" / "out"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
