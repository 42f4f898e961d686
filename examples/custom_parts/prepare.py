"""What the deployment beside this file needs: trades in a CSV file, and two registered models that are live.

python prepare.py [FOLDER]        # this file's folder, or another one
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from sklearn.ensemble import GradientBoostingClassifier

import signal_stream as ss
from signal_stream import trades
from signal_stream.registry import Registry
from signal_stream.research.registration import Declaration, register
from signal_stream.testing import MarketSimulator

GRAPH = ss.FeatureGraph(
    name="drift",
    on=ss.every("100ms"),
    features={
        "flow_1s": trades.signed_qty().rolling("1s").sum(),
        "price": trades.price,
        "mean_10": trades.price.rolling(10).mean(),
    },
)


def main(folder: Path) -> None:
    """Simulates, fits, registers."""
    folder.mkdir(parents=True, exist_ok=True)
    capture = folder / "market.gz"
    MarketSimulator(seed=5, duration_s=20.0).write_capture(capture)
    with (folder / "trades.csv").open("w") as file:
        file.write("ts_ns,id,price,qty,side\n")
        for line in MarketSimulator(seed=5, duration_s=20.0).lines():
            ts, _, text = line.decode().partition(" ")
            data = json.loads(text).get("data", {})
            if data.get("e") == "trade":
                side = "sell" if data["m"] else "buy"
                file.write(f"{ts},{data['t']},{data['p']},{data['q']},{side}\n")
    table = ss.compute(GRAPH, capture)
    pq.write_table(table, folder / "train.parquet")
    rows = np.column_stack([table[name].to_numpy(zero_copy_only=False) for name in GRAPH.features])
    rows = np.nan_to_num(rows.astype(np.float32))
    flow_next = np.roll(rows[:, 0], -10)
    model = GradientBoostingClassifier(n_estimators=20, random_state=0).fit(rows, flow_next > np.median(flow_next))
    onnx = ss.save_onnx(model, folder / "drift.onnx", columns=GRAPH.features, rows=rows, signal="up", horizon="1s")
    registry = folder / "registry"
    now = time.time_ns()
    declared = Declaration("drift", "custom_parts")
    entry = register(GRAPH, onnx, folder / "train.parquet", registry, declared, now=now)
    module = Path(__file__).parent / "src" / "custom_parts" / "flow_model.py"
    lean = ss.register_python(
        module, graph=GRAPH, train=folder / "train.parquet", registry=registry, name="lean", owner="custom_parts",
        horizon="1s", requirements=["numpy"], now=now,
    )  # fmt: skip
    for each in (entry, lean):
        Registry(registry).promote(each.ref, "live", by="prepare.py", reason="an example", now=now)
    print(f"{entry.ref} and {lean.ref} are live: signal-stream serve {folder / 'deployment.toml'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
