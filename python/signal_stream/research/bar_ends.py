"""When bars of a table end: by their opens or their closes, which have to lie on the grid of the graph's bars.

`at` is the number of the first row in the whole table, for errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from signal_stream.durations import duration_text, utc
from signal_stream.errors import DataError
from signal_stream.research.columns import bad
from signal_stream.research.table_options import DAY
from signal_stream.research.times import day_ends

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from signal_stream.research.table_shape import TableShape

_SECOND: Final = 10**9
MONTH: Final = 28 * DAY
"""From this length on rows may be calendar months, or years."""
CALENDAR: Final = (
    "Months and years of the calendar have no one length, so no bars hold them: take such rows as trades, each a price and a "
    "quantity of 1 at the month's end."
)


def ends_of_opens(shape: TableShape, opens: np.ndarray, kind: pa.DataType, length: int, *, at: int) -> np.ndarray:
    """The ends of bars that begin at `opens`, all of them multiples of the length; days are days of the column's zone."""
    zone = getattr(kind, "tz", None)
    name = shape.times["ts_open"]
    local, ends = opens, opens + length
    if zone is not None and zone not in ("UTC", "Etc/UTC", "+00:00") and length % DAY == 0:
        if shape.empty_bars:
            raise DataError(
                "BAD_VALUE", f"days of {zone} have 23 to 25 hours: which of them are missing cannot be told",
                where=f'column "{name}"', value=zone, next_step='Say missing_bars="skip".',
            )  # fmt: skip
        local, ends = day_ends(opens, zone, length, name)
    _on_grid(local % length != 0, opens, name, "opens", length, at=at)
    return ends


def ends_of_closes(shape: TableShape, closes: np.ndarray, kind: pa.DataType, *, at: int) -> np.ndarray:
    """Ends of bars that close at these times. A close up to a second before the end, as 12:00:59.999, is the end;
    a date is the end of its day."""
    import numpy as np
    import pyarrow as pa

    length, name = shape.bars_ns, shape.times["ts_event"]
    if pa.types.is_date(kind):
        closes = closes + DAY
    if length is None:
        return closes
    short = -closes % length
    near = short <= min(_SECOND, length // 2)
    if length < DAY:
        _on_grid(~near, closes, name, "closes", length, at=at)
    ends: np.ndarray = closes + np.where(near, short, 0)
    return ends


def _on_grid(off: np.ndarray, times: np.ndarray, name: str, verb: str, length: int, *, at: int) -> None:
    if off.any():
        row = int(off.argmax())
        text = duration_text(length)
        days = "" if length % DAY else " A day of another zone: give the column its time zone."
        advice = (
            f"Rows are to be bars of {text}, which begin and end at multiples of {text} since 1970 UTC: write their real length "
            f"in the graph (of an import: --length), or aggregate shorter rows first.{days}"
        )
        bad(
            "BAD_VALUE", f"the bar {verb} at {utc(int(times[row]))}, which is no multiple of {text}", name,
            at + row, value=utc(int(times[row])), advice=CALENDAR if length >= MONTH else advice,
        )  # fmt: skip


def check_agree(
    shape: TableShape, opens: np.ndarray, closes: np.ndarray, ends: np.ndarray, length: int, *, at: int
) -> None:
    """Refuses bars whose opens and closes are not those of one bar."""
    odd = (closes != ends) if length < DAY else (closes <= opens) | (closes > ends)
    if odd.any():
        row = int(odd.argmax())
        bad(
            "BAD_VALUE", f"the bar opens at {utc(int(opens[row]))} and closes at {utc(int(closes[row]))}: it is "
            f"no bar of {duration_text(length)}", shape.times["ts_event"], at + row,
            value=utc(int(closes[row])), advice="Write the real length of the bars in the graph (of an import: --length).",
        )  # fmt: skip
