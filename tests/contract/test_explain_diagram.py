"""`explain --dot`, `--mermaid`, `--svg`: every node, feature and operand once, whatever the names; the same text each time."""

from __future__ import annotations

import hashlib
import html
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import signal_stream as ss
from signal_stream import bars, book, quotes, trades
from signal_stream.cli.diagram import boxes, dot, mermaid
from signal_stream.features import load_graph

ROOT = Path(__file__).parents[2]
HOSTILE = [
    "<&\"> ]]>'",
    "</text><script>",
    "&amp;",
    "ends in a backslash \\",
    "a\u200bb\ufffe",
    "暗号資産の中値",
    "long_name_" * 30,
    "#1.x",
    "`(1)`",
    '} end "] ',
]
DOT_BOX = re.compile(
    r'  (\w+) \[label="((?:[^"\\]|\\["\\n])*)", fillcolor="#[0-9a-f]{6}"(?:, style=(?:bold|"filled,rounded"))?\]'
)
DOT_ARROW = re.compile(r"  (\w+) -> (\w+)( \[style=dashed\])?")
MERMAID_BOX = re.compile(r'  (\w+)(?:\[|\[\[|\(\[)"([^"`<>&]*(?:<br/>[^"`<>&]*)*)"(?:\]|\]\]|\]\))')
MERMAID_ARROW = re.compile(r"  (\w+) (-->|-\.->) (\w+)")


def crossing() -> ss.FeatureGraph:
    """Every kind of stream, a constant, two features of one node, the clock where domains meet, and hostile names."""
    mid, close = book.mid(), bars("1m").close
    other = ss.instrument('X<&">.Y').book.mid()
    values = [mid.age(), trades.price / mid - 1, quotes.mid() - mid, mid.rolling("5m").beta(other.at(book)), mid, mid]
    values += [mid + 1, mid + 2]
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


def dot_parts(text: str) -> tuple[dict[str, list[str]], Counter[tuple[str, str]]]:
    """Boxes with their lines, and arrows: each line of the text is one of them, or one that is expected."""
    first, *middle, last = text.splitlines()
    assert first.startswith("digraph ") and last == "}"
    found: dict[str, list[str]] = {}
    arrows: Counter[tuple[str, str]] = Counter()
    for row in middle:
        if box := DOT_BOX.fullmatch(row):
            assert box[1] not in found
            lines = re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], box[2]).split("\n")
            found[box[1]] = [html.unescape(line) for line in lines]
        elif arrow := DOT_ARROW.fullmatch(row):
            arrows[arrow[1], arrow[2]] += 1
        else:
            assert row.split()[0] in {"graph", "node", "edge", "{"}, row
    return found, arrows


def mermaid_parts(text: str) -> tuple[dict[str, list[str]], Counter[tuple[str, str]]]:
    """The same of a Mermaid text."""
    first, *rows = text.splitlines()
    assert first == "flowchart LR"
    found: dict[str, list[str]] = {}
    arrows: Counter[tuple[str, str]] = Counter()
    for row in rows:
        if box := MERMAID_BOX.fullmatch(row):
            assert box[1] not in found
            found[box[1]] = [re.sub(r"#(\d+);", lambda m: chr(int(m[1])), line) for line in box[2].split("<br/>")]
        elif arrow := MERMAID_ARROW.fullmatch(row):
            arrows[arrow[1], arrow[3]] += 1
        else:
            assert row.startswith("  style "), row
    return found, arrows


PARTS = {
    "dot": lambda explained: dot_parts(dot(explained)),
    "mermaid": lambda explained: mermaid_parts(mermaid(explained)),
}


@pytest.mark.parametrize("form", PARTS)
def test_every_stream_node_and_feature_is_there_once(explained: dict[str, Any], form: str) -> None:
    found, _ = PARTS[form](explained)
    assert {each for each in found if each[0] == "n"} == {f"n{node['node']}" for node in explained["nodes"]}
    names = [name for node in explained["nodes"] for name in node["feature"]]
    shown = [lines[0] for each, lines in found.items() if each[0] == "f"]
    assert len(names) == explained["features"] == len(shown)
    for name, text in zip(names, shown, strict=True):
        assert text == name or "\ufffe" in name or (len(name) > 48 and text.endswith(name[-20:]))
    assert set(explained["inputs"]) <= {lines[0] for each, lines in found.items() if each[0] == "s"}


@pytest.mark.parametrize("form", PARTS)
def test_each_node_shows_its_window_warm_up_and_bytes(explained: dict[str, Any], form: str) -> None:
    found, _ = PARTS[form](explained)
    for node in explained["nodes"]:
        lines = found[f"n{node['node']}"]
        assert lines[0].startswith(f"#{node['node']}  ")
        assert "warm-up " in lines[-1]
        assert re.search(r"\d [KM]?B\b|state in #\d+", lines[-1])
        assert node["window"] is None or f"window {node['window']}" in lines


@pytest.mark.parametrize("form", PARTS)
def test_arrows_are_the_operands(explained: dict[str, Any], form: str) -> None:
    found, arrows = PARTS[form](explained)
    operands = Counter((f"n{x}", f"n{node['node']}") for node in explained["nodes"] for x in node["operands"])
    assert Counter({ends: count for ends, count in arrows.items() if ends[0][0] == ends[1][0] == "n"}) == operands
    constants = {f"n{node['node']}" for node in explained["nodes"] if node["domain"] == "any" and not node["operands"]}
    assert {target for _, target in arrows} == {each for each in found if each[0] != "s"} - constants
    assert {source for source, _ in arrows} <= set(found)


def test_a_node_that_reads_other_streams_takes_only_the_time_from_its_own() -> None:
    """The broken line: the clock says when last values of the book are read."""
    found, arrows = boxes(
        ss.FeatureGraph(name="two", on=ss.every("1s"), features={"x": book.mid() + trades.price}).explain()
    )
    names = {box.id: box.lines[0] for box in found}
    sampling = [(names[each.source], names[each.target][:3]) for each in arrows if each.samples]
    assert sampling == [("every(1s)", "#2 ")]


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
        "import hashlib, sys; from signal_stream.cli.diagram import dot, mermaid;"
        "from signal_stream.features import load_graph;"
        "found = [load_graph(g).explain() for g in sys.argv[1:]];"
        "print([hashlib.sha256((dot(each) + mermaid(each)).encode()).hexdigest() for each in found])"
    )
    files = [str(ROOT / "benches" / "graph23.py"), str(ROOT / "examples" / "btc_micro.py")]
    explained = [load_graph(g).explain() for g in files]
    here = str([hashlib.sha256((dot(each) + mermaid(each)).encode()).hexdigest() for each in explained])
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT / "python")}
        command = [sys.executable, "-c", code, *files]
        assert (
            subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip() == here
        )


def test_graphviz_draws_it(explained: dict[str, Any]) -> None:
    done = subprocess.run(["dot", "-Tsvg"], input=dot(explained).encode(), capture_output=True, check=True)
    root = ElementTree.fromstring(done.stdout)
    drawn = [group for group in root.iter("{http://www.w3.org/2000/svg}g") if group.get("class") == "node"]
    assert len(drawn) == len(boxes(explained)[0])


def run(*options: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "signal_stream", "explain", str(ROOT / "examples" / "btc_micro.py"), *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python")} | ({} if path is None else {"PATH": path})
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def programs(tmp_path: Path) -> str:
    """A PATH on which `dot` is a program that writes what it was given, behind its options."""
    folder = tmp_path / "programs"
    folder.mkdir()
    program = folder / "dot"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$*"\nexec /bin/cat\n')
    program.chmod(0o755)
    return str(folder)


def test_the_texts_are_printed() -> None:
    explained = GRAPHS["btc_micro"]().explain()
    for option, text in (("--dot", dot(explained)), ("--mermaid", mermaid(explained))):
        done = run(option)
        assert (done.returncode, done.stderr, done.stdout) == (0, "", text)


def test_the_picture_is_what_dot_makes_of_the_text(tmp_path: Path, programs: str) -> None:
    file = tmp_path / "graph.svg"
    done = run("--svg", str(file), path=programs)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{file}  btc_micro  9 features on every(100ms)   digest ")
    assert file.read_text() == "-Tsvg\n" + dot(GRAPHS["btc_micro"]().explain())


def test_without_graphviz_it_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "graph.svg"
    done = run("--svg", str(file), path=str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "dot, which draws the picture, is not installed. Install Graphviz" in done.stderr
    assert not file.exists()


def test_a_graphviz_that_fails_is_quoted_and_writes_nothing(tmp_path: Path, programs: str) -> None:
    (Path(programs) / "dot").write_text("#!/bin/sh\necho 'no layout engine' >&2\nexit 3\n")
    file = tmp_path / "graph.svg"
    done = run("--svg", str(file), path=programs)
    assert (done.returncode, done.stdout) == (2, "")
    assert "dot could not draw the graph: no layout engine" in done.stderr
    assert not file.exists()


def test_a_file_that_cannot_be_written_is_one_line_and_exit_2(tmp_path: Path, programs: str) -> None:
    file = tmp_path / "nowhere" / "graph.svg"
    done = run("--svg", str(file), path=programs)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{file}: No such file or directory. Give a file that can be written.\n"


def test_one_form_of_text_at_a_time() -> None:
    done = run("--dot", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Give one of --json, --dot and --mermaid." in done.stderr
