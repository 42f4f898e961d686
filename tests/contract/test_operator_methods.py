"""Methods of expressions, windows and streams are those of the core's table."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest
from tests.docs_programs import docs_program

import signal_stream as ss
from signal_stream import _core
from signal_stream.errors import GraphError

ROOT = Path(__file__).parents[2]


def test_the_files_are_those_of_the_table() -> None:
    made = docs_program("methods").pages()
    folder = ROOT / "python" / "signal_stream" / "features" / "methods"
    kept = {page.name: page.read_text() for page in folder.glob("*.py") if page.name != "__init__.py"}
    stale = sorted(name for name in made.keys() | kept.keys() if made.get(name) != kept.get(name))
    assert not stale, f"stale: {', '.join(stale)}. Run `make docs` and commit the files."


def test_every_composite_is_a_method() -> None:
    x = ss.trades.price
    kinds = {None: x, "bars": ss.bars("1m"), "trades": ss.trades, "book": ss.book, "quotes": ss.quotes}
    for row in json.loads(_core.operators()):
        if "unit" in row:
            method = getattr(kinds[row["of"]], row["name"])
            known = list(inspect.signature(method).parameters)
            cap = ["cap"] if "window" in row["parameters"] else []
            assert known == [*row["operands"][1:], *row["parameters"], *cap]


def test_a_bound_of_the_table_is_one_of_the_method() -> None:
    x = ss.trades.price
    for use, said in (
        (lambda: x.rsi(1), "n is 1"),
        (lambda: x.rsi(n=2.0), "n is 2.0"),
        (lambda: x.percent_b(1), "window is 1"),
        (lambda: x.percent_b(20, k=0), "k is 0"),
        (lambda: x.percent_b(20, k=float("nan")), "k is nan"),
        (lambda: x.percent_b(20, cap=5), "counted window"),
        (lambda: x.percent_b("1s", cap=1), "cap is 1"),
        (lambda: x.ewma_volatility(decay=1.0), "decay is 1.0"),
        (lambda: ss.book.slope(51), "levels is 51"),
        (lambda: x.kyle_lambda("a", 20), "no expression"),
        (lambda: x.rsi(length=3), 'called "n"'),
    ):
        with pytest.raises(GraphError, match=said) as raised:
            use()
        assert raised.value.where.startswith(f"{__file__}:")


def test_parameters_that_do_not_fit_each_other_are_refused_at_the_line() -> None:
    x = ss.trades.price.variance_ratio(5, 5)
    with pytest.raises(GraphError, match="q must be below n") as raised:
        ss.FeatureGraph(name="g", on=ss.trades, features={"a": ss.trades.price.rsi(3), "x": x})
    assert raised.value.where == x.source_location


def test_a_refusal_of_what_a_composite_is_made_of_names_the_line_of_the_composite() -> None:
    first = ss.book.slope(5)
    wrong = ss.rsi(3)
    with pytest.raises(GraphError, match="a constant has no events") as raised:
        ss.FeatureGraph(name="g", on=ss.book, features={"first": first, "wrong": wrong})
    assert raised.value.where == wrong.source_location
    assert 'feature "wrong"' in raised.value.message


def test_a_window_of_time_stands_in_a_composite_too() -> None:
    x = ss.trades.price
    by_name = ss.FeatureGraph(name="g", on=ss.trades, features={"x": x.realised_variance("30s", cap=500)})
    returns = x.log_return()
    written = ss.FeatureGraph(name="g", on=ss.trades, features={"x": (returns * returns).rolling("30s", cap=500).sum()})
    assert by_name.digest == written.digest
    assert [node["composite"] for node in by_name.explain()["nodes"]][-1] == "realised_variance"


def test_an_instrument_by_name_keeps_its_name() -> None:
    graph = ss.FeatureGraph(name="g", on=ss.trades, features={"x": ss.instrument("ETH").bars("1m").atr(5)})
    assert graph.plan.inputs == ["ETH:bars(1m)"] or "ETH" in str(graph.plan.inputs)
