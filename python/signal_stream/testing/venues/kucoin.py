"""KuCoin spot."""

from __future__ import annotations

import json
from typing import ClassVar, Final
from urllib.parse import parse_qsl, urlsplit

from signal_stream.testing.venue_book import Depth, Side, VenueBook

from .protocol import Channel, Kind, Reply, VenueProtocol

_KINDS: Final[dict[str, Kind]] = {"match": "trades", "ticker": "quotes", "level2": "depth"}


class Kucoin(VenueProtocol):
    """Where the WebSocket is, and books, by HTTP."""

    answers_books: ClassVar[bool] = True
    welcome: ClassVar[str] = '{"id":"emulator","type":"welcome"}'

    def channel(self, text: str) -> Channel:
        """By the topic."""
        frame = json.loads(text)
        if frame.get("type") != "message":
            return Channel("control")
        found = _channels(frame["topic"])
        return found[0] if len(found) == 1 else Channel("other")

    def depth(self, text: str) -> Depth | None:
        """A diff; changes of price 0 fill the numbers."""
        data = json.loads(text)["data"]
        levels = _levels(data["changes"])
        return Depth(symbol=data["symbol"], whole=False, last_id=data["sequenceEnd"], levels=levels)

    def answered(self, url: str, text: str) -> Depth | None:
        """The answer with a book."""
        asked = urlsplit(url)
        symbol = self.asked_for(asked.path, dict(parse_qsl(asked.query)))
        if symbol is None:
            return None
        data = json.loads(text)["data"]
        about = {"time": data["time"]}
        return Depth(symbol=symbol, whole=True, last_id=int(data["sequence"]), levels=_levels(data), about=about)

    def asked_for(self, path: str, query: dict[str, str]) -> str | None:
        """`/api/v1/market/orderbook/level2_100?symbol=BTC-USDT`"""
        return query.get("symbol") if "/orderbook/level2" in path else None

    def address(self, path: str, socket: str) -> str | None:
        """`/api/v1/bullet-public`"""
        if not path.endswith("/bullet-public"):
            return None
        server = {
            "endpoint": f"{socket}/endpoint",
            "protocol": "websocket",
            "pingInterval": 18_000,
            "pingTimeout": 10_000,
        }
        return json.dumps({"code": "200000", "data": {"token": "emulator", "instanceServers": [server]}})

    def whole(self, book: VenueBook) -> str:
        """The answer with the best hundred levels."""
        sides = {"bids": book.levels("b", 100), "asks": book.levels("a", 100)}
        data = {"time": book.about["time"], "sequence": str(book.last_id), **sides}
        return json.dumps({"code": "200000", "data": data}, separators=(",", ":"))

    def reply(self, text: str) -> Reply:
        """`{"id":2,"type":"subscribe","topic":"/market/level2:A-B,C-D","response":true}`, `{"id":"1","type":"ping"}`"""
        asked = json.loads(text)
        if asked["type"] == "ping":
            self.alive += 1
            return Reply([json.dumps({"id": asked["id"], "type": "pong", "timestamp": 0})])
        channels, joins = _channels(asked["topic"]), asked["type"] == "subscribe"
        unknown = [channel for channel in channels if channel.symbol not in self.symbols]
        note: dict[str, object] = {"id": str(asked["id"]), "type": "ack"}
        if unknown:
            note |= {"type": "error", "code": 404, "data": f"topic {asked['topic']} is not found"}
            return Reply([json.dumps(note)], subscribes=joins)
        return Reply([json.dumps(note)], channels if joins else [], [] if joins else channels, subscribes=joins)


def _channels(topic: str) -> list[Channel]:
    name, _, symbols = topic.partition(":")
    kind = _KINDS.get(name.rpartition("/")[2], "other")
    return [Channel(kind, symbol) for symbol in symbols.split(",")]


def _levels(sides: dict[str, list[list[str]]]) -> list[tuple[Side, str, str]]:
    named: dict[str, Side] = {"bids": "b", "asks": "a"}
    return [(side, each[0], each[1]) for name, side in named.items() for each in sides[name] if each[0] != "0"]
