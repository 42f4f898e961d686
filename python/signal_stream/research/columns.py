"""Columns of a table as the core reads them: numbers as float64, names; times are in times.py.

Every function takes a column of one record batch and the number of its first row in the whole input, so that an error
names the row; here rows are counted from 0, in what people read from 1.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NoReturn

from signal_stream.errors import DataError
from signal_stream.instrument_ids import id_fault

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_SIDES: Final = {
    "buy": 1.0, "b": 1.0, "sell": -1.0, "s": -1.0, "": 0.0, "none": 0.0, "n": 0.0, "unknown": 0.0,
}  # fmt: skip

_COMMA: Final = re.compile(r"[+-]?\d[\d.' ]*,\d+")
_NAMES: Final = (
    "An id has 1 to 200 characters that can be seen, and no white space at its ends: mend such rows, or drop them."
)


def bad(code: str, message: str, name: str, row: int | None = None, *, value: object = None, advice: str) -> NoReturn:
    """Refuses a column, or one of its rows. People count rows from 1."""
    where = f'column "{name}"' + ("" if row is None else f", row {row + 1:,}")
    raise DataError(code, message, where=where, value=value, next_step=advice)


def plain(column: Any, name: str) -> pa.Array:
    """The column without dictionary, run lengths or extension type around its values."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        while True:
            kind = column.type
            if isinstance(column, pa.ExtensionArray):
                column = column.storage
            elif pa.types.is_dictionary(kind):
                column = column.dictionary.cast(_takeable(kind.value_type)).take(column.indices)
            elif pa.types.is_run_end_encoded(kind):
                column = pc.run_end_decode(column)
            else:
                return column
    except pa.ArrowException as error:
        bad("WRONG_TYPE", f"{column.type} cannot be read: {error}", name, advice="Cast it to a plain type first.")


def _takeable(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    return pa.string() if pa.types.is_string_view(kind) else kind


def is_text(kind: pa.DataType) -> bool:
    """Whether a column's values are text, plain or behind a dictionary."""
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return any(text(kind) for text in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


def is_number(kind: pa.DataType) -> bool:
    """Whether `as_float` takes a column of this type."""
    import pyarrow as pa

    while isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return is_number(kind.value_type)
    numbers = (pa.types.is_floating, pa.types.is_integer, pa.types.is_decimal, pa.types.is_null)
    return any(number(kind) for number in numbers)


def as_float(column: Any, name: str, first: int) -> pa.Array:
    """Numbers as float64: each the double nearest to it, of decimals and large whole numbers too. Text is refused."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_float64(column.type):
        return column
    column = plain(column, name)
    kind = column.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind):
        return pc.cast(column, pa.float64(), safe=False)
    if pa.types.is_decimal(kind):
        # Arrow divides by a power of ten, which is one bit off; its digits read as text are not.
        return column.cast(pa.string()).cast(pa.float64())
    if is_text(kind) and (cell := first_no_number(column)) is not None and cell != _first_value(column):
        bad(
            "WRONG_TYPE", f"{value_of(column, cell)!r} is not a number, so that the whole column is text", name, first + cell,
            value=value_of(column, cell), advice="Mend the cell, or leave it empty, which is no value.",
        )  # fmt: skip
    row = _first_value(column)
    value = None if row is None else value_of(column, row)
    advice = "Make it a column of numbers first."
    if _COMMA.fullmatch(str(value).strip()):
        advice = (
            'Its comma may be a decimal one or stand for thousands: write 1234.5 (pandas read_csv(…, decimal=","), polars '
            "read_csv(…, decimal_comma=True))."
        )
    shown = "" if row is None else f", as {value!r}"
    bad(
        "WRONG_TYPE", f"{type_text(kind)}{shown}, is not a number", name, None if row is None else first + row,
        value=value, advice=advice,
    )  # fmt: skip


def first_no_number(column: pa.Array) -> int | None:
    """The first cell of a column of text that is no number, if there is one; one without text is no value."""
    for row, text in enumerate(column.to_pylist()):
        try:
            float(text or 0)
        except ValueError:
            return row
    return None


def as_side(column: Any, name: str, first: int) -> pa.Array:
    """The aggressor of each trade: 1 bought, -1 sold, 0 unknown. Takes numbers and the words buy, sell, b, s, none.

    What is null is unknown. Any other number or word is refused.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    column = plain(column, name)
    if is_text(column.type):
        words = column.cast(pa.string()).dictionary_encode()
        known = [_SIDES.get(word.strip().lower()) for word in words.dictionary.to_pylist()]
        sides = pa.array(known, pa.float64()).take(words.indices)
        wrong = as_numpy(pc.and_(pc.is_null(sides), pc.is_valid(column)))
        values = sides.fill_null(0.0)
    else:
        values = pc.fill_null(as_float(column, name, first), 0.0)
        numbers = as_numpy(values)
        unknown = np.isnan(numbers)
        if unknown.any():
            numbers = np.where(unknown, 0.0, numbers)
            values = as_arrow(numbers, pa.float64())
        wrong = (numbers != 0.0) & (np.abs(numbers) != 1.0)
    if wrong.any():
        row = int(wrong.argmax())
        value = value_of(column, row)
        bad(
            "BAD_VALUE", f"the side {value!r} is none of 1 (bought), -1 (sold) and 0 or null (unknown)", name,
            first + row, value=value, advice='Write it as 1, -1 or 0; the words "buy" and "sell" are taken too.',
        )  # fmt: skip
    return values


def as_names(column: Any, name: str, first: int) -> pa.DictionaryArray:
    """Names of instruments as a dictionary; a row without a name is refused."""
    import pyarrow as pa

    found = plain(column, name)
    kind = found.type
    if not (is_text(kind) or pa.types.is_integer(kind)):
        bad("WRONG_TYPE", f"{type_text(kind)} does not name instruments", name, advice="Give a column of text.")
    if found.null_count:
        row = int(as_numpy(found.is_null()).argmax())
        bad("BAD_VALUE", "the row has no instrument", name, first + row, advice="Drop such rows, or name them.")
    names = found.cast(pa.string()).dictionary_encode()
    for place, text in enumerate(names.dictionary.to_pylist()):
        fault = id_fault(text)
        if fault is not None:
            row = int((as_numpy(names.indices) == place).argmax())
            bad("BAD_VALUE", f"the instrument {fault}", name, first + row, value=text, advice=_NAMES)
    return names


def as_numpy(column: pa.Array) -> np.ndarray:
    """Numbers, or true and false, as numpy has them; NaN for null floats. pyarrow's own way imports pandas where it is
    installed, for half a second and 40 MB; this one does so for nulls alone."""
    import numpy as np
    import pyarrow as pa

    if pa.types.is_boolean(column.type):
        return as_numpy(column.cast(pa.uint8())).view(np.bool_)
    if column.null_count or not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        numbers: np.ndarray = column.to_numpy(zero_copy_only=False)
        return numbers
    kind = np.dtype(column.type.to_pandas_dtype())
    return np.frombuffer(column.buffers()[1] or b"", kind, len(column), column.offset * kind.itemsize)


def as_arrow(numbers: np.ndarray, kind: pa.DataType) -> pa.Array:
    """Numbers of the type's width as Arrow has them, without a copy and without pandas."""
    import numpy as np
    import pyarrow as pa

    return pa.Array.from_buffers(kind, len(numbers), [None, pa.py_buffer(np.ascontiguousarray(numbers))])


def negative(values: pa.Array, column: Any, name: str, first: int, field: str) -> None:
    """Refuses a quantity or volume below zero."""
    below = as_numpy(values) < 0.0
    if below.any():
        row = int(below.argmax())
        advice = "Quantities and volumes are never negative."
        if field == "qty":
            advice = "Sales are told by side = -1: take the absolute quantity, and its sign as the side."
        value = value_of(column, row)
        bad("BAD_VALUE", f"{field} is {value}, below zero", name, first + row, value=value, advice=advice)


def value_of(column: Any, row: int) -> object:
    """A value as Python has it, or as text where Python has none."""
    import pyarrow as pa

    try:
        value: object = column[row].as_py()
    except (ValueError, OverflowError, pa.ArrowException):
        return f"a {column.type} that Python cannot hold"
    return value


def _first_value(column: pa.Array) -> int | None:
    valid = as_numpy(column.is_valid())
    return int(valid.argmax()) if valid.any() else None


def type_text(kind: pa.DataType) -> str:
    return "text" if is_text(kind) else str(kind)
