"""Something to serve: a graph over a book, a GBDT of 200 trees trained on a capture, and its deployment file."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import signal_stream as ss
from benches.captures import captures
from benches.folders import out
from signal_stream import book, label, quotes, trades

TREES = 200
HORIZON = "2s"

mid = book.mid()
graph = ss.FeatureGraph(
    name="book_micro",
    on=book,
    features={
        "mid": mid,
        "spread": book.spread(),
        "imb_1": book.imbalance(levels=1),
        "imb_5": book.imbalance(levels=5),
        "imb_10": book.imbalance(levels=10),
        "micro": book.microprice() - mid,
        "ofi": book.ofi(levels=1),
        "ofi_1s": book.ofi(levels=1).rolling("1s").sum(),
        "ofi_20": book.ofi(levels=1).rolling(20).sum(),
        "ret_1": mid.log_return(),
        "ret_10": mid.log().diff(10),
        "vol_60": mid.log_return().rolling(60).std(),
        "z_60": mid.rolling(60).zscore(),
        "rank_60": mid.rolling(60).rank(),
        "trend": mid.ewm(span=12).mean() / mid.ewm(span=26).mean() - 1,
        "flow_5s": trades.signed_qty().rolling("5s").sum(),
        "quote": (quotes.bid.price + quotes.ask.price) / 2 - mid,
    },
)

DEPLOYMENT = """\
[pipeline]
name = "bench"
state = "{state}"
registry = "{registry}"

[source]
url = "file://{capture}"
pace = "max"
queue_rows = 65536
when_full = "block"
lateness = "0s"
late = "drop"

[[model]]
ref = "book_gbdt@latest"
deadline = "1s"

[guards]
max_age = "30s"
completeness = 1.0
"""
SINK = """
[[sink]]
url = "file://{sink}"
"""


class NotTrained(Exception):
    """The extra `research`, which trains and converts the model, is not installed."""


@dataclass(frozen=True, slots=True)
class Served:
    """Where everything lies. `rows` holds feature rows as the model takes them."""

    folder: Path
    capture: Path
    model: Path
    rows: Path
    nodes: int

    def deployment(self, name: str, *, sink: bool = False, more: str = "") -> tuple[Path, Path]:
        """A deployment file with a state folder of its own, and the file that signals go to, beside the journal, if
        there is a sink. `more` stands at its end."""
        state, signals, file = (self.folder / f"{name}{suffix}" for suffix in ("", ".jsonl", ".toml"))
        text = DEPLOYMENT + SINK if sink else DEPLOYMENT
        registry = self.folder / "registry"
        file.write_text(
            text.format(state=state, registry=registry, capture=self.capture, sink=signals) + more, encoding="utf-8"
        )
        return file, signals


@contextmanager
def served() -> Iterator[Served]:
    """Trains, converts and registers in a folder that is gone afterwards. Raises NotTrained."""
    folder = Path(tempfile.mkdtemp(prefix="served-", dir=out()))
    try:
        yield _made(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _made(folder: Path) -> Served:
    try:
        from sklearn.ensemble import GradientBoostingClassifier

        from signal_stream.research.onnx_file import save_onnx
    except ImportError as error:
        raise NotTrained(f"the extra research is not installed ({error})") from None
    from signal_stream.registry import Registry
    from signal_stream.research.backfill import backfill
    from signal_stream.research.registration import Declaration, register

    files, _ = captures()
    capture = next((file for file in files if "usdm" in file.name), files[0])
    train = backfill(graph, capture, folder / "train.parquet").path
    rows, ups = _examples(train)
    trees = GradientBoostingClassifier(
        n_estimators=TREES, max_depth=6, learning_rate=0.05, max_features="sqrt", random_state=7
    ).fit(rows, ups)
    model = save_onnx(
        trees, folder / "model.onnx", columns=graph.features, rows=rows, signal="up", horizon=HORIZON, label="mid up"
    )
    declared = Declaration(name="book_gbdt", owner="bench")
    entry = register(graph, model, train, folder / "registry", declared, now=time.time_ns())
    Registry(folder / "registry").promote(entry.ref, "live", by="bench", reason="bench", now=time.time_ns())
    np.save(folder / "rows.npy", rows[: 1 << 14])
    nodes = sum(tree.tree_.node_count for tree in trees.estimators_[:, 0])
    return Served(folder, capture, model, folder / "rows.npy", nodes)


def _examples(train: Path) -> tuple[np.ndarray, np.ndarray]:
    """Rows without missing values, float32, and whether the mid stood higher a horizon later."""
    import pyarrow.parquet as pq

    table = label.forward_return(pq.read_table(train), HORIZON)
    columns = [table.column(name).to_numpy() for name in (*graph.features, f"fwd_{HORIZON}")]
    whole = np.column_stack(columns).astype(np.float32)
    whole = whole[np.isfinite(whole).all(axis=1)]
    return np.ascontiguousarray(whole[:, :-1]), whole[:, -1] > 0
