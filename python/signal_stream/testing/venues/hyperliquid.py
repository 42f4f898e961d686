"""Hyperliquid."""

from __future__ import annotations

import json
from typing import ClassVar, Final, Literal

from signal_stream.testing.venue_book import Depth, Side, VenueBook

from .protocol import Channel, Kind, Reply, VenueProtocol

_KINDS: Final[dict[str, Kind]] = {
    "trades": "trades",
    "bbo": "quotes",
    "l2Book": "depth",
    "activeAssetCtx": "reference",
}


class Hyperliquid(VenueProtocol):
    """Each frame of depth is a whole book."""

    links: ClassVar[Literal["book", "connection", "none"]] = "none"

    def channel(self, text: str) -> Channel:
        """By the channel and the coin."""
        frame = json.loads(text)
        kind, data = _KINDS.get(frame.get("channel", "")), frame.get("data")
        if kind is None:
            return Channel("control")
        return Channel(kind, (data[0] if isinstance(data, list) else data)["coin"])

    def depth(self, text: str) -> Depth | None:
        """A whole book."""
        data = json.loads(text)["data"]
        sides: tuple[Side, Side] = ("b", "a")
        both = zip(sides, data["levels"], strict=True)
        levels = [(side, each["px"], each["sz"]) for side, found in both for each in found]
        return Depth(symbol=data["coin"], whole=True, levels=levels, about={"time": data["time"]})

    def whole(self, book: VenueBook) -> str:
        """A frame as all others."""
        sides: tuple[Side, Side] = ("b", "a")
        levels = [[{"px": price, "sz": qty, "n": 1} for price, qty in book.levels(side, 20)] for side in sides]
        data = {"coin": book.symbol, "time": book.about["time"], "levels": levels}
        return json.dumps({"channel": "l2Book", "data": data})

    def reply(self, text: str) -> Reply:
        """`{"method":"subscribe","subscription":{"type":"l2Book","coin":"BTC"}}`, `{"method":"ping"}`"""
        asked = json.loads(text)
        if asked["method"] == "ping":
            self.alive += 1
            return Reply(['{"channel":"pong"}'])
        what, joins = asked["subscription"], asked["method"] == "subscribe"
        if what["coin"] not in self.symbols:
            error = {"channel": "error", "data": f"Invalid subscription {json.dumps(what)}"}
            return Reply([json.dumps(error)], subscribes=joins)
        channels = [Channel(_KINDS[what["type"]], what["coin"])]
        said = json.dumps({"channel": "subscriptionResponse", "data": asked})
        return Reply([said], channels if joins else [], [] if joins else channels, subscribes=joins)
