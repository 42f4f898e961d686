"""Bybit, version 5."""

from __future__ import annotations

import json
from typing import ClassVar, Final

from signal_stream.testing.venue_book import Depth, Side, VenueBook

from .protocol import Channel, Kind, Reply, VenueProtocol

_LEVELS: Final = 50


class Bybit(VenueProtocol):
    """Books come with a subscription of depth."""

    deep: ClassVar[int | None] = _LEVELS

    def channel(self, text: str) -> Channel:
        """By the topic."""
        frame = json.loads(text)
        return _channel(frame["topic"]) if "topic" in frame else Channel("control")

    def depth(self, text: str) -> Depth | None:
        """A snapshot or a diff."""
        frame = json.loads(text)
        data, whole = frame["data"], frame["type"] == "snapshot"
        sides: dict[Side, list[list[str]]] = {"b": data["b"], "a": data["a"]}
        levels = [(side, price, qty) for side, found in sides.items() for price, qty in found]
        about = {"ts": frame["ts"], "seq": data["seq"]}
        return Depth(symbol=data["s"], whole=whole, last_id=data["u"], levels=levels, about=about)

    def whole(self, book: VenueBook) -> str:
        """A snapshot."""
        sides = {side: book.levels(side, _LEVELS) for side in ("b", "a")}
        data = {"s": book.symbol, **sides, "u": book.last_id, "seq": book.about["seq"]}
        ts = book.about["ts"]
        return json.dumps(
            {"topic": f"orderbook.{_LEVELS}.{book.symbol}", "type": "snapshot", "ts": ts, "data": data, "cts": ts}
        )

    def reply(self, text: str) -> Reply:
        """`{"op":"subscribe","args":["publicTrade.BTCUSDT"]}`, `{"op":"ping"}`"""
        asked = json.loads(text)
        op = asked["op"]
        if op == "ping":
            self.alive += 1
            return Reply([_note("ping", "pong")])
        channels = [_channel(topic) for topic in asked["args"]]
        unknown = [topic for topic in asked["args"] if _channel(topic).symbol not in self.symbols]
        if op == "subscribe" and unknown:
            note = _note(op, f"error:handler not found,topic:{unknown[0]}", success=False)
            return Reply([note], subscribes=True)
        joins = op == "subscribe"
        return Reply([_note(op, "")], channels if joins else [], [] if joins else channels, subscribes=joins)


def _note(op: str, message: str, *, success: bool = True) -> str:
    return json.dumps({"success": success, "ret_msg": message, "conn_id": "emulator", "req_id": "", "op": op})


def _channel(topic: str) -> Channel:
    name, _, rest = topic.partition(".")
    symbol = rest.rpartition(".")[2]
    books: Kind = "quotes" if rest.startswith("1.") else "depth"
    kinds: dict[str, Kind] = {"publicTrade": "trades", "tickers": "reference", "orderbook": books}
    return Channel(kinds.get(name, "other"), symbol)
