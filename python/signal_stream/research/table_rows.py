"""The rows of a table as the core takes them, after it is known that they can be believed.

A row of bars is known at the bar's close; of trades and quotes at `ts_recv`, or at `ts_event` plus a declared latency.
What reaches the core has been checked: times in nanoseconds and in order, numbers as float64, one instrument a row, bars
of the graph's length and each of them once.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Final, NamedTuple

from signal_stream.durations import about, utc
from signal_stream.errors import DataError
from signal_stream.research.bar_ends import check_agree, ends_of_closes, ends_of_opens
from signal_stream.research.bar_spacing import FIRST, BarSpacing
from signal_stream.research.columns import as_arrow, as_float, as_names, as_numpy, as_side, bad, negative
from signal_stream.research.fields import AMOUNTS, LEVELLED, stem
from signal_stream.research.refused_rows import PRICES, RefusedRows
from signal_stream.research.table_options import DAY
from signal_stream.research.times import Clock

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from signal_stream._core import BarColumns
    from signal_stream.research.table_shape import TableShape

ROWS: Final = 16_384
"""Rows of a table of one instrument that are computed in one go."""
ROWS_MANY: Final = 262_144
"""The same where a column names instruments: of thousands of them each is to have many rows."""


class Piece(NamedTuple):
    """Rows for the core: axis times in nanoseconds; receive times and the place of each row's instrument in `names`,
    where they are told; then the fields in order."""

    names: list[str]
    batch: pa.RecordBatch
    received: int | None
    which: int | None


class TableRows:
    """Checks the rows of one table, batch after batch, and gives them as the core takes them.

    What it says of a row does not depend on how the table is cut into batches. Invariants: `newest` is the time of the
    newest row; `numbers` gives the name of each instrument its number, by which `spacing` knows its newest bar.
    """

    def __init__(self, shape: TableShape) -> None:
        self.shape = shape
        self.clocks = {time: Clock(column, shape.time_unit) for time, column in shape.times.items()}
        self.rows = 0
        self.newest = FIRST
        self.numbers: dict[str, int] = {}
        self.spacing = BarSpacing(shape)
        self.bars = _bar_columns(shape)
        self.refused = RefusedRows()

    def copy(self) -> TableRows:
        """Another one that has seen the same rows."""
        other = copy.copy(self)
        other.clocks = {time: clock.copy() for time, clock in self.clocks.items()}
        other.numbers, other.spacing, other.refused = dict(self.numbers), self.spacing.copy(), self.refused.copy()
        return other

    def piece(self, batch: pa.RecordBatch) -> Piece | None:
        """The rows of a batch, if it has any; DataError for the first that cannot be believed."""
        import numpy as np
        import pyarrow as pa

        shape, rows = self.shape, self._same(batch)
        if rows == 0:
            return None
        names = None
        if shape.instrument_column:
            column = batch.column(shape.places[shape.instrument_column])
            names = as_names(column, shape.instrument_column, self.rows)
        known, ends, axis = self._times(batch)
        arrays = [self._numbers(batch, field, name) for field, name in zip(shape.fields, shape.columns, strict=True)]
        arrays = self._believed(batch, arrays)
        self._in_order(known)
        self._not_apart(known)
        codes = self._codes(names, rows)
        if shape.bars:
            closes = known if ends is None else ends
            self.spacing.take(codes, closes, self.numbers, graded=ends is not None, at=self.rows)
        self.rows += rows
        self.newest = int(known[-1])
        told = {"ts": as_arrow(axis, pa.int64())}
        if shape.by_venue:
            told["received"] = as_arrow(known, pa.int64())
        if names is not None:
            told["which"] = as_arrow(codes.astype(np.uint32), pa.uint32())
        whole = pa.RecordBatch.from_arrays([*told.values(), *arrays], names=[*told, *shape.fields])
        places = {name: place for place, name in enumerate(told)}
        return Piece(list(self.numbers), whole, places.get("received"), places.get("which"))

    def next_bar(self) -> int | None:
        """When the next bar opens if none is missing; None if rows are not to be taken as bars that go on there without
        another look. The core looks at their times and numbers, and `went_on` says that it took them."""
        if self.bars is None or not self.spacing.beside or self.clocks["ts_open"].unit not in (None, "ns"):
            return None
        return self.spacing.ends[0]

    def went_on(self, rows: int) -> None:
        """So many bars have been taken, the first of them at `next_bar`."""
        self.rows += rows
        self.spacing.went_on(rows)
        self.newest = self.spacing.ends[0]

    def end(self) -> None:
        """The table has ended: what can only be said of all rows is said now."""
        self.spacing.end(self.rows)

    def _same(self, batch: pa.RecordBatch) -> int:
        """The number of rows, of a batch whose columns stand where those of the first did."""
        for name, place in self.shape.places.items():
            if place >= batch.num_columns or batch.schema.field(place).name != name:
                raise DataError(
                    "MISSING_COLUMN", f'the columns changed after row {self.rows:,}: column "{name}" is not where it was',
                    where=f'column "{name}"', next_step="Give every piece of a table the same columns.",
                )  # fmt: skip
        return int(batch.num_rows)

    def _numbers(self, batch: pa.RecordBatch, field: str, name: str) -> pa.Array:
        column = batch.column(self.shape.places[name])
        if field == "side":
            return as_side(column, name, self.rows)
        values = as_float(column, name, self.rows)
        if _is_amount(field, self.shape):
            negative(values, column, name, self.rows, field)
        return values

    def _believed(self, batch: pa.RecordBatch, arrays: list[pa.Array]) -> list[pa.Array]:
        """The numbers of bars, null where a bar contradicts itself: it is refused, and its time stays."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not self.shape.prices:
            return arrays
        prices = {}
        for field, column in self.shape.prices.items():
            values = as_float(batch.column(self.shape.places[column]), column, self.rows)
            prices[field] = as_numpy(values.fill_null(float("nan")) if values.null_count else values)
        wrong = self.refused.find(prices, self.rows)
        if wrong is None:
            return arrays
        mask = pa.array(wrong)
        return [pc.if_else(mask, pa.scalar(None, array.type), array) for array in arrays]

    def _times(self, batch: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """When each row was known, when its bar ended (as far as the table says so), and its time on the graph's axis."""
        shape = self.shape
        read = {
            time: self.clocks[time].read(batch.column(shape.places[column]), self.rows)
            for time, column in shape.times.items()
            if time == shape.time or shape.bars or (shape.by_venue and time == "ts_recv")
        }
        if not shape.bars:
            happened = read[shape.time]
            known = read["ts_recv"] if shape.by_venue and "ts_recv" in read else happened + shape.wait_ns
            return known, None, happened if shape.by_venue else known
        length, ends, closes = shape.bars_ns, None, None
        if "ts_event" in read:
            kind = batch.schema.field(shape.places[shape.times["ts_event"]]).type
            ends = closes = ends_of_closes(shape, read["ts_event"], kind, at=self.rows)
        if "ts_open" in read and length is not None:
            kind = batch.schema.field(shape.places[shape.times["ts_open"]]).type
            ends = ends_of_opens(shape, read["ts_open"], kind, length, at=self.rows)
            if closes is not None:
                check_agree(shape, read["ts_open"], closes, ends, length, at=self.rows)
        if shape.time == "ts_recv":
            return read["ts_recv"], ends, read["ts_recv"]
        axis = closes if shape.time == "ts_event" else ends
        assert axis is not None
        known = read["ts_recv"] if shape.by_venue and "ts_recv" in read else axis + shape.wait_ns
        return known, ends, axis if shape.by_venue else known

    def _in_order(self, known: np.ndarray) -> None:
        import numpy as np

        back = np.diff(known, prepend=max(self.newest, int(np.iinfo(np.int64).min))) < 0
        if self.newest == FIRST:
            back[0] = False
        if back.any():
            row = int(back.argmax())
            before = int(known[row - 1]) if row else self.newest
            column = self.shape.times[self.shape.time]
            # A row of bars is known at its end, whatever its column says.
            which = "a bar that ends at " if self.shape.bars else ""
            bad(
                "OUT_OF_ORDER", f"rows go back in time: {which}{utc(int(known[row]))} comes after {utc(before)}", column,
                self.rows + row, value=utc(int(known[row])),
                advice=f'Sort the table by "{column}" first.{self.shape.other_instruments()}',
            )  # fmt: skip

    def _not_apart(self, known: np.ndarray) -> None:
        """Refuses a row so long after the one before it that bars or ticks without number would stand for what is missing."""
        import numpy as np

        most = self.shape.missing_for_ns
        if most is None:
            return
        before = np.concatenate([known[:1] if self.newest == FIRST else [self.newest], known[:-1]])
        far = known - before > most
        if far.any():
            row = int(far.argmax())
            column = self.shape.times[self.shape.time]
            at = self.rows + row
            bad(
                "BAD_VALUE",
                f"it is known at {utc(int(known[row]))}, {about(int(known[row] - before[row]))} after the row before it, at "
                f"{utc(int(before[row]))}: bars without trades, or ticks, may stand for {about(most)} without rows at most",
                column, at, value=utc(int(known[row])),
                advice="Correct or drop the row, if its time is wrong; if it is right, say how long rows may be missing: "
                f'missing_bars="{int((known[row] - before[row]) // DAY) + 1}d" (--missing-bars).',
            )  # fmt: skip

    def _codes(self, names: pa.DictionaryArray | None, rows: int) -> np.ndarray:
        """The number of each row's instrument."""
        import numpy as np

        if names is None:
            self._number(self.shape.instrument)
            return np.zeros(rows, np.int64)
        numbers = np.array([self._number(name) for name in names.dictionary.to_pylist()], np.int64)
        codes: np.ndarray = numbers[as_numpy(names.indices)]
        return codes

    def _number(self, name: str) -> int:
        if name not in self.numbers:
            self.numbers[name] = len(self.spacing.ends)
            self.spacing.ends.append(FIRST)
        return self.numbers[name]


def _is_amount(field: str, shape: TableShape) -> bool:
    """Whether a column may not be below 0: an amount that the graph reads, or of a book."""
    return stem(field) in AMOUNTS and (field in shape.reads or stem(field) in LEVELLED)


def _bar_columns(shape: TableShape) -> BarColumns | None:
    """What the core needs for bars that go on: they are of one instrument, and only their opening is told."""
    from signal_stream import _core

    only_opens = list(shape.times) == ["ts_open"] and shape.wait_ns == 0 and not shape.by_venue
    if not only_opens or not shape.bars or shape.instrument_column or (shape.bars_ns or DAY) >= DAY:
        return None
    if "side" in shape.fields:  # its domain is looked at in Python
        return None
    columns = [(shape.places[name], name) for name in (shape.times["ts_open"], *shape.columns)]
    amounts = [at for at, field in enumerate(shape.fields) if _is_amount(field, shape)]
    prices = [
        (shape.places[shape.prices[name]], shape.prices[name]) if name in shape.prices else None for name in PRICES
    ]
    return _core.BarColumns(shape.instrument, columns[0], columns[1:], amounts, shape.bars_ns or 0, prices)
