"""Trading sessions of the world's venues, from exchange_calendars: a graph whose bars lie in sessions carries them itself.

So a service that runs a registered graph needs no calendar, and a venue's hours that are corrected later make another graph:
the sessions and the version of the software that says them are in the digest.
"""

from __future__ import annotations

import functools
import warnings
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, TypedDict

from signal_stream.errors import nearest
from signal_stream.features.periods import UTC, YEARS, spans_text
from signal_stream.features.refusal import raise_graph_error, shown

if TYPE_CHECKING:
    from types import ModuleType

FIRST: Final = "2000-01-01"
LAST: Final = "2035-12-31"
"""Sessions lie between these days, or the part of them that the calendar knows."""
_DAY_S: Final = 86_400
_SECOND_NS: Final = 10**9


class Calendar(TypedDict):
    """A calendar as the graph's JSON holds it."""

    name: str
    version: str
    sessions: str
    """Runs `open+length*days`: seconds since 1970 UTC, seconds of each session, sessions a day apart."""


def calendar_name(name: object) -> str:
    """The calendar's own name, also of an alias; a GraphError with the line where there is none of it.

    >>> calendar_name("NYSE")
    'XNYS'
    """
    module = _module()
    known = module.get_calendar_names()
    if name not in known:
        near = nearest(str(name), known)
        code = 'Give a market identifier code such as "XNYS", "XLON" or "CMES", or "24/7".'
        raise_graph_error(
            "BAD_ARGUMENT", f"session is {shown(name)}, which is no calendar", value=name,
            next_step=f'Did you mean "{near}"?' if near else code,
        )  # fmt: skip
    resolved: str = module.resolve_alias(name)
    return resolved


@functools.lru_cache(maxsize=16)
def calendar(name: str) -> Calendar:
    """The sessions of a calendar from `FIRST` to `LAST`, as far as it knows them; of "UTC/1mo" the months.

    >>> nyse = calendar("XNYS")
    >>> nyse["sessions"].split()[0]  # Monday, 3 January 2000, 14:30 to 21:00 UTC: five days
    '946909800+23400*5'
    """
    if name.startswith(f"{UTC}/"):
        period = name.removeprefix(f"{UTC}/")
        return {"name": name, "version": f"Gregorian, {YEARS[0]} to {YEARS[1]}", "sessions": spans_text(period)}
    found = _known(name)
    opens = [int(ns) // _SECOND_NS for ns in found.opens.dt.as_unit("ns").astype("int64")]
    closes = [int(ns) // _SECOND_NS for ns in found.closes.dt.as_unit("ns").astype("int64")]
    runs: list[list[int]] = []
    for open_s, close_s in zip(opens, closes, strict=True):
        last = runs[-1] if runs else [0, 0, 0]
        if open_s == last[0] + last[2] * _DAY_S and close_s - open_s == last[1]:
            last[2] += 1
        else:
            runs.append([open_s, close_s - open_s, 1])
    assert all(close_s <= later for close_s, (_, later) in zip(closes, pairwise(opens), strict=False))
    text = " ".join(f"{open_s}+{length_s}*{days}" for open_s, length_s, days in runs)
    return {"name": name, "version": f"exchange_calendars {_version('exchange_calendars')}", "sessions": text}


def _known(name: str) -> Any:
    """The calendar over the days that it can tell."""
    module = _module()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pandas' to the package, about which a user can do nothing
            factory = type(module.get_calendar(name))
            first, last = factory.bound_min(), factory.bound_max()
            start = FIRST if first is None else max(FIRST, f"{first:%Y-%m-%d}")
            end = LAST if last is None else min(LAST, f"{last:%Y-%m-%d}")
            return module.get_calendar(name, start=start, end=end)
    except (NotImplementedError, ValueError) as error:  # some calendars' rules do not go with every pandas
        versions = f"exchange_calendars {module.__version__} with pandas {_version('pandas')}"
        raise_graph_error(
            "BAD_ARGUMENT", f"{versions} cannot tell the sessions of {name}: {shown(str(error))}", value=name,
            next_step="Try another version of pandas.",
        )  # fmt: skip


def _version(package: str) -> str:
    from importlib.metadata import version  # with the reader of e-mail behind it: slow to load

    return version(package)


def _module() -> ModuleType:
    try:
        import exchange_calendars
    except ImportError as error:
        raise_graph_error(
            "BAD_ARGUMENT", f"session=… needs {error.name}, which is not installed",
            next_step='It comes with `pip install "signal-stream[calendars]"`.',
        )  # fmt: skip
    module: ModuleType = exchange_calendars
    return module
