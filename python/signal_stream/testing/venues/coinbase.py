"""Coinbase Advanced Trade."""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar, Final, Literal

from signal_stream.testing.venue_book import Depth, Side, VenueBook

from .protocol import Channel, Kind, Reply, VenueProtocol

_KINDS: Final[dict[str, Kind]] = {"market_trades": "trades", "ticker": "quotes", "level2": "depth", "l2_data": "depth"}
_SIDES: Final[dict[str, Side]] = {"bid": "b", "offer": "a"}
_NUMBER: Final = re.compile(r'"sequence_num":\d+')
_EPOCH: Final = "1970-01-01T00:00:00Z"


class Coinbase(VenueProtocol):
    """All frames of a connection are numbered; books come with a subscription of depth."""

    links: ClassVar[Literal["book", "connection", "none"]] = "connection"

    def channel(self, text: str) -> Channel:
        """By the channel, and the product of what stands first in it."""
        frame = json.loads(text)
        kind = _KINDS.get(frame.get("channel", ""))
        if kind is None:
            return Channel("control")
        event = frame["events"][0]
        inner = event if kind == "depth" else event["trades" if kind == "trades" else "tickers"][0]
        return Channel(kind, inner["product_id"])

    def depth(self, text: str) -> Depth | None:
        """A snapshot or an update."""
        frame = json.loads(text)
        event = frame["events"][0]
        levels = [(_SIDES[each["side"]], each["price_level"], each["new_quantity"]) for each in event["updates"]]
        about = {"timestamp": frame["timestamp"]}
        whole = event["type"] == "snapshot"
        return Depth(symbol=event["product_id"], whole=whole, last_id=None, levels=levels, about=about)

    def whole(self, book: VenueBook) -> str:
        """A snapshot."""
        when = book.about["timestamp"]
        updates = [
            {"side": name, "event_time": when, "price_level": price, "new_quantity": qty}
            for name, side in _SIDES.items()
            for price, qty in book.levels(side, 1 << 30)
        ]
        return _frame("l2_data", when, {"type": "snapshot", "product_id": book.symbol, "updates": updates})

    def reply(self, text: str) -> Reply:
        """`{"type":"subscribe","product_ids":["BTC-USD"],"channel":"level2"}`"""
        asked = json.loads(text)
        joins, name = asked["type"] == "subscribe", asked["channel"]
        products: list[str] = asked.get("product_ids", [])
        if joins and not self.symbols.issuperset(products):
            return Reply([json.dumps({"type": "error", "message": "no such product"})], subscribes=True)
        channels = [Channel(_KINDS[name], product) for product in products if name in _KINDS]
        said = _frame("subscriptions", _EPOCH, {"subscriptions": {name: products}})
        return Reply([said], channels if joins else [], [] if joins else channels, subscribes=joins)

    def numbered(self, text: str, number: int) -> str:
        """`"sequence_num":7`"""
        return _NUMBER.sub(f'"sequence_num":{number}', text, count=1)


def _frame(channel: str, when: str, event: dict[str, Any]) -> str:
    frame = {"channel": channel, "timestamp": when, "sequence_num": 0, "events": [event]}
    return json.dumps(frame, separators=(",", ":"))
