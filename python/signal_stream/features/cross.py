"""Values across instruments: `cross(x).rank()`, over all instruments of a run or over a universe with members that come and go.

A cross-section is taken at the graph's own moments (`every("1m")`, or bars of time), which all instruments share: of the values
that the members have then. A member without a valid value is left out, or its last one carried; fewer than `least` of them give
no result (`TOO_FEW`). What is no member has none either (`NOT_MEMBER`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from signal_stream.durations import moment_ns
from signal_stream.errors import did_you_mean
from signal_stream.features.arguments import Arguments
from signal_stream.features.expression import Expression, expression
from signal_stream.features.methods.cross import CrossMethods
from signal_stream.features.refusal import (
    GraphTypeError,
    checked,
    checked_class,
    name_of,
    nanoseconds,
    no_such_name,
    public_names,
    raise_graph_error,
    shown,
    whole,
)
from signal_stream.instrument_ids import id_fault

MEMBERS_MAX: Final = 100_000
_KEYS: Final = ("id", "group", "since", "until")


@dataclass(frozen=True, slots=True, eq=False)
class Universe:
    """Instruments of which a cross-section is made, each with the time in which it is a member. Made by `universe`; its members
    are part of the graph's digest."""

    name: str
    members: tuple[Mapping[str, Any], ...]
    """Of each membership `id` and, where given, `group`, `since` and `until` (nanoseconds since 1970 UTC)."""

    def __len__(self) -> int:
        return len({member["id"] for member in self.members})

    def __repr__(self) -> str:
        return f"universe({self.name!r}, {len(self)} instruments)"


@checked
def universe(name: str, members: Iterable[str] | Mapping[str, str] | Iterable[Mapping[str, Any]]) -> Universe:
    """Members by name: ids, ids with their groups (a mapping), or rows.

    A row is a mapping with `id` and, if wanted, `group` (a sector, for `neutralise`), `since` and `until`: it is a member from
    `since` on and before `until`, each a date, a datetime, an ISO text (UTC unless it says otherwise) or nanoseconds since 1970.
    An instrument that comes back has several rows. A table (pandas, polars, pyarrow) with these columns will do. Raises
    GraphError for an id that cannot be one, a time that is none, or memberships of one instrument that overlap.

    >>> universe("majors", ["BTCUSDT.BINANCE", "ETHUSDT.BINANCE"])
    universe('majors', 2 instruments)
    >>> rows = [{"id": "AAPL.X", "group": "tech", "since": "2015-03-19"}, {"id": "T.X", "until": "2015-03-19"}]
    >>> len(universe("dow", rows))
    2
    """
    name_of(name, "the universe")
    rows = _rows(members)
    if not 0 < len(rows) <= MEMBERS_MAX:
        found = f"universe {shown(name)} has {len(rows):,} members"
        raise_graph_error("BAD_ARGUMENT", found, next_step=f"Give from 1 to {MEMBERS_MAX:,}.")
    return Universe(
        name, tuple(_member(row, f"universe {shown(name)}, member {nth}") for nth, row in enumerate(rows, 1))
    )


def _rows(members: object) -> list[Mapping[str, Any]]:
    if hasattr(members, "__arrow_c_stream__"):
        import pyarrow as pa

        return [{k: v for k, v in row.items() if v is not None} for row in pa.table(members).to_pylist()]
    if hasattr(members, "to_dict") and hasattr(members, "columns"):
        import pyarrow as pa

        return _rows(pa.Table.from_pandas(members, preserve_index=False))
    if isinstance(members, Mapping):
        return [{"id": each, "group": group} for each, group in members.items()]
    if isinstance(members, str) or not isinstance(members, Iterable):
        raise_graph_error(
            "BAD_ARGUMENT", f"members={shown(members)}", value=members, kind=GraphTypeError,
            next_step='Give ids, {id: group}, or rows {"id": …, "group": …, "since": …, "until": …}.',
        )  # fmt: skip
    return [row if isinstance(row, Mapping) else {"id": row} for row in members]


def _member(row: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    for key in row:
        if key not in _KEYS:
            raise_graph_error(
                "UNKNOWN_KEY", f"{where}: {shown(key)}", value=key, next_step=did_you_mean(str(key), _KEYS)
            )
    known = row.get("id")
    fault = id_fault(known) if isinstance(known, str) else f"{shown(known)} is no text"
    if fault is not None:
        raise_graph_error("BAD_ARGUMENT", f"{where}: the id {fault}", value=known, next_step="Give an instrument's id.")
    member: dict[str, Any] = {"id": known}
    if "group" in row:
        member["group"] = name_of(row["group"], f"the group of {known}")
    for key in ("since", "until"):
        if key in row:
            try:
                member[key] = moment_ns(row[key])
            except ValueError as error:
                raise_graph_error("BAD_ARGUMENT", f"{where} ({known}): {key} is {shown(row[key])}", value=row[key],
                    next_step=f"Give {error}.")  # fmt: skip
    return member


@checked
def cross(x: Expression, *, universe: Universe | None = None, least: int = 1, carry: str | None = None) -> CrossSection:
    """`x` of all instruments at one moment, waiting for what to make of it: `cross(x).rank()`.

    `universe` says whose values are taken; without one, those of every instrument that the run knows. A member that has no valid
    value then, or no event, is left out; with `carry="5m"` its last valid value stands for it that long. Fewer than `least`
    members give no result. `x` is taken as known at the graph's own moments, `every(…)` or bars of time, and so are windows over
    the result: `cross(x).rank().rolling(10).mean()`. On the axis "event" a moment waits as long as the lateness for members that
    come late, live as in batch. Raises GraphError for what does not fit.

    >>> from signal_stream import FeatureGraph, bars, cross
    >>> daily = bars("1d")
    >>> momentum = cross(daily.close.pct_change(5), least=3).rank()
    >>> FeatureGraph(name="momentum", on=daily, features={"momentum": momentum}).features
    ('momentum',)
    """
    if universe is not None and not isinstance(universe, Universe):
        raise_graph_error("BAD_ARGUMENT", f"universe={shown(universe)}", value=universe, kind=GraphTypeError,
            next_step='Make one: ss.universe("name", ids).')  # fmt: skip
    arguments = {"least": whole(least, "least", 1, MEMBERS_MAX)}
    if carry is not None:
        arguments["carry_ns"] = nanoseconds(carry, "carry")
    of = expression(x)
    given = [f"universe={universe!r}"] if universe else []
    given += [f"least={least}"] if least != 1 else []
    given += [f"carry={carry!r}"] if carry is not None else []
    return CrossSection(of, universe, arguments, ", ".join([of.code, *given]))


@checked_class
@dataclass(frozen=True, slots=True, eq=False)
class CrossSection(CrossMethods):
    """An expression across instruments, waiting for its function."""

    x: Expression
    universe: Universe | None
    arguments: Mapping[str, int]
    code: str

    def __repr__(self) -> str:
        return f"cross({self.code})"

    def _needs(self) -> str:
        return f"A cross-section needs a function: cross({self.code}).rank()."

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        known = public_names(CrossSection) - {"x", "universe", "arguments", "code"}
        no_such_name(name, "a cross-section", known, "cross")

    def _made(self, name: str, given: Arguments) -> Expression:
        node: dict[str, object] = {"op": "cross", "stat": name, **self.arguments}
        if given.plain:
            (node["parameter"],) = given.plain.values()
        if self.universe is not None:
            node["universe"] = self.universe
        return Expression(node, (("x", self.x),), f"cross({self.code}).{name}({', '.join(given.code)})")
