"""Tables of numbers as input: which column is which field, and what time a row has.

A row of bars is known at the bar's close; of trades and quotes at `ts_recv`, or at `ts_event` plus a declared latency.
Nothing is guessed where a wrong guess would look ahead: a column called `timestamp` must be said to be the start
(`ts_open`) or the close (`ts_event`) of its bar.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from signal_stream.durations import duration_ns
from signal_stream.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

    from signal_stream._core import Plan, TableLayout

TIMES: Final = ("ts_recv", "ts_event", "ts_open")
PLAIN: Final = (
    ("price", "qty", "side"),
    ("open", "high", "low", "close", "volume", "vwap", "trades", "buy_volume"),
)
LEVELLED: Final = ("bid_price", "bid_qty", "ask_price", "ask_qty")
_LEVELS_MAX: Final = 50
ROWS: Final = 16_384
"""Rows of a table that are computed in one go."""


def is_field(name: str) -> bool:
    """Whether a name is a field of bars, trades, quotes or books.

    >>> is_field("close"), is_field("bid_qty_5"), is_field("c")
    (True, True, False)
    """
    stem, _, level = name.rpartition("_")
    levelled = stem in LEVELLED and level.isdigit() and 1 <= int(level) <= _LEVELS_MAX
    return levelled or any(name in family for family in PLAIN)


class Piece(NamedTuple):
    """Rows of one instrument for the core: which of the batch's columns holds times, which the fields in order."""

    instrument: str
    batch: pa.RecordBatch
    time: int
    columns: Sequence[int]
    added_ns: int


@dataclass(frozen=True, slots=True)
class TableShape:
    """How a table's columns are read: field names and the columns that hold them, the time, the instrument."""

    fields: tuple[str, ...]
    columns: tuple[str, ...]
    time: str
    time_column: str
    added_ns: int
    """What is added to the time column to get the moment at which a row is known."""
    instrument: str | None
    """The one instrument, or None where a column names it."""
    instrument_column: str | None
    layout: TableLayout
    schema: pa.Schema
    places: tuple[int, ...] | None
    """Where time and columns stand in tables of this schema that the core can read as they are."""

    @classmethod
    def of(
        cls,
        plan: Plan,
        schema: pa.Schema,
        columns: Mapping[str, str] | None,
        instrument: str | None,
        latency: str | None,
    ) -> TableShape:
        """The shape of a table for a plan; DataError names what is missing and how to say it."""
        from signal_stream import _core

        given = dict(columns or {})
        names = list(schema.names)
        for field, column in given.items():
            if not (is_field(field) or field in TIMES or field == "instrument"):
                known = [
                    *TIMES,
                    "instrument",
                    *(name for family in PLAIN for name in family),
                    "bid_price_1",
                    "ask_qty_1",
                ]
                raise DataError(
                    "MISSING_COLUMN", f'columns names an unknown field "{field}"', next_step=did_you_mean(field, known)
                )
            if column not in names:
                raise DataError(
                    "MISSING_COLUMN", f'columns says {field} is "{column}", but the table has no such column',
                    value=column, next_step=did_you_mean(column, names),
                )  # fmt: skip
        mapping = {name: name for name in names if is_field(name)} | {f: c for f, c in given.items() if is_field(f)}
        fields = tuple(mapping)
        bars = any(field in PLAIN[1] for field in fields)
        try:
            layout = _core.TableLayout(plan, list(fields))
        except _core.CoreError as error:
            have = ", ".join(names)
            raise DataError("MISSING_COLUMN", error.args[1], next_step=f"The table has: {have}.") from None
        time, time_column = cls._time(given, names, bars)
        instrument_column = cls._instrument_column(given, names, instrument)
        return cls(
            fields=fields,
            columns=tuple(mapping.values()),
            time=time,
            time_column=time_column,
            added_ns=cls._added(plan, time, bars, latency),
            instrument=None if instrument_column else instrument or "TABLE",
            instrument_column=instrument_column,
            layout=layout,
            schema=schema,
            places=None if instrument_column else _places(schema, time_column, tuple(mapping.values())),
        )

    @staticmethod
    def _instrument_column(given: Mapping[str, str], names: list[str], instrument: str | None) -> str | None:
        if instrument is not None:
            return None
        return given.get("instrument", "instrument" if "instrument" in names else None)

    @staticmethod
    def _time(given: Mapping[str, str], names: list[str], bars: bool) -> tuple[str, str]:
        for time in TIMES:
            if time in given:
                return time, given[time]
        for time in TIMES:
            if time in names:
                return time, time
        likely = [
            name for name in names if name.lower() in ("timestamp", "time", "date", "datetime", "open_time", "ts")
        ]
        column = likely[0] if likely else "…"
        if bars:
            advice = f'Say columns={{"ts_open": "{column}"}} if it starts each bar, {{"ts_event": "{column}"}} if it ends it.'
        else:
            advice = f'Say columns={{"ts_recv": "{column}"}}, or {{"ts_event": "{column}"}} with latency="…".'
        raise DataError(
            "MISSING_COLUMN", f"no column is known to be the time; the table has {', '.join(names)}", next_step=advice
        )

    @staticmethod
    def _added(plan: Plan, time: str, bars: bool, latency: str | None) -> int:
        try:
            wait = None if latency is None else duration_ns(latency)
        except ValueError as error:
            raise DataError("BAD_VALUE", f"latency is {latency!r}", next_step=f"Give {error}.") from None
        if bars:
            if time == "ts_open" and plan.bars_ns is None:
                raise DataError(
                    "MISSING_COLUMN", "ts_open needs the length of the bars, but the graph reads none or several",
                    next_step='Give their close as columns={"ts_event": …}.',
                )  # fmt: skip
            return (plan.bars_ns or 0 if time == "ts_open" else 0) + (wait or 0)
        if time == "ts_open":
            raise DataError(
                "MISSING_COLUMN",
                "ts_open is the start of a bar, but the table holds no bars",
                next_step='Use "ts_recv".',
            )
        if time == "ts_event" and wait is None:
            raise DataError(
                "MISSING_COLUMN", "the table has no ts_recv, so nobody knows when a row could be known",
                next_step='Declare the feed\'s latency: latency="20ms" (or "0ms").',
            )  # fmt: skip
        return wait if time == "ts_event" and wait is not None else 0

    def pieces(self, batch: pa.RecordBatch) -> Iterator[Piece]:
        """The batch as the core takes it, in runs of one instrument."""
        import pyarrow as pa

        if self._as_it_is(batch):
            assert self.places is not None
            time, *columns = self.places
            yield Piece(self.instrument or "TABLE", batch, time, columns, self.added_ns)
            return
        times = times_ns(batch.column(self.time_column), self.time_column, self.added_ns)
        arrays = [as_float(batch.column(column), column) for column in self.columns]
        whole = pa.RecordBatch.from_arrays([times, *arrays], names=["ts", *self.fields])
        columns = list(range(1, len(arrays) + 1))
        if self.instrument_column is None:
            yield Piece(self.instrument or "TABLE", whole, 0, columns, 0)
            return
        names = batch.column(self.instrument_column).cast(pa.string()).to_pylist()
        start = 0
        for end in range(1, len(names) + 1):
            if end == len(names) or names[end] != names[start]:
                if names[start] is None:
                    raise DataError("BAD_VALUE", f'row {start} has no instrument in column "{self.instrument_column}"')
                yield Piece(names[start], whole.slice(start, end - start), 0, columns, 0)
                start = end

    def _as_it_is(self, batch: pa.RecordBatch) -> bool:
        """Whether the core can read the batch itself: one instrument, numbers as float64, every row with a time."""
        import pyarrow as pa

        if self.places is None or not self.schema.equals(batch.schema):
            return False
        times = batch.column(self.places[0])
        return not times.null_count and (pa.types.is_timestamp(times.type) or _unit(times, self.time_column) == 1)


def _places(schema: pa.Schema, time: str, columns: tuple[str, ...]) -> tuple[int, ...] | None:
    """Where the time and the columns stand, if the core can read all of them."""
    import pyarrow as pa

    kind = schema.field(time).type
    clock = pa.types.is_timestamp(kind) or pa.types.is_int64(kind)
    if not clock or not all(pa.types.is_float64(schema.field(name).type) for name in columns):
        return None
    return tuple(schema.get_field_index(name) for name in (time, *columns))


def times_ns(column: Any, name: str, added_ns: int) -> pa.Array:
    """Times as int64 nanoseconds since 1970 UTC.

    Takes timestamps, dates (midnight UTC) and whole numbers, whose unit follows from their size: seconds, milli-, micro-
    or nanoseconds of the years 1980 to 2200 do not overlap.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.null_count:
        raise DataError(
            "BAD_VALUE", f'{column.null_count} rows have no time in column "{name}"', next_step="Drop them first."
        )
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        ns = column.cast(pa.timestamp("ns", tz=getattr(kind, "tz", None))).cast(pa.int64())
    elif pa.types.is_integer(kind):
        ns = pc.multiply(column.cast(pa.int64()), _unit(column, name))
    else:
        raise DataError(
            "WRONG_TYPE", f'column "{name}" is {kind}, not a time',
            next_step="Convert it to a timestamp, a date or a whole number first.",
        )  # fmt: skip
    return pc.add(ns, added_ns) if added_ns else ns


def _unit(column: Any, name: str) -> int:
    if len(column) == 0:
        return 1
    first = column[0].as_py()
    for unit in (1_000_000_000, 1_000_000, 1_000, 1):
        if 315_532_800 <= first * unit / 1e9 <= 7_258_118_400:
            return unit
    raise DataError("BAD_VALUE", f'column "{name}" begins with {first}, which is no time since 1970 in s, ms, us or ns')


def as_float(column: Any, name: str) -> Any:
    """A column of numbers as float64; text and others are refused."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_float64(kind):
        return column
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind):
        return column.cast(pa.float64())
    raise DataError("WRONG_TYPE", f'column "{name}" is {kind}, not a number')
