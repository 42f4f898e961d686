"""`[tape]`: how long events are kept whose source cannot be read again."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .section import Section
from .values import PositiveNs, Within


class TapeSettings(Section):
    """`[tape]`: how long events are kept that were written down because their source cannot be read again."""

    segment_bytes: int = Field(default=64 << 20, ge=1 << 16, le=1 << 40)
    """Size at which a new file is begun."""
    segment_age_ns: Annotated[PositiveNs, Within("1s", "400d")] = Field(default=86_400_000_000_000, alias="segment_age")
    """Age of a file's first event at which a new one is begun. Files that are full are compressed."""
    keep_ns: Annotated[PositiveNs, Within("1m", "36525d")] | None = Field(default=None, alias="keep")
    """How long events stay, such as "30d"; for ever where it is not said. What a replay of signals needs that are in the journal
    stays in any case: say [journal] keep as well."""
