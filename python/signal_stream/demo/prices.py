"""The mid price beside the demo graph's vectors: for labels and for the picture, not for the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

PRICE: Final = "mid"


def prices(tape: Path) -> pa.Table:
    """`instrument`, `ts_recv` and `mid` at each moment at which the demo's graph makes a vector, in the same order."""
    import signal_stream as ss
    from signal_stream.demo.graph import graph, mid

    wider = ss.FeatureGraph(name="demo_price", on=ss.every("100ms"), features={**graph.expressions, PRICE: mid})
    return ss.compute(wider, tape).select(["instrument", "ts_recv", PRICE])
