"""What became of the lines of raw captures, and the share of broken ones beyond which nobody should go on."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from signal_stream.errors import DataError, TapeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from signal_stream import _core

MAX_REJECTED: Final = "0.1%"
UNUSED: Final = "UNUSED_FRAME"
"""The code of frames that nobody uses: nothing is wrong with them, and they are not refused."""
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


class RefusedLines(UserWarning):
    """Some lines of a capture, or rows of a table, could not be used; the text says how many and why."""


class Refused(Protocol):
    """What is known of a table's refused rows: how many by reason, and the first with their reasons in words."""

    @property
    def counts(self) -> Mapping[str, int]:
        """By reason."""

    @property
    def first(self) -> Sequence[Any]:
        """Each with `row`, `reason` and `detail`."""


@dataclass(slots=True)
class Intake:
    """Lines of raw captures: `lines` in all, `unused` those of streams that nobody uses, `refused` by code, the `first` refusals
    with file, line and text. Used are the others.

    `faults` are the refusals that say that something is broken: not a last line that was cut off (`TRUNCATED`), which a
    recording has that still grows.
    """

    lines: int = 0
    what: str = "lines"
    """What they are: lines, or a table's rows."""
    unused: int = 0
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
        self.unused = self.refused.pop(UNUSED, 0)
        self.first = tuple(rejects["first"])
        self.faults = rejects["faults"]

    def take_rows(self, refused: Refused, rows: int, name: Callable[[int], str]) -> None:
        """Takes over what became of a table's rows. `name` says how people find a row, which is counted from 0."""
        self.lines, self.what = rows, "rows"
        self.refused = dict(refused.counts)
        self.first = tuple(f"{name(each.row)}  {each.reason}: {each.detail}" for each in refused.first)
        self.faults = self.total

    @property
    def total(self) -> int:
        """All refused lines."""
        return sum(self.refused.values())

    @property
    def sum(self) -> str:
        """What became of the lines, as one that adds up.

        >>> Intake(lines=1000, unused=40, refused={"MISSING_KEY": 300}).sum
        'used 660 + unused 40 + refused 300 = 1,000 lines'
        """
        used = self.lines - self.unused - self.total
        return f"used {used:,} + unused {self.unused:,} + refused {self.total:,} = {self.lines:,} {self.what}"

    def text(self) -> str:
        """One line for people; empty where every line was used.

        >>> Intake(lines=1000, refused={"MISSING_KEY": 300}).text()
        'refused 300 of 1,000 lines: MISSING_KEY 300'
        """
        if not self.refused:
            return ""
        by_code = sorted(self.refused.items(), key=lambda item: -item[1])
        codes = ", ".join(f"{code} {count:,}" for code, count in by_code)
        return f"refused {self.total:,} of {self.lines:,} {self.what}: {codes}"

    def check(self, max_rejected: float | str) -> None:
        """Raises TapeError REJECTED if more lines are broken than allowed; of a table, DataError."""
        share = share_of(max_rejected)
        if self.faults <= share * self.lines:
            return
        seen = self.faults / self.lines
        first, enough = self.first[0] if self.first else "-", _percent(seen)
        if self.what == "rows":
            raise DataError(
                "REJECTED",
                f"{self.text()}; that is {seen:.2%} where {share:.2%} are allowed. The first: {first}",
                value=self.faults,
                next_step=f'Mend the table, or allow more: max_rejected="{enough}", --max-rejected {enough}.',
            )
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
