"""Tables of other libraries as Arrow: pyarrow, polars, pandas, and whatever has the Arrow interface."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from signal_stream.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

UNREADABLE: Final = b"signal_stream.unreadable"
"""Marks a column that Arrow cannot hold; it is an error only where the column is used."""


def is_table(data: object) -> bool:
    """Whether the object is a table: an Arrow stream or batch, or a lazy polars frame."""
    return any(hasattr(data, name) for name in ("__arrow_c_stream__", "__arrow_c_array__")) or _is_lazy(data)


def record_batches(data: Any) -> Iterator[pa.RecordBatch]:
    """The record batches of a table; DataError for what is no table.

    A lazy polars frame is collected. A column that Arrow cannot hold, such as one of mixed types, stands for itself as
    nulls that are marked `UNREADABLE`.
    """
    import pyarrow as pa

    if isinstance(data, pa.RecordBatch):
        yield data
        return
    if _is_lazy(data):
        data = data.collect()
    elif type(data).__module__.startswith("pandas") and hasattr(data, "reset_index"):
        data = _with_index(data)
    if isinstance(data, pa.Table | pa.RecordBatchReader):
        reader = data if isinstance(data, pa.RecordBatchReader) else data.to_reader()
    elif hasattr(data, "__arrow_c_stream__"):
        try:
            reader = pa.RecordBatchReader.from_stream(data)
        except (pa.ArrowException, ValueError, TypeError) as error:
            reader = _by_columns(data, error).to_reader()
    elif hasattr(data, "__arrow_c_array__"):
        yield pa.record_batch(data)
        return
    else:
        raise DataError(
            "UNKNOWN_TYPE", f"{type(data).__name__} is no tape and no Arrow table",
            next_step="Give a path, or a pyarrow, polars or pandas table.",
        )  # fmt: skip
    if reader.schema.names == [""] and pa.types.is_struct(reader.schema.field(0).type):
        reader = pa.Table.from_struct_array(reader.read_all().column(0)).to_reader()
    empty = True
    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            if empty:
                yield pa.RecordBatch.from_pylist([], schema=reader.schema)
            return
        except (pa.ArrowException, OSError) as error:
            raise DataError("UNKNOWN_TYPE", f"the table cannot be read as Arrow: {error}") from None
        yield batch
        empty = False


def as_table(data: Any) -> pa.Table:
    """A whole table in memory, of pyarrow, polars or pandas."""
    import pyarrow as pa

    table = data if isinstance(data, pa.Table) else pa.Table.from_batches(list(record_batches(data)))
    for place, field in enumerate(table.schema):
        text = _text(field.type)
        if text is not None:
            chunks = [_as_text(chunk, text) for chunk in table.column(place).chunks]
            table = table.set_column(place, field.with_type(text), pa.chunked_array(chunks, text))
    return table


def _text(kind: pa.DataType) -> pa.DataType | None:
    """What polars' text is made, as most of pyarrow cannot compute on its views; None for other types."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind) and pa.types.is_string_view(kind.value_type):
        return pa.dictionary(kind.index_type, pa.string(), kind.ordered)
    return pa.string() if pa.types.is_string_view(kind) else None


def _as_text(chunk: pa.Array, text: pa.DataType) -> pa.Array:
    import pyarrow as pa

    if not isinstance(chunk, pa.DictionaryArray):
        return chunk.cast(text)
    return pa.DictionaryArray.from_arrays(chunk.indices, chunk.dictionary.cast(pa.string()), ordered=text.ordered)


def _is_lazy(data: object) -> bool:
    kind = type(data)
    return kind.__module__.startswith("polars") and kind.__name__ == "LazyFrame"


def _with_index(frame: Any) -> Any:
    """A pandas frame with the named levels of its index as columns: Arrow drops an index of evenly spaced numbers."""
    named = [name for name in frame.index.names if name is not None and name not in getattr(frame, "columns", [name])]
    return frame.reset_index(level=named) if named else frame


def _by_columns(data: Any, refusal: Exception) -> pa.Table:
    """A pandas or polars frame column by column, where one of them cannot be held."""
    import pyarrow as pa

    library = type(data).__module__.partition(".")[0]
    if library not in ("pandas", "polars") or not hasattr(data, "columns"):
        raise DataError("UNKNOWN_TYPE", f"the table cannot be read as Arrow: {refusal}") from None
    names, arrays, fields = [str(name) for name in data.columns], [], []
    for place, name in enumerate(names):
        column = data.iloc[:, place] if library == "pandas" else data.to_series(place)
        field = None
        try:
            array = pa.array(column, from_pandas=True) if library == "pandas" else column.to_arrow()
        except (pa.ArrowException, ValueError, TypeError, OverflowError, NotImplementedError) as error:
            array = pa.nulls(len(column))
            field = pa.field(name, array.type, metadata={UNREADABLE: " ".join(str(error).split()).encode()})
        arrays.append(array)
        fields.append(field or pa.field(name, array.type))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def column_of(table: pa.Table, name: str) -> pa.Array:
    """A column of a whole table in one piece; DataError if there is none or more than one of the name."""
    import pyarrow as pa

    places = table.schema.get_all_field_indices(name)
    if len(places) != 1:
        message = f"{len(places)} columns are named" if places else "the table has no column"
        raise DataError(
            "MISSING_COLUMN", f'{message} "{name}"', value=name,
            next_step=f"The table has: {', '.join(table.column_names)}.",
        )  # fmt: skip
    column = table.column(places[0])
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    return column.combine_chunks()
