"""OKX."""

from __future__ import annotations

import json
import zlib
from itertools import zip_longest
from typing import Any, ClassVar, Final, Literal

from signal_stream.testing.venue_book import Depth, Side, VenueBook

from .protocol import Channel, Kind, Reply, VenueProtocol

_KINDS: Final[dict[str, Kind]] = {
    "trades": "trades",
    "tickers": "quotes",
    "books": "depth",
    "mark-price": "reference",
    "funding-rate": "reference",
    "open-interest": "reference",
}
_LEVELS: Final = 400
_CHECKED: Final = 25


class Okx(VenueProtocol):
    """Books come with a subscription of depth, and have checksums; ids only in captures of 2023 and later."""

    links: ClassVar[Literal["book", "connection", "none"]] = "none"
    deep: ClassVar[int | None] = _LEVELS

    def channel(self, text: str) -> Channel:
        """By the argument that was subscribed."""
        frame = json.loads(text)
        return _channel(frame["arg"]) if "data" in frame else Channel("control")

    def depth(self, text: str) -> Depth | None:
        """A snapshot or an update."""
        frame = json.loads(text)
        data: dict[str, Any] = frame["data"][0]
        sides: dict[Side, Any] = {"b": data["bids"], "a": data["asks"]}
        levels = [(side, level[0], level[1]) for side, found in sides.items() for level in found]
        about = {"ts": data["ts"]}
        return Depth(symbol=frame["arg"]["instId"], whole=frame["action"] == "snapshot", levels=levels, about=about)

    def whole(self, book: VenueBook) -> str:
        """A snapshot with its checksum."""
        bids, asks = book.levels("b", _LEVELS), book.levels("a", _LEVELS)
        data = {
            "asks": [[*level, "0", "1"] for level in asks],
            "bids": [[*level, "0", "1"] for level in bids],
            "ts": book.about["ts"],
            "checksum": _checksum(bids, asks),
        }
        arg = {"channel": "books", "instId": book.symbol}
        return json.dumps({"arg": arg, "action": "snapshot", "data": [data]}, separators=(",", ":"))

    def reply(self, text: str) -> Reply:
        """`{"op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}`; `ping` without quotes."""
        if text == "ping":
            self.alive += 1
            return Reply(["pong"])
        asked = json.loads(text)
        joins = asked["op"] == "subscribe"
        notes, channels = [], []
        for arg in asked["args"]:
            if arg["instId"] in self.symbols:
                notes.append(json.dumps({"event": asked["op"], "arg": arg}))
                channels.append(_channel(arg))
            else:
                message = f"Wrong URL or channel:{arg['channel']},instId:{arg['instId']} doesn't exist."
                notes.append(json.dumps({"event": "error", "code": "60018", "msg": message}))
        return Reply(notes, channels if joins else [], [] if joins else channels, subscribes=joins)


def _channel(arg: dict[str, str]) -> Channel:
    return Channel(_KINDS.get(arg["channel"], "other"), arg["instId"])


def _checksum(bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> int:
    """CRC-32 over the 25 best bids and asks in turn, as a signed number."""
    both = zip_longest(bids[:_CHECKED], asks[:_CHECKED])
    text = ":".join(f"{price}:{qty}" for pair in both for price, qty in filter(None, pair))
    found = zlib.crc32(text.encode())
    return found - (1 << 32) if found >= 1 << 31 else found
