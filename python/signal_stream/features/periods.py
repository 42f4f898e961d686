"""Weeks and months of the calendar, in UTC, as bars name them: spans of no one length, which a graph carries as sessions."""

from __future__ import annotations

import datetime
import functools
import re
from itertools import groupby
from typing import Final

from signal_stream.features.refusal import raise_graph_error, shown

UTC: Final = "UTC"
"""The calendar of all days, whose weeks and months bars may be: `UTC/1mo` in the graph's JSON."""
YEARS: Final = (1970, 2049)
"""The first and the last whose months and weeks a graph knows."""
MONTHS: Final = (1, 2, 3, 4, 6, 12)
"""How many may be one bar: a year holds a whole number of them, and the first begins with January."""
_DAY_S: Final = 86_400
_DAY_NS: Final = _DAY_S * 10**9
_PERIOD: Final = re.compile(r"([0-9]{1,4})(w|mo)")
_MIXED: Final = re.compile(r"[0-9](w|mo)(?![a-z])")
_NEARLY: Final = re.compile(
    r"\s*([0-9]{0,4})\s*(w|wk|week|weeks|mo|mon|month|months|MS|ME|y|yr|year|years|Y|YS|YE|W|W-MON)\s*"
)


def period_of(text: object) -> str | None:
    """The unit of a bar that is a week or months long, "1w" or "3mo"; None for other lengths. A GraphError with the line for
    weeks and months that make no bars.

    >>> period_of("1mo"), period_of("1d")
    ('1mo', None)
    """
    if not isinstance(text, str):
        return None
    match = _PERIOD.fullmatch(text)
    if match is None:
        nearly = _NEARLY.fullmatch(text)
        count = int(nearly[1] or 1) if nearly is not None else 0
        if nearly is not None and (count == 1 or nearly[2][0] not in "wW"):  # several weeks are days
            unit = nearly[2].lower()
            meant = "12mo" if unit[0] == "y" else f"{count}w" if unit[0] == "w" else f"{count}mo"
            raise_graph_error(
                "BAD_ARGUMENT",
                f"length is {shown(text)}",
                value=text,
                next_step=f'Weeks and months are "1w" and "1mo": here "{meant}".',
            )
        if _MIXED.search(text):
            raise_graph_error(
                "BAD_ARGUMENT", f"length is {shown(text)}", value=text,
                next_step='Weeks and months stand alone, as "1w", "1mo", "3mo": they have no one length, so none is added.',
            )  # fmt: skip
        return None
    count = int(match[1])
    if (match[2] == "w" and count != 1) or (match[2] == "mo" and count not in MONTHS):
        several = (
            'One week is a bar, "1w".' if match[2] == "w" else f"So many are a bar: {', '.join(map(str, MONTHS))}."
        )
        raise_graph_error("BAD_ARGUMENT", f"length is {shown(text)}", value=text, next_step=several)
    return f"{count}{match[2]}"


def longest_ns(period: str) -> int:
    """Nanoseconds of the longest of its spans.

    >>> longest_ns("1w"), longest_ns("1mo") // 86_400_000_000_000
    (604800000000000, 31)
    """
    return max(later - begin for begin, later in _spans(period)) * _DAY_NS


@functools.cache
def spans_text(period: str) -> str:
    """Runs `open+length*count` of its spans: seconds since 1970 UTC, seconds of each, and how many follow each other.

    >>> spans_text("1w"), spans_text("1mo").split()[:2]
    ('-259200+604800*4175', ['0+2678400*1', '2678400+2419200*1'])
    """
    runs = []
    for length, spans in groupby(_spans(period), key=lambda span: span[1] - span[0]):
        each = list(spans)
        runs.append(f"{each[0][0] * _DAY_S}+{length * _DAY_S}*{len(each)}")
    return " ".join(runs)


def _spans(period: str) -> list[tuple[int, int]]:
    """First day, and the first one behind it, of each span, as days since 1970."""
    epoch = datetime.date(1970, 1, 1).toordinal()
    first, last = datetime.date(YEARS[0], 1, 1), datetime.date(YEARS[1] + 1, 1, 1)
    if period == "1w":
        monday = first.toordinal() - first.weekday() - epoch
        return [(day, day + 7) for day in range(monday, last.toordinal() - epoch, 7)]
    step = int(period.removesuffix("mo"))
    begins = [
        datetime.date(year, month, 1).toordinal() - epoch
        for year in range(YEARS[0], YEARS[1] + 1)
        for month in range(1, 13, step)
    ]
    return list(zip(begins, [*begins[1:], last.toordinal() - epoch], strict=True))
