"""Independent Reserve: single orders. Those of a currency stand in one channel, whatever they are paid in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from urllib.parse import parse_qsl, urlsplit

from signal_stream.testing.venue_book import Depth, Side, VenueBook

from .protocol import Channel, Reply, VenueProtocol

_SIDES: Final[dict[str, Side]] = {"LimitBid": "b", "LimitOffer": "a"}
_LISTS: Final[dict[str, Side]] = {"BuyOrders": "b", "SellOrders": "a"}


@dataclass(slots=True)
class _Order:
    side: Side
    price: str
    volume: float


class IndependentReserve(VenueProtocol):
    """All orders by HTTP. A book is that of one pair; a currency may be paid in one way only here."""

    answers_books: ClassVar[bool] = True

    def __init__(self, symbols: frozenset[str] = frozenset()) -> None:
        """No orders yet."""
        super().__init__(symbols)
        self._orders: dict[str, dict[str, _Order]] = {}
        self._early: dict[str, list[dict[str, Any]]] = {}
        """Frames that came before all orders were asked for: they may be later than the answer."""

    def channel(self, text: str) -> Channel:
        """`orderbook-eth` is depth of the pair of that currency, `ticker-eth-aud` its trades."""
        frame = json.loads(text)
        name = frame.get("Channel", "")
        if name.startswith("ticker-"):
            return Channel("trades", name.removeprefix("ticker-"))
        return Channel("depth", self._pair(name)) if name.startswith("orderbook-") else Channel("control")

    def _pair(self, channel: str) -> str:
        base = channel.removeprefix("orderbook-")
        return next((symbol for symbol in self.symbols if symbol.startswith(f"{base}-")), base)

    def depth(self, text: str) -> Depth | None:
        """What an order leaves at its price."""
        frame = json.loads(text, parse_float=str)
        symbol = self._pair(frame["Channel"])
        if symbol not in self._orders:
            self._early.setdefault(symbol, []).append(frame)
            return None
        levels = self._take(symbol, frame)
        return Depth(symbol=symbol, whole=False, last_id=frame["Nonce"], levels=levels)

    def _take(self, symbol: str, frame: dict[str, Any]) -> list[tuple[Side, str, str]]:
        orders, data = self._orders[symbol], frame["Data"]
        guid = data["OrderGuid"]
        old = orders.pop(guid, None)
        touched = {(old.side, old.price)} if old is not None else set()
        if frame["Event"] != "OrderCanceled":
            price = data.get("Price", {}).get(symbol.partition("-")[2]) or (old and old.price)
            new = _Order(_SIDES[data["OrderType"]], str(price), float(data["Volume"]))
            if new.volume:
                orders[guid] = new
                touched.add((new.side, new.price))
        return [(side, price, self._sum(symbol, side, price)) for side, price in sorted(touched)]

    def _sum(self, symbol: str, side: Side, price: str) -> str:
        standing = self._orders[symbol].values()
        return repr(sum(each.volume for each in standing if (each.side, each.price) == (side, price)))

    def answered(self, url: str, text: str) -> Depth | None:
        """All orders of a pair; what came before is applied to them once more."""
        asked = urlsplit(url)
        symbol = self.asked_for(asked.path, dict(parse_qsl(asked.query)))
        if symbol is None:
            return None
        whole = json.loads(text, parse_float=str)
        self._orders[symbol] = {
            each["Guid"]: _Order(side, str(each["Price"]), float(each["Volume"]))
            for name, side in _LISTS.items()
            for each in whole[name]
        }
        for frame in self._early.pop(symbol, []):
            self._take(symbol, frame)
        places = {(each.side, each.price) for each in self._orders[symbol].values()}
        levels = [(side, price, self._sum(symbol, side, price)) for side, price in places]
        about = {"CreatedTimestampUtc": whole["CreatedTimestampUtc"]}
        return Depth(symbol=symbol, whole=True, levels=levels, about=about)

    def asked_for(self, path: str, query: dict[str, str]) -> str | None:
        """`/Public/GetAllOrders?primaryCurrencyCode=eth&secondaryCurrencyCode=aud`"""
        if not path.endswith("/GetAllOrders"):
            return None
        return f"{query['primaryCurrencyCode']}-{query['secondaryCurrencyCode']}"

    def whole(self, book: VenueBook) -> str:
        """All orders."""
        orders = self._orders[book.symbol].items()
        lists = []
        for name, side in _LISTS.items():
            found = [
                f'{{"Guid":"{guid}","Price":{each.price},"Volume":{each.volume!r}}}'
                for guid, each in orders
                if each.side == side
            ]
            lists.append(f'"{name}":[{",".join(found)}]')
        return f'{{{",".join(lists)},"CreatedTimestampUtc":"{book.about["CreatedTimestampUtc"]}"}}'

    def reply(self, text: str) -> Reply:
        """`{"Event":"Subscribe","Data":["ticker-eth-aud","orderbook-eth"]}`"""
        asked = json.loads(text)
        names: list[str] = asked["Data"]
        joins = asked["Event"] == "Subscribe"
        unknown = [name for name in names if name.startswith("ticker-") and name[7:] not in self.symbols]
        if unknown:
            error = {"Data": f"{unknown[0]} is not a valid channel", "Time": 0, "Event": "Error"}
            return Reply([json.dumps(error)], subscribes=True)
        channels = [
            Channel("trades", name[7:]) if name.startswith("ticker-") else Channel("depth", self._pair(name))
            for name in names
        ]
        said = json.dumps({"Data": names, "Time": 0, "Event": "Subscriptions"})
        return Reply([said], channels if joins else [], [] if joins else channels, subscribes=joins)
