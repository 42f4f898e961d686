"""`explain --svg`: the picture has every node, feature and operand, nothing overlaps, and the same graph gives the same bytes."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest

import signal_stream as ss
from signal_stream import bars, book, quotes, trades
from signal_stream.commands.explain_svg import picture
from signal_stream.features import load_graph

ROOT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    "<&\"> ]]>'",
    "</text><script>",
    "&amp;",
    "a\u200bb\ufffe",
    "暗号資産の中値",
    "long_name_" * 30,
    "#1.x",
    "(1)",
]


def crossing() -> ss.FeatureGraph:
    """Every kind of stream, a constant, two features of one node, the clock where domains meet, and hostile names."""
    mid, close = book.mid(), bars("1m").close
    other = ss.instrument('X<&">.Y').book.mid()
    values = [mid.age(), trades.price / mid - 1, quotes.mid() - mid, mid.rolling("5m").beta(other.at(book)), mid, mid]
    values += [ss.where(close > bars("5m").close, mid, other), ss.where(mid > 0, 1, 2)]
    features = dict(zip(HOSTILE, values, strict=True))
    return ss.FeatureGraph(name='<&"> 暗号', on=ss.every("1s"), features={**features, "one": 1.0, "square": mid * mid})


def wide() -> ss.FeatureGraph:
    """One shared expression with many users."""
    change = bars("1m").close.log().diff()
    features = {
        f"{stat}_{n}": getattr(change.rolling(n), stat)() for n in range(9, 29) for stat in ("mean", "std", "max")
    }
    return ss.FeatureGraph(name="wide", on=bars("1m"), features=features)


GRAPHS = {
    "one": lambda: ss.FeatureGraph(name="one", on=book, features={"mid": book.mid()}),
    "constant": lambda: ss.FeatureGraph(name="constant", on=ss.every("1s"), features={"one": 1.0, "m": book.mid()}),
    "btc_micro": lambda: load_graph(str(ROOT / "examples" / "btc_micro.py")),
    "graph23": lambda: load_graph(str(ROOT / "benches" / "graph23.py")),
    "crossing": crossing,
    "wide": wide,
}


@pytest.fixture(params=GRAPHS)
def explained(request: pytest.FixtureRequest) -> dict[str, Any]:
    return GRAPHS[request.param]().explain()


class Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def holds(self, other: Box) -> bool:
        return (
            self.left <= other.left
            and other.right <= self.right
            and self.top <= other.top
            and other.bottom <= self.bottom
        )


def text_box(text: ElementTree.Element) -> Box:
    """Where letters of a monospaced font stand: 0.602 of the size wide (DejaVu Sans Mono), 0.76 above the line, 0.24 below."""
    x, y, font = (float(text.get(key, "nan")) for key in ("x", "y", "font-size"))
    letters = sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text.text or "")
    width = 0.602 * font * letters
    left = x - width if text.get("text-anchor") == "end" else x
    return Box(left, y - 0.76 * font, left + width, y + 0.24 * font)


def card_boxes(root: ElementTree.Element) -> dict[str, Box]:
    boxes = {}
    for card in root.iter(f"{SVG}g"):
        x, y, width, height = (float(card.find(f"{SVG}rect").get(key)) for key in ("x", "y", "width", "height"))  # type: ignore[union-attr, arg-type]
        boxes[card.get("id", "")] = Box(x, y, x + width, y + height)
    return boxes


def test_every_stream_node_and_feature_is_there_once(explained: dict[str, Any]) -> None:
    root = ElementTree.fromstring(picture(explained))
    ids = Counter(card.get("id", "") for card in root.iter(f"{SVG}g"))
    assert set(ids.values()) == {1}
    assert {name for name in ids if name[0] == "n"} == {f"n{node['node']}" for node in explained["nodes"]}
    tips = {kind: [] for kind in "snf"}
    for card in root.iter(f"{SVG}g"):
        tips[card.get("id", "")[0]].append(card.findtext(f"{SVG}title"))
    names = [name for node in explained["nodes"] for name in node["feature"]]
    assert len(names) == explained["features"]
    assert tips["f"] == names or sorted(tips["f"]) == sorted(re.sub("[\x00-\x1f\ufffe]", " ", name) for name in names)
    assert set(explained["inputs"]) <= set(tips["s"])
    shown = [text.text for text in root.iter(f"{SVG}text")]
    for name in names:
        assert shown.count(name) >= 1 or len(name) > 48 or not name.isprintable() or "\ufffe" in name, name


def test_each_node_shows_its_step_window_warm_up_and_bytes(explained: dict[str, Any]) -> None:
    root = ElementTree.fromstring(picture(explained))
    cards = {
        card.get("id"): " ".join(text.text or "" for text in card.iter(f"{SVG}text")) for card in root.iter(f"{SVG}g")
    }
    for node in explained["nodes"]:
        card = cards[f"n{node['node']}"]
        assert f"#{node['node']}" in card
        assert "warm-up " in card
        assert re.search(r"\d [KM]?B\b|state in #\d+", card)
        assert node["window"] is None or f"window {node['window']}" in card


def test_the_head_line_is_that_of_the_text(explained: dict[str, Any]) -> None:
    shown = " ".join(text.text or "" for text in ElementTree.fromstring(picture(explained)).iter(f"{SVG}text"))
    for fact in (explained["name"], explained["digest"][:4], "warm-up", "B an instrument", explained["on"]):
        assert fact in shown


def test_edges_are_the_operands_and_touch_their_cards(explained: dict[str, Any]) -> None:
    root = ElementTree.fromstring(picture(explained))
    boxes = card_boxes(root)
    drawn: Counter[tuple[str, str]] = Counter()
    for edge in root.iter(f"{SVG}path"):
        source, target = edge.get("data-from", ""), edge.get("data-to", "")
        drawn[source, target] += 1
        numbers = [float(number) for number in re.findall(r"-?\d+\.\d+", edge.get("d", ""))]
        start, end = numbers[:2], numbers[-2:]
        assert start[0] == pytest.approx(boxes[source].right, abs=0.11)
        assert end[0] == pytest.approx(boxes[target].left, abs=0.11)
        assert boxes[source].top < start[1] < boxes[source].bottom
        assert boxes[target].top < end[1] < boxes[target].bottom
    operands = Counter((f"n{x}", f"n{node['node']}") for node in explained["nodes"] for x in node["operands"])
    assert Counter({edge: count for edge, count in drawn.items() if edge[0][0] == edge[1][0] == "n"}) == operands
    assert {target for _, target in drawn} == {name for name in boxes if name[0] != "s"} - {
        f"n{node['node']}" for node in explained["nodes"] if node["domain"] == "any" and not node["operands"]
    }


def test_lines_pass_beside_cards_that_are_not_theirs(explained: dict[str, Any]) -> None:
    root = ElementTree.fromstring(picture(explained))
    boxes = card_boxes(root)
    for edge in root.iter(f"{SVG}path"):
        for left, y, right in re.findall(r"(-?[\d.]+) (-?[\d.]+)H(-?[\d.]+)", edge.get("d", "")):
            line = Box(float(left), float(y) - 1, float(right), float(y) + 1)
            assert not [name for name, box in boxes.items() if box.meets(line)]


def test_no_texts_and_no_cards_overlap_and_all_is_inside(explained: dict[str, Any]) -> None:
    root = ElementTree.fromstring(picture(explained))
    page = Box(0, 0, float(root.get("width", 0)), float(root.get("height", 0)))
    texts = [(text.text, text_box(text)) for text in root.iter(f"{SVG}text")]
    for (one, a), (other, b) in combinations(texts, 2):
        assert not a.meets(b), (one, other)
    boxes = card_boxes(root)
    for (name, a), (second, b) in combinations(boxes.items(), 2):
        assert not a.meets(b), (name, second)
    for box in [*boxes.values(), *(box for _, box in texts)]:
        assert page.holds(box)
    for card in root.iter(f"{SVG}g"):
        for text in card.iter(f"{SVG}text"):
            assert boxes[card.get("id", "")].holds(text_box(text)), text.text


def test_each_domain_is_in_the_legend_in_its_own_colour(explained: dict[str, Any]) -> None:
    root = ElementTree.fromstring(picture(explained))
    chips = [rect.get("fill") for rect in root.findall(f"{SVG}rect") if rect.get("width") == "12"]
    labels = {text.text for text in root.findall(f"{SVG}text")}
    domains = {node["domain"] for node in explained["nodes"]}
    assert domains <= labels
    assert len(set(chips)) == len(chips) >= len(domains)


def test_the_operands_and_steps_are_those_of_the_graph() -> None:
    nodes = {node["node"]: node for node in load_graph(str(ROOT / "benches" / "graph23.py")).explain()["nodes"]}
    for node in nodes.values():
        assert all(x in nodes and x < node["node"] for x in node["operands"])
        mentioned = [int(x) for x in re.findall(r"#(\d+)", node["operator"])]
        assert mentioned == node["operands"]
    (sqrt,) = [node for node in nodes.values() if node["operator"].endswith(".sqrt")]
    (total,) = (nodes[x] for x in sqrt["operands"])
    (square,) = (nodes[x] for x in total["operands"])
    assert square["operands"] == [nodes[square["operands"][0]]["node"]] * 2
    assert nodes[square["operands"][0]]["expression"] == "bars(1m).close.log_return"


def test_same_graph_same_bytes_in_any_process() -> None:
    code = (
        "import hashlib, sys; from signal_stream.commands.explain_svg import picture;"
        "from signal_stream.features import load_graph;"
        "print([hashlib.sha256(picture(load_graph(g).explain()).encode()).hexdigest() for g in sys.argv[1:]])"
    )
    files = [str(ROOT / "benches" / "graph23.py"), str(ROOT / "examples" / "btc_micro.py")]
    here = str([hashlib.sha256(picture(load_graph(g).explain()).encode()).hexdigest() for g in files])
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT / "python")}
        command = [sys.executable, "-c", code, *files]
        assert (
            subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip() == here
        )


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "signal_stream", "explain", str(ROOT / "examples" / "btc_micro.py"), *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_command_writes_the_file(tmp_path: Path) -> None:
    file = tmp_path / "graph.svg"
    done = run("--svg", str(file))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{file}  btc_micro  9 features on every(100ms)   digest ")
    assert file.read_bytes().decode() == picture(GRAPHS["btc_micro"]().explain())


def test_a_file_that_cannot_be_written_is_one_line_and_exit_2(tmp_path: Path) -> None:
    file = tmp_path / "nowhere" / "graph.svg"
    done = run("--svg", str(file))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{file}: No such file or directory. Give a file that can be written.\n"
