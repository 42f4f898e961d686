"""Lengths of time as users write them, a whole number and a unit; moments as people read them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from fractions import Fraction
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
_SPELLED: Final = {
    "nanosecond": "ns", "nanoseconds": "ns", "nano": "ns", "ns": "ns", "n": "ns", "microsecond": "us", "microseconds": "us",
    "µs": "us", "μs": "us", "usec": "us", "us": "us", "u": "us", "millisecond": "ms", "milliseconds": "ms", "msec": "ms",
    "millis": "ms", "ms": "ms", "second": "s", "seconds": "s", "sec": "s", "secs": "s", "s": "s", "minute": "m",
    "minutes": "m", "min": "m", "mins": "m", "t": "m", "m": "m", "M": "m", "hour": "h", "hours": "h", "hr": "h", "hrs": "h",
    "h": "h", "day": "d", "days": "d", "d": "d", "w": "d", "week": "d", "weeks": "d",
}  # fmt: skip
"""How others write the units."""
_NEARLY: Final = re.compile(r"\s*([0-9]{0,12}(?:\.[0-9]{1,9})?)\s*([a-zA-Zµμ]{1,12})\s*")
LATENESS_MAX: Final = "30d"
"""The longest that a stream may be held back for late events, or taken back for them."""
_DURATION: Final = re.compile(r"([0-9]+)(ns|us|ms|s|m|h|d)")


def duration_ns(text: str, *, most: str = "") -> int:
    """Nanoseconds of a duration: a whole number and one of the units ns, us, ms, s, m, h, d.

    Raises ValueError for anything else, also for more than 100 years, or more than `most`.

    >>> duration_ns("100ms"), duration_ns("1m")
    (100000000, 60000000000)
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{_as_meant(text)} (units ns us ms s m h d)")
    ns = int(match[1][-20:]) * _UNITS_NS[match[2]]
    if len(match[1].lstrip("0")) > 19 or ns > 36_525 * _UNITS_NS["d"]:
        raise ValueError("a duration of at most 100 years")
    if most and ns > duration_ns(most):
        raise ValueError(f'a duration of at most "{most}"')
    return ns


def _as_meant(text: str) -> str:
    """What a text that is no duration was probably meant to be.

    >>> _as_meant("5 min"), _as_meant("1.5s")
    ('a duration such as "5m"', 'a duration such as "1500ms"')
    """
    match = _NEARLY.fullmatch(text)
    unit = None if match is None else _SPELLED.get(match[2]) or _SPELLED.get(match[2].lower())
    if match is None or unit is None:
        return 'a duration such as "100ms", "2s", "1m"'
    if match[2] == "M":
        return f'a duration such as "{match[1]}m" for minutes, "30d" for 30 days'
    if match[2].lower().startswith("w"):
        return f'a duration such as "{int(match[1] or 1) * 7 if match[1].isdigit() else 7}d", weeks as days'
    ns = Fraction(match[1] or "1") * _UNITS_NS[unit]
    meant = f'"{duration_text(int(ns))}"' if ns.denominator == 1 and ns else '"100ms", "2s", "1m"'
    return f"a duration such as {meant}"


def moment_ns(value: object) -> int:
    """Nanoseconds since 1970 of a time, a day (its beginning, UTC), an ISO text (UTC unless it says otherwise) or a number of
    them. Raises ValueError for anything else.

    >>> moment_ns("2024-06-28T08:00:00Z"), moment_ns(1_719_561_600_000_000_000)
    (1719561600000000000, 1719561600000000000)
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            value = None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time(), UTC)
    if isinstance(value, datetime):
        told = value if value.tzinfo else value.replace(tzinfo=UTC)
        since = told - datetime(1970, 1, 1, tzinfo=UTC)
        ns = (since.days * 86_400 + since.seconds) * _UNITS_NS["s"] + since.microseconds * _UNITS_NS["us"]
        return ns + getattr(value, "nanosecond", 0)
    if type(value) is int:
        return value
    raise ValueError("a time such as 2024-06-28T08:00:00Z")


def duration_text(ns: int) -> str:
    """A duration in its largest whole unit.

    >>> duration_text(100_000_000), duration_text(90_000_000_000)
    ('100ms', '90s')
    """
    for unit in ("d", "h", "m", "s", "ms", "us"):
        if ns and ns % _UNITS_NS[unit] == 0:
            return f"{ns // _UNITS_NS[unit]}{unit}"
    return f"{ns}ns"


def about(ns: float) -> str:
    """A length of time in three digits, for people.

    >>> about(4_200_000), about(90_000_000_000), about(604_800_000_000_000)
    ('4.2 ms', '1.5 min', '7 days')
    """
    units = (
        (86_400e9 * 365.25, "years"),
        (86_400e9, "days"),
        (3_600e9, "h"),
        (60e9, "min"),
        (1e9, "s"),
        (1e6, "ms"),
        (1e3, "µs"),
    )
    size, unit = next((each for each in units if ns >= each[0]), (1, "ns"))
    return f"{ns / size:.3g} {unit}"


def ago(ns: int) -> str:
    """A length of time for people.

    >>> ago(1_500_000_000), ago(90_000_000_000)
    ('1.5 s', '2 min')
    """
    seconds = ns / 1e9
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


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
