"""What the stack's deployments need: the simulated market that the demo uses, and three registered models on two graphs.

python prepare.py OUT SECONDS       # OUT is made; nothing is done where it is whole already
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from flow_graph import graph as flow_graph
from micro_graph import graph as micro_graph
from sklearn.ensemble import GradientBoostingClassifier

import signal_stream as ss
from signal_stream.registry import Registry
from signal_stream.research.registration import Declaration, register
from signal_stream.testing import MarketSimulator

MODELS = (
    ("micro", "book desk", micro_graph, 20, "live"),
    ("micro_deep", "book desk", micro_graph, 60, "shadow"),
    ("flow", "flow desk", flow_graph, 20, "live"),
)


def fit(graph: ss.FeatureGraph, capture: Path, onnx: Path, trees: int) -> Path:
    """Fits whether the mid rises within a second; writes the model, and its table beside it."""
    table = ss.compute(graph, capture)
    train = onnx.with_suffix(".parquet")
    pq.write_table(table, train)
    rows = np.column_stack([table[name].to_numpy(zero_copy_only=False) for name in graph.features])
    rows = np.nan_to_num(rows.astype(np.float32))
    rises = np.roll(rows[:, -1], -5) > rows[:, -1]
    model = GradientBoostingClassifier(n_estimators=trees, random_state=0).fit(rows, rises)
    ss.save_onnx(model, onnx, columns=graph.features, rows=rows, signal="up_1s", horizon="1s")
    return train


def main(out: Path, seconds: float) -> None:
    """Simulates, fits, registers, promotes."""
    if (out / "whole").exists():
        return
    out.mkdir(parents=True, exist_ok=True)
    capture = out / "market.gz"
    MarketSimulator(seed=3, duration_s=seconds).write_capture(capture)
    for name, owner, graph, trees, stage in MODELS:
        onnx = out / f"{name}.onnx"
        train = fit(graph, capture, onnx, trees)
        now = time.time_ns()
        entry = register(graph, onnx, train, out / "registry", Declaration(name, owner), now=now)
        Registry(out / "registry").promote(entry.ref, stage, by="prepare.py", reason="an example", now=now)
    (out / "whole").touch()


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
