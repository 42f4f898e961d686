"""The feature graph as the user declares it, and its JSON form."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from signal_stream.errors import GraphError, did_you_mean
from signal_stream.features.expression import Expression, expression, refuse, written_at
from signal_stream.features.streams import Clock, Stream

if TYPE_CHECKING:
    from signal_stream._core import Plan

FORMAT: Final = 1
TAKEN: Final = ("instrument", "ts_event", "ts_recv")
TAKEN_ENDS: Final = (".reason", ".known_at")
"""Names, and endings of names, of columns that tables of features have beside the features."""
_CODES: Final = {
    "UNKNOWN_NAME": "UNKNOWN_OPERATOR",
    "UNKNOWN_KEY": "UNKNOWN_KEY",
    "UNBOUNDED": "UNBOUNDED",
    "MIXED_AGE": "DOMAIN",
    "CONSTANT": "DOMAIN",
    "NOT_A_BOOK": "DOMAIN",
}


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
        self.written = written_at()
        pairs = list(features.items() if isinstance(features, Mapping) else features)
        if not pairs:
            refuse("BAD_ARGUMENT", f'graph "{name}" has no features', next_step="Give at least one.")
        if axis not in ("recv", "event"):
            refuse("BAD_ARGUMENT", f"axis={axis!r}", value=axis, next_step=did_you_mean(str(axis), ["recv", "event"]))
        source = getattr(on, "source", None)
        if source is None:
            refuse(
                "BAD_ARGUMENT",
                f"on={on!r}",
                value=on,
                next_step='Give every("100ms"), bars("1m"), trades, quotes or book.',
            )
        if getattr(on, "_instrument", None) is not None:
            refuse("BAD_ARGUMENT", f"on={on!r}", next_step="A graph runs on a stream of its own instrument.")
        self.name = name
        self.on: object = on
        self.axis = axis
        self.expressions: dict[str, Expression] = {}
        for pair in pairs:
            feature, value = pair
            if feature in self.expressions:
                refuse("BAD_ARGUMENT", f'two features are named "{feature}"', value=feature)
            self.expressions[feature] = expression(value)
        self._json, self._written = self._plain(source)
        self.features: tuple[str, ...] = tuple(self.expressions)
        """Feature names in column order."""
        self.plan = self._compile()

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> FeatureGraph:
        """A graph from its plain data (`to_json`). It has no Python expressions; everything else is as before."""
        graph = cls.__new__(cls)
        graph.written, graph._written = "", []
        graph.name, graph.axis, graph.on = str(plain.get("name")), str(plain.get("axis")), plain.get("on")
        graph.expressions = {}
        graph.features = tuple(str(pair[0]) for pair in plain.get("features", ()))
        graph._json = json.dumps(plain, indent=1)
        graph.plan = graph._compile()
        return graph

    def _plain(self, source: object) -> tuple[str, list[tuple[str, str]]]:
        """The JSON form, and for each node the place and feature that it was written for."""
        numbers: dict[str, int] = {}
        known: dict[int, int] = {}
        nodes: list[dict[str, Any]] = []
        written: list[tuple[str, str]] = []
        features: list[list[object]] = []
        for name, root in self.expressions.items():
            stack = [root]
            while stack:
                top = stack[-1]
                if id(top) in known:
                    stack.pop()
                    continue
                waiting = [operand for _, operand in top.operands if id(operand) not in known]
                if waiting:
                    stack.extend(reversed(waiting))
                    continue
                node = {**top.node, **{key: known[id(operand)] for key, operand in top.operands}}
                text = json.dumps(node, sort_keys=True)
                if text not in numbers:
                    numbers[text] = len(nodes)
                    nodes.append(node)
                    written.append((top.written, name))
                known[id(top)] = numbers[text]
                stack.pop()
            features.append([name, known[id(root)]])
        plain = {
            "signal_stream": FORMAT,
            "name": self.name,
            "axis": self.axis,
            "on": source,
            "nodes": nodes,
            "features": features,
        }
        return json.dumps(plain, indent=1), written

    def _compile(self) -> Plan:
        from signal_stream import _core

        for feature in self.features:
            if feature in TAKEN or feature.endswith(TAKEN_ENDS):
                refuse(
                    "BAD_ARGUMENT", f'a feature is named "{feature}", a name that tables of features have themselves',
                    value=feature, next_step="Give it another name.",
                )  # fmt: skip

        try:
            return _core.Plan(self._json)
        except _core.CoreError as error:
            code, message, node = error.args
            where, feature = self.written, ""
            if node is not None and node < len(self._written):
                where, feature = self._written[node][0], f'feature "{self._written[node][1]}": '
            raise GraphError(_CODES.get(code, "BAD_ARGUMENT"), f"{feature}{message}", where=where) from None

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
