"""Bars of a minute with five levels of a book, made from a seed: what the graph of 23 outputs reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

FIELDS = (
    "high", "low", "close", "volume", "bid_price_1", "ask_price_1",
    *(f"bid_qty_{level}" for level in range(1, 6)), *(f"ask_qty_{level}" for level in range(1, 6)),
)  # fmt: skip
"""Columns of a row, in the order of the C floors."""

START_NS = 1_700_000_040_000_000_000
MINUTE_NS = 60_000_000_000
_BLOCK = 65_536


@dataclass(frozen=True, slots=True)
class Minutes:
    """Rows as columns. Prices lie on no tick grid, which would hide what rounding does to sums."""

    columns: NDArray[np.float64]
    """One row a field of FIELDS, each contiguous."""

    @classmethod
    def made(cls, rows: int, *, seed: int = 7) -> Minutes:
        """So many rows, made block by block."""
        columns = np.empty((len(FIELDS), rows))
        random, last = np.random.default_rng(seed), 100.0
        for start in range(0, rows, _BLOCK):
            block = columns[:, start : start + _BLOCK]
            last = _fill(block, random, last)
        return cls(columns)

    def __len__(self) -> int:
        return int(self.columns.shape[1])

    def rows(self, start: int, end: int) -> NDArray[np.float64]:
        """Rows as the C floors take them, one after another."""
        return np.ascontiguousarray(self.columns[:, start:end].T)

    def batch(self, start: int, end: int) -> pa.RecordBatch:
        """Rows as Arrow with `ts_open`; nothing but the times is copied."""
        import pyarrow as pa

        times = START_NS + MINUTE_NS * np.arange(start, end, dtype=np.int64)
        arrays = [pa.array(times), *(pa.array(column[start:end]) for column in self.columns)]
        return pa.RecordBatch.from_arrays(arrays, names=["ts_open", *FIELDS])

    def __getitem__(self, field: str) -> NDArray[np.float64]:
        column: NDArray[np.float64] = self.columns[FIELDS.index(field)]
        return column


def _fill(block: NDArray[np.float64], random: np.random.Generator, last: float) -> float:
    """Fills a block of columns; returns the last close. The close reverts slowly to 100."""
    rows: int = block.shape[1]
    steps = random.normal(0.0, 5e-4, rows)
    steps -= steps.mean() + np.log(last / 100.0) / rows
    close = last * np.exp(np.cumsum(steps))
    opened = np.concatenate(([last], close[:-1]))
    reach = np.abs(random.standard_normal((2, rows))) * 3e-4
    half_spread = random.uniform(0.006, 0.02, rows)  # wide enough that rounding never closes the spread
    block[0] = np.maximum(opened, close) * (1 + reach[0])
    block[1] = np.minimum(opened, close) * (1 - reach[1])
    block[2] = close
    block[3] = random.exponential(400.0, rows) * (1 + 400 * np.abs(steps))
    block[4] = np.round(close - half_spread, 2)  # now and then two quotes in a row have one price, as OFI asks
    block[5] = np.round(close + half_spread, 2)
    block[6:] = random.exponential(60.0, (10, rows))
    return float(close[-1])
