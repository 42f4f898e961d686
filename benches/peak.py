"""Peak memory of one backfill, in a process of its own: `python -m benches.peak GRAPH INPUT OUTPUT`.

GRAPH is "graph23" (INPUT is a table of minutes) or "book" (a tape). Prints one JSON object: base_kb (resident with all
imports made, before the work), peak_kb (the most during it), seconds, events, vectors.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path

import numpy as np  # noqa: F401 - imported so that it counts among the imports
import pyarrow.compute
import pyarrow.parquet  # noqa: F401

from signal_stream import FeatureGraph
from signal_stream.research.backfill import backfill


def main(name: str, source: str, output: str) -> None:
    """Backfills once and says what it took."""
    graph = graph_called(name)
    with contextlib.suppress(OSError):  # not everywhere allowed; then the imports' own peak counts as well
        Path("/proc/self/clear_refs").write_text("5")
    base = memory_kb("VmRSS")
    begun = time.perf_counter()
    done = backfill(graph, source, output, instrument="X" if name == "graph23" else None)
    seconds = time.perf_counter() - begun
    facts = {"base_kb": base, "peak_kb": memory_kb("VmHWM"), "seconds": seconds}
    print(json.dumps(facts | {"events": done.events, "vectors": done.vectors}))


def graph_called(name: str) -> FeatureGraph:
    """The graph of a kind of input."""
    if name == "book":
        from benches.served import graph

        return graph
    from benches.graph23 import graph as graph23

    return graph23


def memory_kb(what: str) -> int:
    """VmRSS or VmHWM of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:"))


if __name__ == "__main__":
    main(*sys.argv[1:4])
