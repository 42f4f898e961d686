"""What guards may say, and what they are given: limits and latches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from pathlib import Path


CODES: Final = {
    "SCHEMA_MISMATCH": "the vector was not made by the graph, or with the columns, that the model was trained on",
    "INCOMPLETE": "too many features are invalid, or one that is invalid has no declared default",
    "STALE": "an input is older than the limit",
    "KILLED": "a person, or a halt, has latched the kill switch",
    "DEADLINE": "the model did not answer in time",
    "MODEL_ERROR": "the model failed, or gave no finite number",
    "MODEL_DOWN": "the model's worker is not running",
    "GUARD": "a guard of the deployment's own objected",
    "GUARD_ERROR": "a guard failed; that is a veto",
}
"""Every code that a verdict can carry, in the order in which a verdict lists them (GUARD_ERROR where its guard is)."""


class GuardLimits(Protocol):
    """The limits of a deployment's `[guards]`."""

    @property
    def max_age_ns(self) -> int: ...
    @property
    def max_venue_delay_ns(self) -> int | None: ...
    @property
    def completeness(self) -> float: ...


class KillLatches(Protocol):
    """The kill switch's memory, which outlives the process.

    `path` is the file that every kill changes, None if there is none; `is_settled` says that each later change of it will
    show in its time or size."""

    @property
    def path(self) -> Path | None: ...
    @property
    def is_settled(self) -> bool: ...

    def killed(self, model: str) -> str | None:
        """Why this model must be silent, None if it need not be."""

    def kill(self, model: str | None, *, by: str, reason: str, now: int) -> object:
        """Latches one model, or all (None)."""
