"""Tables in files: CSV, Parquet, Arrow IPC (Feather), batch after batch."""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from signal_stream.errors import DataError
from signal_stream.research.columns import bad, is_text
from signal_stream.research.csv_style import CsvStyle
from signal_stream.research.fields import is_field

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    import pyarrow as pa

_TAPE: Final = b"signal_stream.tape"
_ROW: Final = re.compile(r"row ([\d,]+)$")
_COLUMN: Final = re.compile(r"In CSV column #(\d+)")
_PLAIN: Final = {"double": "number", "int64": "whole number", "bool": "true or false"}
_NULLS: Final = ("", "null", "NULL", "NaN", "nan", "NA", "N/A", "n/a", "#N/A", "NULL", "-nan", "-NaN")
"""What CSV says for no value."""


def batches_of_file(
    path: str | Path, columns: Mapping[str, str] | None = None, fields: Collection[str] = ()
) -> Iterator[pa.RecordBatch]:
    """The record batches of a table's file; DataError for what is none. `columns` maps our fields to its columns: in a CSV
    file a field's column holds numbers where it is no text, and the column of the instruments names, whatever they look like.
    """
    import pyarrow as pa

    file, given = Path(path), columns or {}
    said = {column for field, column in given.items() if is_field(field) or field in fields}
    names = given.get("instrument", "instrument")
    try:
        if not file.is_file():
            raise DataError(
                "UNKNOWN_TYPE",
                "there is no such file",
                where=str(path),
                next_step="Name a CSV, Parquet or Feather file.",
            )
        with file.open("rb") as opened:
            head = opened.read(8)
        if head[:4] == b"PAR1":
            yield from _sound(_parquet(file))
        elif head[:6] == b"ARROW1" or head[:4] == b"\xff\xff\xff\xff":
            yield from _sound(_ipc(file, stream=head[:6] != b"ARROW1"))
        else:
            _no_capture(file)
            yield from _csv(file, lambda name: name in said or is_field(name) or name in fields, names)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(
            "UNKNOWN_TYPE", f"the table cannot be read: {' '.join(str(error).split())}", where=str(path)
        ) from None


def _sound(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same batches, each looked at first: Arrow believes what a file says of its own lengths and offsets, and reads elsewhere
    in memory where a bit of them is another one."""
    for batch in batches:
        batch.validate(full=True)
        batch.schema.names  # noqa: B018  raises where one is no UTF-8
        yield batch


def _parquet(file: Path) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq

    # Without pre_buffer and with a small buffer the reader holds one row group's pages, not the whole file.
    with pq.ParquetFile(file, buffer_size=65_536, pre_buffer=False) as opened:
        schema = opened.schema_arrow
        _no_tape(file, schema)
        yield _none(schema)
        yield from opened.iter_batches(batch_size=65_536)


def _ipc(file: Path, *, stream: bool) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    with pa.OSFile(str(file)) as opened:
        if stream:
            reader = pa.ipc.open_stream(opened)
            _no_tape(file, reader.schema)
            yield _none(reader.schema)
            yield from reader
        else:
            table = pa.ipc.open_file(opened)
            _no_tape(file, table.schema)
            yield _none(table.schema)
            for number in range(table.num_record_batches):
                yield table.get_batch(number)


def _csv(file: Path, is_number: Callable[[str], bool], names: str) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    from pyarrow import csv

    # The first block says which columns are text; a second look reads whole numbers as numbers, as decimals may follow.
    style = CsvStyle.of(file, is_number)
    with style.open(file, csv.ConvertOptions(decimal_point=style.decimal)) as first:
        schema = first.schema
    known = {field.name: pa.float64() for field in schema if is_number(field.name) and not is_text(field.type)}
    if names in schema.names:
        known[names] = pa.string()
    converting = csv.ConvertOptions(column_types=known, decimal_point=style.decimal)
    try:
        with style.open(file, converting) as opened:
            yield _none(opened.schema)
            yield from opened
    except pa.ArrowInvalid as error:
        _name_cell(file, style, schema, known, error)
        raise


def _name_cell(
    file: Path, style: CsvStyle, schema: pa.Schema, known: dict[str, pa.DataType], error: pa.ArrowInvalid
) -> None:
    """Refuses the cell of a later block that is not of its column's type, with its row. Arrow names the column alone."""
    import pyarrow as pa
    from pyarrow import csv

    found = _COLUMN.search(str(error))
    if found is None or int(found[1]) >= len(schema):
        return
    name = schema.names[int(found[1])]
    kind = known.get(name, schema.field(name).type)
    as_text = csv.ConvertOptions(column_types={name: pa.string()}, include_columns=[name])
    rows = 0
    with style.open(file, as_text) as opened:
        for batch in opened:
            column = batch.column(0)
            for at, text in enumerate(column.to_pylist()):
                if not _converts(text if style.decimal == "." else text and text.replace(",", "."), kind):
                    bad(
                        "WRONG_TYPE", f"{text!r} is no {_PLAIN.get(str(kind), str(kind))}, as the cells before are", name,
                        rows + at, value=text, advice="Mend the cell, or drop its row.",
                    )  # fmt: skip
            rows += batch.num_rows


def _converts(text: str | None, kind: pa.DataType) -> bool:
    import pyarrow as pa

    try:
        pa.scalar(text or None, pa.string()).cast(kind)
    except pa.ArrowInvalid:
        return text in _NULLS
    return True


def _none(schema: pa.Schema) -> pa.RecordBatch:
    """No rows, but the columns: a table without rows is looked at too."""
    import pyarrow as pa

    return pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)


def _no_tape(file: Path, schema: pa.Schema) -> None:
    if _TAPE in (schema.metadata or {}):
        raise DataError(
            "UNKNOWN_TYPE", "the file is a tape already", where=str(file),
            next_step="Use it as it is: --tape, or [source] url; `signal-stream tape merge` joins several.",
        )  # fmt: skip


def _no_capture(file: Path) -> None:
    from signal_stream import _core

    try:
        found = _core.tape_format(str(file))
    except _core.CoreError:
        return
    raise DataError(
        "UNKNOWN_TYPE", f"the file is a raw capture ({found}), no table", where=str(file),
        next_step=f"Use it as it is, or make it a tape: signal-stream tape convert {file.name} -o OUT.parquet.",
    )  # fmt: skip


@contextmanager
def rows_of(path: str | Path | None, before: int = 0) -> Iterator[None]:
    """An error about a row or column says in which file it is, and counts its rows: `before` rows stand in files before it."""
    try:
        yield
    except DataError as error:
        if path is not None and not error.where.startswith(str(path)):
            place = row_names(path, before)
            where = _ROW.sub(lambda row: place(int(row[1].replace(",", "")) - 1), error.where)
            error.where = f"{path}, {where}" if where else str(path)
        raise


def row_names(path: str | Path | None, before: int = 0) -> Callable[[int], str]:
    """How people find a row, counted from 0 over all files, in its file: by the line of a CSV file, whose first line names the
    columns, else by its row, the first being 1."""
    is_text = path is not None and _is_csv(Path(path))
    return lambda row: f"line {row - before + 2:,}" if is_text else f"row {row - before + 1:,}"


def _is_csv(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            head = opened.read(8)
    except OSError:
        return False
    return not head.startswith((b"PAR1", b"ARROW1", b"\xff\xff\xff\xff"))
