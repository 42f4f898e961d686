"""What a graph that cannot be is refused with: file, line, feature, value, and what to write instead."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import signal_stream as ss
from signal_stream.errors import GraphError
from signal_stream.features.file import load_graph

HEAD = """\
import signal_stream as ss
from signal_stream import bars, book, trades

mid = book.mid()
"""


def graph_py(folder: Path, feature: str, options: str = "") -> Path:
    """A GRAPH.py whose only feature stands on line 8."""
    file = folder / "g.py"
    file.write_text(
        f'{HEAD}graph = ss.FeatureGraph(\n    name="g", on=ss.every("100ms"),\n    features={{\n'
        f'        "fast": {feature},\n    }},{options}\n)\n'
    )
    return file


@pytest.mark.parametrize(
    ("feature", "code", "said"),
    [
        ("mid.rollin(20).mean()", "UNKNOWN_OPERATOR", 'feature "fast": no operator "rollin".* Did you mean "rolling"'),
        ("mid.lag(1)", "UNKNOWN_OPERATOR", 'Here it is called "shift"'),
        ("mid.rolling(20).stdev()", "UNKNOWN_OPERATOR", 'Here it is called "std"'),
        ("trades.prise", "UNKNOWN_OPERATOR", 'no "prise" on trades. Did you mean "price"'),
        ('mid.rolling("5s", capp=9).mean()', "UNKNOWN_KEY", 'takes no "capp". Did you mean "cap"'),
        ("mid.ewm(spam=3).mean()", "UNKNOWN_KEY", 'takes no "spam". Did you mean "span"'),
        ("mid.rolling(2**40).mean()", "BAD_ARGUMENT", "1,?048,?576"),
        ("mid.rolling(0).mean()", "BAD_ARGUMENT", "0"),
        ('mid.rolling("5 parsecs").mean()', "BAD_ARGUMENT", "5 parsecs"),
        ("1 if mid > 3 else 2", "BAD_ARGUMENT", "where"),
        ("mid / nope", "UNREADABLE", "NameError: name 'nope'"),
    ],
)
def test_the_line_the_feature_and_the_nearest_name(tmp_path: Path, feature: str, code: str, said: str) -> None:
    file = graph_py(tmp_path, feature)
    with pytest.raises(GraphError, match=said) as raised:
        load_graph(str(file))
    assert raised.value.code == code
    assert raised.value.where == f"{file}:8"


def test_a_graph_option_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=r'FeatureGraph\(…\) takes no "axxis"\. Did you mean "axis"'):
        load_graph(str(graph_py(tmp_path, "mid", ' axxis="recv",')))


def plain(**changes: object) -> str:
    graph = ss.FeatureGraph(name="g", on=ss.every("1s"), features={"a": ss.trades.price.rolling("5s").mean()})
    return json.dumps({**json.loads(graph.to_json()), **changes})


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (plain(fetures={}), "UNKNOWN_KEY", 'unknown key "fetures".*"features"'),
        (plain().replace('"rolling"', '"roling"'), "UNKNOWN_OPERATOR", 'roling.*"rolling"'),
        (plain().replace('"mean"', '"meen"'), "UNKNOWN_OPERATOR", 'meen.*"mean"'),
        (plain().replace('"cap"', '"kap"'), "UNKNOWN_KEY", 'kap.*"cap"'),
    ],
)
def test_plain_data_names_the_key_and_the_nearest_one(text: str, code: str, said: str) -> None:
    with pytest.raises(GraphError, match=said) as raised:
        ss.FeatureGraph.from_plain(json.loads(text))
    assert raised.value.code == code


def test_a_window_over_time_without_a_bound_is_refused() -> None:
    graph = json.loads(plain())
    (window,) = [node["window"] for node in graph["nodes"] if "window" in node]
    assert window.pop("cap") > 0, "the expression declares a bound"
    with pytest.raises(GraphError, match="cap") as raised:
        ss.FeatureGraph.from_plain(graph)
    assert raised.value.code == "UNBOUNDED"


def test_no_features_is_no_graph() -> None:
    with pytest.raises(GraphError, match='graph "g" has no features'):
        ss.FeatureGraph(name="g", on=ss.every("1s"), features={})
