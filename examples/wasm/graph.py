"""What `index.html` and `host.py` run: a few features of bars of a minute."""

import signal_stream as ss

bar = ss.bars("1m")
change = bar.close.log().diff()

graph = ss.FeatureGraph(
    name="minutes",
    on=bar,
    features={
        "close": bar.close,
        "mean_20": bar.close.rolling(20).mean(),
        "zscore_20": bar.close.rolling(20).zscore(),
        "vol_30": change.rolling(30).std(),
        "volume_rank": bar.volume.rolling(20).rank(),
    },
)
