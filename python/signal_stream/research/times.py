"""Times of a table's columns as the core reads them: nanoseconds since 1970 UTC.

Timestamps, dates and whole numbers, and text as ISO 8601 has it. What names no zone is UTC.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn

from signal_stream.research.columns import as_numpy, bad, is_text, plain, type_text, value_of

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
_ZONED: Final = r"(?:[Zz]|[+-]\d{2}(?::?\d{2})?)$"
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


class Clock:
    """Reads the times of one column, whatever the type, in one unit from the first row to the last.

    Whole numbers are in the declared unit. Where none is declared it follows from the first row, as seconds, milli-,
    micro- and nanoseconds of the years 1980 to 2200 do not overlap, and each later row has to be in it.
    """

    def __init__(self, name: str, unit: str | None) -> None:
        self.name = name
        self.declared = unit
        self.unit = unit
        self.zoned: bool | None = None
        """Whether times in text state their zone, once one was seen."""

    def copy(self) -> Clock:
        """Another one that knows as much."""
        other = Clock(self.name, self.declared)
        other.unit, other.zoned = self.unit, self.zoned
        return other

    def read(self, column: Any, first: int) -> np.ndarray:
        """Nanoseconds since 1970 UTC."""
        import numpy as np
        import pyarrow as pa

        column = plain(column, self.name)
        if column.null_count:
            row = int(as_numpy(column.is_null()).argmax())
            rows = "1 row has" if column.null_count == 1 else f"{column.null_count:,} rows have"
            bad("BAD_VALUE", f"{rows} no time", self.name, first + row, advice="Drop them first.")
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
        if not is_text(kind):
            bad(
                "WRONG_TYPE", f"{type_text(kind)} is not a time", self.name,
                advice="Make it a timestamp (polars str.to_datetime, pandas to_datetime), a date or a whole number first.",
            )  # fmt: skip
        return self._text(column, first)

    def _text(self, column: pa.Array, first: int) -> np.ndarray:
        """Text of ISO 8601: with an offset from UTC in every cell, or in none, which is UTC."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if len(column) == 0:
            return as_numpy(pa.array([], pa.int64()))
        text = pc.utf8_trim_whitespace(column.cast(pa.string()))
        text = pc.replace_substring_regex(text, r"\s*(?:UTC|GMT)$", "Z")
        text = pc.replace_substring_regex(text, r"\s+([+-]\d{2}:?\d{2})$", r"\1")
        zoned = as_numpy(pc.match_substring_regex(text, rf"\d{{2}}:\d{{2}}.*{_ZONED}"))
        if self.zoned is None:
            self.zoned = bool(zoned[0])
        other = zoned != self.zoned
        try:
            moments = text.cast(pa.timestamp("ns", "UTC" if self.zoned else None))
        except pa.ArrowException:
            self._one_cell(column, first)
            if other.any() and _is_time(str(value_of(column, int(other.argmax())))):
                row = int(other.argmax())
                value = value_of(column, row)
                bad(
                    "BAD_VALUE", f"{value!r} {'states no' if self.zoned else 'states a'} zone, as the rows before "
                    f"{'do' if self.zoned else 'do not'}", self.name, first + row, value=value,
                    advice="Write all times with their offset from UTC, as 2024-06-28T08:00:00Z, or all in UTC without one.",
                )  # fmt: skip
            self._no_times(column, first)
        days = as_numpy(pc.match_substring_regex(text, f"^{_DATE.pattern}$"))
        if days.any():
            row = int(days.argmax())
            self._no_times(column.slice(row), first + row)
        self._undeclared(column.type)
        return self._scaled(as_numpy(moments.cast(pa.int64())), 1, column, first)

    def _no_times(self, column: pa.Array, first: int) -> NoReturn:
        """Refuses text that is no times: the first cell, with how it is to be written."""
        odd = next((row for row, text in enumerate(column.to_pylist()) if not _is_time(text)), 0)
        odd = 0 if _DATE.fullmatch(str(column[0].as_py()).strip()) else odd
        value = value_of(column, odd)
        advice = (
            "Write 2024-06-28T08:00:00Z (ISO 8601; +02:00 for another zone), or make it a timestamp first: pandas "
            'to_datetime(…, format="…", utc=True), polars str.to_datetime("…").'
        )
        if _DATE.fullmatch(str(value).strip()):
            advice = "A day is no moment: make it a date (polars str.to_date, pandas to_datetime), or write when in it."
        elif str(value).strip().isdigit():
            advice = "Make it a column of whole numbers first."
        bad("WRONG_TYPE", f"text is not a time, as {value!r}", self.name, first + odd, value=value, advice=advice)

    def _one_cell(self, column: pa.Array, first: int) -> None:
        """Of text most of whose cells are times: refuses the first that is none."""
        odd = [row for row, text in enumerate(column.to_pylist()) if not _is_time(text)]
        if odd and 2 * len(odd) < len(column):
            value = value_of(column, odd[0])
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
            value = value_of(column, row)
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
            value = str(value_of(column, row))
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
