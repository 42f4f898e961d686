"""What `explain --json` prints, as a graph for a program that lays graphs out: DOT for Graphviz, or Mermaid.

Streams at the left, features at the right, between them each node once, with a line from each of its operands. The same
graph gives the same text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from signal_stream.cli.figures import size

_COLOURS: Final = {
    "book": "#d6e4f7", "quotes": "#d3efee", "trades": "#fae0cc", "bars": "#d9efd3", "every": "#e9dcf5",
}  # fmt: skip
_OTHER: Final = "#eceff3"
_HEAT: Final = ((0xFF, 0xFB, 0xF5), (0xF0, 0x72, 0x3C))
"""From a node that took no time to the one that took most."""
_LETTERS_MAX: Final = 48
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Box:
    """A stream (`s0`), a node (`n0`) or a feature (`f0`): lines of text, and the stream at whose events it changes."""

    id: str
    domain: str
    lines: tuple[str, ...]
    heat: float | None = None
    """Of a node whose time was measured: its share over that of the node with the largest."""

    @property
    def colour(self) -> str:
        """By kind of stream, so that instruments share them; from pale to red where times were measured."""
        if self.heat is not None:
            return "#" + "".join(f"{round(a + (b - a) * self.heat):02x}" for a, b in zip(*_HEAT, strict=True))
        return _COLOURS.get(re.split(r"[(.]", self.domain.rpartition(":")[2])[0], _OTHER)


@dataclass(frozen=True)
class Arrow:
    """From what is read to what reads it; `samples` if a node only takes the time from this stream."""

    source: str
    target: str
    samples: bool = False


def dot(explained: dict[str, Any]) -> str:
    """The graph in Graphviz' language, for `dot -Tsvg` and its relatives."""
    found, arrows = boxes(explained)
    rows = [f"digraph {_quoted(explained['name'])} {{"]
    rows.append(f"  graph [rankdir=LR, labelloc=t, label={_quoted(*_title(explained))}, fontname=monospace]")
    rows.append("  node [shape=box, style=filled, fontname=monospace, fontsize=10]")
    rows.append("  edge [color=gray45, arrowsize=0.6]")
    for box in found:
        more = {"s": ", style=bold", "f": ', style="filled,rounded"'}.get(box.id[0], "")
        rows.append(f'  {box.id} [label={_quoted(*box.lines)}, fillcolor="{box.colour}"{more}]')
    rows += [f"  {each.source} -> {each.target}{' [style=dashed]' if each.samples else ''}" for each in arrows]
    for kind, rank in (("s", "min"), ("f", "max")):
        rows.append(f"  {{ rank={rank}; {'; '.join(box.id for box in found if box.id[0] == kind)} }}")
    return "\n".join([*rows, "}", ""])


def mermaid(explained: dict[str, Any]) -> str:
    """The graph in Mermaid's language, which GitHub, GitLab and notebooks draw where it stands in a document."""
    found, arrows = boxes(explained)
    shapes = {"s": ("[[", "]]"), "n": ("[", "]"), "f": ("([", "])")}
    rows = ["flowchart LR"]
    for box in found:
        left, right = shapes[box.id[0]]
        rows.append(f'  {box.id}{left}"{"<br/>".join(map(_entities, box.lines))}"{right}')
    rows += [f"  {each.source} {'-.->' if each.samples else '-->'} {each.target}" for each in arrows]
    rows += [f"  style {box.id} fill:{box.colour},stroke:#5a6573,color:#1d2530" for box in found]
    return "\n".join([*rows, ""])


def boxes(explained: dict[str, Any]) -> tuple[list[Box], list[Arrow]]:
    """Streams, nodes and features, each after what it reads; and what reads what."""
    nodes = explained["nodes"]
    domains = dict.fromkeys([*explained["inputs"], explained["on"], *(node["domain"] for node in nodes)])
    streams = {name: f"s{i}" for i, name in enumerate(name for name in domains if name != "any")}
    found = [
        Box(stream, name, (_short(name), *(["makes each vector"] if name == explained["on"] else [])))
        for name, stream in streams.items()
    ]
    most = max((node.get("share", 0.0) for node in nodes), default=0.0)
    for node in nodes:
        heat = node["share"] / (most or 1.0) if "share" in node else None
        found.append(Box(f"n{node['node']}", node["domain"], tuple(_lines(node)), heat))
    arrows = []
    home = {node["node"]: node["domain"] for node in nodes}
    for node in nodes:
        target, operands = f"n{node['node']}", node["operands"]
        if node["domain"] in streams and all(home[operand] != node["domain"] for operand in operands):
            arrows.append(Arrow(streams[node["domain"]], target, samples=bool(operands)))
        arrows += [Arrow(f"n{operand}", target) for operand in operands]
    features = [(name, node) for node in nodes for name in node["feature"]]
    for i, (name, made_by) in enumerate(features):
        found.append(Box(f"f{i}", made_by["domain"], (_short(name),)))
        arrows.append(Arrow(f"n{made_by['node']}", f"f{i}"))
    return found, arrows


def _lines(node: dict[str, Any]) -> Iterator[str]:
    """Number and step, the whole expression where it says more, window, warm-up, bytes."""
    yield f"#{node['node']}  {_short(node['operator'])}"
    if node["operands"]:
        yield _short(node["expression"])
    if node["window"]:
        yield f"window {node['window']}"
    shared = node["state_shared_with"]
    yield f"warm-up {_short(node['warm_up'])}   {size(node['bytes']) if shared is None else f'state in #{shared}'}"
    if node.get("share"):
        yield f"{node['share']:.1%}   {node['ns_per_message']:,.1f} ns a message"


def _title(explained: dict[str, Any]) -> Iterator[str]:
    """The graph's name, and where the time went that is no node's, if it was measured."""
    yield explained["name"]
    if whole := explained.get("profile"):
        yield f"{whole['ns_per_message']:,.0f} ns a message: reading {whole['reading']:.1%}, events {whole['events']:.1%}"


def _short(text: str) -> str:
    """The text, cut in the middle where it is too long: its end says most. What no picture can show is replaced."""
    text = _CONTROL.sub("\ufffd", text)
    if len(text) <= _LETTERS_MAX:
        return text
    return f"{text[: _LETTERS_MAX // 3]}…{text[-(_LETTERS_MAX - _LETTERS_MAX // 3 - 1) :]}"


def _quoted(*lines: str) -> str:
    """A string of DOT: a backslash and an ampersand begin an escape there, a quote ends it.

    >>> print(_quoted('a "b"', "c & d"))
    "a \\"b\\"\\nc &amp; d"
    """
    safe = (
        _CONTROL.sub("\ufffd", line).replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"') for line in lines
    )
    return '"' + "\\n".join(safe) + '"'


def _entities(text: str) -> str:
    """Text for Mermaid, with what it might read as markup as entities by number.

    >>> print(_entities('#1.x <b>'))
    #35;1.x #60;b#62;
    """
    return "".join(each if each.isalnum() or each in " .,_:()+-*/…" else f"#{ord(each)};" for each in text)
