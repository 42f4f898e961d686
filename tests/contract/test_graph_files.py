"""Graph files run as scripts do: with the modules beside them, alone in what they import, and with a line for each mistake."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from signal_stream.errors import GraphError
from signal_stream.features.file import load_graph

GRAPH = """\
import signal_stream as ss
from common import length, x
g = ss.FeatureGraph(name="g", on=ss.bars(length), features={"x": x})
"""


def folder(root: Path, name: str, length: str) -> Path:
    """A folder with a graph and the module that it imports."""
    place = root / name
    place.mkdir()
    (place / "common.py").write_text(f'import signal_stream as ss\nlength = "{length}"\nx = ss.bars(length).close\n')
    (place / "graph.py").write_text(GRAPH)
    return place / "graph.py"


def test_graphs_of_two_folders_do_not_mix_their_modules(tmp_path: Path) -> None:
    one, two = folder(tmp_path, "one", "1m"), folder(tmp_path, "two", "5m")
    path, modules = list(sys.path), dict(sys.modules)
    for file, ns in ((one, "60000000000"), (two, "300000000000"), (one, "60000000000")):
        assert ns in load_graph(str(file)).to_json()
    assert sys.path == path
    assert sys.modules == modules
    assert not list(tmp_path.rglob("__pycache__"))


def test_a_neighbour_wins_over_a_module_of_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder(tmp_path, "one", "1m")
    mine = type(sys)("common")
    monkeypatch.setitem(sys.modules, "common", mine)
    assert "60000000000" in load_graph(str(file)).to_json()
    assert sys.modules["common"] is mine


def test_packages_beside_the_file_and_modules_of_the_standard_library(tmp_path: Path) -> None:
    file = folder(tmp_path, "one", "1m")
    package = tmp_path / "one" / "parts"
    package.mkdir()
    (package / "__init__.py").write_text("from .inner import length\n")
    (package / "inner.py").write_text("from common import length\n")
    (tmp_path / "one" / "json.py").write_text("raise RuntimeError('not the library')\n")
    file.write_text("import json\nfrom parts import length as other\n" + GRAPH + "assert other == length\n")
    assert load_graph(str(file)).features == ("x",)
    assert "parts" not in sys.modules


@pytest.mark.parametrize("start", ["/", ".", "one"])
def test_from_wherever_the_command_is_started(tmp_path: Path, start: str) -> None:
    file = folder(tmp_path, "one", "1m")
    there = (tmp_path / start).resolve()
    command = [sys.executable, "-m", "signal_stream", "explain", os.path.relpath(file, there), "--json"]
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "python")}
    done = subprocess.run(command, cwd=there, env=here, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout[:1]) == (0, "{"), done.stderr


def test_what_it_prints_is_no_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder(tmp_path, "one", "1m")
    file.write_text("print('hello')\n" + GRAPH)
    load_graph(str(file))
    assert capsys.readouterr() == ("", "hello\n")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (GRAPH + "x = (\n", 4, "not Python"),
        (GRAPH + "1 / 0\n", 4, "ZeroDivisionError"),
        (GRAPH + "import sys; sys.exit()\n", 4, "ends the program"),
        (GRAPH + "from .common import x\n", 4, "without the dot"),
        (GRAPH + "import no_such_module\n", 4, "No module named 'no_such_module'"),
        (GRAPH + "x.lag(1)\n", 4, 'called "shift"'),
        ("import graph\n" + GRAPH + "graph.nothing\n", 5, "nothing"),
        (GRAPH + "h = ss.FeatureGraph(name='h', on=ss.trades, features={'a': ss.trades.price})\n", None, "holds 2 graphs"),
        ("", None, "holds no ss.FeatureGraph"),
        ("import signal_stream as ss\n", None, "holds no ss.FeatureGraph"),
        ("\ufeff" + GRAPH + "x.lag(1)\n", 4, 'called "shift"'),
        ("# -*- coding: latin-1 -*-\n" + GRAPH + "x.lag(1)\n", 5, 'called "shift"'),
        (GRAPH + "x\0", None, "null bytes"),
        (f"import signal_stream as ss\nss.load_graph({'__file__'!s})\n", None, "UNREADABLE|Recursion|recursion"),
    ],
)  # fmt: skip
def test_a_mistake_is_a_line(tmp_path: Path, text: str, line: int | None, said: str) -> None:
    file = folder(tmp_path, "one", "1m")
    file.write_text(text)
    with pytest.raises(GraphError, match=said) as raised:
        load_graph(str(file))
    if line is not None:
        assert raised.value.where == f"{file}:{line}"


@pytest.mark.parametrize(
    ("text", "line"), [("x = (\n", 1), ("\n1 / 0\n", 2), ("import signal_stream as ss\nss.trades.prise", 2)]
)
def test_a_mistake_in_a_neighbour_is_a_line_of_the_neighbour(tmp_path: Path, text: str, line: int) -> None:
    file = folder(tmp_path, "one", "1m")
    (tmp_path / "one" / "common.py").write_text(text)
    with pytest.raises(GraphError) as raised:
        load_graph(str(file))
    assert raised.value.where == f"{tmp_path / 'one' / 'common.py'}:{line}"


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    for ref, said in ((tmp_path, "is a folder"), (tmp_path / "none.py", "no file"), (tmp_path / "pipe.py", "no regular file"),
                      (tmp_path / ("a" * 400), "no file"), ("a\0b", "no file"), ("", "is a folder")):  # fmt: skip
        with pytest.raises(GraphError, match=said):
            load_graph(str(ref))
