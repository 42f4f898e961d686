"""Formulas at numbers of the test's choice, through the core."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

import signal_stream as ss
from signal_stream import trades

T = 1_700_000_040
COUNT = 7
OPERANDS = (*(trades.price.shift(COUNT - 1 - k) for k in range(COUNT - 1)), trades.price)
"""Expressions whose values are the columns that `values` is given, in order: prices of trades that follow each other."""


def values(expression: ss.Expression, *columns: np.ndarray) -> np.ndarray:
    """The expression's values, a row each; NaN where it is invalid."""
    rows = np.ones((len(columns[0]), COUNT))
    for place, column in enumerate(columns):
        rows[:, place] = column
    table = pa.table({"ts_recv": pa.array([T + i for i in range(rows.size)]), "price": pa.array(rows.ravel())})
    graph = ss.FeatureGraph(name="formula", on=trades, features={"x": expression})
    made: np.ndarray = ss.compute(graph, table).column("x").to_numpy()[COUNT - 1 :: COUNT]
    return made
