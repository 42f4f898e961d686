"""A table of numbers about instruments (mark and index prices, funding, open interest, greeks) as the messages of a tape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from signal_stream.durations import utc
from signal_stream.errors import DataError
from signal_stream.research.columns import as_float, as_names, as_numpy, bad
from signal_stream.research.decimals import Decimals, mantissas
from signal_stream.research.table_options import check_instrument, stated_ns
from signal_stream.research.table_source import TableTape, check_columns
from signal_stream.research.tape_cells import NO_TIME, Cells, Instrument, batch_of
from signal_stream.research.times import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np
    import pyarrow as pa

    from signal_stream import _core
    from signal_stream.research.table_source import TableSource

_REFERENCE, _LAST = 10, 1
FIELDS: Final = {
    "mark_price": (1, "price"), "index_price": (2, "price"), "settlement": (3, "price"), "open_interest": (4, "qty"),
    "volume_24h": (5, "qty"), "funding_rate": (6, "value"), "bid_iv": (7, "value"), "ask_iv": (8, "value"),
    "mark_iv": (9, "value"), "delta": (10, "value"), "gamma": (11, "value"), "vega": (12, "value"), "theta": (13, "value"),
    "rho": (14, "value"), "next_funding_ns": (15, "count"),
}  # fmt: skip
"""Code of each field on a tape, and the column of a tape that holds its number. `next_funding_ns` is a time."""
_NUMBERS: Final = tuple(field for field, (_, held) in FIELDS.items() if held != "count")
_TIMES: Final = ("ts_recv", "ts_event")


class _Rows(NamedTuple):
    """Rows of one batch: when each was known and happened (`NO_TIME`: not told), whose it is, and its numbers by field."""

    known: np.ndarray
    happened: np.ndarray
    codes: np.ndarray
    numbers: dict[str, np.ndarray]


class ReferenceTape(TableTape):
    """A row is one message, with each number that it has. Rows come in order of the time at which they were known."""

    made = rounded = 0

    def __init__(
        self,
        source: TableSource,
        *,
        columns: Mapping[str, str] | None = None,
        instrument: str | None = None,
        latency: str | None = None,
        time_unit: str | None = None,
    ) -> None:
        self._source = source
        self._columns = dict(columns or {})
        self._instrument = instrument
        if instrument is not None:
            check_instrument(instrument)
        self._wait = stated_ns("latency", latency)
        self._unit = time_unit
        self.rows = 0
        self.instruments = []
        self._numbers: dict[str, int] = {}
        self._scales: list[tuple[Decimals, Decimals]] = []
        self._made: list[Instrument] = []

    def check(self, tell: Callable[[int], None] | None = None) -> None:
        """Reads all rows; DataError for the first that cannot be believed. `tell` is told the rows read."""
        import numpy as np

        for rows, first, named in self._pieces():
            for field, values in rows.numbers.items():
                held = FIELDS[field][1]
                told = np.flatnonzero(_told(values)) if held in ("price", "qty") else np.empty(0, np.int64)
                for code in np.unique(rows.codes[told]).tolist():
                    places = told[rows.codes[told] == code]
                    self._scales[code][held == "qty"].see(values[places], named[field], places + first)
            self.rows += len(rows.known)
            if tell is not None:
                tell(self.rows)
        self._source.check_rows(self.rows)
        self.instruments = list(self._numbers)
        with self._source.errors():
            self._made = [
                Instrument(name, price.scale(), qty.scale())
                for name, (price, qty) in zip(self.instruments, self._scales, strict=True)
            ]

    def batches(self) -> Iterator[_core.EventBatch]:
        """The messages, after `check`."""
        import numpy as np

        for rows, *_ in self._pieces():
            cells = [self._cells(rows, field) for field in rows.numbers]
            there = np.column_stack([each.there for each in cells])
            last = there.shape[1] - 1 - there[:, ::-1].argmax(axis=1)
            for place, each in enumerate(cells):
                each.told["flags"] = np.where(last == place, _LAST, 0)
            yield batch_of(Cells.beside(cells), self._made)

    def _cells(self, rows: _Rows, field: str) -> Cells:
        import numpy as np

        code, held = FIELDS[field]
        values = rows.numbers[field]
        there, n = _told(values), len(values)
        whole: np.ndarray = np.zeros(n, np.float64 if held == "value" else np.int64)
        if held in ("value", "count"):
            whole[there] = values[there].astype(whole.dtype)
        else:
            scales = np.array([each.qty_scale if held == "qty" else each.price_scale for each in self._made])[
                rows.codes
            ]
            for scale in np.unique(scales[there]).tolist():
                of_scale = there & (scales == scale)
                whole[of_scale] = mantissas(values[of_scale], scale)
        one = {"kind": np.full(n, _REFERENCE), "field": np.full(n, code), "side": np.zeros(n, np.int64)}
        times = {"ts_recv": rows.known, "ts_event": rows.happened, "instrument": rows.codes}
        numbers = {name: np.zeros(n, np.int64) for name in ("price", "qty")}
        return Cells(there, {**times, **one, **numbers, held: whole})

    def _pieces(self) -> Iterator[tuple[_Rows, int, Mapping[str, str]]]:
        """The rows of each batch, the number of the first of them, and the columns of the fields."""
        clocks: dict[str, Clock] = {}
        self._numbers = {}
        first, newest = 0, NO_TIME
        for place, batch in self._source.batches(self._columns, _NUMBERS):
            with place.errors():
                shape = _Shape.of(list(batch.schema.names), self._columns, self._instrument, self._wait)
                if batch.num_rows == 0:
                    continue
                for time, column in shape.times.items():
                    clocks.setdefault(time, Clock(column, self._unit))
                rows = self._read(batch, shape, clocks, first)
                back = _steps(rows.known, newest) < 0
                if back.any():
                    row = int(back.argmax())
                    text = utc(int(rows.known[row]))
                    bad(
                        "OUT_OF_ORDER", f"rows go back in time: {text} comes after a later one",
                        next(iter(shape.times.values())), first + row, value=text, advice="Sort the table by time first.",
                    )  # fmt: skip
            yield rows, first, shape.fields
            first, newest = first + batch.num_rows, int(rows.known[-1])

    def _read(self, batch: pa.RecordBatch, shape: _Shape, clocks: Mapping[str, Clock], first: int) -> _Rows:
        import numpy as np

        def column(name: str) -> pa.Array:
            return batch.column(batch.schema.get_field_index(name))

        n = batch.num_rows
        times = {time: clocks[time].read(column(name), first) for time, name in shape.times.items()}
        happened = times.get("ts_event", np.full(n, NO_TIME))
        known = times["ts_recv"] if "ts_recv" in times else happened + (self._wait or 0)
        if shape.instrument is None:
            codes = np.full(n, self._number(self._instrument or ""))
        else:
            names = as_names(column(shape.instrument), shape.instrument, first)
            numbers = np.array([self._number(name) for name in names.dictionary.to_pylist()], np.int64)
            codes = numbers[as_numpy(names.indices)]
        found = {}
        for field, name in shape.fields.items():
            values = column(name)
            if FIELDS[field][1] == "count":
                found[field] = _times(values, name, self._unit, first)
                continue
            cells = as_float(values, name, first)
            numbers = np.array(as_numpy(cells), np.float64)
            numbers[as_numpy(cells.is_null())] = np.nan
            if np.isinf(numbers).any():
                row = int(np.isinf(numbers).argmax())
                advice = "Drop such rows, or make them null."
                bad("BAD_VALUE", f"{numbers[row]} is no number that a tape can hold", name, first + row, advice=advice)
            found[field] = numbers
        empty = np.all([~_told(values) for values in found.values()], axis=0)
        if empty.any():
            row = int(empty.argmax())
            advice = "Drop such rows first."
            bad("BAD_VALUE", "the row has no number", next(iter(shape.fields.values())), first + row, advice=advice)
        return _Rows(known, happened, codes, found)

    def _number(self, name: str) -> int:
        if name not in self._numbers:
            self._numbers[name] = len(self._numbers)
            if len(self._numbers) > len(self._scales):
                self._scales.append((Decimals(), Decimals()))
        return self._numbers[name]


class _Shape(NamedTuple):
    """Which column is which field, the times that there are, and the column of the instruments."""

    fields: Mapping[str, str]
    times: Mapping[str, str]
    instrument: str | None

    @classmethod
    def of(cls, names: list[str], columns: Mapping[str, str], instrument: str | None, wait: int | None) -> _Shape:
        known = [*FIELDS, *_TIMES, "instrument"]
        check_columns(columns, known, names, "field")
        found = {key: key for key in known if key in names} | dict(columns)
        fields = {key: found[key] for key in FIELDS if key in found}
        times: dict[str, str] = {key: found[key] for key in _TIMES if key in found}
        has = f"The table has {', '.join(names)}."
        if not fields:
            advice = f"Name them: --columns mark_price=…. Known are {', '.join(FIELDS)}. {has}"
            raise DataError("MISSING_COLUMN", "the table has no number of reference data", next_step=advice)
        if not times:
            advice = f"Say --columns ts_recv=…, or ts_event=… with --latency. {has}"
            raise DataError("MISSING_COLUMN", "no column is known to be the time", next_step=advice)
        if ("ts_recv" in times) == (wait is not None):
            what = "latency is given, but ts_recv says when each row was known" if wait is not None else (
                "the table has no ts_recv, so nobody knows when a row could be known"
            )  # fmt: skip
            advice = (
                "Leave latency out." if wait is not None else "Declare the feed's latency: --latency 20ms (or 0ms)."
            )
            raise DataError("BAD_VALUE" if wait is not None else "MISSING_COLUMN", what, next_step=advice)
        if ("instrument" in found) == (instrument is not None):
            what = "nothing says which instrument the rows are of" if instrument is None else (
                f'instrument="{instrument}" is given, but column "{found["instrument"]}" names that of each row'
            )  # fmt: skip
            advice = "Say --instrument BTCUSDT, or --columns instrument=…." if instrument is None else "Leave it out."
            raise DataError("MISSING_COLUMN" if instrument is None else "BAD_VALUE", what, next_step=advice)
        return cls(fields, times, found.get("instrument"))


def _times(values: pa.Array, name: str, unit: str | None, first: int) -> np.ndarray:
    """Times in nanoseconds; `NO_TIME` where there is none."""
    import numpy as np

    if values.null_count == len(values):
        return np.full(len(values), NO_TIME)
    there = values.is_valid()
    filled = values.fill_null(values.filter(there)[0]) if values.null_count else values
    return np.where(as_numpy(there), Clock(name, unit).read(filled, first), NO_TIME)


def _told(values: np.ndarray) -> np.ndarray:
    """Where there is a number."""
    import numpy as np

    told: np.ndarray = values != NO_TIME if values.dtype == np.int64 else ~np.isnan(values)
    return told


def _steps(known: np.ndarray, newest: int) -> np.ndarray:
    """How far each time lies behind the one before it; the first behind `newest`, if there was one."""
    import numpy as np

    return np.diff(known, prepend=known[0] if newest == NO_TIME else newest)
