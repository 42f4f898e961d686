"""A venue's own order book, kept in the plainest way: what it answers when somebody asks for the whole of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Side: TypeAlias = Literal["b", "a"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """What a frame, or an answer by HTTP, says of one book: all of it (`whole`), or levels that changed."""

    symbol: str
    whole: bool
    last_id: int | None = None
    """The id of the last change; None where the venue has none."""
    levels: list[tuple[Side, str, str]]
    """Side, price, quantity, as the venue writes them; a quantity of 0 removes."""
    about: dict[str, Any] = field(default_factory=dict)
    """What else the venue says with it, and would say with the whole of it."""


class VenueBook:
    """Levels by price, as texts. Begins with a snapshot; diffs that it holds already change nothing."""

    def __init__(self, snapshot: Depth, text: str, *, deep: int | None = None) -> None:
        """From a snapshot and its text. With `deep` a side has so many levels at most: those beyond are dropped."""
        self.first = text
        """The text that it began with."""
        self.symbol = snapshot.symbol
        self.last_id = snapshot.last_id
        """Id of the last change in it."""
        self.about: dict[str, Any] = {}
        """What the venue said besides, last."""
        self._deep = deep
        self._sides: dict[Side, dict[str, str]] = {"b": {}, "a": {}}
        self._take(snapshot)

    def apply(self, depth: Depth) -> None:
        """Takes over a whole book, and a diff that the book does not have."""
        if depth.whole or not self.has(depth):
            self._take(depth)

    def has(self, depth: Depth) -> bool:
        """Whether the book is as new by its id, so that it has what this says."""
        return depth.last_id is not None and self.last_id is not None and depth.last_id <= self.last_id

    def levels(self, side: Side, count: int) -> list[tuple[str, str]]:
        """The best levels of side "b" or "a", (price, quantity) from the best outward."""
        found = self._sides[side].items()
        return sorted(found, key=lambda level: float(level[0]), reverse=side == "b")[:count]

    def _take(self, depth: Depth) -> None:
        if depth.whole:
            self._sides = {"b": {}, "a": {}}
        self.last_id = depth.last_id
        self.about |= depth.about
        for side, price, qty in depth.levels:
            if float(qty) == 0.0:
                self._sides[side].pop(price, None)
            else:
                self._sides[side][price] = qty
        for side, levels in self._sides.items():
            while self._deep is not None and len(levels) > self._deep:
                worst = min if side == "b" else max
                levels.pop(worst(levels, key=float))
