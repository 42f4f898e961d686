"""`[guards]` and `[[guard]]`: the limits of the four built-in guards, and guards of one's own."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .section import Section
from .values import PositiveNs, Within


class GuardLimits(Section):
    """`[guards]`: the limits within which signals pass."""

    max_age_ns: Annotated[PositiveNs, Within("1ns", "400d")] = Field(alias="max_age")
    """Oldest input that a signal may rest on when it leaves, in receive time and in event time."""
    max_venue_delay_ns: Annotated[PositiveNs, Within("1ns", "400d")] | None = Field(
        default=None, alias="max_venue_delay"
    )
    """Longest way of an input from the venue's time to ours, whatever its age; absent: only `max_age` counts. `status` shows how
    far the clocks stand apart."""
    completeness: float = Field(gt=0, le=1)
    """Least share of features that are valid without a default; 1.0 allows no default."""


class GuardSettings(Section):
    """`[[guard]]`: a guard that is asked after the built-in four. Its own settings class is made from this one."""

    kind: str
    """Which guard."""
    models: tuple[str, ...] = Field(default=(), strict=False)
    """Names of the models whose signals it judges; absent: all."""
