"""Labels: what a model is to predict, null until it is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from signal_stream.durations import duration_ns
from signal_stream.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


def forward_return(table: pa.Table, horizon: str, *, price: str = "mid", name: str | None = None) -> pa.Table:
    """The table with one more column: the logarithm of the price at `ts_recv + horizon` over the price now.

    The price then is the last one known at that moment, of the same instrument. Null while the moment lies beyond the
    table's end for that instrument (it is not known yet), or where either price is null. Two columns are added: the
    label, and `<label>.known_at`, the moment from which it may be used (ns, UTC).

    `price` names a column of the table, so put the mid (or another price) into the graph. The column's name is
    `fwd_<horizon>` unless `name` is given.

    >>> import pyarrow as pa
    >>> from signal_stream import label
    >>> ts = pa.array([0, 5, 10, 15], pa.timestamp("s", tz="UTC"))
    >>> table = pa.table({"instrument": ["X"] * 4, "ts_recv": ts, "mid": [1.0, 1.0, 2.0, 2.0]})
    >>> [x and round(x, 3) for x in label.forward_return(table, "10s")["fwd_10s"].to_pylist()]
    [0.693, 0.693, None, None]
    """
    import numpy as np
    import pyarrow as pa

    if price not in table.column_names:
        raise DataError(
            "MISSING_COLUMN", f'the table has no price column "{price}"', next_step="Add a feature with that name."
        )
    try:
        ahead = duration_ns(horizon)
    except ValueError as error:
        raise DataError("BAD_VALUE", f"horizon is {horizon!r}", next_step=f"Give {error}.") from None
    times = table.column("ts_recv").cast(pa.timestamp("ns", tz="UTC")).cast(pa.int64()).to_numpy()
    prices = table.column(price).to_numpy(zero_copy_only=False).astype(np.float64)
    groups = np.asarray(table.column("instrument").cast(pa.string()).to_pylist())
    out = np.full(len(times), np.nan)
    for instrument in dict.fromkeys(groups.tolist()):
        rows = np.flatnonzero(groups == instrument)
        out[rows] = _forward(times[rows], prices[rows], ahead)
    column = name or f"fwd_{horizon}"
    label = pa.array(out, mask=~np.isfinite(out))
    known = pa.array(times + ahead).cast(pa.timestamp("ns", tz="UTC"))
    return table.append_column(column, label).append_column(f"{column}.known_at", known)


def _forward(times: np.ndarray, prices: np.ndarray, ahead: int) -> np.ndarray:
    import numpy as np

    out = np.full(len(times), np.nan)
    if len(times) == 0:
        return out
    then = np.searchsorted(times, times + ahead, side="right") - 1
    known = times + ahead <= times[-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        out[known] = np.log(prices[then[known]] / prices[known])
    return out
