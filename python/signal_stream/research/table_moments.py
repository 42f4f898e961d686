"""The events of a table in order: its rows, and the bars without trades that stand for rows that are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

_NO_ROW: Final = -1
_AT_ONCE: Final = 262_144
"""About so many missing bars are made at once."""


class Moments(NamedTuple):
    """Events: when each was known, when it happened, whose it is, and its row in the batch (-1: a bar without trades)."""

    known: np.ndarray
    happened: np.ndarray
    codes: np.ndarray
    rows: np.ndarray


class MissingBars:
    """Puts a bar without trades where an instrument has no row, from its first bar up to the newest moment of the table.

    Bars at the newest moment may still come. Invariants: `ends[i]` is the end of the newest bar of instrument i, made or
    given; `passed` is the moment before which nothing is missing any more.
    """

    def __init__(self, length_ns: int, wait_ns: int) -> None:
        import numpy as np

        self._length = length_ns
        self._wait = wait_ns
        self.ends = np.empty(0, np.int64)
        self._seen = np.empty(0, np.bool_)
        self.passed = -(2**63)

    def fill(self, rows: Moments, instruments: int) -> Iterator[Moments]:
        """The same rows with the bars that are missing before and between them, in order."""
        import numpy as np

        known = len(self.ends)
        self.ends = np.concatenate([self.ends, np.full(instruments - known, 0, np.int64)])
        self._seen = np.concatenate([self._seen, np.zeros(instruments - known, np.bool_)])
        last = int(rows.happened[-1])
        width = max(1, _AT_ONCE // max(1, instruments)) * self._length
        at = 0
        while at < len(rows.rows) or self.passed < last:
            begin = int(self.ends[self._seen].min()) if self._seen.any() else int(rows.happened[at])
            upto = min(last, max(begin, self.passed) + width)
            end = int(np.searchsorted(rows.happened, upto, side="right"))
            yield self._between(Moments(*(column[at:end] for column in rows)), upto)
            at, self.passed = end, upto

    def _between(self, rows: Moments, upto: int) -> Moments:
        import numpy as np

        begins, counts, codes = [], [], []
        for code in np.union1d(rows.codes, np.flatnonzero(self._seen)).tolist():
            ends = rows.happened[rows.codes == code]
            before = np.concatenate([self.ends[code : code + 1], ends]) if self._seen[code] else ends
            if not len(before):
                continue
            until = np.append(before[1:], upto)
            missing = np.maximum(-((before - until) // self._length) - 1, 0)
            begins.append(before)
            counts.append(missing)
            codes.append(np.full(len(before), code))
            self._seen[code] = True
            self.ends[code] = before[-1] + missing[-1] * self._length
        if not begins:
            return rows
        count = np.concatenate(counts)
        nth = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + 1
        made = np.repeat(np.concatenate(begins), count) + nth * self._length
        whose = np.repeat(np.concatenate(codes), count)
        happened = np.concatenate([rows.happened, made])
        absent = np.concatenate([np.zeros(len(rows.rows), bool), np.ones(len(made), bool)])
        code = np.concatenate([rows.codes, whose])
        # Rows keep their order; what is missing at a moment follows, instrument by instrument.
        order = np.lexsort((np.where(absent, code, 0), absent, happened))
        return Moments(
            np.concatenate([rows.known, made + self._wait])[order],
            happened[order],
            code[order],
            np.concatenate([rows.rows, np.full(len(made), _NO_ROW)])[order],
        )
