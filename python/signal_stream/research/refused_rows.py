"""Rows of bars that contradict themselves: counted by reason, the first of each reason named."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

PRICES: Final = ("open", "high", "low", "close")
"""The fields of a bar that say something about each other."""
_NAMED: Final = 5
"""Rows of each reason that are named."""
_NEAR: Final = 1e-9
"""A price this far outside, as a share of it, is what rounding makes of adjusted prices."""


class RefusedRow(NamedTuple):
    """A row, counted from 0 in the whole table, and what is wrong with it."""

    row: int
    reason: str
    detail: str


class RefusedRows:
    """The rows that were refused so far, of a table whose other rows are used.

    A refused bar keeps its time, as it was there; none of its numbers is believed. Invariant: `first` holds at most `_NAMED` rows
    of a reason, in the order of the table.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.first: list[RefusedRow] = []

    def copy(self) -> RefusedRows:
        """Another one that has seen the same rows."""
        other = RefusedRows()
        other.counts, other.first = Counter(self.counts), list(self.first)
        return other

    def find(self, prices: Mapping[str, np.ndarray], at: int) -> np.ndarray | None:
        """Which rows contradict themselves, None if none does. `prices` are those that the table has of `PRICES`, NaN where there
        is none; `at` is the number of the first row."""
        import numpy as np

        found = None
        for reason, field, other, above in _rules(prices):
            values, bound = prices[field], prices[other]
            room = _NEAR * np.abs(bound)
            wrong = (values > bound + room) if above else (values < bound - room)
            if found is not None:
                wrong &= ~found
            if not wrong.any():
                continue
            found = wrong if found is None else found | wrong
            side = "above" if above else "below"
            self._add(reason, np.flatnonzero(wrong), at, (field, values), side, (other, bound))
        if found is not None:
            self.first.sort(key=lambda each: each.row)
        return found

    def _add(
        self,
        reason: str,
        rows: np.ndarray,
        at: int,
        mine: tuple[str, np.ndarray],
        side: str,
        other: tuple[str, np.ndarray],
    ) -> None:
        room = _NAMED - sum(each.reason == reason for each in self.first)
        self.counts[reason] += len(rows)
        for row in rows[: max(0, room)].tolist():
            detail = f"{mine[0]} {float(mine[1][row])!r} lies {side} {other[0]} {float(other[1][row])!r}"
            self.first.append(RefusedRow(at + row, reason, detail))


def _rules(prices: Mapping[str, np.ndarray]) -> list[tuple[str, str, str, bool]]:
    """What must not be: a reason, a field that lies beyond another, and whether above it."""
    rules = [
        ("HIGH_BELOW_LOW", "high", "low", False),
        ("OPEN_OUTSIDE", "open", "high", True),
        ("OPEN_OUTSIDE", "open", "low", False),
        ("CLOSE_OUTSIDE", "close", "high", True),
        ("CLOSE_OUTSIDE", "close", "low", False),
    ]
    return [rule for rule in rules if rule[1] in prices and rule[2] in prices]
