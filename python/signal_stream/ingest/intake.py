"""What became of the lines of raw captures, and the share of broken ones beyond which nobody should go on."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from signal_stream.errors import DataError, TapeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from signal_stream import _core

MAX_REJECTED: Final = "0.1%"
_SHARE: Final = re.compile(r"\s*([0-9]*\.?[0-9]+)\s*(%?)\s*")


def share_of(value: float | str) -> float:
    """A share as users write it: "0.1%", or 0.001. Raises DataError for anything else.

    >>> share_of("0.1%"), share_of(1), share_of("0.5")
    (0.001, 1.0, 0.5)
    """
    match = _SHARE.fullmatch(value) if isinstance(value, str) else None
    try:
        share = float(value) if match is None else float(match[1]) / (100 if match[2] else 1)
    except (TypeError, ValueError):
        share = -1.0
    if not 0 <= share <= 1:
        raise DataError(
            "BAD_VALUE", f"max_rejected is {value!r}", next_step='Give a share between 0 and 1, as "0.1%" or 0.001.'
        )
    return share


@dataclass(slots=True)
class Intake:
    """Lines of raw captures: `lines` in all, `refused` by code, the `first` refusals with file, line and text.

    `faults` are the refusals that say that something is broken. The others are frames of streams that nobody uses
    (`UNUSED_FRAME`) and a last line that was cut off (`TRUNCATED`), which a recording has that still grows.
    """

    lines: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    first: tuple[str, ...] = ()
    faults: int = 0

    def read(self, reader: _core.Reader) -> None:
        """Takes over what a reader has counted so far."""
        self.take(reader.rejects(), reader.lines)

    def take(self, rejects: Mapping[str, Any], lines: int) -> None:
        """Takes over counted refusals, and the number of lines among which they were."""
        self.lines = lines
        self.refused = dict(rejects["counts"])
        self.first = tuple(rejects["first"])
        self.faults = rejects["faults"]

    @property
    def total(self) -> int:
        """All refused lines."""
        return sum(self.refused.values())

    def text(self) -> str:
        """One line for people; empty where every line was used.

        >>> Intake(lines=1000, refused={"MISSING_KEY": 300}).text()
        'refused 300 of 1,000 lines: MISSING_KEY 300'
        """
        if not self.refused:
            return ""
        by_code = sorted(self.refused.items(), key=lambda item: -item[1])
        codes = ", ".join(f"{code} {count:,}" for code, count in by_code)
        return f"refused {self.total:,} of {self.lines:,} lines: {codes}"

    def check(self, max_rejected: float | str) -> None:
        """Raises TapeError REJECTED if more lines are broken than allowed."""
        share = share_of(max_rejected)
        if self.faults <= share * self.lines:
            return
        seen = self.faults / self.lines
        first, enough = self.first[0] if self.first else "-", _percent(seen)
        raise TapeError(
            "REJECTED",
            f"{self.text()}; {self.faults:,} of them are broken, {seen:.2%} where {share:.2%} are allowed. The first: {first}",
            value=self.faults,
            next_step=f'Mend or cut the capture, or allow more: max_rejected="{enough}", --max-rejected {enough}.',
        )


def _percent(share: float) -> str:
    """A share, rounded up so that it suffices."""
    hundredths = -int(-share * 10_000 // 1)
    return f"{min(hundredths, 10_000) / 100:g}%"
