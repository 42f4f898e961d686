"""`read_table`: a table as the batches of a tape."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Unpack

from signal_stream.errors import DataError
from signal_stream.ingest import MAX_REJECTED, Intake, RefusedLines
from signal_stream.research.decimals import MOST
from signal_stream.research.definition_rows import DefinitionTape
from signal_stream.research.fields import TIMES, is_field
from signal_stream.research.input_options import TableOptions, filled, takes
from signal_stream.research.kinds import EventKind
from signal_stream.research.lobster import LobsterTape
from signal_stream.research.reference_rows import ReferenceTape
from signal_stream.research.refused_rows import RefusedRows
from signal_stream.research.table_events import TableEvents
from signal_stream.research.table_rows import TableRows
from signal_stream.research.table_shape import TableShape
from signal_stream.research.table_source import Place, TableSource, TableTape

if TYPE_CHECKING:
    import pyarrow as pa

    from signal_stream import _core
    from signal_stream.research.table_rows import Piece


@takes(TableOptions)
def read_table(
    data: Any,
    *,
    kind: str,
    decimals: int | None = None,
    book: str | None = None,
    max_rejected: float | str = MAX_REJECTED,
    **options: Unpack[TableOptions],
) -> Iterator[_core.EventBatch]:
    """A table as tape batches, which `Engine.push` takes like those of `read_tape`: the vectors have the bits that `compute`
    gives on the table.

    `data` is a path of a CSV, Parquet or Arrow IPC file, several paths whose rows follow each other, or a table in memory
    (pyarrow, polars, pandas). `kind` says what a row is: "bars" (of `length`, as "1m"), "trades", "quotes" or "book" (levels).
    The other options are those of `compute`, with its checks and errors. The table is read twice: first it is checked to its
    end, and the decimal places of each instrument are found. Times are nanoseconds UTC; a bar without trades is a message
    where `missing_bars` has it "empty" (below a day the default); NaN and null of a bar's field are no value. `decimals` rounds
    prices and quantities to so many places (0 to 18) first, for numbers that a tape's 18 digits cannot hold as they are.

    Bars that contradict themselves (a high below the low, an open or close outside of them) are refused: their time stays, their
    numbers are null. More of them than the share `max_rejected` ("0.1%", or 0.001) refuse the table; fewer bring a warning
    (`RefusedLines`).

    `kind="lobster"` reads a message file of LOBSTER, with `latency` and, if it is not the ticker at XNAS, `instrument`. `book`
    says what the book is made of: "levels", the file of the book beside it, or "orders", the messages themselves.

    `kind="definitions"` reads what instruments are: the keys of an instruments file as columns, and `valid_from`, since when a
    row holds. `kind="reference"` reads numbers about them: `mark_price`, `index_price`, `funding_rate` and others.

    Raises DataError before the first batch: what `compute` refuses; rows that are no events (trades without price or
    quantity, half a level, levels out of order); numbers whose decimals do not fit into 18 digits; a file that is a tape or
    capture already. Not safe for use from several threads.

    >>> import pyarrow as pa
    >>> from signal_stream import read_table
    >>> day = pa.table({"t": [1700000040, 1700000100], "close": [10.0, 12.5]})
    >>> batches = read_table(day, kind="bars", length="1m", columns={"ts_open": "t"}, instrument="BTC")
    >>> [(batch.messages, batch.instruments) for batch in batches]
    [(3, ['BTC']), (1, [])]
    """
    table = reading(data, kind=kind, decimals=decimals, book=book, **filled(TableOptions, options))
    table.check()
    table.intake.check(max_rejected)
    if table.intake.refused:
        warnings.warn(f"{table.intake.text()}. The first: {table.intake.first[0]}", RefusedLines, stacklevel=2)
    return table.batches()


_OTHERS: Final[dict[str, tuple[Callable[..., TableTape], tuple[str, ...]]]] = {
    "definitions": (DefinitionTape, ("columns", "time_unit")),
    "reference": (ReferenceTape, ("columns", "instrument", "latency", "time_unit")),
}
"""Tables of no event that a graph reads, and their options."""


def reading(data: Any, *, kind: str, book: str | None = None, **options: Any) -> TableTape:
    """What reads a table of events or of definitions, or a day of LOBSTER. DataError for options that the kind does not have."""
    if kind in _OTHERS:
        maker, names = _OTHERS[kind]
        its_own = {name: options.pop(name, None) for name in names}
        for name, value in {**options, "book": book}.items():
            if value is not None:
                what = f"{name} is given, which {kind} {'data do' if kind == 'reference' else 'do'} not have"
                raise DataError("BAD_VALUE", what, value=value, next_step="Leave it out.")
        return maker(TableSource.of(data), **its_own)
    if kind != "lobster":
        if book is not None:
            raise DataError(
                "BAD_VALUE", f'book is "{book}", but the rows are {kind}', value=book, next_step="Leave it out."
            )
        return EventTape(data, kind=kind, **options)
    its_own = {name: options.pop(name, None) for name in ("instrument", "latency")}
    for name, value in options.items():
        if value not in (None, {}):
            raise DataError(
                "BAD_VALUE",
                f"{name} is given, which LOBSTER's files do not have",
                value=value,
                next_step="Leave it out.",
            )
    source = TableSource.of(data)
    if source.table is not None:
        raise DataError(
            "UNKNOWN_TYPE", "LOBSTER is read from its files", next_step="Give the path of its message file."
        )
    return LobsterTape(source.paths, book=book, **its_own)


class EventTape(TableTape):
    """A table of bars, trades, quotes or book levels."""

    def __init__(
        self,
        data: Any,
        *,
        kind: str,
        length: str | None = None,
        columns: Mapping[str, str] | None = None,
        decimals: int | None = None,
        **options: Any,
    ) -> None:
        self.kind = EventKind.of(kind, length)
        self.decimals = _places(decimals)
        self.columns = dict(columns or {})
        self.options = options
        self._source = TableSource.of(data)
        self._events: TableEvents | None = None
        self._intake = Intake()
        self._refused = RefusedRows()
        self._places: list[Place] = []
        self.rows = self.made = self.rounded = 0
        self.instruments = []

    @property
    def intake(self) -> Intake:
        """What became of the rows, once the table was checked."""
        return self._intake

    def check(self, tell: Callable[[int], None] | None = None) -> None:
        """Reads all rows; DataError for the first that cannot be believed. `tell` is told the rows read."""
        events: TableEvents | None = None
        for shape, piece, place in self._pieces():
            if events is None:
                events = TableEvents(shape, self.kind, self.decimals)
            with place.errors():
                events.see(piece)
            if tell is not None:
                tell(events.rows)
        self._source.check_rows(0 if events is None else events.rows)
        assert events is not None
        with self._source.errors():
            events.begin()
        self._events = events
        self.rows, self.rounded, self.instruments = events.rows, events.rounded, events.names
        self._intake.take_rows(self._refused, events.rows, self._name)

    def batches(self) -> Iterator[_core.EventBatch]:
        """The messages, after `check`."""
        events = self._events
        if events is None:
            raise AssertionError("the table was not checked")
        for _, piece, _ in self._pieces():
            yield from events.batches(piece)
            self.made = events.made
        yield from events.end()
        self.made = events.made

    def _name(self, row: int) -> str:
        """How people find a row."""
        return next((each for each in reversed(self._places) if each.before <= row), Place()).name(row)

    def _pieces(self) -> Iterator[tuple[TableShape, Piece, Place]]:
        rows: TableRows | None = None
        place = Place()
        self._places.clear()
        for place, batch in self._source.batches(self.columns):
            if not self._places or place is not self._places[-1]:
                self._places.append(place)
            with place.errors():
                if rows is None:
                    rows = TableRows(self._shape(batch.schema))
                else:
                    self._same_columns(rows, batch.schema)
                piece = rows.piece(batch)
            if piece is not None:
                yield rows.shape, piece, place
        if rows is not None:
            with place.errors():
                rows.end()
            self._refused = rows.refused

    def _shape(self, schema: pa.Schema) -> TableShape:
        """How the columns are read, as of a table for a graph that reads all fields of the kind."""
        names = list(schema.names)
        unknown = [name for name in self.columns if not (is_field(name) or name in TIMES or name == "instrument")]
        fields = self.kind.fields({k: v for k, v in self.columns.items() if k not in unknown}, names)
        others = {name: column for name, column in self.columns.items() if not is_field(name)}
        graph = self.kind.graph(fields)
        options = filled(TableOptions, {**self.options, "columns": others | fields})
        venue = ("ts_event", "ts_open") if self.kind.name == "bars" else ("ts_event",)
        by_venue = any(time in others or time in names for time in venue)
        if by_venue and ("ts_recv" in others or "ts_recv" in names) and options["missing_bars"] is None:
            options["missing_bars"] = "skip"
        shape = TableShape.of(graph.plan, schema, options, by_venue=by_venue)
        if shape.instrument_column is None and options["instrument"] is None:
            raise DataError(
                "MISSING_COLUMN", "nothing says which instrument the rows are of",
                next_step=shape.other_instruments().strip() or 'Say instrument="BTCUSDT" (--instrument BTCUSDT).',
            )  # fmt: skip
        return shape

    @staticmethod
    def _same_columns(rows: TableRows, schema: pa.Schema) -> None:
        for name, place in rows.shape.places.items():
            if place >= len(schema) or schema.names[place] != name:
                raise DataError(
                    "MISSING_COLUMN", f'column "{name}" is not where it was in the rows before', value=name,
                    next_step=f"Give files with the same columns in one order; here they are {', '.join(schema.names)}.",
                )  # fmt: skip


def _places(decimals: int | None) -> int | None:
    if decimals is None or (isinstance(decimals, int) and not isinstance(decimals, bool) and 0 <= decimals <= MOST):
        return decimals
    raise DataError(
        "BAD_VALUE", f"decimals is {decimals!r}", value=decimals,
        next_step=f"Say to how many places prices and quantities are rounded: 0 to {MOST}.",
    )  # fmt: skip
