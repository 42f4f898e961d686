"""What is known of a share at the end of each minute: its own steps and volume, and the step of another."""

from signal_stream import FeatureGraph, bars, instrument

bar = bars("1m")
step = bar.close.log().diff()
graph = FeatureGraph(
    name="pairs",
    on=bar,
    features={
        "close": bar.close,
        "step": step,
        "swing_10m": step.rolling("10m").std(),
        "volume_5m": bar.volume.rolling("5m").sum(),
        "acme_step": instrument("ACME").bars("1m").close.log().diff(),
    },
)
