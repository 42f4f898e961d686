"""`signal-stream explain GRAPH.py --svg FILE.svg`: the graph as a picture, from its streams at the left to its features.

A card stands in the last column from which its users can still be reached; in a column, where the fewest lines cross
(barycentres), at a height that keeps lines straight. A line that passes a column bends there, and the lines of one card share
their bends: a shared expression is one trunk with branches. Type is monospaced, so the width of a text is known.
"""

from __future__ import annotations

import re
import unicodedata
from colorsys import hls_to_rgb
from dataclasses import dataclass, field
from typing import Any, Final
from xml.sax.saxutils import escape

from signal_stream.cli.figures import size
from signal_stream.commands.explain import details

FONT: Final = "'DejaVu Sans Mono', Menlo, Consolas, monospace"
TITLE, SMALL, ADVANCE, LINE, PAD, GAP, MARGIN = 12.5, 10.5, 0.64, 15.0, 8.0, 12.0, 28.0
INK, GREY = "#1d2530", "#5a6573"
HUES: Final = {"book": 0.59, "quotes": 0.49, "trades": 0.06, "bars": 0.34, "every": 0.8}
_NOT_XML: Final = re.compile("[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(eq=False)
class Card:
    """A stream, a node or a feature; without an id a bend, where a line passes a column."""

    id: str
    domain: str
    rows: list[tuple[str, str]] = field(default_factory=list)  # texts at the left and at the right
    tip: str = ""
    reads: list[Card] = field(default_factory=list)
    lines: list[list[Card]] = field(default_factory=list)  # for each of `reads`: itself, then the bends
    users: list[tuple[Card, int]] = field(default_factory=list)  # in the next column, with the number of the line
    column: int = 0
    rank: int = 0
    y: float = 0.0  # of the middle

    @property
    def height(self) -> float:
        return len(self.rows) * LINE + PAD if self.rows else 0.0

    def port(self, line: int) -> float:
        """Where a line ends, from 0 at the top to 1: operands from the top down."""
        return (line + 0.5) / len(self.lines)

    def end(self, line: int) -> float:
        """The same as a height from the middle."""
        return self.height * (self.port(line) - 0.5)


def breadth(text: str, font: float) -> float:
    """Width of a text in pixels; East Asian letters take two places."""
    return font * ADVANCE * sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def clean(text: str, most: int = 34) -> str:
    """The text without what XML cannot hold, cut in the middle where it is too long."""
    return shorten(_NOT_XML.sub("\ufffd", text), most)


def picture(explained: dict[str, Any]) -> str:
    """The SVG text of what `explain --json` prints. The same graph gives the same bytes."""
    columns = laid(cards(explained))
    order(columns)
    settle(columns)
    return drawn(explained, columns)


def cards(explained: dict[str, Any]) -> list[Card]:
    """Streams, nodes and features, each after what it reads. A node that reads nothing of its domain follows the stream."""
    names = list(dict.fromkeys([*explained["inputs"], explained["on"], *(n["domain"] for n in explained["nodes"])]))
    streams = {name: Card(f"s{i}", name, [(clean(name, 48), "")], name) for i, name in enumerate(names)}
    streams.pop("any", None)
    streams[explained["on"]].rows.append(("makes each vector", ""))
    nodes: dict[int, Card] = {}
    for node in explained["nodes"]:
        domain, number = node["domain"], f"#{node['node']}"
        step = re.sub(r"^#\d+\.|^\((.*)\)$", r"\1", node["operator"]) if node["operands"] else node["operator"]
        window = f"window {node['window']}" if node["window"] else ""
        shared = node["state_shared_with"]
        bytes_held = size(node["bytes"]) if shared is None else f"state in #{shared}"
        warm = f"warm-up {clean(node['warm_up'].replace(f' {domain} events', ' events'))}"
        rows = [(clean(step), window), (clean(node["expression"]), number), (warm, bytes_held)]
        if not node["operands"]:
            rows = [(clean(step), number), (warm, bytes_held)]
        tip = f"{number} {node['expression']}  ({domain}, warm-up {node['warm_up']})"
        reads = [nodes[operand] for operand in node["operands"]]
        if domain in streams and all(card.domain != domain for card in reads):
            reads.append(streams[domain])
        nodes[node["node"]] = Card(f"n{node['node']}", domain, rows, tip, reads)
    named = [(name, nodes[node["node"]]) for node in explained["nodes"] for name in node["feature"]]
    features = [Card(f"f{i}", c.domain, [(clean(name, 48), "")], name, [c]) for i, (name, c) in enumerate(named)]
    return [*streams.values(), *nodes.values(), *features]


def laid(cards: list[Card]) -> list[list[Card]]:
    """Gives each card its column, and lines their bends; the columns, each in the order in which features meet its cards."""
    to_end = {card: int(card.id[0] != "f") for card in cards}
    for card in reversed(cards):
        for read in card.reads:
            to_end[read] = max(to_end[read], to_end[card] + 1)
    last = 1 + max(steps for card, steps in to_end.items() if card.id[0] == "n")
    trunks: dict[Card, list[Card]] = {}
    for card in cards:
        card.column = 0 if card.id[0] == "s" else last - to_end[card]
        trunks[card] = [card]
        for read in card.reads:
            trunk = trunks[read]
            while trunk[-1].column < card.column - 1:
                trunk.append(Card("", read.domain, lines=[[trunk[-1]]], column=trunk[-1].column + 1))
            card.lines.append(trunk[: card.column - read.column])
    columns: list[list[Card]] = [[] for _ in range(last + 1)]
    seen: set[Card] = set()
    waiting = [*cards, *(card for card in reversed(cards) if card.id[0] == "f")]
    while waiting:
        card = waiting.pop()
        if card not in seen:
            seen.add(card)
            card.rank = len(columns[card.column])
            columns[card.column].append(card)
            waiting.extend(line[-1] for line in reversed(card.lines))
            for i, line in enumerate(card.lines):
                line[-1].users.append((card, i))
    return columns


def order(columns: list[list[Card]]) -> None:
    """Sorts each column by the mean place of its neighbours, to and fro, so that few lines cross."""
    for sweep in range(13):
        for column in reversed(columns) if sweep % 2 else columns:
            means: dict[Card, float] = {}
            for card in column:
                left, right = [c.rank for *_, c in card.lines], [c.rank + c.port(i) for c, i in card.users]
                near = (right if sweep % 2 else left) or [card.rank if left or right else 1e9]
                means[card] = sum(near) / len(near)
            column.sort(key=means.__getitem__)
            for rank, card in enumerate(column):
                card.rank = rank


def settle(columns: list[list[Card]]) -> None:
    """Heights: each card near the mean of the other ends of its lines, in order, without touching (least squares)."""
    for sweep in range(40):
        for column in columns if sweep % 2 else reversed(columns):
            offset, above = 0.0, 0.0
            blocks: list[tuple[float, float, list[tuple[Card, float]]]] = []
            for card in column:
                offset += above + card.height / 2
                above = card.height / 2 + GAP
                ends = [(c.y - card.end(i), c) for i, (*_, c) in enumerate(card.lines)]
                ends += [(c.y + c.end(i), c) for c, i in card.users]
                pulls = [((1 if c.rows else 3) * (1 if card.rows else 3), y) for y, c in ends] or [(1, card.y)]
                weight = float(sum(pull for pull, _ in pulls))
                mean = sum(pull * y for pull, y in pulls) / weight - offset
                members = [(card, offset)]
                while blocks and blocks[-1][0] >= mean:
                    other, heavy, earlier = blocks.pop()
                    mean = (other * heavy + mean * weight) / (heavy + weight)
                    weight, members = heavy + weight, earlier + members
                blocks.append((mean, weight, members))
            for mean, _, members in blocks:
                for card, down in members:
                    card.y = mean + down


def colour(domain: str, domains: list[str], light: float = 0.42) -> str:
    """A hue by kind of stream, moved a little for each further stream of the kind."""
    kinds = [re.split(r"[(.]", name.rpartition(":")[2])[0] for name in domains[: domains.index(domain) + 1]]
    hue = HUES.get(kinds[-1], 0.95) + 0.07 * kinds[:-1].count(kinds[-1])
    return "#" + "".join(f"{round(255 * part):02x}" for part in hls_to_rgb(hue % 1, light, 0.55))


def drawn(explained: dict[str, Any], columns: list[list[Card]]) -> str:
    """The text of the picture: head, legend, lines, cards."""
    cards = [card for column in columns for card in column if card.id]
    domains = list(dict.fromkeys(card.domain for card in cards))
    lefts, rights, x = [], [], MARGIN
    for column in columns:
        rows = [(left + right + "  ", i) for card in column for i, (left, right) in enumerate(card.rows)]
        lefts.append(x)
        rights.append(x + max(breadth(text, SMALL if i else TITLE) for text, i in rows) + 2 * PAD)
        x = rights[-1] + min(150.0, 44 + 2.5 * sum(len(card.users) for card in column))
    head, name = clean(" · ".join(details(explained)), 160), clean(explained["name"], 80)
    width = max(rights[-1], MARGIN + breadth(head, TITLE), MARGIN + breadth(name, 20)) + MARGIN
    parts = [write(MARGIN, 42, name, 20, INK, bold=True), write(MARGIN, 64, head, TITLE, GREY)]
    x, y = MARGIN, 90.0
    legend = [(clean(domain, 48), colour(domain, domains)) for domain in domains]
    if any(map(sampled, cards)):
        legend.append(("broken line: when last values are read", "none"))
    for label, fill in legend:
        wide = breadth(label, SMALL) + 40
        x, y = (MARGIN, y + 20) if x > MARGIN and x + wide > width - MARGIN else (x, y)
        parts.append(f'<rect x="{x:.1f}" y="{y - 10:.1f}" width="12" height="12" rx="2" fill="{fill}"/>')
        parts.append(write(x + 18, y, label, SMALL, INK))
        x += wide
    top = y + 34 - min(card.y - card.height / 2 for column in columns for card in column)
    height = top + MARGIN + max(card.y + card.height / 2 for column in columns for card in column)
    for card in cards:
        for i, (read, *bends) in enumerate(card.lines):
            x, y = rights[read.column], top + read.y
            d = f"M{x:.1f} {y:.1f}"
            for c, down in [*((bend, bend.y) for bend in bends), (card, card.y + card.end(i))]:
                middle = (x + lefts[c.column]) / 2
                d += f"C{middle:.1f} {y:.1f} {middle:.1f} {top + down:.1f} {lefts[c.column]:.1f} {top + down:.1f}"
                x, y = rights[c.column], top + down
                d += "" if c is card else f"H{x:.1f}"
            dash = ' stroke-dasharray="4 3"' if sampled(card) and read.id[0] == "s" else ""
            line = (
                f'data-from="{read.id}" data-to="{card.id}" d="{d}" stroke="{colour(read.domain, domains, 0.55)}"{dash}'
            )
            parts.append(f'<path class="edge" {line} fill="none" stroke-width="1.4"/>')
    for card in cards:
        parts.extend(shape(card, lefts[card.column], rights[card.column], top + card.y, domains))
    view = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" font-family="{FONT}"'
    back = '<rect width="100%" height="100%" fill="#ffffff"/>'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {view}>', back, *parts, "</svg>", ""])


def sampled(card: Card) -> bool:
    """Whether a node reads the last values of other domains when an event of its own stream comes."""
    return len(card.reads) > 1 and card.reads[-1].id[0] == "s"


def shape(card: Card, left: float, right: float, y: float, domains: list[str]) -> list[str]:
    """One card: a stream is full of its colour, a feature is round, a dot says that more than one line leaves."""
    kind, full, up = card.id[0], colour(card.domain, domains), y - card.height / 2
    fill, ink, grey = (full, "#ffffff", "#ffffff") if kind == "s" else (colour(card.domain, domains, 0.96), INK, GREY)
    line = f'rx="{card.height / 2:.1f}" stroke-width="2"' if kind == "f" else 'rx="4"'
    box = f'x="{left:.1f}" y="{up:.1f}" width="{right - left:.1f}" height="{card.height:.1f}" {line}'
    parts = [f'<g id="{card.id}"><title>{escape(_NOT_XML.sub(" ", card.tip))}</title>']
    parts.append(f'<rect {box} fill="{fill}" stroke="{full}"/>')
    for i, (words, aside) in enumerate(card.rows):
        base = up + LINE * (i + 0.5) + PAD / 2 + 4
        parts.append(write(left + PAD, base, words, SMALL if i else TITLE, grey if i else ink, bold=i == 0))
        if aside:
            parts.append(write(right - PAD, base, aside, SMALL, grey, anchor="end"))
    if len(card.users) > 1:
        parts.append(f'<circle cx="{right:.1f}" cy="{y:.1f}" r="3.5" fill="{full}"/>')
    return [*parts, "</g>"]


def write(x: float, y: float, words: str, font: float, fill: str, *, bold: bool = False, anchor: str = "start") -> str:
    """One line of text."""
    style = f'font-size="{font}" fill="{fill}" text-anchor="{anchor}"' + ' font-weight="bold"' * bold
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(words)}</text>'


def shorten(text: str, width: int) -> str:
    """The text, cut in the middle where it is too long: its end says most.

    >>> shorten("book.mid.log.diff.std", 15)
    'book.….diff.std'
    """
    if len(text) <= width:
        return text
    return f"{text[: width // 3]}…{text[-(width - width // 3 - 1) :]}"
