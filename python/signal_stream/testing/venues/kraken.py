"""Kraken spot, version 1."""

from __future__ import annotations

import json
from typing import Any, ClassVar, Final, Literal

from signal_stream.testing.venue_book import Depth, Side, VenueBook

from .protocol import Channel, Kind, Reply, VenueProtocol

_KINDS: Final[dict[str, Kind]] = {"trade": "trades", "ticker": "quotes", "book": "depth"}
_LEVELS: Final = 1_000
_SIDES: Final[dict[str, Side]] = {"a": "a", "b": "b", "as": "a", "bs": "b"}


class Kraken(VenueProtocol):
    """Books come with a subscription of depth; they have no ids, but checksums."""

    links: ClassVar[Literal["book", "connection", "none"]] = "none"
    deep: ClassVar[int | None] = _LEVELS
    welcome: ClassVar[str] = '{"connectionID":1,"event":"systemStatus","status":"online","version":"1.8.3"}'

    def channel(self, text: str) -> Channel:
        """By the names that end a frame."""
        frame = json.loads(text)
        return _channel(frame[-2], frame[-1]) if isinstance(frame, list) else Channel("control")

    def depth(self, text: str) -> Depth | None:
        """A snapshot or changes."""
        frame: list[Any] = json.loads(text)
        parts = [part for part in frame[1:-2] if isinstance(part, dict)]
        levels = [
            (_SIDES[key], level[0], level[1])
            for part in parts
            for key, found in part.items()
            if key in _SIDES
            for level in found
        ]
        times = [level[2] for part in parts for key, found in part.items() if key in _SIDES for level in found]
        about = {"channel": frame[0], "time": max(times, default="0.000000")}
        return Depth(symbol=frame[-1], whole="as" in parts[0] or "bs" in parts[0], levels=levels, about=about)

    def whole(self, book: VenueBook) -> str:
        """A snapshot."""
        time = book.about["time"]
        named: dict[str, Side] = {"as": "a", "bs": "b"}
        sides = {name: [[*level, time] for level in book.levels(side, _LEVELS)] for name, side in named.items()}
        frame = [book.about["channel"], sides, f"book-{_LEVELS}", book.symbol]
        return json.dumps(frame, separators=(",", ":"))

    def reply(self, text: str) -> Reply:
        """`{"event":"subscribe","pair":["XBT/USD"],"subscription":{"name":"book","depth":1000}}`"""
        asked = json.loads(text)
        joins, subscription = asked["event"] == "subscribe", asked["subscription"]
        notes, channels = [], []
        for pair in asked["pair"]:
            note = {"event": "subscriptionStatus", "pair": pair, "subscription": subscription}
            if pair in self.symbols:
                note |= {"status": "subscribed" if joins else "unsubscribed"}
                channels.append(_channel(subscription["name"], pair))
            else:
                note |= {"status": "error", "errorMessage": f"Currency pair not supported {pair}"}
            notes.append(json.dumps(note))
        return Reply(notes, channels if joins else [], [] if joins else channels, subscribes=joins)


def _channel(name: str, pair: str) -> Channel:
    return Channel(_KINDS.get(name.partition("-")[0], "other"), pair)
