import signal_stream as ss
from signal_stream import bars, book, trades

mid = book.mid()
graph = ss.FeatureGraph(
    name="btc_micro",
    on=ss.every("100ms"),
    features={
        "obi_5": book.imbalance(levels=5),
        "micro": book.microprice() - mid,
        "ofi_1s": book.ofi(levels=1).rolling("1s").sum(),
        "flow_5s": trades.signed_qty().rolling("5s").sum(),
        "vol_30s": mid.log().diff().rolling("30s").std(),
        "z_60": mid.rolling(60).zscore(),
        "mom": bars("1m").close.log().diff(5).rolling(60).zscore(),
        "trend": bars("1m").close.ewm(span=12).mean() / bars("1m").close.ewm(span=26).mean() - 1,
        "lead": ss.instrument("BTCUSDT-PERP.BINANCE").book.mid().pct_change(10),
    },
)
