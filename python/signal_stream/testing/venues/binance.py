"""Binance: spot, USD-M, COIN-M."""

from __future__ import annotations

import json
from typing import ClassVar, Final

from signal_stream.testing.venue_book import Depth, Side, VenueBook

from .protocol import Channel, Kind, Reply, VenueProtocol

_KINDS: Final[dict[str, Kind]] = {
    "trade": "trades",
    "aggTrade": "trades",
    "bookTicker": "quotes",
    "depth": "depth",
    "markPrice": "reference",
    "kline_1m": "bars",
    "continuousKline_1m": "bars",
}
_LEVELS: Final = 1_000
_START: Final = '{"stream":"'
_BOOK: Final = ("E", "T", "symbol", "pair")


class Binance(VenueProtocol):
    """Books by HTTP; streams are named as in the frames."""

    answers_books: ClassVar[bool] = True

    def channel(self, text: str) -> Channel:
        """By the name of the stream, which stands first."""
        if not text.startswith(_START):
            return Channel("control")
        return _channel(text[len(_START) : text.index('"', len(_START))])

    def depth(self, text: str) -> Depth | None:
        """A diff."""
        diff = json.loads(text)["data"]
        about = {"E": diff["E"], "T": diff["T"]} if "T" in diff else {}
        return Depth(
            symbol=diff["s"], whole=False, last_id=diff["u"], levels=_levels(diff["b"], diff["a"]), about=about
        )

    def answered(self, url: str, text: str) -> Depth | None:
        """The answer to a request for depth; in a capture of lines nobody says whose it is."""
        whole = json.loads(text)
        if "lastUpdateId" not in whole:
            return None
        _, _, rest = url.partition("symbol=")
        symbol = rest.partition("&")[0] or next(iter(self.symbols))
        about = {key: whole[key] for key in _BOOK if key in whole}
        levels = _levels(whole["bids"], whole["asks"])
        return Depth(symbol=symbol, whole=True, last_id=whole["lastUpdateId"], levels=levels, about=about)

    def asked_for(self, path: str, query: dict[str, str]) -> str | None:
        """`/api/v3/depth?symbol=BTCUSDT`"""
        return query.get("symbol") if path.endswith("/depth") else None

    def whole(self, book: VenueBook) -> str:
        """The answer to a request for depth."""
        sides = {"bids": book.levels("b", _LEVELS), "asks": book.levels("a", _LEVELS)}
        return json.dumps({"lastUpdateId": book.last_id, **book.about, **sides}, separators=(",", ":"))

    def reply(self, text: str) -> Reply:
        """`{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":1}`"""
        asked = json.loads(text)
        channels = [_channel(name) for name in asked["params"]]
        joins = asked["method"] == "SUBSCRIBE"
        if joins and any(channel.symbol not in self.symbols for channel in channels):
            error = {"code": 2, "msg": "Invalid request: unknown stream"}
            return Reply([json.dumps({"error": error, "id": asked["id"]})], subscribes=True)
        answer = json.dumps({"result": None, "id": asked["id"]})
        return Reply([answer], channels if joins else [], [] if joins else channels, subscribes=joins)


def _channel(name: str) -> Channel:
    symbol, _, stream = name.partition("@")
    name = symbol.removesuffix("_perpetual").upper()
    return Channel(_KINDS.get(stream.partition("@")[0], "other"), name)


def _levels(bids: list[list[str]], asks: list[list[str]]) -> list[tuple[Side, str, str]]:
    return [*(("b", level[0], level[1]) for level in bids), *(("a", level[0], level[1]) for level in asks)]
