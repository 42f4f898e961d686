"""What the trades say about the next second."""

import signal_stream as ss
from signal_stream import book, trades

graph = ss.FeatureGraph(
    name="flow",
    on=ss.every("200ms"),
    features={
        "flow_200ms": trades.signed_qty().rolling("200ms").sum(),
        "flow_2s": trades.signed_qty().rolling("2s").sum(),
        "mid": book.mid(),
    },
)
