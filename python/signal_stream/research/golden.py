"""Rows and predictions by which an ONNX file is compared with the model that it was made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from signal_stream.errors import ModelError, did_you_mean

if TYPE_CHECKING:
    import numpy as np

GOLDEN_ROWS: Final = 256
"""At most so many rows are kept in the file; fewer of very wide ones."""
_GOLDEN_NUMBERS: Final = 200_000
_GOLDEN_ROWS_MIN: Final = 16
TOLERANCE: Final = 1e-5
"""Largest difference from the original: of probabilities as it is, of values as a share of their spread."""
_QUANTILES: Final = (0.5, 0.01, 0.99, 0.25, 0.75)


def column_names(columns: Sequence[str]) -> list[str]:
    """The names as a list. Raises ModelError for anything that is no list of different names."""
    names = [columns] if isinstance(columns, str) else list(columns)
    for name in names:
        if not isinstance(name, str) or not name or isinstance(columns, str) or names.count(name) > 1:
            what = f"columns has {name!r}{' twice' if names.count(name) > 1 else ''}"
            advice = "Give the graph's features in order: columns=graph.features."
            raise ModelError("COLUMNS", what, value=name, next_step=advice)
    if not names:
        raise ModelError("COLUMNS", "columns is empty", next_step="Give the graph's features in order.")
    return names


def check_names(carried: Sequence[str] | None, columns: Sequence[str], *, whose: str, where: str = "") -> None:
    """Raises ModelError that names the first difference between the names that a model carries and the columns."""
    if carried is None or list(carried) == list(columns):
        return
    carried = list(carried)
    at = next((i for i, pair in enumerate(zip(carried, columns, strict=False)) if pair[0] != pair[1]), None)
    if at is None:
        what = f"{whose} was fitted on {len(carried)} columns, and {len(columns)} are given"
    else:
        what = f'{whose} was fitted on "{carried[at]}" as column {at}, and columns has "{columns[at]}" there'
    if sorted(carried) == sorted(columns):
        what += ": same names, other order"
    order = ", ".join(carried[:20]) + (", …" if len(carried) > 20 else "")
    raise ModelError(
        "COLUMNS",
        what,
        where=where,
        value=carried,
        next_step=f"Fit it on the graph's features in their order; it has {order}.",
    )


def rows_as_doubles(rows: Any, columns: Sequence[str]) -> np.ndarray:
    """Rows as an array (n, columns) of float64, incomplete ones left out since a model is never asked about them.

    Takes arrays, lists of lists, sparse matrices, and tables of pandas, polars or Arrow, whose columns are taken by name.
    Raises ModelError where they are no such numbers.
    """
    import numpy as np

    found = _table(rows, columns)
    if found is None:
        found = rows.toarray() if hasattr(rows, "toarray") else rows
        try:
            found = np.ma.filled(np.ma.asarray(found, dtype=np.float64), np.nan)
        except (ValueError, TypeError) as error:
            raise ModelError("ROWS", f"rows are no table of numbers ({error})") from None
    if found.ndim != 2 or found.shape[1] != len(columns):
        raise ModelError(
            "COLUMNS", f"rows have shape {found.shape}, and {len(columns)} columns are named",
            next_step=f"Give rows of shape (n, {len(columns)}).",
        )  # fmt: skip
    whole = found[np.isfinite(found).all(axis=1)]
    if len(whole) == 0:
        what = "there are no rows" if len(found) == 0 else f"each of the {len(found):,} rows has a missing value"
        raise ModelError("ROWS", what, next_step="Give training rows, complete ones among them.")
    return np.ascontiguousarray(whole)


def _table(rows: Any, columns: Sequence[str]) -> np.ndarray | None:
    """The columns of a table, null as NaN; None for what is no table."""
    import numpy as np
    import pyarrow as pa

    if not (hasattr(rows, "__arrow_c_stream__") or isinstance(rows, pa.RecordBatch)):
        return None
    if type(rows).__module__.partition(".")[0] == "pandas":
        if rows.ndim != 2:
            return np.asarray(rows)
        rows = rows.rename(columns=str).reset_index(drop=True)
    table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else pa.table(rows)
    names = table.column_names
    if all(name.isdecimal() for name in names) and len(names) == len(columns):  # a frame without names
        wanted: list[int | str] = list(range(len(names)))
    else:
        wanted = list(columns)
    found = []
    for name in wanted:
        if isinstance(name, str) and names.count(name) != 1:
            what = f'rows have {"no" if name not in names else "more than one"} column "{name}"'
            raise ModelError("COLUMNS", what, value=name, next_step=did_you_mean(name, names))
        column = table.column(name)
        try:
            numbers = column.cast(pa.float64())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise ModelError("ROWS", f'column "{name}" of the rows is {column.type}, which is no number') from None
        found.append(numbers.to_numpy())
    return np.column_stack(found)


def golden_indices(rows: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Which rows are kept: those of the extremes of prediction and columns, of the columns' quantiles, and some in between.

    The same rows and predictions give the same choice. Rising.
    """
    import numpy as np

    count = min(len(rows), max(_GOLDEN_ROWS_MIN, min(GOLDEN_ROWS, _GOLDEN_NUMBERS // rows.shape[1])))
    order = np.argsort(wanted, kind="stable")
    spaced = np.linspace(0, len(rows) - 1, count).astype(int).tolist()
    chosen: dict[int, None] = {int(order[0]): None, int(order[-1]): None}
    chosen.update(dict.fromkeys(spaced[:: max(len(spaced) // 16, 1)]))
    for column in rows.T[:count]:
        rising = np.argsort(column, kind="stable")
        chosen.update({int(rising[0]): None, int(rising[-1]): None})
    for quantile in _QUANTILES:
        for column in rows.T[:count]:
            if len(chosen) >= count:
                break
            chosen[int(np.argsort(column, kind="stable")[int(quantile * (len(rows) - 1))])] = None
    chosen.update(dict.fromkeys(spaced))
    return np.sort(np.array(list(chosen)[:count]))


def tolerance(wanted: np.ndarray, *, probability: bool) -> float:
    """How far an ONNX file may be from the original's predictions."""
    import numpy as np

    if probability:
        return TOLERANCE
    spread = float(np.max(wanted) - np.min(wanted)) or float(np.max(np.abs(wanted))) or 1.0
    return TOLERANCE * spread


def worst_difference(found: np.ndarray, wanted: np.ndarray) -> tuple[float, int]:
    """The largest absolute difference and its row; infinite where a prediction is no number."""
    import numpy as np

    with np.errstate(invalid="ignore"):
        differences = np.abs(found - wanted)
    differences = np.where(np.isfinite(differences), differences, np.inf)
    row = int(np.argmax(differences))
    return float(differences[row]), row
