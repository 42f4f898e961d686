"""Recorded markets: real captures where they are at hand, the simulator's where not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benches.folders import CAPTURES, out

if TYPE_CHECKING:
    from pathlib import Path


def captures() -> tuple[list[Path], str]:
    """Raw captures, and what they are. A simulated one is made once, and its name says from what."""
    found = sorted(CAPTURES.glob("*.gz"))
    if found:
        return found, f"{len(found)} captures of {CAPTURES.name}"
    from signal_stream.testing import MarketSimulator

    path = out() / "simulated-seed1-346s.gz"
    if not path.exists():
        unfinished = path.with_suffix(".unfinished")
        MarketSimulator(seed=1).write_capture(unfinished)
        unfinished.replace(path)
    return [path], "simulated capture (no real one beside the repository)"
