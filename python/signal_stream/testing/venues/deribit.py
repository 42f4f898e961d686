"""Deribit."""

from __future__ import annotations

import json
from typing import Any, Final

from signal_stream.testing.venue_book import Depth, Side, VenueBook

from .protocol import Channel, Kind, Reply, VenueProtocol

_KINDS: Final[dict[str, Kind]] = {"trades": "trades", "ticker": "quotes", "book": "depth"}


class Deribit(VenueProtocol):
    """Asks for a sign of life as soon as it may; leaves out what it does not know without a word."""

    def channel(self, text: str) -> Channel:
        """By the channel; how often it speaks is left out."""
        frame = json.loads(text)
        return _channel(frame["params"]["channel"]) if frame.get("method") == "subscription" else Channel("control")

    def depth(self, text: str) -> Depth | None:
        """A snapshot or a change. Numbers stay as they are written."""
        data = json.loads(text, parse_float=str)["params"]["data"]
        sides: dict[Side, list[list[Any]]] = {"b": data["bids"], "a": data["asks"]}
        levels = [
            (side, str(price), "0" if action == "delete" else str(qty))
            for side, found in sides.items()
            for action, price, qty in found
        ]
        whole, about = data["type"] == "snapshot", {"timestamp": data["timestamp"]}
        return Depth(symbol=data["instrument_name"], whole=whole, last_id=data["change_id"], levels=levels, about=about)

    def whole(self, book: VenueBook) -> str:
        """A snapshot."""
        head = {"timestamp": book.about["timestamp"], "instrument_name": book.symbol, "change_id": book.last_id}
        sides = [f'"{name}":[{_levels(book, side)}]' for name, side in (("bids", "b"), ("asks", "a"))]
        data = f'{{"type":"snapshot",{json.dumps(head)[1:-1]},{",".join(sides)}}}'
        channel = f'"channel":"book.{book.symbol}.100ms"'
        return f'{{"jsonrpc":"2.0","method":"subscription","params":{{{channel},"data":{data}}}}}'

    def reply(self, text: str) -> Reply:
        """`{"jsonrpc":"2.0","id":2,"method":"public/subscribe","params":{"channels":["book.X.100ms"]}}`"""
        asked = json.loads(text)
        method = asked["method"]
        if method == "public/set_heartbeat":
            self.asked += 1
            test = {"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "test_request"}}
            return Reply([_result(asked["id"], "ok"), json.dumps(test)])
        if method == "public/test":
            self.alive += 1
            return Reply([_result(asked["id"], {"version": "1.2.26"})])
        names = [name for name in asked["params"]["channels"] if _channel(name).symbol in self.symbols]
        channels = [_channel(name) for name in names]
        joins = method == "public/subscribe"
        answer = _result(asked["id"], names)
        return Reply([answer], channels if joins else [], [] if joins else channels, subscribes=joins)


def _channel(name: str) -> Channel:
    kind, _, rest = name.partition(".")
    return Channel(_KINDS.get(kind, "other"), rest.rpartition(".")[0])


def _levels(book: VenueBook, side: Any) -> str:
    return ",".join(f'["new",{price},{qty}]' for price, qty in book.levels(side, 1 << 30))


def _result(number: int, result: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": number, "result": result}, separators=(",", ":"))
