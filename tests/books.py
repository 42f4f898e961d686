"""A naive order book of depth messages, for tests: a dictionary a side, sorted when it is asked."""

from __future__ import annotations

from tests.messages import Message


class Rebuilt:
    """The levels that diffs and snapshots of one instrument leave."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[int, int]] = {"bid": {}, "ask": {}}
        self.cut: dict[str, int | None] = {"bid": None, "ask": None}
        """The worst price of a side's snapshot behind which nothing is known."""

    def take(self, message: Message) -> None:
        if message.kind == "book_snapshot":
            self.sides = {"bid": {}, "ask": {}}
            self.cut = {"bid": None, "ask": None}
        for row in message.rows:
            if "side" not in row:
                continue  # a book without levels
            side, price = row["side"], row.get("price", 0)
            if row.get("qty", 0) == 0:
                del self.sides[side][price]  # a diff removes only what is there
            else:
                self.sides[side][price] = row["qty"]
            if row.get("cut"):
                self.cut[side] = price

    def top(self, side: str, levels: int) -> list[tuple[int, int]]:
        """The best levels; those beyond the snapshot's worst are not known."""
        found = sorted(self.sides[side].items(), reverse=side == "bid")[:levels]
        worst = self.cut[side]
        assert worst is None or all(price >= worst if side == "bid" else price <= worst for price, _ in found)
        return found
