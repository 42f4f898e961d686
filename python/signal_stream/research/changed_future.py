"""Another future: what comes behind a message of an input, with other numbers in it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from signal_stream.research.fields import TIMES

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_TRADE, _BAR, _REFERENCE = 1, 5, 10
_NUMBERS: Final = (_TRADE, 2, 3, 4, _BAR, _REFERENCE)
"""Kinds of a tape's rows whose price and quantity are market data: the rest say what an instrument, a venue or a time is."""


@dataclass(frozen=True, slots=True)
class ChangedFuture:
    """Changes prices, quantities and sides, and leaves times and the order of rows as they are, so that it is a future that could
    have been. Prices and quantities are taken times a factor each, the same for a whole bar: it does not contradict itself."""

    price: float
    seed: int

    @classmethod
    def of(cls, seed: int) -> ChangedFuture:
        """One of many: prices fall by up to a half, or rise by up to as much again."""
        chooser = random.Random(seed)
        factor = chooser.uniform(1.01, 2.0)
        return cls(factor if chooser.random() < 0.5 else 1.0 / factor, seed)

    def changed(self, batch: Any, start: int, columns: Mapping[str, str]) -> Any:
        """A batch of a tape, or a record batch of a table, with other numbers from message or row `start` on. `columns` are our
        fields and a table's columns, where they have other names."""
        from signal_stream import _core

        tape = isinstance(batch, _core.EventBatch)
        return self._of_tape(batch, start) if tape else self._of_table(batch, start, columns)

    def _of_tape(self, batch: Any, start: int) -> Any:
        import numpy as np
        import pyarrow as pa

        from signal_stream import _core

        rows = pa.record_batch(batch)
        kinds = rows.column("kind").to_numpy()
        later = np.arange(len(rows)) >= len(batch.slice(0, start))
        traded = later & np.isin(kinds, _NUMBERS)
        chooser = np.random.default_rng(self.seed)
        whole = chooser.integers(2, 5)
        # Quantity 0 is a level that goes; it stays one.
        factors = np.where(kinds == _BAR, whole, chooser.integers(1, 5, len(rows)))
        prices, quantities, sides = (rows.column(name).to_numpy() for name in ("price", "qty", "side"))
        turned = later & (kinds == _TRADE) & (sides != 0) & (chooser.random(len(rows)) < 0.5)
        changed = _with_columns(
            rows,
            price=np.where(traded, (prices * self.price).astype(np.int64), prices),
            qty=np.where(traded & (kinds != _REFERENCE), quantities * factors, quantities),
            side=np.where(turned, 3 - sides, sides),
        )
        return _core.EventBatch.from_arrow(pa.Table.from_batches([changed]))

    def _of_table(self, batch: pa.RecordBatch, start: int, columns: Mapping[str, str]) -> pa.RecordBatch:
        import numpy as np
        import pyarrow as pa

        times = {columns.get(time, time) for time in TIMES}
        later = np.arange(batch.num_rows) >= start
        chooser = np.random.default_rng(self.seed)
        factors = np.where(later, chooser.uniform(0.5, 2.0, batch.num_rows), 1.0)
        side = columns.get("side", "side")
        changed: dict[str, Any] = {}
        for field in batch.schema:
            of_type, name = field.type, field.name
            if name in times or not (pa.types.is_floating(of_type) or pa.types.is_integer(of_type)):
                continue
            old = batch.column(name)
            numbers = np.nan_to_num(old.to_numpy(zero_copy_only=False))
            if name == side:
                new = np.where(later & (chooser.random(len(later)) < 0.5), -numbers, numbers)
            elif pa.types.is_integer(of_type):
                new = np.where(later, numbers * chooser.integers(2, 5), numbers)
            else:
                new = numbers * factors
            changed[name] = pa.array(new, of_type, mask=_missing(old))
        return _with_columns(batch, **changed)


def _missing(column: pa.Array) -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = column.is_null().to_numpy(zero_copy_only=False)
    return found


def _with_columns(batch: pa.RecordBatch, **changed: Any) -> pa.RecordBatch:
    import pyarrow as pa

    schema = batch.schema
    arrays = [
        pa.array(changed[field.name], field.type) if field.name in changed else batch.column(field.name)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
