"""Splits in time, for training without looking ahead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from signal_stream.durations import duration_ns
from signal_stream.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa


class Fold(NamedTuple):
    """One step of a walk-forward split: what to train on, and what to test on, both in order of time."""

    train: pa.Table
    test: pa.Table


def walk_forward(table: pa.Table, *, folds: int = 5, embargo: str = "0s") -> Iterator[Fold]:
    """Splits by `ts_recv` into folds + 1 parts of equal length in rows; fold k trains on all parts before part k.

    Rows of the training part whose time lies within `embargo` before the test part are left out, so that a label that
    looks that far ahead does not reach into the test. Raises DataError for a table that is not in order of time.
    """
    import numpy as np
    import pyarrow as pa

    if folds < 1 or table.num_rows < folds + 1:
        raise DataError(
            "BAD_VALUE", f"{folds} folds of {table.num_rows} rows", next_step="Give fewer folds or more rows."
        )
    times = table.column("ts_recv").cast(pa.timestamp("ns", tz="UTC")).cast(pa.int64()).to_numpy()
    if (np.diff(times) < 0).any():
        raise DataError(
            "OUT_OF_ORDER", "the table is not in order of ts_recv", next_step='Sort it: table.sort_by("ts_recv").'
        )
    edges = [table.num_rows * k // (folds + 1) for k in range(folds + 2)]
    wait = duration_ns(embargo)
    for k in range(1, folds + 1):
        start, end = edges[k], edges[k + 1]
        keep = int(np.searchsorted(times[:start], times[start] - wait, side="left")) if wait else start
        yield Fold(table.slice(0, keep), table.slice(start, end - start))
