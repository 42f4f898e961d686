"""What the book says about the next second."""

import signal_stream as ss
from signal_stream import book

mid = book.mid()
graph = ss.FeatureGraph(
    name="micro",
    on=ss.every("100ms"),
    features={
        "obi_5": book.imbalance(levels=5),
        "ofi_1s": book.ofi(levels=1).rolling("1s").sum(),
        "vol_2s": mid.log().diff().rolling("2s").std(),
        "mid": mid,
    },
)
