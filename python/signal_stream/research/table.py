"""Tables of numbers as input: which column is which field, what time a row has, and whether the rows can be believed.

A row of bars is known at the bar's close; of trades and quotes at `ts_recv`, or at `ts_event` plus a declared latency.
Nothing is guessed where a wrong guess would look ahead: a column called `timestamp` must be said to be the start
(`ts_open`) or the close (`ts_event`) of its bar. What reaches the core has been checked: times in nanoseconds and in
order, numbers as float64, one instrument a row, bars of the graph's length and each of them once.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from signal_stream.core_errors import core_error
from signal_stream.durations import duration_ns, duration_text, utc
from signal_stream.errors import DataError, did_you_mean
from signal_stream.research.columns import (
    UNITS,
    Clock,
    as_arrow,
    as_float,
    as_names,
    as_numpy,
    as_side,
    bad,
    day_ends,
    is_number,
    is_text,
    negative,
)
from signal_stream.research.frames import UNREADABLE

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from signal_stream._core import BarColumns, Plan, TableLayout

TIMES: Final = ("ts_recv", "ts_event", "ts_open")
PLAIN: Final = (
    ("price", "qty", "side"),
    ("open", "high", "low", "close", "volume", "vwap", "trades", "buy_volume"),
)
LEVELLED: Final = ("bid_price", "bid_qty", "ask_price", "ask_qty")
_LEVELS_MAX: Final = 50
_AMOUNTS: Final = ("qty", "volume", "trades", "buy_volume", "bid_qty", "ask_qty")
"""Fields that are never negative; those of books with a level behind."""
ROWS: Final = 16_384
"""Rows of a table of one instrument that are computed in one go."""
ROWS_MANY: Final = 262_144
"""The same where a column names instruments: of thousands of them each is to have many rows."""
_DAY: Final = 86_400 * 10**9
_SECOND: Final = 10**9
_PROOF: Final = 8
"""Moments of bars without two of them side by side that prove that the rows are longer than the bars."""
_FIRST: Final = -(2**63)


def makes_empty_bars(length_ns: int | None, missing: str | None) -> bool:
    """Whether a bar of a length without a row is one without trades; `missing` is what the user says of it.

    >>> makes_empty_bars(60 * 10**9, None), makes_empty_bars(86_400 * 10**9, None), makes_empty_bars(86_400 * 10**9, "empty")
    (True, False, True)
    """
    return length_ns is not None and (missing == "empty" or (missing is None and length_ns < _DAY))


def is_field(name: str) -> bool:
    """Whether a name is a field of bars, trades, quotes or books.

    >>> is_field("close"), is_field("bid_qty_5"), is_field("c")
    (True, True, False)
    """
    return _stem(name) in LEVELLED or any(name in family for family in PLAIN)


def _stem(name: str) -> str:
    """A field's name without its level."""
    stem, _, level = name.rpartition("_")
    levelled = stem in LEVELLED and level.isdigit() and 1 <= int(level) <= _LEVELS_MAX
    return stem if levelled else name


@dataclass(frozen=True, slots=True)
class TableOptions:
    """How a table is to be read, as the user says it; None where nothing is said."""

    columns: Mapping[str, str] | None = None
    """Our fields and the table's columns."""
    instrument: str | None = None
    latency: str | None = None
    time_unit: str | None = None
    """Unit of times that are whole numbers: s, ms, us or ns."""
    missing_bars: str | None = None
    """What it means where no row is: "empty", a bar without trades, or "skip", no bar."""

    def given(self) -> list[str]:
        """The names of the options that are given."""
        return [name for name in self.__slots__ if getattr(self, name)]


class Piece(NamedTuple):
    """Rows for the core: axis times in nanoseconds; receive times and the place of each row's instrument in `names`,
    where they are told; then the fields in order."""

    names: list[str]
    batch: pa.RecordBatch
    received: int | None
    which: int | None


@dataclass(frozen=True, slots=True)
class TableShape:
    """How a table's columns are read: field names and the columns that hold them, the times, the instrument."""

    fields: tuple[str, ...]
    columns: tuple[str, ...]
    time: str
    """Which time says when a row is known."""
    times: Mapping[str, str]
    """The times that the table has, and their columns."""
    wait_ns: int
    """Declared latency."""
    bars_ns: int | None
    """Length of the bars, where rows are bars."""
    bars: bool
    empty_bars: bool
    """Whether a bar that is missing between rows is one without trades."""
    by_venue: bool
    """Whether the graph runs on venue time."""
    instrument: str
    """The one instrument, where no column names it."""
    instrument_column: str | None
    layout: TableLayout
    reads: frozenset[str]
    """The fields that the graph reads."""
    places: Mapping[str, int]
    """Where each column that is read stands."""
    time_unit: str | None
    texts: tuple[str, ...]
    """Columns of text that nobody reads: one of them may name the instrument."""

    @classmethod
    def of(cls, plan: Plan, schema: pa.Schema, options: TableOptions, *, by_venue: bool = False) -> TableShape:
        """The shape of a table for a plan; DataError names what is missing and how to say it."""
        given, names = dict(options.columns or {}), list(schema.names)
        cls._check(given, names, options)
        mapping = {name: name for name in names if is_field(name)} | {f: c for f, c in given.items() if is_field(f)}
        reads = dict(zip(mapping, cls._layout(plan, list(mapping), names).reads, strict=True))
        mapping = {
            field: column
            for field, column in mapping.items()
            if reads[field] or cls._tells(plan, field, column, schema, reads)
        }
        layout = cls._layout(plan, list(mapping), names)
        bars = any(field in PLAIN[1] for field in mapping)
        times: dict[str, str] = {time: given.get(time, time) for time in TIMES if time in given or time in names}
        time = next((time for time in times if time in given), next(iter(times), ""))
        if by_venue:
            time = next(
                (time for time in ("ts_event", "ts_open") if time in times and (bars or time == "ts_event")), ""
            )
            if times and not time:
                raise DataError(
                    "MISSING_COLUMN", 'the graph runs on venue time (axis="event"), but the table has no ts_event',
                    next_step='Say which column it is: columns={"ts_event": …}.',
                )  # fmt: skip
        if not time:
            cls._no_time(names, bars)
        instrument_column = given.get("instrument", "instrument" if "instrument" in names else None)
        if instrument_column and options.instrument is not None:
            raise DataError(
                "BAD_VALUE", f'instrument="{options.instrument}" is given, but column "{instrument_column}" names the '
                "instrument of each row", value=options.instrument,
                next_step=f'Leave instrument out; for one of several, filter the table by "{instrument_column}" first.',
            )  # fmt: skip
        used = [*times.values(), *mapping.values(), *([instrument_column] if instrument_column else [])]
        return cls(
            fields=tuple(mapping),
            columns=tuple(mapping.values()),
            time=time,
            times=times,
            wait_ns=cls._wait(plan, time, bars, options.latency, known="ts_recv" in times and by_venue),
            bars_ns=plan.bars_ns if bars else None,
            bars=bars,
            empty_bars=cls._empty_bars(plan, time, bars, options.missing_bars),
            by_venue=by_venue,
            instrument=options.instrument or "TABLE",
            instrument_column=instrument_column,
            layout=layout,
            reads=frozenset(field for field in mapping if reads[field]),
            places=_places(schema, used),
            time_unit=options.time_unit,
            texts=tuple(name for name in dict.fromkeys(names) if name not in used and is_text(_types(schema, name)[0])),
        )

    @staticmethod
    def _tells(plan: Plan, field: str, column: str, schema: pa.Schema, reads: Mapping[str, bool]) -> bool:
        """Whether a column says something though the graph does not read it: numbers of other levels, whether a side is
        empty or crossed; volume and trades, whether a bar is; the first of bars, that the rows are bars. Whatever else
        there is may hold anything."""
        places = schema.get_all_field_indices(column)
        found = schema.field(places[0])
        if len(places) > 1 or UNREADABLE in (found.metadata or {}) or not is_number(found.type):
            return False
        if _stem(field) in LEVELLED:
            return any(reads[other] for other in reads if _stem(other) in LEVELLED)
        family = [other for other in reads if other in PLAIN[1]]
        bars = plan.bars_ns is not None and not any(reads[other] for other in reads if other in PLAIN[0])
        first = family[:1] == [field] and not any(reads[other] for other in family)
        return bars and (first or field in ("volume", "trades"))

    @staticmethod
    def _layout(plan: Plan, fields: list[str], names: list[str]) -> TableLayout:
        from signal_stream import _core

        try:
            return _core.TableLayout(plan, fields)
        except _core.CoreError as error:
            raise core_error(error, "table", next_step=f"The table has: {', '.join(names)}.") from None

    @staticmethod
    def _check(given: Mapping[str, str], names: list[str], options: TableOptions) -> None:
        for field, column in given.items():
            if not (is_field(field) or field in TIMES or field == "instrument"):
                known = [*TIMES, "instrument", *PLAIN[0], *PLAIN[1], "bid_price_1", "ask_qty_1"]
                raise DataError(
                    "MISSING_COLUMN", f'columns names an unknown field "{field}"', next_step=did_you_mean(field, known)
                )
            if column not in names:
                raise DataError(
                    "MISSING_COLUMN", f'columns says {field} is "{column}", but the table has no such column',
                    value=column, next_step=did_you_mean(str(column), names),
                )  # fmt: skip
        if options.time_unit is not None and options.time_unit not in UNITS:
            raise DataError(
                "BAD_VALUE", f"time_unit is {options.time_unit!r}", value=options.time_unit,
                next_step=did_you_mean(str(options.time_unit), list(UNITS)),
            )  # fmt: skip

    @staticmethod
    def _no_time(names: list[str], bars: bool) -> None:
        likely = [
            name for name in names if name.lower() in ("timestamp", "time", "date", "datetime", "open_time", "ts")
        ]
        column = likely[0] if likely else "…"
        if "__index_level_0__" in names:
            advice = f'The index has no name: frame.reset_index(names="{"ts_open" if bars else "ts_recv"}") makes it a column.'
        elif bars:
            advice = f'Say columns={{"ts_open": "{column}"}} if it starts each bar, {{"ts_event": "{column}"}} if it ends it.'
        else:
            advice = f'Say columns={{"ts_recv": "{column}"}}, or {{"ts_event": "{column}"}} with latency="…".'
        raise DataError(
            "MISSING_COLUMN", f"no column is known to be the time; the table has {', '.join(names)}", next_step=advice
        )

    @staticmethod
    def _empty_bars(plan: Plan, time: str, bars: bool, missing: str | None) -> bool:
        """Whether a missing bar is one without trades: so it would be live. Days are sessions, of which none is missing."""
        if missing not in (None, "empty", "skip"):
            raise DataError(
                "BAD_VALUE", f'missing_bars is "{missing}"', value=missing,
                next_step='Say "empty" (a bar without trades, as live) or "skip" (no bar).',
            )  # fmt: skip
        if not bars or plan.bars_ns is None:
            return False
        if missing == "empty" and time == "ts_recv":
            raise DataError(
                "BAD_VALUE", "missing bars cannot be told by ts_recv, which says when rows were received", value=missing,
                next_step='Name the bars\' own times: columns={"ts_open": …} or {"ts_event": …}.',
            )  # fmt: skip
        return time != "ts_recv" and makes_empty_bars(plan.bars_ns, missing)

    @staticmethod
    def _wait(plan: Plan, time: str, bars: bool, latency: str | None, *, known: bool) -> int:
        try:
            wait = None if latency is None else duration_ns(latency)
        except ValueError as error:
            raise DataError("BAD_VALUE", f"latency is {latency!r}", next_step=f"Give {error}.") from None
        if wait is not None and (known or time == "ts_recv"):
            raise DataError(
                "BAD_VALUE", f'latency="{latency}" is given, but ts_recv says when each row was known', value=latency,
                next_step="Leave latency out, or drop ts_recv.",
            )  # fmt: skip
        if time == "ts_open" and not bars:
            raise DataError(
                "MISSING_COLUMN", "ts_open is the start of a bar, but the table holds no bars",
                next_step='Use "ts_recv".',
            )  # fmt: skip
        if time == "ts_open" and plan.bars_ns is None:
            raise DataError(
                "MISSING_COLUMN", "ts_open needs the length of the bars, but the graph reads none or several",
                next_step='Give their close as columns={"ts_event": …}.',
            )  # fmt: skip
        if time == "ts_event" and not bars and wait is None and not known:
            raise DataError(
                "MISSING_COLUMN", "the table has no ts_recv, so nobody knows when a row could be known",
                next_step='Declare the feed\'s latency: latency="20ms" (or "0ms").',
            )  # fmt: skip
        return wait or 0


def _types(schema: pa.Schema, name: str) -> list[pa.DataType]:
    return [schema.field(place).type for place in schema.get_all_field_indices(name)]


def _places(schema: pa.Schema, names: list[str]) -> dict[str, int]:
    """Where columns stand. One that stands there twice, or that Arrow cannot hold, is refused."""
    found = {}
    for name in names:
        places = schema.get_all_field_indices(name)
        if len(places) > 1:
            raise DataError(
                "BAD_VALUE", f'{len(places)} columns are named "{name}"', where=f'column "{name}"', value=name,
                next_step="Rename or drop all but one.",
            )  # fmt: skip
        metadata = schema.field(places[0]).metadata or {}
        if UNREADABLE in metadata:
            bad(
                "WRONG_TYPE", f"its values cannot be held by Arrow: {metadata[UNREADABLE].decode()}", name,
                advice="Make it a column of one type first.",
            )  # fmt: skip
        found[name] = places[0]
    return found


def _bar_columns(shape: TableShape) -> BarColumns | None:
    """What the core needs for bars that go on: they are of one instrument, and only their opening is told."""
    from signal_stream import _core

    only_opens = list(shape.times) == ["ts_open"] and shape.wait_ns == 0 and not shape.by_venue
    if not only_opens or not shape.bars or shape.instrument_column or (shape.bars_ns or _DAY) >= _DAY:
        return None
    columns = [(shape.places[name], name) for name in (shape.times["ts_open"], *shape.columns)]
    return _core.BarColumns(shape.layout, shape.instrument, columns[0], columns[1:], shape.bars_ns or 0)


class TableRows:
    """Checks the rows of one table, batch after batch, and gives them as the core takes them.

    What it says of a row does not depend on how the table is cut into batches. Invariants: `newest` is the time of the
    newest row; `ends[i]` the end of the newest bar of instrument i, by the number that `numbers` gives its name;
    `beside` says whether two bars of an instrument have followed each other without a bar between, and until then
    `moments` counts the moments at which bars followed with one or more between.
    """

    def __init__(self, shape: TableShape) -> None:
        self.shape = shape
        self.clocks = {time: Clock(column, shape.time_unit) for time, column in shape.times.items()}
        self.rows = 0
        self.newest = _FIRST
        self.numbers: dict[str, int] = {}
        self.ends: list[int] = []
        self.beside = False
        self.moments = 0
        self.moment = _FIRST
        self.shortest: int | None = None
        self.bars = _bar_columns(shape)

    def copy(self) -> TableRows:
        """Another one that has seen the same rows."""
        other = copy.copy(self)
        other.clocks = {time: clock.copy() for time, clock in self.clocks.items()}
        other.numbers, other.ends = dict(self.numbers), list(self.ends)
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
        self._in_order(known)
        codes = self._codes(names, rows)
        if shape.bars:
            self._bars(codes, known if ends is None else ends, graded=ends is not None)
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
        if self.bars is None or not self.beside or self.clocks["ts_open"].unit not in (None, "ns"):
            return None
        return self.ends[0]

    def went_on(self, rows: int) -> None:
        """So many bars have been taken, the first of them at `next_bar`."""
        self.rows += rows
        self.ends[0] += rows * (self.shape.bars_ns or 0)
        self.newest = self.ends[0]

    def end(self) -> None:
        """The table has ended: what can only be said of all rows is said now."""
        if not self.beside and self.moments > 1:
            self._too_long(self.rows - 1)

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
        if _stem(field) in _AMOUNTS and (field in self.shape.reads or _stem(field) in LEVELLED):
            negative(values, column, name, self.rows, field)
        return values

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
            ends = closes = self._closes(read["ts_event"], kind)
        if "ts_open" in read and length is not None:
            kind = batch.schema.field(shape.places[shape.times["ts_open"]]).type
            ends = self._opened(read["ts_open"], kind, length)
            if closes is not None:
                self._agree(read["ts_open"], closes, ends, length)
        if shape.time == "ts_recv":
            return read["ts_recv"], ends, read["ts_recv"]
        axis = closes if shape.time == "ts_event" else ends
        assert axis is not None
        known = read["ts_recv"] if shape.by_venue and "ts_recv" in read else axis + shape.wait_ns
        return known, ends, axis if shape.by_venue else known

    def _opened(self, opens: np.ndarray, kind: pa.DataType, length: int) -> np.ndarray:
        """The ends of bars that begin at `opens`, all of them multiples of the length; days are days of the column's zone."""
        zone = getattr(kind, "tz", None)
        name = self.shape.times["ts_open"]
        local, ends = opens, opens + length
        if zone is not None and zone not in ("UTC", "Etc/UTC", "+00:00") and length % _DAY == 0:
            if self.shape.empty_bars:
                raise DataError(
                    "BAD_VALUE", f"days of {zone} have 23 to 25 hours: which of them are missing cannot be told",
                    where=f'column "{name}"', value=zone, next_step='Say missing_bars="skip".',
                )  # fmt: skip
            local, ends = day_ends(opens, zone, length, name)
        self._on_grid(local % length != 0, opens, name, "opens", length)
        return ends

    def _closes(self, closes: np.ndarray, kind: pa.DataType) -> np.ndarray:
        """Ends of bars that close at these times. A close up to a second before the end, as 12:00:59.999, is the end;
        a date is the end of its day."""
        import numpy as np
        import pyarrow as pa

        length, name = self.shape.bars_ns, self.shape.times["ts_event"]
        if pa.types.is_date(kind):
            closes = closes + _DAY
        if length is None:
            return closes
        short = -closes % length
        near = short <= min(_SECOND, length // 2)
        if length < _DAY:
            self._on_grid(~near, closes, name, "closes", length)
        ends: np.ndarray = closes + np.where(near, short, 0)
        return ends

    def _on_grid(self, off: np.ndarray, times: np.ndarray, name: str, verb: str, length: int) -> None:
        if off.any():
            row = int(off.argmax())
            text = duration_text(length)
            days = "" if length % _DAY else " A day of another zone: give the column its time zone."
            bad(
                "BAD_VALUE", f"the bar {verb} at {utc(int(times[row]))}, which is no multiple of {text}", name,
                self.rows + row, value=utc(int(times[row])),
                advice=f'Rows are to be bars of {text}, which begin and end at multiples of {text} since 1970 UTC: write '
                f"their real length in the graph, or aggregate shorter rows first.{days}",
            )  # fmt: skip

    def _agree(self, opens: np.ndarray, closes: np.ndarray, ends: np.ndarray, length: int) -> None:
        odd = (closes != ends) if length < _DAY else (closes <= opens) | (closes > ends)
        if odd.any():
            row = int(odd.argmax())
            bad(
                "BAD_VALUE", f"the bar opens at {utc(int(opens[row]))} and closes at {utc(int(closes[row]))}: it is "
                f"no bar of {duration_text(length)}", self.shape.times["ts_event"], self.rows + row,
                value=utc(int(closes[row])), advice="Write the real length of the bars in the graph.",
            )  # fmt: skip

    def _in_order(self, known: np.ndarray) -> None:
        import numpy as np

        back = np.diff(known, prepend=max(self.newest, int(np.iinfo(np.int64).min))) < 0
        if self.newest == _FIRST:
            back[0] = False
        if back.any():
            row = int(back.argmax())
            before = int(known[row - 1]) if row else self.newest
            column = self.shape.times[self.shape.time]
            bad(
                "OUT_OF_ORDER", f"rows go back in time: {utc(int(known[row]))} comes after {utc(before)}", column,
                self.rows + row, value=utc(int(known[row])),
                advice=f'Sort the table by "{column}" first.{self._named()}',
            )  # fmt: skip

    def _named(self) -> str:
        """Advice where several instruments may lie in a table that names none."""
        if self.shape.instrument_column is not None or not self.shape.texts:
            return ""
        likely = self.shape.texts[:3]
        said = " or ".join(f'columns={{"instrument": "{name}"}}' for name in likely)
        return f" If the table holds several instruments, say which column names them: {said}."

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
            self.numbers[name] = len(self.ends)
            self.ends.append(_FIRST)
        return self.numbers[name]

    def _bars(self, codes: np.ndarray, ends: np.ndarray, *, graded: bool) -> None:
        """Refuses bars that come twice or overlap, and rows that prove to be longer than the bars."""
        import numpy as np

        before, tails = _before(codes, ends, np.array(self.ends, np.int64))
        follows = before != _FIRST
        step = np.where(follows, ends - before, 0)
        length = self.shape.bars_ns if graded else None
        least = 1 if length is None else length if length < _DAY else length // 2
        wrong = follows & (step < least)
        if wrong.any():
            self._overlap(int(wrong.argmax()), codes, ends, before)
        if length is not None:
            self._lengths(step, follows, ends, length)
        for code, end in zip(codes[tails].tolist(), ends[tails].tolist(), strict=True):
            self.ends[code] = end

    def _overlap(self, row: int, codes: np.ndarray, ends: np.ndarray, before: np.ndarray) -> None:
        name = list(self.numbers)[int(codes[row])]
        end, last = int(ends[row]), int(before[row])
        of = f" of {name}" if self.shape.instrument_column else ""
        column = self.shape.times[self.shape.time]
        if end == last:
            message = f"the bar{of} that ends at {utc(end)} comes twice"
            advice = f"Drop rows that are there twice, as of overlapping downloads.{self._named()}"
        elif end < last:
            message = f"the bar{of} that ends at {utc(end)} comes after the one that ends at {utc(last)}"
            advice = f"Sort the table by time first.{self._named()}"
        else:
            message = (
                f"the bar{of} that ends at {utc(end)} overlaps the one that ends at {utc(last)}: the rows are shorter "
                f"than {duration_text(self.shape.bars_ns or 0)}"
            )
            advice = "Write the real length of the bars in the graph, or aggregate the rows first."
        bad(
            "OUT_OF_ORDER" if end < last else "BAD_VALUE",
            message,
            column,
            self.rows + row,
            value=utc(end),
            advice=advice,
        )

    def _lengths(self, step: np.ndarray, follows: np.ndarray, ends: np.ndarray, length: int) -> None:
        """Notes how far bars lie apart; refuses rows of which no two lie side by side."""
        import numpy as np

        if self.beside:
            return
        beside = follows & (step < length + length // 2)
        stop = int(beside.argmax()) if beside.any() else len(step)
        apart = np.flatnonzero(follows[:stop])
        if len(apart):
            counted = self.moments + np.cumsum(np.diff(ends[apart], prepend=self.moment) != 0)
            proven = bool(counted[-1] >= _PROOF)
            if proven:
                apart = apart[: int((counted >= _PROOF).argmax()) + 1]
            shortest = int(step[apart].min())
            self.shortest = shortest if self.shortest is None else min(self.shortest, shortest)
            if proven:
                self._too_long(self.rows + int(apart[-1]))
            self.moments, self.moment = int(counted[-1]), int(ends[apart[-1]])
        self.beside = stop < len(step)

    def _too_long(self, row: int) -> None:
        length, shortest = duration_text(self.shape.bars_ns or 0), duration_text(self.shortest or 0)
        bad(
            "BAD_VALUE", f"no two rows of an instrument lie {length} apart, the nearest {shortest}: they are no bars of "
            f"{length}", self.shape.times[self.shape.time], row, value=shortest,
            advice=f'If the rows are bars of {shortest}, write bars("{shortest}") in the graph.',
        )  # fmt: skip


def _before(codes: np.ndarray, ends: np.ndarray, newest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row the end of its instrument's row before, and the last row of each instrument.

    `newest` holds the ends of the rows before the first of these. Where instruments take turns, the row before lies as
    many rows back as there are instruments, and nothing has to be sorted.
    """
    import numpy as np

    before = np.empty_like(ends)
    again = codes[1:] == codes[0]
    turn = int(again.argmax()) + 1 if again.any() else 0
    if turn and len(np.unique(codes[:turn])) == turn and np.array_equal(codes[turn:], codes[:-turn]):
        before[:turn], before[turn:] = newest[codes[:turn]], ends[:-turn]
        return before, np.arange(len(codes) - turn, len(codes))
    order = np.argsort(codes.astype(np.int16 if len(newest) < 2**15 else np.int64), kind="stable")
    by_code = codes[order]
    heads = np.flatnonzero(np.diff(by_code, prepend=-1))
    shifted = np.empty_like(ends)
    shifted[1:] = ends[order[:-1]]
    shifted[heads] = newest[by_code[heads]]
    before[order] = shifted
    return before, order[np.append(heads[1:], len(order)) - 1]
