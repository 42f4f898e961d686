"""The shape of a table: which column is which field, what time a row has, and how long a row has to wait.

Nothing is guessed where a wrong guess would look ahead: a column called `timestamp` must be said to be the start
(`ts_open`) or the close (`ts_event`) of its bar.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from signal_stream.core_errors import core_error
from signal_stream.durations import duration_ns
from signal_stream.errors import DataError, did_you_mean
from signal_stream.research.columns import bad, is_number, is_text
from signal_stream.research.fields import LEVELLED, PLAIN, TIMES, is_field, stem
from signal_stream.research.frames import UNREADABLE
from signal_stream.research.input_options import TableOptions
from signal_stream.research.refused_rows import PRICES
from signal_stream.research.table_options import check_instrument, makes_empty_bars, missing_for_ns, stated_ns
from signal_stream.research.times import UNITS

if TYPE_CHECKING:
    import pyarrow as pa

    from signal_stream._core import Plan, TableLayout


_PACED: Final = re.compile(r"(?:bars|every)\((\d+(?:ns|us|ms|s|m|h|d))\b")

_WEEKS: Final = re.compile(r"(?:^|:)bars\(1w[,)]")


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
    weeks: bool
    """Whether the graph reads weeks, which end only with a bar that is there."""
    missing_for_ns: int | None
    """The longest time without rows where bars or ticks stand for it; None where nothing does."""
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
    prices: Mapping[str, str]
    """Of bars: the columns of their open, high, low and close, whether the graph reads them or not."""

    @classmethod
    def of(cls, plan: Plan, schema: pa.Schema, options: TableOptions, *, by_venue: bool = False) -> TableShape:
        """The shape of a table for a plan; DataError names what is missing and how to say it."""
        given, names = dict(options["columns"] or {}), list(schema.names)
        cls._check(given, names, options)
        mapping = {name: name for name in names if is_field(name)} | {f: c for f, c in given.items() if is_field(f)}
        prices = {field: mapping[field] for field in PRICES if field in mapping and _is_numbers(schema, mapping[field])}
        given_length, instrument = options["length"], options["instrument"]
        length = stated_ns("length", given_length)
        widest = cls._layout(plan, list(mapping), names, length)
        reads = dict(zip(mapping, widest.reads, strict=True))
        mapping = {
            field: column
            for field, column in mapping.items()
            if reads[field] or cls._tells(widest, field, column, schema, reads)
        }
        layout = cls._layout(plan, list(mapping), names, length)
        bars = any(field in PLAIN[1] for field in mapping)
        if length is not None and not bars:
            raise DataError(
                "BAD_VALUE", f'length="{given_length}" is given, but the graph reads no bars of the table',
                value=given_length, next_step="Leave it out.",
            )  # fmt: skip
        bars_ns = layout.bars_ns if bars else None
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
        if instrument_column and instrument is not None:
            raise DataError(
                "BAD_VALUE", f'instrument="{instrument}" is given, but column "{instrument_column}" names the '
                "instrument of each row", value=instrument,
                next_step=f'Leave instrument out; for one of several, filter the table by "{instrument_column}" first.',
            )  # fmt: skip
        prices = prices if bars else {}
        used = [
            *times.values(),
            *mapping.values(),
            *prices.values(),
            *([instrument_column] if instrument_column else []),
        ]
        return cls(
            fields=tuple(mapping),
            columns=tuple(mapping.values()),
            time=time,
            times=times,
            wait_ns=cls._wait(bars_ns, time, bars, options["latency"], known="ts_recv" in times and by_venue),
            bars_ns=bars_ns,
            bars=bars,
            empty_bars=(empty_bars := cls._empty_bars(bars_ns, time, options["missing_bars"])),
            weeks=bars_ns is not None and not empty_bars and any(map(_WEEKS.search, plan.inputs)),
            missing_for_ns=cls._missing_for(plan, bars_ns, options["missing_bars"], bars=bars, empty_bars=empty_bars),
            by_venue=by_venue,
            instrument=instrument or "TABLE",
            instrument_column=instrument_column,
            layout=layout,
            reads=frozenset(field for field in mapping if reads[field]),
            places=_places(schema, used),
            time_unit=options["time_unit"],
            prices=prices,
            texts=tuple(name for name in dict.fromkeys(names) if name not in used and is_text(_types(schema, name)[0])),
        )

    @staticmethod
    def _tells(widest: TableLayout, field: str, column: str, schema: pa.Schema, reads: Mapping[str, bool]) -> bool:
        """Whether a column says something though the graph does not read it: numbers of other levels, whether a side is
        empty or crossed; volume and trades, whether a bar is; the first of bars, that the rows are bars. Whatever else
        there is may hold anything."""
        if not _is_numbers(schema, column):
            return False
        if stem(field) in LEVELLED:
            return any(reads[other] for other in reads if stem(other) in LEVELLED)
        family = [other for other in reads if other in PLAIN[1]]
        bars = widest.bars_ns is not None and not any(reads[other] for other in reads if other in PLAIN[0])
        first = family[:1] == [field] and not any(reads[other] for other in family)
        return bars and (first or field in ("volume", "trades"))

    @staticmethod
    def _layout(plan: Plan, fields: list[str], names: list[str], length: int | None) -> TableLayout:
        from signal_stream import _core

        try:
            return _core.TableLayout(plan, fields, length)
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
        if options["instrument"] is not None:
            check_instrument(options["instrument"])
        unit = options["time_unit"]
        if unit is not None and unit not in UNITS:
            raise DataError(
                "BAD_VALUE", f"time_unit is {unit!r}", value=unit,
                next_step=did_you_mean(str(unit), list(UNITS)),
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
    def _empty_bars(bars_ns: int | None, time: str, missing: str | None) -> bool:
        """Whether a missing bar is one without trades: so it would be live. Days are sessions, of which none is missing."""
        try:
            told = missing in (None, "empty", "skip") or duration_ns(missing) > 0
        except (ValueError, TypeError):
            told = False
        if not told:
            raise DataError(
                "BAD_VALUE", f'missing_bars is "{missing}"', value=missing,
                next_step='Say "empty" (a bar without trades, as live), for how long at most ("90d"), or "skip" (no bar).',
            )  # fmt: skip
        if bars_ns is None:
            return False
        if missing not in (None, "skip") and time == "ts_recv":
            raise DataError(
                "BAD_VALUE", "missing bars cannot be told by ts_recv, which says when rows were received", value=missing,
                next_step='Name the bars\' own times: columns={"ts_open": …} or {"ts_event": …}.',
            )  # fmt: skip
        return time != "ts_recv" and makes_empty_bars(bars_ns, missing)

    @staticmethod
    def _missing_for(
        plan: Plan, bars_ns: int | None, missing: str | None, *, bars: bool, empty_bars: bool
    ) -> int | None:
        """How long rows may be missing: bars stand for rows of bars; bars that trades make, and ticks of the graph's clock, for
        any silence."""
        made = [json.loads(plan.explain())["on"], *plan.inputs]
        found = [_PACED.search(stream) for stream in made if not (bars and "bars(" in stream)]
        paces = [duration_ns(each[1]) for each in found if each is not None]
        if empty_bars and bars_ns is not None:
            paces.append(bars_ns)
        return missing_for_ns(missing, min(paces)) if paces else None

    @staticmethod
    def _wait(bars_ns: int | None, time: str, bars: bool, latency: str | None, *, known: bool) -> int:
        wait = stated_ns("latency", latency)
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
        if time == "ts_open" and bars_ns is None:
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

    def other_instruments(self) -> str:
        """Advice where several instruments may lie in a table that names none."""
        if self.instrument_column is not None or not self.texts:
            return ""
        likely = self.texts[:3]
        said = " or ".join(f'columns={{"instrument": "{name}"}}' for name in likely)
        return f" If the table holds several instruments, say which column names them: {said}."


def _is_numbers(schema: pa.Schema, column: str) -> bool:
    """Whether a column is there once, and holds numbers."""
    places = schema.get_all_field_indices(column)
    if len(places) != 1:
        return False
    found = schema.field(places[0])
    return UNREADABLE not in (found.metadata or {}) and is_number(found.type)


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
