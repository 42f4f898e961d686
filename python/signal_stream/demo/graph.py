"""The demo's graph: what a book and its trades say about the next ten seconds. No window is longer than ten seconds.

    signal-stream explain GRAPH.py        each node, its memory and warm-up
    signal-stream parity  GRAPH.py --tape CAPTURE

Change a feature, or add one, and run them again.
"""

import signal_stream as ss
from signal_stream import book, trades

mid = book.mid()
touch = (book.bid(1).qty + book.ask(1).qty).rolling("10s").mean()

graph = ss.FeatureGraph(
    name="demo",
    on=ss.every("100ms"),
    features={
        "obi_1": book.imbalance(levels=1),
        "obi_5": book.imbalance(levels=5),
        "obi_20": book.imbalance(levels=20),
        "micro_bp": (book.microprice() / mid - 1) * 1e4,
        "ofi_2s": book.ofi(levels=1).rolling("2s").sum() / touch,
        "ofi_10s": book.ofi(levels=1).rolling("10s").sum() / touch,
        "flow_5s": trades.signed_qty().rolling("5s").sum() / trades.qty.rolling("5s").sum(),
        "mom_5s": mid.log().diff().rolling("5s").sum() * 1e4,
        "away_10s": (mid / mid.rolling("10s").mean() - 1) * 1e4,
    },
)
