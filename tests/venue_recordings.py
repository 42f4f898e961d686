"""Recordings of venues: those beside the captures, or small ones of our own making where these are not at hand."""

from __future__ import annotations

import json
import os
import random
import zlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

FOLDER = Path(os.environ.get("SIGNAL_STREAM_DATA", Path(__file__).parents[1].parent / "shared" / "data")) / "ws-frames"
COUNTS = {"KRAKEN": 4_269, "OKX": 290, "INDEPENDENT_RESERVE": 37, "KUCOIN": 1_355}
STEPS = 200
START_MS = 1_650_000_000_000


class Recording(NamedTuple):
    """A recording, and how much of what its venue is looked at for is in it: checksums, cancels of orders that nobody knows, or
    fillers."""

    path: Path
    count: int


def recording(venue: str, folder: Path) -> Recording:
    """The venue's own, or else one that is made in the folder."""
    path = FOLDER / f"{venue}.jsonl.zst"
    if path.is_file():
        return Recording(path, COUNTS[venue])
    assert os.environ.get("SIGNAL_STREAM_REQUIRE_DATA") != "1", f"{path} is not there"
    lines = [{"t": "header", "format": 2, "exchange": venue, "config": {}}]
    for number, (address, data) in enumerate(_MADE[venue]()):
        kind = {"t": "http", "url": address} if address else {"t": "recv"}
        lines.append({**kind, "conn": f"{venue}.1", "ts": START_MS / 1e3 + number / 10, "data": json.dumps(data)})
    made = folder / path.name
    with pa.CompressedOutputStream(str(made), "zstd") as stream:
        stream.write("".join(json.dumps(line) + "\n" for line in lines).encode())
    return Recording(made, STEPS)


Said = Iterator[tuple[str, Any]]


class _Book:
    """A book that walks about; prices and quantities are texts of a fixed number of places, or without zeros at their ends."""

    def __init__(self, places: int, *, trimmed: bool = False) -> None:
        self._trimmed = trimmed
        self._draw = random.Random(5)
        self._price = Decimal(1).scaleb(-places)
        self.sides = {side: {self._at(side, n): self._qty() for n in range(40)} for side in "ba"}

    def _at(self, side: str, ticks: int) -> str:
        return self._text(str((5_000 + ticks + 1 if side == "a" else 5_000 - ticks) * self._price))

    def _qty(self) -> str:
        return self._text(f"{self._draw.randrange(1, 10**9) / 1e8:.8f}")

    def _text(self, number: str) -> str:
        return number.rstrip("0").rstrip(".") if self._trimmed else number

    def change(self) -> tuple[str, str, str]:
        """A level that changes: side, price, quantity, which is 0 where it is gone."""
        side = self._draw.choice("ba")
        price = self._at(side, self._draw.randrange(1, 40))
        qty = self._qty() if price not in self.sides[side] or self._draw.random() < 0.7 else self._text("0.00000000")
        if Decimal(qty):
            self.sides[side][price] = qty
        else:
            del self.sides[side][price]
        return side, price, qty

    def top(self, side: str, levels: int) -> list[tuple[str, str]]:
        prices = sorted(self.sides[side], key=Decimal, reverse=side == "b")[:levels]
        return [(price, self.sides[side][price]) for price in prices]


def _kraken() -> Said:
    book = _Book(6)

    def rows(levels: list[tuple[str, str]], number: int) -> list[list[str]]:
        return [[*level, f"{START_MS / 1e3 + number:.6f}"] for level in levels]

    whole = {"as": rows(book.top("a", 1000), 0), "bs": rows(book.top("b", 1000), 0)}
    yield "", [1920, whole, "book-1000", "SC/EUR"]
    for number in range(STEPS):
        side, *level = book.change()
        text = "".join(
            word.replace(".", "").lstrip("0") for side in "ab" for level in book.top(side, 10) for word in level
        )
        part = {side: rows([(level[0], level[1])], number), "c": str(zlib.crc32(text.encode()))}
        yield "", [1920, part, "book-1000", "SC/EUR"]


def _okx() -> Said:
    book = _Book(1, trimmed=True)
    for number in range(STEPS):
        if number:
            side, *level = book.change()
            changes = {"a": [], "b": []} | {side: [level]}
        else:
            changes = {side: [list(level) for level in book.top(side, 400)] for side in "ab"}
        ranks = zip(book.top("b", 25), book.top("a", 25), strict=True)
        sum32 = zlib.crc32(":".join(word for pair in ranks for level in pair for word in level).encode())
        data = {
            "asks": [[*level, "0", "1"] for level in changes["a"]],
            "bids": [[*level, "0", "1"] for level in changes["b"]],
            "ts": str(START_MS + 100 * number),
            "checksum": sum32 - 2**32 if sum32 >= 2**31 else sum32,
        }
        action = "update" if number else "snapshot"
        yield "", {"arg": {"channel": "books", "instId": "BTC-USDT"}, "action": action, "data": [data]}


def _kucoin() -> Said:
    book = _Book(3)
    levels = {name: [list(level) for level in book.top(side, 100)] for name, side in (("bids", "b"), ("asks", "a"))}
    url = "https://api.kucoin.com/api/v3/market/orderbook/level2?symbol=BCHSV-USDT"
    yield url, {"code": "200000", "data": {"time": START_MS, "sequence": "1000", **levels}}
    for number in range(2 * STEPS):
        sequence = 1001 + number
        changes: dict[str, list[list[str]]] = {"asks": [], "bids": []}
        if number % 2:
            side, price, qty = book.change()
            changes["asks" if side == "a" else "bids"] = [[price, qty, str(sequence)]]
        else:
            changes["asks"] = [["0", "0", str(sequence)]]
        data = {"sequenceStart": sequence, "symbol": "BCHSV-USDT", "changes": changes, "sequenceEnd": sequence}
        yield "", {"data": data, "subject": "trade.l2update", "topic": "/market/level2:BCHSV-USDT", "type": "message"}


def _independent_reserve() -> Said:
    def guid(number: int) -> str:
        return f"00000000-0000-4000-8000-{number:012d}"

    url = "https://api.independentreserve.com/Public/GetAllOrders?primaryCurrencyCode=dot&secondaryCurrencyCode=nzd"
    orders = {
        name: [{"Guid": guid(first + n), "Price": price + step * n, "Volume": 2.5} for n in range(20)]
        for name, first, price, step in (("BuyOrders", 0, 30.0, -0.5), ("SellOrders", 100, 31.0, 0.5))
    }
    made = {
        "PrimaryCurrencyCode": "Dot",
        "SecondaryCurrencyCode": "Nzd",
        "CreatedTimestampUtc": "2022-04-15T05:20:00.0Z",
    }
    yield url, orders | made
    for number in range(2 * STEPS):
        if number % 2:  # of an order that was never there
            event, data = "OrderCanceled", {"OrderType": "LimitBid", "OrderGuid": guid(9_000 + number)}
        else:
            data = {"OrderType": "LimitBid", "OrderGuid": guid(1_000 + number), "Volume": 1.25}
            event, data = (
                "NewOrder",
                data | {"Price": {"aud": 20.0, "usd": 15.0, "nzd": round(22.0 - number / 100, 2), "sgd": 19.0}},
            )
        message = {"Channel": "orderbook-dot", "Nonce": 5_000 + number, "Data": data, "Time": START_MS + 100 * number}
        yield "", message | {"Event": event}


_MADE: dict[str, Callable[[], Said]] = {
    "KRAKEN": _kraken,
    "OKX": _okx,
    "KUCOIN": _kucoin,
    "INDEPENDENT_RESERVE": _independent_reserve,
}
