"""How bars of a table follow each other: each once, in order, and of the length that the graph says."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Final

from signal_stream.durations import duration_text, utc
from signal_stream.research.bar_ends import CALENDAR, MONTH
from signal_stream.research.columns import bad
from signal_stream.research.table_options import DAY

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np

    from signal_stream.research.table_shape import TableShape

FIRST: Final = -(2**63)
"""The end of the bar before the first."""
_PROOF: Final = 8
"""Moments of bars without two of them side by side that prove that the rows are longer than the bars."""
_WEEK: Final = 7 * DAY
_MONDAY: Final = 4 * DAY
"""The first Monday after the beginning of 1970."""


class BarSpacing:
    """The newest bar of each instrument, and whether rows have proved to be as long as the bars.

    Invariants: `ends[i]` is the end of the newest bar of instrument i; `beside` says whether two bars of an instrument
    have followed each other without a bar between, and until then `moments` counts the moments at which bars followed
    with one or more between. `weeks` has the first and the newest end of a bar, and whether one was the end of a week.
    """

    def __init__(self, shape: TableShape) -> None:
        self.shape = shape
        self.ends: list[int] = []
        self.beside = False
        self.moments = 0
        self.moment = FIRST
        self.shortest: int | None = None
        self.weeks: tuple[int, int, bool] | None = None

    def copy(self) -> BarSpacing:
        """Another one that has seen the same bars."""
        other = copy.copy(self)
        other.ends = list(self.ends)
        return other

    def take(self, codes: np.ndarray, ends: np.ndarray, names: Iterable[str], *, graded: bool, at: int) -> None:
        """Refuses bars that come twice or overlap, and rows that prove to be longer than the bars."""
        import numpy as np

        before, tails = _before(codes, ends, np.array(self.ends, np.int64))
        follows = before != FIRST
        step = np.where(follows, ends - before, 0)
        length = self.shape.bars_ns if graded else None
        least = 1 if length is None else length if length < DAY else length // 2
        wrong = follows & (step < least)
        if wrong.any():
            self._overlap(int(wrong.argmax()), codes, ends, before, names, at)
        if length is not None and length >= MONTH:
            uneven = follows & (np.abs((step + length // 2) % length - length // 2) > DAY // 2)
            if uneven.any():
                self._calendar(int(uneven.argmax()), ends, before, length, at)
        if length is not None:
            self._lengths(step, follows, ends, length, at)
        if self.shape.weeks:
            self._weeks(int(ends.min()), int(ends.max()), bool(((ends - _MONDAY) % _WEEK == 0).any()))
        for code, end in zip(codes[tails].tolist(), ends[tails].tolist(), strict=True):
            self.ends[code] = end

    def went_on(self, rows: int) -> None:
        """So many bars of the first instrument have followed without a hole."""
        before = self.ends[0]
        self.ends[0] += rows * (self.shape.bars_ns or 0)
        if self.shape.weeks:
            ended = (self.ends[0] - _MONDAY) // _WEEK > (before - _MONDAY) // _WEEK
            self._weeks(before, self.ends[0], ended)

    def _weeks(self, first: int, newest: int, ended: bool) -> None:
        known = self.weeks or (first, newest, False)
        self.weeks = min(first, known[0]), max(newest, known[1]), ended or known[2]

    def end(self, rows: int) -> None:
        """The table has ended after so many rows: what can only be said of all of them is said now."""
        if not self.beside and self.moments > 1:
            self._too_long(rows - 1)
        if self.weeks is not None:
            first, newest, ended = self.weeks
            if not ended and newest - first >= 2 * _WEEK:
                bad(
                    "BAD_VALUE", 'the graph reads bars("1w"), and none of them ends: a week ends with the last bar of its Sunday '
                    "(UTC), and no row is one", self.shape.times[self.shape.time], rows - 1, value=utc(newest),
                    advice='Say that bars without a row are bars without trades: missing_bars="empty" (--missing-bars empty).',
                )  # fmt: skip

    def _overlap(
        self, row: int, codes: np.ndarray, ends: np.ndarray, before: np.ndarray, names: Iterable[str], at: int
    ) -> None:
        name = list(names)[int(codes[row])]
        end, last = int(ends[row]), int(before[row])
        of = f" of {name}" if self.shape.instrument_column else ""
        column = self.shape.times[self.shape.time]
        if end == last:
            message = f"the bar{of} that ends at {utc(end)} comes twice"
            advice = f"Drop rows that are there twice, as of overlapping downloads.{self.shape.other_instruments()}"
        elif end < last:
            message = f"the bar{of} that ends at {utc(end)} comes after the one that ends at {utc(last)}"
            advice = f"Sort the table by time first.{self.shape.other_instruments()}"
        else:
            message = (
                f"the bar{of} that ends at {utc(end)} overlaps the one that ends at {utc(last)}: the rows are shorter "
                f"than {duration_text(self.shape.bars_ns or 0)}"
            )
            advice = 'Say how long they are: length="1m" (--length 1m). The graph\'s longer bars are then made of them.'
        bad(
            "OUT_OF_ORDER" if end < last else "BAD_VALUE",
            message,
            column,
            at + row,
            value=utc(end),
            advice=advice,
        )

    def _calendar(self, row: int, ends: np.ndarray, before: np.ndarray, length: int, at: int) -> None:
        """Refuses months and years, whose lengths differ, as bars of so many days."""
        end, last = int(ends[row]), int(before[row])
        bad(
            "BAD_VALUE", f"the bar that ends at {utc(end)} follows the one that ends at {utc(last)} after "
            f"{duration_text(end - last)}: the rows are no bars of {duration_text(length)}",
            self.shape.times[self.shape.time], at + row, value=utc(end), advice=CALENDAR,
        )  # fmt: skip

    def _lengths(self, step: np.ndarray, follows: np.ndarray, ends: np.ndarray, length: int, at: int) -> None:
        """Notes how far bars lie apart; refuses rows of which no two lie side by side."""
        import numpy as np

        if self.beside:
            return
        beside = follows & (step < length + length // 2)
        stop = int(beside.argmax()) if beside.any() else len(step)
        apart = np.flatnonzero(follows[:stop])
        if len(apart):
            counted = self.moments + np.cumsum(np.diff(ends[apart], prepend=self.moment) != 0)
            proven = bool(counted[-1] >= _PROOF)
            if proven:
                apart = apart[: int((counted >= _PROOF).argmax()) + 1]
            shortest = int(step[apart].min())
            self.shortest = shortest if self.shortest is None else min(self.shortest, shortest)
            if proven:
                self._too_long(at + int(apart[-1]))
            self.moments, self.moment = int(counted[-1]), int(ends[apart[-1]])
        self.beside = stop < len(step)

    def _too_long(self, row: int) -> None:
        length, shortest = duration_text(self.shape.bars_ns or 0), duration_text(self.shortest or 0)
        bad(
            "BAD_VALUE", f"no two rows of an instrument lie {length} apart, the nearest {shortest}: they are no bars of "
            f"{length}", self.shape.times[self.shape.time], row, value=shortest,
            advice=CALENDAR
            if (self.shortest or 0) >= MONTH
            else f'If the rows are bars of {shortest}, write bars("{shortest}") in the graph (of an import: --length).',
        )  # fmt: skip


def _before(codes: np.ndarray, ends: np.ndarray, newest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row the end of its instrument's row before, and the last row of each instrument.

    `newest` holds the ends of the rows before the first of these. Where instruments take turns, the row before lies as
    many rows back as there are instruments, and nothing has to be sorted.
    """
    import numpy as np

    before = np.empty_like(ends)
    again = codes[1:] == codes[0]
    turn = int(again.argmax()) + 1 if again.any() else 0
    if turn and len(np.unique(codes[:turn])) == turn and np.array_equal(codes[turn:], codes[:-turn]):
        before[:turn], before[turn:] = newest[codes[:turn]], ends[:-turn]
        return before, np.arange(len(codes) - turn, len(codes))
    order = np.argsort(codes.astype(np.int16 if len(newest) < 2**15 else np.int64), kind="stable")
    by_code = codes[order]
    heads = np.flatnonzero(np.diff(by_code, prepend=-1))
    shifted = np.empty_like(ends)
    shifted[1:] = ends[order[:-1]]
    shifted[heads] = newest[by_code[heads]]
    before[order] = shifted
    return before, order[np.append(heads[1:], len(order)) - 1]
