"""`[journal]`: how safely and how long signals are kept."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .section import Section
from .values import PositiveNs, Within


class JournalSettings(Section):
    """`[journal]`: how safely signals are kept."""

    fsync: Literal["never", "interval", "always"] = "interval"
    """When what was written is forced to the disk. kill -9 loses nothing in any case; a power cut may."""
    fsync_interval_ns: Annotated[PositiveNs, Within("1ns", "1h")] = Field(default=1_000_000_000, alias="fsync_interval")
    """The most that a power cut may take under "interval"."""
    segment_bytes: int = Field(default=64 << 20, ge=1 << 16, le=1 << 40)
    """Size at which a new file is begun."""
    segment_age_ns: Annotated[PositiveNs, Within("1s", "400d")] = Field(default=86_400_000_000_000, alias="segment_age")
    """Age of a file's first record at which a new one is begun. Files that are full are compressed."""
    keep_ns: Annotated[PositiveNs, Within("1m", "36525d")] | None = Field(default=None, alias="keep")
    """How long records stay, such as "90d"; for ever where it is not said."""
