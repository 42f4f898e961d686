"""What the options of a table mean, as the user says them."""

from __future__ import annotations

from typing import Final

from signal_stream.durations import duration_ns
from signal_stream.errors import DataError
from signal_stream.instrument_ids import id_fault

DAY: Final = 86_400 * 10**9
MISSING_MAX: Final = 1_000_000
"""Bars without trades that may stand in a row where rows are missing, unless the user says how long that may last."""


def makes_empty_bars(length_ns: int | None, missing: str | None) -> bool:
    """Whether a bar of a length without a row is one without trades; `missing` is what the user says of it.

    >>> makes_empty_bars(60 * 10**9, None), makes_empty_bars(86_400 * 10**9, None), makes_empty_bars(86_400 * 10**9, "empty")
    (True, False, True)
    """
    return length_ns is not None and (missing not in (None, "skip") or (missing is None and length_ns < DAY))


def missing_for_ns(missing: str | None, pace_ns: int) -> int:
    """How long rows may be missing where bars, or ticks, of this length stand for them: what `missing` says, else a million of
    them, or 31 days.

    >>> missing_for_ns("90d", 10**9) // DAY, missing_for_ns(None, 60 * 10**9) // DAY, missing_for_ns(None, 10**6) // DAY
    (90, 694, 31)
    """
    if missing is None or missing in ("empty", "skip"):
        return max(MISSING_MAX * pace_ns, 31 * DAY)
    return duration_ns(missing)


def check_instrument(name: object) -> None:
    """DataError for an instrument id that names nothing."""
    if not isinstance(name, str) or not name.strip():
        raise DataError(
            "BAD_VALUE", f"instrument is {name!r}, which names nothing", value=name,
            next_step='Say which instrument the rows are of: instrument="BTCUSDT" (--instrument BTCUSDT).',
        )  # fmt: skip
    fault = id_fault(name)
    if fault is not None:
        advice = "An id has 1 to 200 characters that can be seen, and no white space at its ends."
        raise DataError("BAD_VALUE", f"the instrument {fault}", value=name, next_step=advice)


def stated_ns(option: str, stated: str | None, *, most: str = "") -> int | None:
    """A duration that an option states, in nanoseconds; None where it states none. Raises DataError for what is no
    duration, or more than `most`.

    >>> stated_ns("latency", "20ms")
    20000000
    """
    try:
        return None if stated is None else duration_ns(str(stated), most=most)
    except ValueError as error:
        raise DataError("BAD_VALUE", f"{option} is {stated!r}", value=stated, next_step=f"Give {error}.") from None
