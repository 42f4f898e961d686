"""Every operator that bars of a day have: a panel of stocks."""

from every import every_operator

from signal_stream import bars, universe

day = bars("1d")
stocks = {"AAPL": "technology", "GOOGL": "technology", "YHOO": "technology", "TSLA": "cars", "COKE": "drinks"}
graph = every_operator(
    name="every_operator_of_stocks",
    on=day,
    price=day.close,
    amount=day.volume,
    streams={"bars": day},
    other=day,
    length="30d",
    until="2019-01-01T00:00:00Z",
    members=universe("stocks", stocks),
    without=("signed_volume", "volume_imbalance", "flow_toxicity"),  # bars of a day do not say who bought
)
