"""Every operator over a market with its books, quotes and trades, sampled each second: three captures of one coin."""

from every import every_operator

from signal_stream import bars, book, every, quotes, trades, universe

coins = {"BTCUSDT.BINANCE": "spot", "BTCUSDT-PERP.BINANCE": "perpetual", "BTCUSD-PERP.BINANCE": "perpetual"}
graph = every_operator(
    name="every_operator_of_a_market",
    on=every("1s"),
    price=book.mid(),
    amount=book.bid(1).qty,
    streams={"book": book, "quotes": quotes, "trades": trades, "bars": bars("500ms")},
    other=trades,
    length="10s",
    until="2024-08-09T20:00:00Z",
    members=universe("coins", coins),
)
