"""What makes a bar end, as a user says it: a length of time, or what trades fill it with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from signal_stream.errors import did_you_mean
from signal_stream.features.periods import UTC, longest_ns, period_of
from signal_stream.features.refusal import nanoseconds, number, raise_graph_error, shown, whole
from signal_stream.features.sessions import calendar_name

Source = str | dict[str, int | float | str]
"""A stream as the graph's JSON names it."""
SHORTEST_NS: Final = 1_000_000
LONGEST_NS: Final = 366 * 86_400_000_000_000
_DAY_NS: Final = 86_400_000_000_000
_TICKS_MAX: Final = 2**32 - 1
_AMOUNTS: Final = (1e-9, 1e18)
_SPAN: Final = 20
_SPAN_MAX: Final = 1_000_000
RULES: Final = ("fixed", "imbalance", "run")
SPLITS: Final = ("whole", "divide")


@dataclass(frozen=True, slots=True)
class BarSpec:
    """Bars of one kind, as the graph's JSON and as the user's code name them."""

    source: Source
    code: str

    @classmethod
    def of(
        cls,
        length: str | None,
        ticks: int | None,
        volume: float | None,
        notional: float | None,
        rule: str,
        split: str,
        span: int | None,
        session: str | None,
        of: str | None = None,
    ) -> BarSpec:
        """What `bars(…)` was asked for; a GraphError with the line for what makes no bars."""
        given = {"length": length, "ticks": ticks, "volume": volume, "notional": notional}
        given = {name: value for name, value in given.items() if value is not None}
        if len(given) != 1:
            said = ", ".join(f"{name}={shown(value)}" for name, value in given.items())
            raise_graph_error(
                "BAD_ARGUMENT", f"bars({said}) says {'several measures' if given else 'no measure'} of a bar",
                value=said,
                next_step='Give a length in quotes, bars("1m"), or bars(ticks=500), bars(volume=1e3), bars(notional=1e6).',
            )  # fmt: skip
        ((name, value),) = given.items()
        _one_of(rule, "rule", RULES)
        _one_of(split, "split", SPLITS)
        _check_fit(name, rule, split, span, of)
        if name == "length":
            return cls._of_time(value, session)
        if session is not None:
            raise_graph_error(
                "BAD_ARGUMENT", f"session={shown(session)} of bars of {name}", value=session,
                next_step='Leave it out: sessions cut bars of time, as bars("1d", session="XNYS").',
            )  # fmt: skip
        if name == "ticks":
            measured: int | float = whole(value, "ticks", 1, _TICKS_MAX)
        else:
            measured = _amount(value, name)
        source: dict[str, int | float | str] = {f"bars_{name}": measured}
        code = f"{name}={measured!r}"
        if split != "whole":
            source["split"] = split
            code += f", split={split!r}"
        if rule != "fixed":
            source |= {"rule": rule, "span": _SPAN if span is None else whole(span, "span", 1, _SPAN_MAX)}
            code += f", rule={rule!r}" + ("" if span is None else f", span={span}")
        if of is not None:
            source["of_ns"] = pace_ns(of, "of")
            code += f", of={of!r}"
        return cls(source, f"bars({code})")

    @classmethod
    def _of_time(cls, length: object, session: str | None) -> BarSpec:
        period = period_of(length)
        if period is not None:
            return cls._of_period(period, session)
        ns = pace_ns(length, "length")
        if session is None:
            return cls({"bars_ns": ns}, f"bars({length!r})")
        if ns > _DAY_NS:
            raise_graph_error(
                "BAD_ARGUMENT", f"length is {length!r} of bars in sessions", value=length,
                next_step='The longest is "1d", one bar a session.',
            )  # fmt: skip
        name = calendar_name(session)
        return cls({"bars_ns": ns, "session": name}, f"bars({length!r}, session={name!r})")

    @classmethod
    def _of_period(cls, period: str, session: str | None) -> BarSpec:
        if session is not None:
            raise_graph_error(
                "BAD_ARGUMENT", f"session={shown(session)} of bars of {period}", value=session,
                next_step=f'Weeks and months are of the calendar, in UTC, with the time between sessions: bars("{period}").',
            )  # fmt: skip
        return cls({"bars_ns": longest_ns(period), "session": f"{UTC}/{period}"}, f"bars({period!r})")


def pace_ns(text: object, what: str) -> int:
    """Nanoseconds of a clock's pace or a bar's length; a GraphError with the line if it cannot be one."""
    ns = nanoseconds(text, what)
    if ns < SHORTEST_NS:
        raise_graph_error("BAD_ARGUMENT", f"{what} is {text!r}", value=text, next_step='The shortest is "1ms".')
    if ns > LONGEST_NS:
        raise_graph_error("BAD_ARGUMENT", f"{what} is {text!r}", value=text, next_step='The longest is "366d".')
    return ns


def _one_of(value: object, what: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise_graph_error(
            "BAD_ARGUMENT", f"{what} is {shown(value)}", value=value,
            next_step=did_you_mean(str(value), known) or f"Give one of {', '.join(known)}.",
        )  # fmt: skip


def _check_fit(name: str, rule: str, split: str, span: int | None, of: str | None) -> None:
    """Refuses what would say nothing about bars of this measure."""
    if of is not None and name == "length":
        raise_graph_error(
            "BAD_ARGUMENT", f"of={shown(of)} of bars of time", value=of,
            next_step="Leave it out: longer bars are made of the shorter ones that a table or tape holds.",
        )  # fmt: skip
    if of is not None and rule != "fixed":
        raise_graph_error(
            "BAD_ARGUMENT", f"of={shown(of)} with rule={rule!r}", value=of,
            next_step="Leave it out: which side was the aggressor, only trades tell.",
        )  # fmt: skip
    if name == "length" and rule != "fixed":
        raise_graph_error(
            "BAD_ARGUMENT", f"rule={rule!r} of bars of time", value=rule,
            next_step=f"Say what is counted: bars(ticks=500, rule={rule!r}), volume=… or notional=….",
        )  # fmt: skip
    if split != "whole" and name in ("length", "ticks"):
        raise_graph_error(
            "BAD_ARGUMENT", f"split={split!r} of bars of {'time' if name == 'length' else 'ticks'}", value=split,
            next_step="Leave it out: a trade is divided between bars of volume or notional only.",
        )  # fmt: skip
    if split != "whole" and rule != "fixed":
        raise_graph_error(
            "BAD_ARGUMENT", f"split={split!r} with rule={rule!r}", value=split,
            next_step=f"Leave split out: a bar of rule={rule!r} ends with a whole trade.",
        )  # fmt: skip
    if span is not None and rule == "fixed":
        raise_graph_error(
            "BAD_ARGUMENT", f"span={shown(span)} of bars whose measure is fixed", value=span,
            next_step='Leave it out, or say rule="imbalance" or rule="run".',
        )  # fmt: skip


def _amount(value: object, name: str) -> float:
    exact = number(value)
    least, most = _AMOUNTS
    if exact is None or not least <= exact <= most:
        raise_graph_error(
            "BAD_ARGUMENT", f"{name} is {shown(value)}", value=value, next_step=f"Give a number from {least} to {most}."
        )
    return float(exact)
