"""Functions of the time: where it lies in a venue's sessions, and how long it is until a moment to come.

They are evaluated at the events of whatever reads them: at the graph's own, or at a stream's with `.at(stream)`.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import Final, NoReturn

from signal_stream.features.choice import coalesce, where
from signal_stream.features.expression import Expression
from signal_stream.features.refusal import checked, checked_class, nanoseconds, no_such_name, raise_graph_error, shown
from signal_stream.features.sessions import calendar, calendar_name

_MINUTE_NS: Final = 60 * 10**9
_YEAR_MINUTES: Final = 365 * 24 * 60
_SESSIONS_A_YEAR: Final = 252


@checked_class
class Session:
    """The sessions of a venue's calendar, which a graph carries with it: its version is in the digest.

    A session lasts from its opening to its close, both within it, in the venue's summer and winter time, on half days too.
    Beyond the days that the calendar knows everything is invalid (`DOMAIN`).
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"session({self._name!r})"

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        no_such_name(name, repr(self), {each for each in dir(type(self)) if not each.startswith("_")})

    def _time(self, name: str) -> Expression:
        return Expression({"op": "time", "name": name, "session": self._name}, (), f"{self!r}.{name}()")

    def is_open(self) -> Expression:
        """1.0 from opening to close, else 0.0."""
        return self._time("is_open")

    def is_half_day(self) -> Expression:
        """1.0 where the session, or the next one, is shorter than most of the ten before and the ten after it, else 0.0."""
        return self._time("is_half_day")

    def minutes_since_open(self) -> Expression:
        """Minutes since the opening; invalid (`DOMAIN`) outside of sessions."""
        return self._time("minutes_since_open")

    def minutes_to_close(self) -> Expression:
        """Minutes to the close; invalid (`DOMAIN`) outside of sessions."""
        return self._time("minutes_to_close")

    def minutes_to_open(self) -> Expression:
        """Minutes to the next opening, in a session that of the next one."""
        return self._time("minutes_to_open")

    def phase(self) -> Expression:
        """Share of the session that has passed, from 0 to 1; invalid (`DOMAIN`) outside of sessions."""
        return self._time("phase")

    def phase_sin(self) -> Expression:
        """Sine of the session's phase, one turn a session."""
        turn = (self.phase() * (2 * math.pi)).sin()
        return Expression(turn.node, turn.operands, f"{self!r}.phase_sin()")

    def phase_cos(self) -> Expression:
        """Cosine of the session's phase, one turn a session."""
        turn = (self.phase() * (2 * math.pi)).cos()
        return Expression(turn.node, turn.operands, f"{self!r}.phase_cos()")

    def weekday(self) -> Expression:
        """Day of the week of the session, or of the next one: 0 is Monday, 4 Friday."""
        return self._time("weekday")

    def state(self, *, pre: str = "0s") -> Expression:
        """0.0 closed, 1.0 before the opening by at most `pre`, 2.0 open, 3.0 open on a half day.

        >>> session("XNYS").state(pre="330m")
        session('XNYS').state(pre='330m')
        """
        minutes = 0.0 if pre == "0s" else nanoseconds(pre, "pre") / _MINUTE_NS
        opened = where(self.is_half_day(), 3.0, 2.0)
        made = where(self.is_open(), opened, self.minutes_to_open() <= minutes if minutes else 0.0)
        return Expression(made.node, made.operands, f"{self!r}.state(pre={pre!r})")

    def minutes_until(self, at: str | dt.datetime, *others: str | dt.datetime) -> Expression:
        """Minutes within sessions until a time, 0 from the last close before it on; invalid (`DOMAIN`) after it. Of several
        times the next one counts, as for `ss.minutes_until`.

        >>> session("XNYS").minutes_until("2026-12-18T21:00:00Z")
        session('XNYS').minutes_until('2026-12-18T21:00:00Z')
        """
        return _until_the_next(
            {"op": "time", "name": "open_minutes_until", "session": self._name},
            (at, *others),
            f"{self!r}.minutes_until",
        )

    def years_until(self, at: str | dt.datetime, *, minutes_a_year: float | None = None) -> Expression:
        """Years of trading until a time: minutes within sessions over those of a year.

        A year has 252 sessions of the length that most of the calendar's last thousand have (98,280 minutes at the New York
        Stock Exchange), or `minutes_a_year`.

        >>> session("XNYS").years_until("2026-12-18T21:00:00Z")
        session('XNYS').years_until('2026-12-18T21:00:00Z')
        """
        year = _SESSIONS_A_YEAR * _usual_minutes(self._name) if minutes_a_year is None else minutes_a_year
        made = self.minutes_until(at) / year
        given = "" if minutes_a_year is None else f", minutes_a_year={minutes_a_year!r}"
        return Expression(made.node, made.operands, f"{self!r}.years_until({_text(at)!r}{given})")


@checked
def session(name: str) -> Session:
    """The sessions of a venue, by its market identifier code (`pip install "signal-stream[calendars]"`).

    >>> session("NYSE").minutes_to_close()
    session('XNYS').minutes_to_close()
    """
    return Session(calendar_name(name))


@checked
def minutes_until(at: str | dt.datetime, *others: str | dt.datetime) -> Expression:
    """Minutes until a time, on the graph's axis; invalid (`DOMAIN`) after it. Of several times, such as announcements that are
    scheduled, the next one counts: 0 at its moment, invalid after the last.

    >>> minutes_until("2026-12-18T21:00:00Z")
    minutes_until('2026-12-18T21:00:00Z')
    """
    return _until_the_next({"op": "time", "name": "minutes_until"}, (at, *others), "minutes_until")


@checked
def years_until(at: str | dt.datetime) -> Expression:
    """Years of 365 days until a time, nights and weekends counted; `session(…).years_until` counts trading alone.

    >>> years_until("2026-12-18T21:00:00Z")
    years_until('2026-12-18T21:00:00Z')
    """
    made = minutes_until(at) / _YEAR_MINUTES
    return Expression(made.node, made.operands, f"years_until({_text(at)!r})")


def _until_the_next(node: dict[str, object], times: tuple[object, ...], word: str) -> Expression:
    """Minutes until the first of these times that is not over."""
    first, *later = [
        Expression({**node, "at_ns": ns}, (), f"{word}({text!r})")
        for ns, text in sorted({(_ns(at), _text(at)) for at in times})
    ]
    made = coalesce(first, *later)
    return Expression(made.node, made.operands, f"{word}({', '.join(repr(_text(at)) for at in times)})")


def _moment(at: object) -> dt.datetime:
    found = at
    if isinstance(at, str):
        try:
            found = dt.datetime.fromisoformat(at)
        except ValueError:
            found = None
    if not isinstance(found, dt.datetime) or found.tzinfo is None:
        raise_graph_error(
            "BAD_ARGUMENT", f"at is {shown(at)}", value=at,
            next_step='Give a time with its zone, such as "2026-12-18T21:00:00Z" or "2026-12-18T16:00:00-05:00".',
        )  # fmt: skip
    return found.astimezone(dt.UTC)


def _ns(at: object) -> int:
    since = _moment(at) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000


def _text(at: object) -> str:
    return _moment(at).isoformat().replace("+00:00", "Z")


def _usual_minutes(name: str) -> float:
    """Minutes of the length that most of the calendar's last thousand sessions have."""
    lengths: list[int] = []
    for run in calendar(name)["sessions"].split():
        length, days = run.partition("+")[2].split("*")
        lengths += [int(length)] * int(days)
    last = lengths[-1000:]
    return max(sorted(set(last)), key=last.count) / 60
