"""Every operator that trades and their bars have, at the end of each minute: a day of one perpetual."""

from every import every_operator

from signal_stream import bars, trades, universe

minute = bars("1m")
graph = every_operator(
    name="every_operator_of_trades",
    on=minute,
    price=trades.price,
    amount=trades.qty,
    streams={"trades": trades, "bars": minute},
    other=minute,
    length="10m",
    until="2023-08-08T20:00:00Z",
    members=universe("perpetuals", {"BTC-PERPETUAL.DERIBIT": "btc"}),
)
