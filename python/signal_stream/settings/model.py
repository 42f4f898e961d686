"""`[[model]]`: one registered model of the pipeline."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .section import Section
from .values import FallbackText, PositiveNs, Ref


class ModelSettings(Section):
    """`[[model]]`: one registered model of the pipeline."""

    ref: Ref
    """`name@version`, `name@live` or `name@latest`."""
    placement: Literal["isolated", "in-process"] = "isolated"
    """In a worker process of its own, or in the pipeline's (native kinds only)."""
    deadline_ns: PositiveNs | None = Field(default=None, alias="deadline")
    """Time for a prediction; absent: the manifest's."""
    fallback: FallbackText | None = None
    """What stands in for a missing prediction; absent: the manifest's."""
