"""Splits in time, for training without looking ahead."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from signal_stream.durations import duration_ns, utc
from signal_stream.errors import DataError
from signal_stream.research.columns import as_numpy, bad
from signal_stream.research.frames import as_table, column_of
from signal_stream.research.times import Clock

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_KNOWN_AT = ".known_at"


class Fold(NamedTuple):
    """One step of a walk-forward split: what to train on, and what to test on, both in order of time."""

    train: pa.Table
    test: pa.Table


def walk_forward(table: Any, *, folds: int = 5, embargo: str = "0s", purge: bool = True) -> Iterator[Fold]:
    """Splits by `ts_recv` into folds + 1 parts of about equal length in rows; fold k trains on all parts before part k.

    All rows of one moment stand in one part; where there are fewer moments than parts, each moment is a part, and there
    are fewer folds. Training rows whose label is known only when the test has begun are left
    out: those with a `<label>.known_at`, as `label.forward_return` adds it, at or after the first moment of the test
    (all such columns count; `purge=False` keeps them). So are rows of the training part whose time lies within `embargo`
    before the test. A training part may be left empty.

    `table` is a pyarrow, polars or pandas table; the parts are pyarrow tables. Raises DataError for a table that is not
    in order of time, or has fewer rows than parts, or rows without a time.

    >>> import pyarrow as pa
    >>> from signal_stream import split
    >>> table = pa.table({"ts_recv": pa.array([0, 0, 1, 1, 2, 2], pa.timestamp("s"))})
    >>> [(fold.train.num_rows, fold.test.num_rows) for fold in split.walk_forward(table, folds=2)]
    [(2, 2), (4, 2)]
    """
    import numpy as np

    table = as_table(table)
    times = Clock("ts_recv", None).read(column_of(table, "ts_recv"), 0)
    back = np.diff(times) < 0
    if back.any():
        row = int(back.argmax()) + 1
        bad(
            "OUT_OF_ORDER", f"the table is not in order of time: {utc(int(times[row]))} comes after "
            f"{utc(int(times[row - 1]))}", "ts_recv", row, value=utc(int(times[row])),
            advice='Sort it: table.sort_by("ts_recv").',
        )  # fmt: skip
    try:
        wait = duration_ns(embargo) if isinstance(embargo, str) else None
    except ValueError:
        wait = None
    if wait is None:
        raise DataError(
            "BAD_VALUE", f"embargo is {embargo!r}", value=embargo,
            next_step='Give a duration such as "0s", "100ms", "1m" (units ns us ms s m h d).',
        )  # fmt: skip
    edges = _edges(times, folds)
    return _folds(table, times, edges, wait, _known(table) if purge else None)


def _edges(times: np.ndarray, folds: object) -> list[int]:
    """The first row of each part, and the number of rows: parts of whole moments, none of them empty."""
    import numpy as np

    starts = np.flatnonzero(np.diff(times, prepend=times[:1] - 1)) if len(times) else np.empty(0, np.int64)
    if not isinstance(folds, int) or folds < 1 or len(times) < folds + 1 or len(starts) < 2:
        raise DataError(
            "BAD_VALUE", f"{folds!r} folds of {len(times):,} rows at {len(starts):,} moments", value=folds,
            next_step="Give fewer folds or more rows.",
        )  # fmt: skip
    parts = min(folds + 1, len(starts))
    chosen = [0]
    for k in range(1, parts):
        nearest = int(np.searchsorted(starts, len(times) * k // parts, side="right")) - 1
        chosen.append(min(max(nearest, chosen[-1] + 1), len(starts) - (parts - k)))
    return [*(int(starts[i]) for i in chosen), len(times)]


def _known(table: pa.Table) -> np.ndarray | None:
    """When the last of each row's labels is known; None where no label says so."""
    import numpy as np

    newest = None
    for name in table.column_names:
        if name.endswith(_KNOWN_AT):
            column = column_of(table, name)
            there = as_numpy(column.is_valid())
            known = np.full(len(column), np.iinfo(np.int64).min)
            known[there] = Clock(name, None).read(column.drop_null(), 0)
            newest = known if newest is None else np.maximum(newest, known)
    return newest


def _folds(table: pa.Table, times: np.ndarray, edges: list[int], wait: int, known: np.ndarray | None) -> Iterator[Fold]:
    import numpy as np
    import pyarrow as pa

    for start, end in pairwise(edges[1:]):
        begins = times[start]
        keep = times[:start] < begins - wait if wait else times[:start] < begins
        if known is not None:
            keep &= known[:start] < begins
        # Runs of kept rows are sliced, which any column type allows.
        runs = np.flatnonzero(np.diff(keep, prepend=False, append=False)).reshape(-1, 2).tolist()
        train = pa.concat_tables([table.slice(0, 0), *(table.slice(first, last - first) for first, last in runs)])
        yield Fold(train, table.slice(start, end - start))
