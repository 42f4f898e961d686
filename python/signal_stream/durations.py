"""Lengths of time as users write them, a whole number and a unit; moments as people read them."""

from __future__ import annotations

import re
from typing import Final

_UNITS_NS: Final = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
_DURATION: Final = re.compile(r"([0-9]+)(ns|us|ms|s|m|h|d)")


def duration_ns(text: str) -> int:
    """Nanoseconds of a duration: a whole number and one of the units ns, us, ms, s, m, h, d.

    Raises ValueError for anything else, also for more than 100 years.

    >>> duration_ns("100ms"), duration_ns("1m")
    (100000000, 60000000000)
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError('a duration such as "100ms", "2s", "1m" (units ns us ms s m h d)')
    ns = int(match[1]) * _UNITS_NS[match[2]]
    if ns > 36_525 * _UNITS_NS["d"]:
        raise ValueError("a duration of at most 100 years")
    return ns


def duration_text(ns: int) -> str:
    """A duration in its largest whole unit.

    >>> duration_text(100_000_000), duration_text(90_000_000_000)
    ('100ms', '90s')
    """
    for unit in ("d", "h", "m", "s", "ms", "us"):
        if ns and ns % _UNITS_NS[unit] == 0:
            return f"{ns // _UNITS_NS[unit]}{unit}"
    return f"{ns}ns"


def utc(ns: int) -> str:
    """A time as people read it, to the millisecond (or finer where it is).

    >>> utc(1723161371400000000)
    '2024-08-08T23:56:11.400Z'
    """
    import datetime

    seconds, rest = divmod(ns, 1_000_000_000)
    text = datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    digits = f"{rest:09d}"
    return f"{text}.{digits[:3] if digits[3:] == '000000' else digits}Z"
