"""Labels: what a model is to predict, null until it is known."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from signal_stream.durations import duration_ns, utc
from signal_stream.errors import DataError, did_you_mean
from signal_stream.research.columns import as_float, as_names, as_numpy, bad
from signal_stream.research.frames import as_table, column_of
from signal_stream.research.times import Clock

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


def forward_return(
    table: Any, horizon: str | None = None, *, rows: int | None = None, price: str = "mid", name: str | None = None
) -> pa.Table:
    """The table with one more column: the logarithm of the price then over the price now, of the same instrument.

    With `horizon` ("10s") then is `ts_recv + horizon`, and the price the last one of (ts_recv, ts_recv + horizon]: one
    that was new, never the row's own. Null where no row of the instrument lies there (a horizon of "1d" on a Friday),
    and while the moment lies beyond the instrument's last row: it is not known yet. With `rows` then is the instrument's
    row so many rows ahead: for bars of sessions, `rows=1` is the return to the next one. Null too where either price is
    null or not above zero.

    Two columns are added: the label, and `<label>.known_at`, the moment from which it may be used (ns, UTC), which
    `split.walk_forward` heeds. `price` names a column of the table, so put the mid (or another price) into the graph. The
    column's name is `fwd_<horizon>` or `fwd_<rows>_rows` unless `name` is given.

    `table` is what `compute` gives, or a polars or pandas frame with `instrument`, `ts_recv` and the price. The rows of
    each instrument have to be in order of time; DataError names the first that is not.

    >>> import pyarrow as pa
    >>> from signal_stream import label
    >>> ts = pa.array([0, 5, 10, 15], pa.timestamp("s", tz="UTC"))
    >>> table = pa.table({"instrument": ["X"] * 4, "ts_recv": ts, "mid": [1.0, 1.0, 2.0, 2.0]})
    >>> [x and round(x, 3) for x in label.forward_return(table, "10s")["fwd_10s"].to_pylist()]
    [0.693, 0.693, None, None]
    >>> [x and round(x, 3) for x in label.forward_return(table, rows=1)["fwd_1_rows"].to_pylist()]
    [0.0, 0.693, 0.0, None]
    """
    import numpy as np
    import pyarrow as pa

    ahead = _ahead(horizon, rows)
    table = as_table(table)
    column = name or (f"fwd_{horizon}" if rows is None else f"fwd_{rows}_rows")
    for taken in (column, f"{column}.known_at"):
        if taken in table.column_names:
            raise DataError(
                "BAD_VALUE", f'the table has a column "{taken}" already', value=taken,
                next_step="Give the label another name=, or drop that column.",
            )  # fmt: skip
    if price not in table.column_names:
        raise DataError(
            "MISSING_COLUMN", f'the table has no price column "{price}"', value=price,
            next_step=f"Add a feature with that name, or say price=. {did_you_mean(price, table.column_names)}",
        )  # fmt: skip
    times = Clock("ts_recv", None).read(column_of(table, "ts_recv"), 0)
    names = as_names(column_of(table, "instrument"), "instrument", 0)
    prices = as_numpy(as_float(column_of(table, price), price, 0))
    prices = np.where(prices > 0.0, prices, np.nan)
    codes = as_numpy(names.indices)
    order = np.argsort(codes, kind="stable")
    moments, group = times[order], codes[order]
    _check_order(moments, group, order, unique=rows is not None)
    target, known = (_within if rows is None else _next)(moments, group, ahead)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.log(prices[order][np.maximum(target, 0)] / prices[order])
    found[target < 0] = np.nan
    out, known_at = np.empty_like(found), np.empty_like(known)
    out[order], known_at[order] = found, known
    label = pa.array(out, mask=~np.isfinite(out))
    moment = pa.array(known_at, mask=known_at == _UNKNOWN).cast(pa.timestamp("ns", tz="UTC"))
    return table.append_column(column, label).append_column(f"{column}.known_at", moment)


_UNKNOWN = -(2**63)
"""In place of a moment that has not come."""


def _ahead(horizon: object, rows: object) -> int:
    """How far ahead: nanoseconds, or rows."""
    if (horizon is None) == (rows is None):
        raise DataError(
            "BAD_VALUE", "a label looks ahead by a horizon or by rows", next_step='Give horizon="10s" or rows=1.'
        )
    if rows is not None:
        if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
            raise DataError("BAD_VALUE", f"rows is {rows!r}", value=rows, next_step="Give a whole number from 1 on.")
        return rows
    try:
        ns = duration_ns(horizon) if isinstance(horizon, str) else None
    except ValueError:
        ns = None
    if not ns:
        raise DataError(
            "BAD_VALUE", f"horizon is {horizon!r}", value=horizon,
            next_step='Give a duration above zero such as "100ms", "2s", "1m" (units ns us ms s m h d).',
        )  # fmt: skip
    return ns


def _check_order(moments: np.ndarray, group: np.ndarray, order: np.ndarray, *, unique: bool) -> None:
    import numpy as np

    same = np.diff(group) == 0
    step = np.diff(moments)
    back = same & (step < 0)
    if back.any():
        at = int(back.argmax())
        bad(
            "OUT_OF_ORDER", f"{utc(int(moments[at + 1]))} comes after {utc(int(moments[at]))} of the same instrument",
            "ts_recv", int(order[at + 1]), value=utc(int(moments[at + 1])), advice='Sort the table: table.sort_by("ts_recv").',
        )  # fmt: skip
    twice = same & (step == 0)
    if unique and twice.any():
        at = int(twice.argmax())
        bad(
            "BAD_VALUE", f"two rows of one instrument are at {utc(int(moments[at]))}: which is the next one?", "ts_recv",
            int(order[at + 1]), value=utc(int(moments[at])), advice="Drop rows that are there twice, or give a horizon.",
        )  # fmt: skip


def _within(moments: np.ndarray, group: np.ndarray, ahead: int) -> tuple[np.ndarray, np.ndarray]:
    """For each row, the last one of its instrument after its moment and up to `ahead` later, else -1; and when that is known."""
    import numpy as np

    target = np.full(len(moments), -1)
    known = moments + np.minimum(ahead, np.iinfo(np.int64).max - np.maximum(moments, 0))
    edges = [0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), len(moments)]
    for start, end in pairwise(edges):
        if start == end:
            continue
        mine = moments[start:end]
        last = np.searchsorted(mine, known[start:end], side="right") - 1
        new = (mine[last] > mine) & (known[start:end] <= mine[-1])
        target[start:end] = np.where(new, start + last, -1)
    return target, known


def _next(moments: np.ndarray, group: np.ndarray, ahead: int) -> tuple[np.ndarray, np.ndarray]:
    """For each row, the one of its instrument so many rows ahead, else -1; and its moment."""
    import numpy as np

    target = np.arange(len(moments)) + ahead
    inside = target < len(moments)
    inside[inside] = group[target[inside]] == group[inside]
    target = np.where(inside, target, -1)
    return target, np.where(inside, moments[target], _UNKNOWN)
