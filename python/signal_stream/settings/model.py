"""`[[model]]`: one registered model of the pipeline."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .section import Section
from .values import FallbackText, Instruments, PositiveNs, Ref, Within


class ModelSettings(Section):
    """`[[model]]`: one registered model of the pipeline."""

    ref: Ref
    """`name@version`, `name@live` or `name@latest`."""
    placement: Literal["isolated", "in-process"] = "isolated"
    """In a worker process of its own, or in the pipeline's (native kinds only)."""
    deadline_ns: Annotated[PositiveNs, Within("1ns", "1h")] | None = Field(default=None, alias="deadline")
    """Time for a prediction; absent: the manifest's."""
    instruments: Instruments | None = None
    """Those that it has signals for: a list, or "any" for all that the source brings; absent: those of its training table."""
    fallback: FallbackText | None = None
    """What stands in for a missing prediction; absent: the manifest's."""
