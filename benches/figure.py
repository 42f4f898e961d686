"""One figure: what was measured, beside what, and whether it is good enough."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Measured:
    """A value that was taken several times: the one to believe, and between what it varied."""

    value: float
    low: float
    high: float
    rounds: int

    @classmethod
    def least(cls, values: Sequence[float], *, scale: float = 1.0) -> Self:
        """The least, what work costs when nobody disturbs it; it varies up to the median."""
        return cls(min(values) * scale, min(values) * scale, median(values) * scale, len(values))

    @classmethod
    def most(cls, values: Sequence[float]) -> Self:
        """The most, the same for rates; it varies down to the median."""
        return cls(max(values), median(values), max(values), len(values))

    @classmethod
    def middle(cls, values: Sequence[float], *, scale: float = 1.0) -> Self:
        """The median, for percentiles and where disturbance is part of what is measured; from least to most."""
        return cls(median(values) * scale, min(values) * scale, max(values) * scale, len(values))

    @classmethod
    def once(cls, value: float) -> Self:
        """What does not vary."""
        return cls(value, value, value, 1)


@dataclass(frozen=True, slots=True)
class Goal:
    """A limit on the value, or on its ratio to the peer's."""

    of: Literal["value", "ratio"]
    sense: Literal["<=", ">=", "<"]
    limit: float

    def holds(self, found: float) -> bool:
        """Whether a number keeps the limit.

        >>> Goal("ratio", "<=", 1.5).holds(1.4)
        True
        """
        if self.sense == ">=":
            return found >= self.limit
        return found < self.limit if self.sense == "<" else found <= self.limit

    def __str__(self) -> str:
        million = self.limit >= 1e6
        return f"{self.of} {self.sense} {self.limit / 1e6 if million else self.limit:g}{'M' if million else ''}"


@dataclass(frozen=True, slots=True)
class Figure:
    """A row of the table. Without a `goal` it only informs; without an `ours` it says in `note` why there is none."""

    work: str
    unit: str
    ours: Measured | None
    peer: str | None = None
    peers: Measured | None = None
    goal: Goal | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Our value over the peer's."""
        if self.ours is None or self.peers is None or self.peers.value == 0:
            return None
        return self.ours.value / self.peers.value

    @property
    def holds(self) -> bool | None:
        """Whether the goal is reached; None where there is none, or nothing was measured."""
        if self.goal is None or self.ours is None:
            return None
        found = self.ratio if self.goal.of == "ratio" else self.ours.value
        return None if found is None else self.goal.holds(found)

    def as_plain(self) -> dict[str, Any]:
        """The row as JSON carries it."""
        ours, peers = self.ours, self.peers
        return {
            "work": self.work,
            "unit": self.unit,
            "value": ours.value if ours else None,
            "peer": self.peer,
            "peer_value": peers.value if peers else None,
            "ratio": self.ratio,
            "goal": str(self.goal) if self.goal else None,
            "holds": self.holds,
            "spread": [ours.low, ours.high] if ours else None,
            "peer_spread": [peers.low, peers.high] if peers else None,
            "rounds": ours.rounds if ours else 0,
            "note": self.note,
        }
