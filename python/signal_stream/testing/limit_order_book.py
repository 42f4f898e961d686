"""A limit order book of single orders, matched by price and then by time."""

from bisect import bisect_left, insort
from collections import OrderedDict
from typing import NamedTuple


class Fill(NamedTuple):
    """A resting order met by an incoming one. Price in ticks, quantity in lots."""

    price: int
    qty: int
    maker_id: int
    update_id: int


class BookSide:
    """The bids or the asks: a first-in-first-out queue of orders at each price.

    A level's key is its price times `sign` (+1 for bids, -1 for asks), so that on both sides the greater
    key is the better price.

    Invariants: `keys` is sorted and lists exactly the levels; a level's `qty` is the sum of its queue and
    above 0.
    """

    __slots__ = ("keys", "qty", "queues", "sign", "touched")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.qty: dict[int, int] = {}
        self.queues: dict[int, OrderedDict[int, int]] = {}
        self.touched: dict[int, None] = {}

    @property
    def best(self) -> int | None:
        """Best price in ticks; None while the side is empty."""
        return self.keys[-1] * self.sign if self.keys else None

    def depth(self, levels: int | None = None) -> list[tuple[int, int]]:
        """(price, quantity) from the best level outward."""
        keys = self.keys[::-1] if levels is None else self.keys[: -levels - 1 : -1]
        return [(key * self.sign, self.qty[key]) for key in keys]

    def take_touched(self) -> list[tuple[int, int]]:
        """(price, quantity now; 0 if gone) of each level changed since the last call, by rising price."""
        changed = sorted((key * self.sign, self.qty.get(key, 0)) for key in self.touched)
        self.touched = {}
        return changed


class LimitOrderBook:
    """Price-time priority over two `BookSide`s. Prices in ticks, quantities in lots, all integers.

    Each change of a level counts `update_id` up by one. The book never crosses: an order that would is
    refused.

    >>> book = LimitOrderBook()
    >>> first, second = book.add(book.asks, 101, 5), book.add(book.asks, 101, 5)
    >>> [(fill.price, fill.qty, fill.maker_id == first) for fill in book.take(book.asks, 7)]
    [(101, 5, True), (101, 2, False)]
    >>> book.asks.depth()
    [(101, 3)]
    """

    __slots__ = ("_changes", "_next_order", "asks", "bids", "orders", "update_id")

    def __init__(self, *, update_id: int = 0) -> None:
        self.bids = BookSide(1)
        self.asks = BookSide(-1)
        self.orders: dict[int, tuple[BookSide, int]] = {}
        self.update_id = update_id
        self._next_order = 1
        self._changes: list[tuple[int, int, int]] | None = None

    def record_changes(self) -> list[tuple[int, int, int]]:
        """From now on every change of a level is appended to the returned list.

        A row is (update_id, key, quantity now), where a bid's key is its price and an ask's is minus its
        price; the levels of this moment come first.
        """
        self._changes = [(self.update_id, key, side.qty[key]) for side in self.sides for key in side.keys]
        return self._changes

    @property
    def sides(self) -> tuple[BookSide, BookSide]:
        """Bids, asks."""
        return self.bids, self.asks

    def opposite(self, side: BookSide) -> BookSide:
        """The other side."""
        return self.asks if side is self.bids else self.bids

    def add(self, side: BookSide, price: int, qty: int) -> int:
        """Queue an order behind those at its price; its id."""
        key = price * side.sign
        other = self.asks if side is self.bids else self.bids
        assert qty > 0 and not (other.keys and other.keys[-1] + key >= 0), "a resting order must not cross"
        order_id = self._next_order
        self._next_order = order_id + 1
        queue = side.queues.get(key)
        if queue is None:
            side.queues[key] = OrderedDict(((order_id, qty),))
            side.qty[key] = qty
            insort(side.keys, key)
        else:
            queue[order_id] = qty
            side.qty[key] += qty
        self.orders[order_id] = (side, key)
        self._changed(side, key)
        return order_id

    def cancel(self, order_id: int) -> bool:
        """Withdraw an order; False if it is no longer there."""
        place = self.orders.pop(order_id, None)
        if place is None:
            return False
        side, key = place
        self._reduce(side, key, side.queues[key].pop(order_id))
        return True

    def take(self, side: BookSide, qty: int, limit: int | None = None) -> list[Fill]:
        """Match `qty` against `side`, best price first and oldest order first, down to the price `limit`.

        What finds no order is dropped (immediate or cancel).
        """
        fills = []
        while qty > 0 and side.keys and (limit is None or side.keys[-1] >= limit * side.sign):
            key = side.keys[-1]
            queue = side.queues[key]
            order_id = next(iter(queue))
            traded = min(qty, queue[order_id])
            if traded == queue[order_id]:
                del queue[order_id], self.orders[order_id]
            else:
                queue[order_id] -= traded
            qty -= traded
            self._reduce(side, key, traded)
            fills.append(Fill(key * side.sign, traded, order_id, self.update_id))
        return fills

    def _reduce(self, side: BookSide, key: int, qty: int) -> None:
        if qty == side.qty[key]:
            del side.qty[key], side.queues[key], side.keys[bisect_left(side.keys, key)]
        else:
            side.qty[key] -= qty
        self._changed(side, key)

    def _changed(self, side: BookSide, key: int) -> None:
        self.update_id += 1
        side.touched[key] = None
        if self._changes is not None:
            self._changes.append((self.update_id, key, side.qty.get(key, 0)))

    def check_invariants(self) -> None:
        """Raises AssertionError where the book contradicts itself. Slow: for tests."""
        for side in self.sides:
            assert side.keys == sorted(side.qty) == sorted(side.queues)
            for key in side.keys:
                queue = side.queues[key]
                assert side.qty[key] == sum(queue.values()) > 0 and min(queue.values()) > 0
                assert all(self.orders[order_id] == (side, key) for order_id in queue)
        assert len(self.orders) == sum(len(queue) for side in self.sides for queue in side.queues.values())
        assert not (self.bids.keys and self.asks.keys and self.bids.keys[-1] + self.asks.keys[-1] >= 0)
