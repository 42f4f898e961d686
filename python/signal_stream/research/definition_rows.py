"""A table of what instruments are, as the messages of a tape: one for each row, at the moment from which it holds."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from signal_stream.core_errors import core_error
from signal_stream.errors import DataError
from signal_stream.ingest.instruments_file import KEYS, known_instruments
from signal_stream.research.columns import as_names, is_text, plain
from signal_stream.research.table_source import TableTape, check_columns
from signal_stream.research.times import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pyarrow as pa

    from signal_stream import _core
    from signal_stream.research.table_source import Place, TableSource

_DEFINITION, _LAST = 9, 1
_TIMES: Final = ("valid_from", "expiry")
_WHOLE: Final = ("price_scale", "qty_scale", "price_display")
_MESSAGES: Final = 65_536


class _Definition(NamedTuple):
    since: int
    entry: dict[str, Any]
    where: str


class DefinitionTape(TableTape):
    """Columns are the keys of an instruments file (ingest/instruments_file.py); `valid_from` says since when a row holds, and is
    when its message is known. Rows need no order."""

    made = rounded = 0

    def __init__(
        self, source: TableSource, *, columns: Mapping[str, str] | None = None, time_unit: str | None = None
    ) -> None:
        self._source = source
        self._columns = dict(columns or {})
        self._unit = time_unit
        self._known: list[dict[str, Any]] = []
        self.rows = 0
        self.instruments = []

    def check(self, tell: Callable[[int], None] | None = None) -> None:
        """Reads all rows; DataError for the first that makes no sense. `tell` is told the rows read."""
        found: list[_Definition] = []
        for place, batch in self._source.batches({"instrument": self._columns.get("instrument", "id")}):
            with place.errors():
                found += self._entries(batch, place, len(found))
            if tell is not None:
                tell(len(found))
        self._source.check_rows(len(found))
        self.rows = len(found)
        found.sort(key=lambda each: each.since)
        text = known_instruments(((each.entry, each.where) for each in found), str(self._source))
        self._known = json.loads(text)
        self.instruments = [each["id"] for each in self._known]

    def batches(self) -> Iterator[_core.EventBatch]:
        """The messages, after `check`: in order of the moments from which they hold."""
        import pyarrow as pa

        from signal_stream import _core

        numbers = {name: number for number, name in enumerate(self.instruments)}
        told = [(since, each["id"], terms) for each in self._known for since, terms in each["definitions"]]
        told.sort(key=lambda each: each[0])
        metadata = {"signal_stream.tape": "2", "signal_stream.instruments": json.dumps(self._known)}
        for start in range(0, len(told), _MESSAGES):
            part = told[start : start + _MESSAGES]
            n = len(part)
            times = pa.array([since for since, *_ in part], pa.int64()).cast(pa.timestamp("ns", "UTC"))
            texts = [json.dumps(terms, sort_keys=True, separators=(",", ":")) for *_, terms in part]
            columns = {
                "ts_recv": times,
                "ts_event": pa.nulls(n, times.type),
                "sequence": pa.nulls(n, pa.uint64()),
                "sequence_prev": pa.nulls(n, pa.uint64()),
                "instrument": pa.array([numbers[name] for _, name, _ in part], pa.uint32()),
                **{name: pa.array([code] * n, pa.uint8()) for name, code in _CODES},
                "price": pa.array([0] * n, pa.int64()),
                "qty": pa.array([0] * n, pa.int64()),
                "definition": pa.array(texts, pa.string()),
            }
            null = ("ts_event", "sequence", "sequence_prev", "definition")
            fields = [pa.field(name, column.type, name in null) for name, column in columns.items()]
            try:
                yield _core.EventBatch.from_arrow(pa.table(columns, pa.schema(fields, metadata)))
            except _core.CoreError as error:
                raise core_error(error, "events") from None

    def _named(self, names: list[str]) -> dict[str, str]:
        """Our keys and the columns that hold them. DataError for keys that definitions do not have, and where one is missing."""
        given = {"id" if key == "instrument" else key: column for key, column in self._columns.items()}
        check_columns(given, KEYS, names, "key")
        found = {key: key for key in KEYS if key in names} | given
        if "id" not in found and "instrument" in names:
            found["id"] = "instrument"
        needs = ["kind", "valid_from", *(() if "id" in found else ("venue", "symbol"))]
        missing = [key for key in needs if key not in found]
        if missing:
            advice = f"Name it: --columns {missing[0]}=…. The table has {', '.join(names)}."
            if missing == ["valid_from"]:
                advice += " What holds since ever stands in a file of instruments: [source] instruments, --instruments."
            raise DataError("MISSING_COLUMN", f"definitions need {', '.join(missing)}", next_step=advice)
        return found

    def _entries(self, batch: pa.RecordBatch, place: Place, first: int) -> Iterator[_Definition]:
        """Each row as an entry of an instruments file."""
        named = self._named(list(batch.schema.names))
        if batch.num_rows == 0:
            return
        cells = {key: self._cells(batch, key, column, first) for key, column in named.items()}
        for row in range(batch.num_rows):
            where = place.name(first + row)
            entry = {key: values[row] for key, values in cells.items() if values[row] is not None}
            if "valid_from" not in entry or "kind" not in entry:
                key = "kind" if "valid_from" in entry else "valid_from"
                raise DataError("BAD_VALUE", f"it has no {key}", where=where, next_step="Fill it in, or drop the row.")
            yield _Definition(entry["valid_from"], entry, where)

    def _cells(self, batch: pa.RecordBatch, key: str, column: str, first: int) -> list[Any]:
        """A column's values as an instruments file has them; None where there is none."""
        import pyarrow as pa

        values = plain(batch.column(batch.schema.get_field_index(column)), column)
        if values.null_count == len(values):
            return [None] * len(values)
        if key in _TIMES:
            there = values.is_valid()
            filled = values.fill_null(values.filter(there)[0]) if values.null_count else values
            told = Clock(column, self._unit).read(filled, first).tolist()
            return [each if valid else None for each, valid in zip(told, there.to_pylist(), strict=True)]
        if key == "id":
            names: list[Any] = as_names(values, column, first).to_pylist()
            return names
        if is_text(values.type):
            return [text.strip() or None if text is not None else None for text in values.to_pylist()]
        numbers = values.to_pylist()
        if pa.types.is_floating(values.type):
            numbers = [None if each is None or each != each else each for each in numbers]
        if key in _WHOLE:
            return [int(each) if each is not None and each == int(each) else each for each in numbers]
        return [each if each is None else f"{Decimal(str(each)):f}" for each in numbers]


_CODES: Final = (("kind", _DEFINITION), ("side", 0), ("flags", _LAST))
