"""Columns of a table as the core reads them: times in nanoseconds, numbers as float64, names.

Every function takes a column of one record batch and the number of its first row in the whole input, so that an error
names the row; here rows are counted from 0, in what people read from 1.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn

from signal_stream.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

UNITS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
"""Units of time and their nanoseconds."""
_YEARS: Final = (315_532_800, 7_258_118_400)
"""Seconds from 1980 to 2200: in no two units do whole numbers of these years overlap."""
_BOUND: Final = 2**63 - 1
_DAY: Final = 86_400 * 10**9
_MARGIN: Final = 400 * _DAY
"""Kept free at both ends of what nanoseconds can say, so that the end of a bar can be said too."""
_SIDES: Final = {
    "buy": 1.0, "b": 1.0, "sell": -1.0, "s": -1.0, "": 0.0, "none": 0.0, "n": 0.0, "unknown": 0.0,
}  # fmt: skip


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
            "WRONG_TYPE", f"{_value(column, cell)!r} is not a number, so that the whole column is text", name, first + cell,
            value=_value(column, cell), advice="Mend the cell, or leave it empty, which is no value.",
        )  # fmt: skip
    row = _first_value(column)
    value = None if row is None else _value(column, row)
    shown = "" if row is None else f", as {value!r}"
    bad(
        "WRONG_TYPE", f"{_type(kind)}{shown}, is not a number", name, None if row is None else first + row,
        value=value, advice="Make it a column of numbers first.",
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
        value = _value(column, row)
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
        bad("WRONG_TYPE", f"{_type(kind)} does not name instruments", name, advice="Give a column of text.")
    if found.null_count:
        row = int(as_numpy(found.is_null()).argmax())
        bad("BAD_VALUE", "the row has no instrument", name, first + row, advice="Drop such rows, or name them.")
    names = found.cast(pa.string()).dictionary_encode()
    if "" in names.dictionary.to_pylist():
        row = int((as_numpy(names.indices) == names.dictionary.to_pylist().index("")).argmax())
        bad("BAD_VALUE", "the instrument's name is empty", name, first + row, advice="Drop such rows, or name them.")
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


class Clock:
    """Reads the times of one column, whatever the type, in one unit from the first row to the last.

    Whole numbers are in the declared unit. Where none is declared it follows from the first row, as seconds, milli-,
    micro- and nanoseconds of the years 1980 to 2200 do not overlap, and each later row has to be in it.
    """

    def __init__(self, name: str, unit: str | None) -> None:
        self.name = name
        self.declared = unit
        self.unit = unit

    def copy(self) -> Clock:
        """Another one that knows as much."""
        other = Clock(self.name, self.declared)
        other.unit = self.unit
        return other

    def read(self, column: Any, first: int) -> np.ndarray:
        """Nanoseconds since 1970 UTC."""
        import numpy as np
        import pyarrow as pa

        if column.null_count:
            row = int(as_numpy(column.is_null()).argmax())
            rows = "1 row has" if column.null_count == 1 else f"{column.null_count:,} rows have"
            bad("BAD_VALUE", f"{rows} no time", self.name, first + row, advice="Drop them first.")
        column = plain(column, self.name)
        kind = column.type
        if pa.types.is_timestamp(kind):
            self._undeclared(kind)
            return self._scaled(as_numpy(column.cast(pa.int64())), UNITS[kind.unit], column, first)
        if pa.types.is_date32(kind):
            self._undeclared(kind)
            days = as_numpy(column.cast(pa.int32())).astype(np.int64)
            return self._scaled(days, _DAY, column, first)
        if pa.types.is_date64(kind):
            self._undeclared(kind)
            return self._scaled(as_numpy(column.cast(pa.int64())), UNITS["ms"], column, first)
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            return self._numbers(column, first)
        self._one_cell(column, first)
        bad(
            "WRONG_TYPE", f"{_type(kind)} is not a time", self.name,
            advice="Make it a timestamp (polars str.to_datetime, pandas to_datetime), a date or a whole number first.",
        )  # fmt: skip

    def _one_cell(self, column: pa.Array, first: int) -> None:
        """Of text most of whose cells are times: refuses the first that is none."""
        if not is_text(column.type):
            return
        odd = [row for row, text in enumerate(column.to_pylist()) if not _is_time(text)]
        if odd and 2 * len(odd) < len(column):
            value = _value(column, odd[0])
            bad(
                "WRONG_TYPE", f"{value!r} is not a time as the others are, so that the whole column is text", self.name,
                first + odd[0], value=value, advice="Mend the cell, or drop its row.",
            )  # fmt: skip

    def _undeclared(self, kind: pa.DataType) -> None:
        if self.declared is not None:
            bad(
                "BAD_VALUE", f'time_unit="{self.declared}" beside a column of {kind}, which has its own', self.name,
                advice="Leave time_unit out: it is for whole numbers.",
            )  # fmt: skip

    def _numbers(self, column: pa.Array, first: int) -> np.ndarray:
        import numpy as np
        import pyarrow as pa

        numbers = as_numpy(column)
        if pa.types.is_floating(column.type):
            numbers = numbers.astype(np.float64)
            whole = np.isfinite(numbers) & (np.floor(numbers) == numbers) & (np.abs(numbers) < 2.0**53)
        else:
            whole = numbers <= _BOUND
        if not whole.all():
            row = int((~whole).argmax())
            value = _value(column, row)
            bad(
                "BAD_VALUE", f"{value!r} is no whole number that a time can have", self.name, first + row, value=value,
                advice="Make it a timestamp, or a whole number of s, ms, us or ns, first.",
            )  # fmt: skip
        numbers = numbers.astype(np.int64, copy=False)
        if len(numbers) == 0:
            return np.empty(0, np.int64)
        if self.unit is None:
            self.unit = _unit_of(int(numbers[0]))
            if self.unit is None:
                bad(
                    "BAD_VALUE", f"{numbers[0]} is no time of the years 1980 to 2200 in s, ms, us or ns", self.name,
                    first, value=int(numbers[0]), advice='Declare the unit: time_unit="s" (--time-unit s).',
                )  # fmt: skip
        if self.declared is None:
            per_second = UNITS["s"] // UNITS[self.unit]
            other = (numbers < _YEARS[0] * per_second) | (numbers > _YEARS[1] * per_second)
            if other.any():
                row = int(other.argmax())
                value = int(numbers[row])
                unit = _unit_of(value)
                looks = f"looks like {unit}" if unit else "is a time in no unit"
                bad(
                    "BAD_VALUE", f"{value} {looks}, but the rows before are in {self.unit}: the unit of time changes",
                    self.name, first + row, value=value, advice="Bring the column to one unit first.",
                )  # fmt: skip
        return self._scaled(numbers, UNITS[self.unit], column, first)

    def _scaled(self, numbers: np.ndarray, factor: int, column: pa.Array, first: int) -> np.ndarray:
        import numpy as np

        bound = (_BOUND - _MARGIN) // factor
        if len(numbers) and (numbers.max() > bound or numbers.min() < -bound):
            row = int(((numbers > bound) | (numbers < -bound)).argmax())
            value = str(_value(column, row))
            bad(
                "BAD_VALUE", f"{value} lies outside the years 1678 to 2261, which nanoseconds can say", self.name,
                first + row, value=value, advice="Drop such rows, or correct the unit of the column.",
            )  # fmt: skip
        scaled: np.ndarray = numbers if factor == 1 else np.multiply(numbers, factor, dtype=np.int64)
        return scaled


def _is_time(text: str | None) -> bool:
    """Whether a cell of text is a time as CSV has it: a date, a moment, or a number."""
    try:
        if text is not None and not text.strip().isdigit():
            datetime.fromisoformat(text.strip())
    except ValueError:
        return False
    return True


def _unit_of(value: int) -> str | None:
    for unit, ns in UNITS.items():
        if _YEARS[0] <= value * ns / 1e9 <= _YEARS[1]:
            return unit
    return None


def day_ends(opens: np.ndarray, zone: str, length_ns: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Times in a zone as its clocks show them, and the moments at which its clocks show `length_ns` more."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        local = pc.local_timestamp(pa.array(opens).cast(pa.timestamp("ns", tz=zone)))
        shown = as_numpy(local.cast(pa.int64()))
        later = pa.array(shown + length_ns).cast(pa.timestamp("ns"))
        ends = pc.assume_timezone(later, zone, ambiguous="latest", nonexistent="latest")
    except (pa.ArrowException, OSError) as error:
        bad("BAD_VALUE", f'the zone "{zone}" cannot be used: {error}', name, advice="Convert the column to UTC.")
    return shown, as_numpy(ends.cast(pa.int64()))


def negative(values: pa.Array, column: Any, name: str, first: int, field: str) -> None:
    """Refuses a quantity or volume below zero."""
    below = as_numpy(values) < 0.0
    if below.any():
        row = int(below.argmax())
        advice = "Quantities and volumes are never negative."
        if field == "qty":
            advice = "Sales are told by side = -1: take the absolute quantity, and its sign as the side."
        value = _value(column, row)
        bad("BAD_VALUE", f"{field} is {value}, below zero", name, first + row, value=value, advice=advice)


def _value(column: Any, row: int) -> object:
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


def _type(kind: pa.DataType) -> str:
    return "text" if is_text(kind) else str(kind)
