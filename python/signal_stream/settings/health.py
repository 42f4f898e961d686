"""`[health]`: from which age on data counts as old."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from signal_stream.durations import duration_ns, duration_text

from .section import Problem, Section
from .values import PositiveNs, Within

if TYPE_CHECKING:
    from collections.abc import Iterator


_LIMIT_MAX: Final = "36525d"


class HealthSettings(Section):
    """`[health]`: from which age on data counts as old, in multiples of `unit`: a day, say, for a pipeline on daily bars."""

    unit_ns: Annotated[PositiveNs, Within("1ns", "400d")] = Field(default=60_000_000_000, alias="unit")
    """What the three limits are multiples of."""
    fresh: float = Field(default=5.0, gt=0, le=1e6)
    """Younger data is FRESH."""
    recent: float = Field(default=15.0, gt=0, le=1e6)
    """Younger data is RECENT."""
    old: float = Field(default=60.0, gt=0, le=1e6)
    """Younger data is OLD, which makes a live pipeline DEGRADED; what is older is STALE, and it is CRITICAL."""

    def limits(self) -> dict[str, int]:
        """The three limits in nanoseconds, as the status carries them."""
        return {f"{name}_ns": round(getattr(self, name) * self.unit_ns) for name in ("fresh", "recent", "old")}

    def problems(self) -> Iterator[Problem]:
        """Limits that do not follow each other, or lie beyond what a duration may be."""
        if self.old * self.unit_ns > duration_ns(_LIMIT_MAX):
            what = f'old = {self.old:g} times unit = "{duration_text(self.unit_ns)}" is more than "{_LIMIT_MAX}"'
            yield Problem("old" if "old" in self.model_fields_set else "unit", what, "Write a smaller one.")
        for less, more in (("fresh", "recent"), ("recent", "old")):
            if getattr(self, less) > getattr(self, more):
                what = f"{more} = {getattr(self, more):g} is less than {less} = {getattr(self, less):g}"
                yield Problem(more, what, "Data grows old from fresh over recent to old.")
