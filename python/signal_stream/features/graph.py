"""The feature graph as the user declares it, and its JSON form."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from signal_stream.core_errors import core_error
from signal_stream.errors import GraphError, did_you_mean
from signal_stream.features.cross import Universe
from signal_stream.features.expression import Expression, expression, in_order
from signal_stream.features.refusal import (
    GraphTypeError,
    caller_location,
    checked_class,
    name_of,
    raise_graph_error,
    shown,
)
from signal_stream.features.sessions import calendar
from signal_stream.features.streams import Clock, Stream

if TYPE_CHECKING:
    from signal_stream._core import Plan

FORMAT: Final = 1
TAKEN: Final = ("instrument", "ts_event", "ts_recv")
TAKEN_ENDS: Final = (".reason", ".known_at")
"""Names, and endings of names, of columns that tables of features have beside the features."""
NODES_MAX: Final = 10_000
"""Nodes that a graph may hold; the core refuses more too."""


@checked_class
class FeatureGraph:
    """Named features and the moments at which they are made into a vector.

    `on` is a clock (`every("100ms")`) or a stream (`bars("1m")`, `trades`, `book`, `quotes`). `features` maps names to
    expressions, or lists (name, expression) pairs. `axis` is "recv" (windows, clocks and bars run on what we knew when) or
    "event" (on venue time, in its order). The graph is compiled on construction; GraphError names the line of what it
    refuses.

    >>> from signal_stream import FeatureGraph, bars
    >>> graph = FeatureGraph(name="trend", on=bars("1m"), features={"ret": bars("1m").close.log().diff()})
    >>> graph.features
    ('ret',)
    >>> len(graph.digest)
    64
    """

    def __init__(
        self,
        *,
        name: str,
        on: Clock | Stream,
        features: Mapping[str, Expression] | Iterable[tuple[str, Expression]],
        axis: str = "recv",
    ) -> None:
        self.source_location = caller_location()
        name_of(name, "the graph")
        pairs = _pairs(features)
        if not pairs:
            raise_graph_error("BAD_ARGUMENT", f'graph "{name}" has no features', next_step="Give at least one.")
        if axis not in ("recv", "event"):
            raise_graph_error(
                "BAD_ARGUMENT", f"axis={shown(axis)}", value=axis, next_step=did_you_mean(str(axis), ["recv", "event"])
            )
        source = getattr(on, "source", None)
        if source is None:
            raise_graph_error(
                "BAD_ARGUMENT",
                f"on={shown(on)}",
                value=on,
                next_step='Give every("100ms"), bars("1m"), trades, quotes or book.',
            )
        if getattr(on, "_instrument", None) is not None:
            raise_graph_error("BAD_ARGUMENT", f"on={on!r}", next_step="A graph runs on a stream of its own instrument.")
        self.name = name
        self.on: object = on
        self.axis = axis
        self.expressions: dict[str, Expression] = {}
        for given, value in pairs:
            feature = name_of(given, "a feature")
            if feature in self.expressions:
                raise_graph_error("BAD_ARGUMENT", f'two features are named "{feature}"', value=feature)
            self.expressions[feature] = _feature(feature, value)
        self._json, self._source_locations = self._plain(source)
        self.features: tuple[str, ...] = tuple(self.expressions)
        """Feature names in column order."""
        self.plan = self._compile()

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> FeatureGraph:
        """A graph from its plain data (`to_json`). It has no Python expressions; everything else is as before."""
        graph = cls.__new__(cls)
        graph.source_location, graph._source_locations = "", []
        if not isinstance(plain, Mapping):
            raise_graph_error(
                "UNREADABLE", f"{shown(plain)} is no graph's plain data", next_step="Give json.loads(graph.to_json())."
            )
        graph.name, graph.axis, graph.on = str(plain.get("name")), str(plain.get("axis")), plain.get("on")
        graph.expressions = {}
        pairs = plain.get("features")
        pairs = pairs if isinstance(pairs, list | tuple) else ()
        graph.features = tuple(str(pair[0]) for pair in pairs if isinstance(pair, list | tuple) and pair)
        try:
            graph._json = json.dumps(plain, indent=1)
        except (TypeError, ValueError) as error:
            raise_graph_error("UNREADABLE", f"not JSON: {error}")
        graph.plan = graph._compile()
        graph.features = tuple(name_of(name, "a feature") for name in graph.plan.features)
        return graph

    def _plain(self, source: object) -> tuple[str, list[tuple[str, str]]]:
        """The JSON form, and for each node the place and feature that it was written for."""
        numbers: dict[str, int] = {}
        known: dict[int, int] = {}
        nodes: list[dict[str, Any]] = []
        locations: list[tuple[str, str]] = []
        universes: dict[str, Universe] = {}
        features: list[list[object]] = []
        for name, root in self.expressions.items():
            for each in in_order(root, known=known):
                node = {**each.node, **{key: known[id(operand)] for key, operand in each.operands}}
                if isinstance(taken := node.get("universe"), Universe):
                    node["universe"] = _noted(taken, universes)
                text = repr(node)
                if text not in numbers:
                    if len(nodes) == NODES_MAX:
                        raise_graph_error(
                            "UNBOUNDED",
                            f"a graph of more than {NODES_MAX:,} nodes",
                            next_step="Make several graphs of it.",
                        )
                    numbers[text] = len(nodes)
                    nodes.append(node)
                    locations.append((each.source_location, name))
                known[id(each)] = numbers[text]
            features.append([name, known[id(root)]])
        plain = {
            "signal_stream": FORMAT,
            "name": self.name,
            "axis": self.axis,
            "on": source,
            "nodes": nodes,
            "features": features,
        }
        if universes:
            plain["universes"] = [{"name": each.name, "members": each.members} for each in universes.values()]
        return json.dumps(_with_calendars(plain), indent=1), locations

    def _compile(self) -> Plan:
        from signal_stream import _core

        for feature in self.features:
            if feature in TAKEN or feature.endswith(TAKEN_ENDS):
                raise_graph_error(
                    "BAD_ARGUMENT", f'a feature is named "{feature}", a name that tables of features have themselves',
                    value=feature, next_step="Give it another name.",
                )  # fmt: skip

        try:
            return _core.Plan(self._json)
        except _core.CoreError as error:
            node = error.args[2]
            where, feature = self.source_location, ""
            if node is not None and node < len(self._source_locations):
                where, feature = self._source_locations[node][0], f'feature "{self._source_locations[node][1]}": '
            raise core_error(error, "graph", about=feature, where=where) from None

    def __copy__(self) -> FeatureGraph:
        return self

    def __deepcopy__(self, _: object) -> FeatureGraph:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return FeatureGraph.from_plain, (json.loads(self._json),)

    @property
    def digest(self) -> str:
        """sha256, in hex, of everything that decides the values: clock, operators, parameters, column names."""
        return self.plan.digest

    def to_json(self) -> str:
        """The graph as plain data, as the core and `from_plain` read it."""
        return self._json

    def explain(self) -> dict[str, Any]:
        """What the graph will do: each node's stream, window, warm-up, bytes of state and users, and the totals."""
        explained: dict[str, Any] = json.loads(self.plan.explain())
        return explained

    def __repr__(self) -> str:
        return f"FeatureGraph(name={self.name!r}, on={self.on!r}, {len(self.features)} features, digest {self.digest[:8]}…)"


def _noted(universe: Universe, known: dict[str, Universe]) -> str:
    """The name of a universe, which is the graph's only one of that name."""
    other = known.setdefault(universe.name, universe)
    if other is not universe and other.members != universe.members:
        raise_graph_error(
            "BAD_ARGUMENT", f"two universes with different members are named {shown(universe.name)}",
            value=universe.name, next_step="Give one of them another name.",
        )  # fmt: skip
    return universe.name


def _with_calendars(plain: dict[str, Any]) -> dict[str, Any]:
    """The graph's plain data with the calendars that its bars and its functions of time name."""
    sources = [plain["on"], *(node.get(key) for node in plain["nodes"] for key in ("of", "stream")), *plain["nodes"]]
    names = sorted({source["session"] for source in sources if isinstance(source, dict) and "session" in source})
    return {**plain, "calendars": [calendar(name) for name in names]} if names else plain


def _pairs(features: object) -> list[tuple[object, object]]:
    """Names and values as the user gave them; a GraphError with the line where they are not pairs."""
    if isinstance(features, Expression | str) or not isinstance(features, Iterable):
        pairs = None
    else:
        pairs = list(features.items() if isinstance(features, Mapping) else features)
        if not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
            pairs = None
    if pairs is None:
        raise_graph_error(
            "BAD_ARGUMENT",
            f"features={shown(features)}",
            value=features,
            next_step='Give {"name": expression}, or a list of expression.named("name").',
            kind=GraphTypeError,
        )
    return [(name, value) for name, value in pairs]


def _feature(name: str, value: object) -> Expression:
    try:
        return expression(value)
    except GraphError as error:
        message = f'feature "{name}": {error.message}'
        raise type(error)(error.code, message, where=error.where, value=value, next_step=error.next_step) from None
