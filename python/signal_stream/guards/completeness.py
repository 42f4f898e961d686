"""The guard that enough of a vector is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from signal_stream.records import Finding, Prediction, VectorRow

if TYPE_CHECKING:
    from collections.abc import Mapping


class Completeness:
    """Vetoes INCOMPLETE unless every invalid feature has a declared default and enough features need none.

    `completeness` is the least share, in (0, 1], of features that are valid themselves: 1.0 allows no default at
    all, 0.9 allows one default in ten features. Which defaults went in is answered by `defaults_used`, and the Gate
    records it on the signal.
    """

    __slots__ = ("_all_valid", "_columns", "_completeness", "_defaults")

    def __init__(self, *, columns: tuple[str, ...], defaults: Mapping[str, float], completeness: float) -> None:
        if not 0 < completeness <= 1:
            raise AssertionError(f"completeness {completeness} is not in (0, 1]")
        self._columns = columns
        self._defaults = frozenset(defaults)
        self._completeness = completeness
        self._all_valid = (None,) * len(columns)

    @property
    def allows_none(self) -> bool:
        """Whether no default can ever pass."""
        return self._completeness == 1

    def check(self, _prediction: Prediction | None, vector: VectorRow, _now: int) -> Finding | None:
        """INCOMPLETE with the features and their reasons, or None."""
        reasons = vector.reasons
        if reasons == self._all_valid:
            return None
        invalid = [(name, reason) for name, reason in zip(self._columns, reasons, strict=True) if reason is not None]
        missing = [(name, reason) for name, reason in invalid if name not in self._defaults]
        if missing:
            listed = ", ".join(f"{name} {reason}" for name, reason in missing)
            return Finding("INCOMPLETE", f"invalid without a declared default: {listed}")
        share = 1 - len(invalid) / len(reasons)
        if share < self._completeness:
            listed = ", ".join(f"{name} {reason}" for name, reason in invalid)
            return Finding(
                "INCOMPLETE", f"{share:.3f} of the features are valid, {self._completeness} needed: {listed}"
            )
        return None

    def defaults_used(self, vector: VectorRow) -> tuple[str, ...]:
        """The invalid features for which the manifest's default stands in, in the order of the columns."""
        reasons = vector.reasons
        if reasons == self._all_valid:
            return ()
        return tuple(
            name
            for name, reason in zip(self._columns, reasons, strict=True)
            if reason is not None and name in self._defaults
        )
