"""A venue's own order book, kept in the plainest way: what it answers when somebody asks for the whole of it."""

import json
from typing import Any


class VenueBook:
    """Levels by price, as texts. Begins with a snapshot; diffs that it holds already change nothing."""

    def __init__(self, snapshot: str) -> None:
        """From the JSON of Binance's answer to a request for depth."""
        whole = json.loads(snapshot)
        self.first = snapshot
        """The JSON that it began with."""
        self.last_id: int = whole["lastUpdateId"]
        """Id of the last change in it."""
        self._extra: dict[str, Any] = {key: whole[key] for key in ("E", "T", "symbol", "pair") if key in whole}
        self._sides = {"b": dict(whole["bids"]), "a": dict(whole["asks"])}

    def apply(self, diff: dict[str, Any]) -> None:
        """Takes over a diff, unless it is older than the book."""
        if diff["u"] <= self.last_id:
            return
        self.last_id = diff["u"]
        if "T" in self._extra:
            self._extra |= {"E": diff["E"], "T": diff["T"]}
        for key, side in self._sides.items():
            for price, qty in diff[key]:
                if float(qty) == 0.0:
                    side.pop(price, None)
                else:
                    side[price] = qty

    def levels(self, side: str, count: int) -> list[tuple[str, str]]:
        """The best levels of side "b" or "a", (price, quantity) from the best outward."""
        found = self._sides[side].items()
        return sorted(found, key=lambda level: float(level[0]), reverse=side == "b")[:count]

    def answer(self, limit: int) -> str:
        """The JSON of the venue's answer, with so many levels a side."""
        whole = {
            "lastUpdateId": self.last_id,
            **self._extra,
            "bids": self.levels("b", limit),
            "asks": self.levels("a", limit),
        }
        return json.dumps(whole, separators=(",", ":"))
