"""Messages in numpy columns as a batch of a tape."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple

from signal_stream.core_errors import core_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from signal_stream import _core

NO_TIME: Final = -(2**63)
"""`ts_event` of a row that has none."""
_CODES: Final = ("kind", "side", "flags", "field", "action", "condition", "code", "stream", "scope")
_NUMBERS: Final = ("price", "qty", "count")
_FORMAT: Final = "2"


class Instrument(NamedTuple):
    """Decimal places of an instrument's numbers."""

    name: str
    price_scale: int
    qty_scale: int


class Cells(NamedTuple):
    """What may be one row of each of some events: whether it is there, and its columns; 0 in those that it does not tell."""

    there: np.ndarray
    told: dict[str, np.ndarray]

    @staticmethod
    def beside(cells: Sequence[Cells]) -> dict[str, np.ndarray]:
        """The rows that are there in the order of their events, and of one event in the order given."""
        import numpy as np

        shown = np.column_stack([each.there for each in cells])
        nothing = np.zeros(len(shown), np.int64)
        names = {name: None for each in cells for name in each.told}
        return {name: np.column_stack([each.told.get(name, nothing) for each in cells])[shown] for name in names}


def batch_of(cells: Mapping[str, np.ndarray], instruments: Sequence[Instrument]) -> _core.EventBatch:
    """A batch of rows with these columns of a tape, as whole numbers; those that are not given are at their default.

    Raises TapeError if they are no whole messages.
    """
    import numpy as np
    import pyarrow as pa

    from signal_stream import _core

    times = pa.timestamp("ns", "UTC")
    n = len(cells["kind"])
    whose = cells.get("instrument", np.zeros(n, np.int64))
    columns = {
        "ts_recv": pa.array(cells["ts_recv"], pa.int64()).cast(times),
        "ts_event": pa.array(cells["ts_event"], pa.int64(), mask=cells["ts_event"] == NO_TIME).cast(times),
        "sequence": pa.nulls(n, pa.uint64()),
        "sequence_prev": pa.nulls(n, pa.uint64()),
        "instrument": pa.array(whose.astype(np.uint32)),
    }
    for names, kind in ((_CODES, np.uint8), (_NUMBERS, np.int64), (("order_id",), np.uint64), (("value",), np.float64)):
        columns |= {name: pa.array(cells[name].astype(kind)) for name in names if name in cells}
    known = [{"id": each.name, "price_scale": each.price_scale, "qty_scale": each.qty_scale} for each in instruments]
    may_be_null = ("ts_event", "sequence", "sequence_prev")
    schema = pa.schema(
        [pa.field(name, column.type, name in may_be_null) for name, column in columns.items()],
        metadata={"signal_stream.tape": _FORMAT, "signal_stream.instruments": json.dumps(known)},
    )
    try:
        return _core.EventBatch.from_arrow(pa.table(columns, schema=schema))
    except _core.CoreError as error:
        raise core_error(error, "events") from None
