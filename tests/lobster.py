"""A day of LOBSTER of our own making, by the format that lobsterdata.com publishes: orders of an imagined stock, matched by
price and time, and the book after each message. No part of it is LOBSTER's data."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

EMPTY = {1: (-9_999_999_999, 0), -1: (9_999_999_999, 0)}
TICK = 100  # a cent, in dollars times 10,000


class Day:
    """Orders of a stock. `messages` and `books` are the rows of the two files; the book has at most `depth` levels a side, so
    that the messages tell all of it."""

    def __init__(self, seed: int, *, depth: int, rows: int) -> None:
        self._random = random.Random(seed)
        self._depth = depth
        self._orders: dict[int, list[int]] = {}  # id: direction, price, size; the oldest first
        self._newest = 100
        self._seconds = 34_200.004241176
        self.messages: list[tuple[str, int, int, int, int, int]] = []
        self.books: list[list[int]] = []
        while len(self.messages) < rows:
            self._step()

    def levels(self, direction: int) -> list[tuple[int, int]]:
        sizes: dict[int, int] = {}
        for side, price, size in self._orders.values():
            if side == direction:
                sizes[price] = sizes.get(price, 0) + size
        return sorted(sizes.items(), reverse=direction == 1)

    def _say(self, kind: int, order: int, size: int, price: int, direction: int) -> None:
        self._seconds += self._random.choice([0.0, 1e-9, 0.25, 3.0]) if self.messages else 0.0
        self.messages.append((f"{self._seconds:.9f}", kind, order, size, price, direction))
        row: list[int] = []
        sides = {side: self.levels(side) for side in (-1, 1)}
        for level in range(self._depth):
            for side in (-1, 1):
                row += sides[side][level] if level < len(sides[side]) else EMPTY[side]
        self.books.append(row)

    def _step(self) -> None:
        draw = self._random.random()
        if draw < 0.5 or not self._orders:
            self._place()
        elif draw < 0.72:
            order = self._random.choice(list(self._orders))
            direction, price, size = self._orders[order]
            part = self._random.randint(1, size)
            if part < size:
                self._orders[order][2] -= part
                self._say(2, order, part, price, direction)
            else:
                del self._orders[order]
                self._say(3, order, size, price, direction)
        elif draw < 0.92:
            self._trade(self._random.choice([1, -1]), self._random.randint(1, 400))
        elif draw < 0.97:
            bids = self.levels(1)
            self._say(5, 0, 50, (bids[0][0] if bids else 5_853_300) + TICK // 2, self._random.choice([1, -1]))
        elif draw < 0.98:
            self._say(6, -1, 3_000, 5_853_300, 1)
        else:
            for price in (-1, 0, 1):
                self._say(7, 0, 0, price, -1)

    def _place(self) -> None:
        direction = self._random.choice([1, -1])
        price = 5_853_300 + TICK * self._random.randint(-5, 5)
        against = [other for other, _ in self.levels(-direction)]
        crosses = against and (price >= against[0] if direction == 1 else price <= against[0])
        own = [level for level, _ in self.levels(direction)]
        if crosses or (price not in own and len(own) == self._depth):
            return
        self._newest += 1
        size = self._random.choice([1, 18, 100, 200])
        self._orders[self._newest] = [direction, price, size]
        self._say(1, self._newest, size, price, direction)

    def _trade(self, resting: int, size: int) -> None:
        """Somebody takes from the resting side, best price first and oldest order first."""
        for order in sorted(self._orders, key=lambda each: (-resting * self._orders[each][1], each)):
            direction, price, stands = self._orders[order]
            if direction != resting or not size:
                continue
            part = min(size, stands)
            size -= part
            self._orders[order][2] -= part
            if part == stands:
                del self._orders[order]
            self._say(4, order, part, price, direction)

    def write(self, folder: Path, *, ticker: str = "XYZ", day: str = "2012-06-21") -> Path:
        """Both files, as LOBSTER names them; gives that of the messages."""
        path = folder / f"{ticker}_{day}_34200000_57600000_message_{self._depth}.csv"
        path.write_text("".join(f"{','.join(map(str, row))}\n" for row in self.messages))
        book = folder / f"{ticker}_{day}_34200000_57600000_orderbook_{self._depth}.csv"
        book.write_text("".join(f"{','.join(map(str, row))}\n" for row in self.books))
        return path

    def sides(self) -> Iterator[dict[str, list[tuple[int, int]]]]:
        """The book after each message, in the numbers of a tape."""
        for row in self.books:
            cells = list(zip(row[::2], row[1::2], strict=True))
            yield {
                "ask": [(price * 100_000, size) for price, size in cells[::2] if size],
                "bid": [(price * 100_000, size) for price, size in cells[1::2] if size],
            }
