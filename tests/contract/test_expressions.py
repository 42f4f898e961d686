"""Expressions as Python objects: what tools ask of any object, what people write by mistake, and sizes without bound."""

from __future__ import annotations

import copy
import inspect
import pickle
import threading
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import signal_stream as ss
from signal_stream.errors import GraphError, SignalStreamError

x = ss.trades.price
DIVIDED = ss.bars(volume=5, split="divide")
OBJECTS: list[Any] = [
    x, x.rolling(3), x.ewm(span=3), ss.trades, ss.book, ss.quotes, ss.bars("1m"), ss.book.bid(2), ss.quotes.ask,
    ss.instrument("BTC"), ss.every("1s"),
]  # fmt: skip


@pytest.mark.parametrize("thing", OBJECTS, ids=repr)
@given(name=st.from_regex(r"_{0,2}[a-z][a-z_]{0,12}_{0,2}", fullmatch=True))
def test_what_is_not_there_is_not_there(thing: Any, name: str) -> None:
    assert hasattr(thing, name) == (name in dir(thing))
    assert getattr(thing, "no_such_thing_at_all", 7) == 7


@pytest.mark.parametrize("thing", OBJECTS, ids=repr)
def test_tools_may_ask(thing: Any) -> None:
    for name in (
        "_repr_html_",
        "_ipython_canary_method_should_not_exist_",
        "_ipython_display_",
        "__wrapped__",
    ):
        assert not hasattr(thing, name)
    inspect.getmembers(thing)
    mock.create_autospec(type(thing))
    assert (
        repr(copy.copy(thing)) == repr(copy.deepcopy(thing)) == repr(pickle.loads(pickle.dumps(thing))) == repr(thing)
    )
    assert hash(thing) == hash(thing)
    assert thing in {thing}
    assert isinstance(f"{thing}", str)


def test_a_copy_is_the_expression_itself() -> None:
    assert copy.deepcopy({"a": [x]})["a"][0] is x
    with pytest.raises(GraphError, match="Make a new one"):
        x.code = "another"


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (lambda: bool(x), "where"),
        (lambda: 1 < x < 2, "where"),
        (lambda: x and x, "where"),
        (lambda: x or x, "where"),
        (lambda: not x, "where"),
        (lambda: x if x else 1, "where"),
        (lambda: x > 1 & x < 2, "where"),
        (lambda: True & x, "no expression"),
        (lambda: x ^ 2, r"x \*\* y"),
        (lambda: len(x), "no length"),
        (lambda: list(x), "no elements"),
        (lambda: 3 in x, "no elements"),
        (lambda: x[0], "shift"),
        (lambda: float(x), "no number"),
        (lambda: int(x), "no number"),
        (lambda: round(x, 2), "Whole numbers only"),
        (lambda: x // 2, "x % y"),
        (lambda: np.asarray(x), "no values"),
        (lambda: np.array([x, x], dtype=float), "no"),
        (lambda: np.log(x), r"Write x\.log\(\)"),
        (lambda: np.array([1.0, 2.0]) * x, "no expression and no finite number"),
        (lambda: x + "a", "no expression"),
        (lambda: x + None, "no expression"),
        (lambda: x + True, "no expression"),
        (lambda: x + 10**400, "no expression"),
        (lambda: x + float("inf"), "no expression"),
        (lambda: x + ss.trades, "A stream is not a number"),
        (lambda: x + ss.trades.count, "is called"),
        (lambda: x + x.rolling(3), "needs a statistic"),
        (lambda: ss.where(x > 1, x, "b"), "no expression"),
        (lambda: x.rolling(), "missing 1 required"),
        (lambda: x.shift(1, 2), "Its arguments are n"),
        (lambda: ss.atr(x), "Give bars"),
    ],
)  # fmt: skip
def test_a_use_without_meaning_is_an_error_of_the_tree_and_a_type_error(use: Callable[[], object], said: str) -> None:
    with pytest.raises(SignalStreamError, match=said) as raised:
        use()
    assert isinstance(raised.value, TypeError)
    assert raised.value.where.startswith(f"{__file__}:")


@pytest.mark.parametrize(
    "number", [np.float64(2.5), np.float32(2.5), np.int64(3), np.uint8(3), 2**80, -0.0, 5e-324], ids=repr
)
def test_numbers_of_numpy_are_numbers(number: Any) -> None:
    for made in (x * number, number * x, x - number, number - x, ss.maximum(number, x)):
        assert isinstance(made, ss.Expression)
        ss.FeatureGraph(name="g", on=ss.trades, features={"made": made})


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (lambda: x.rolling(0), "window is 0"),
        (lambda: x.rolling(-3), "window is -3"),
        (lambda: x.rolling(2.0), "window is 2.0"),
        (lambda: x.rolling(True), "window is True"),
        (lambda: x.rolling(2**20 + 1), "1,048,576"),
        (lambda: x.rolling("1s", cap=1), "cap is 1"),
        (lambda: x.rolling(5, cap=9), "counted window"),
        (lambda: x.rolling(5).std(ddof=2), "ddof is 2"),
        (lambda: x.shift(0), "only the past"),
        (lambda: x.shift(10**9), "n is 1000000000"),
        (lambda: ss.book.bid(0), "The best is 1"),
        (lambda: ss.book.ask(51), "1 to 50"),
        (lambda: ss.book.imbalance(levels=51), "1 to 50"),
        (lambda: ss.book.ofi(levels=2), "levels=1"),
        (lambda: x.ewm(), "exactly one"),
        (lambda: x.ewm(span=2, com=1), "exactly one"),
        (lambda: x.ewm(span=0.5), "1 or more"),
        (lambda: x.ewm(alpha=0), "above 0"),
        (lambda: x.ewm(alpha=1.1), "at most 1"),
        (lambda: x.ewm(alpha=float("nan")), "alpha=nan"),
        (lambda: x.ewm(span=float("inf")), "span=inf"),
        (lambda: x.ewm(span="20"), "span='20'"),
        (lambda: x.ewm(half_life=1e300), "so long"),
        (lambda: graph(a=x.ewm(alpha=1e-12).mean()), "shorter span"),
        (lambda: graph(a=x.rolling(1).std()), "2 values or more"),
        (lambda: graph(a=x.rolling(1).corr(x)), "2 values or more"),
        (lambda: graph(a=x.rolling(2).skew()), "3 values or more"),
        (lambda: graph(a=ss.rsi(3)), "a constant has no events"),
        (lambda: graph(a=(x + ss.book.mid()).age()), "mixes streams"),
        (lambda: ss.bars("999us"), "shortest"),
        (lambda: ss.bars(), "says no measure"),
        (lambda: ss.bars("1m", ticks=5), "several measures"),
        (lambda: ss.bars(ticks=0), "ticks is 0"),
        (lambda: ss.bars(ticks=1.5), "ticks is 1.5"),
        (lambda: ss.bars(volume=-1), "volume is -1"),
        (lambda: ss.bars(notional="1e6"), "notional is '1e6'"),
        (lambda: ss.bars(volume=float("inf")), "volume is inf"),
        (lambda: ss.bars("1m", rule="run"), "Say what is counted"),
        (lambda: ss.bars(ticks=5, split="divide"), "volume or notional only"),
        (lambda: ss.bars("1m", split="divide"), "volume or notional only"),
        (lambda: ss.bars(volume=5, split="divde"), 'Did you mean "divide"'),
        (lambda: ss.bars(ticks=5, rule="imbalanc"), 'Did you mean "imbalance"'),
        (lambda: ss.bars(ticks=5, span=3), "rule="),
        (lambda: ss.bars(ticks=5, rule="run", span=0), "span is 0"),
        (lambda: ss.bars(volume=5, split="divide", rule="run"), "Leave split out"),
        (lambda: ss.bars("2d", session="XNYS"), "one bar a session"),
        (lambda: ss.bars("1d", session="NYSEE"), 'Did you mean "NYSE"'),
        (lambda: ss.bars("1d", session=5), "market identifier code"),
        (lambda: ss.bars(ticks=5, session="XNYS"), "sessions cut bars of time"),
        (
            lambda: graph(a=x - DIVIDED.close, b=(x.at(DIVIDED) - DIVIDED.open).diff()),
            'neither would be first: use split="whole"',
        ),
        (lambda: ss.every("367d"), "longest"),
        (lambda: ss.instrument(" "), "Give an id"),
        (lambda: ss.instrument("a\nb"), "Give an id"),
        (lambda: x.at("book"), "Give book"),
        (lambda: x.clip(), "keeps nothing"),
        (lambda: graph(**{"": x}), "the name of a feature"),
        (lambda: graph(**{"a\nb": x}), "the name of a feature"),
        (lambda: graph(**{"\ud800": x}), "the name of a feature"),
        (lambda: graph(**{"a" * 501: x}), "501 characters"),
        (lambda: graph(a="b"), 'feature "a": \'b\' is no expression'),
        (lambda: ss.FeatureGraph(name="", on=ss.trades, features={"a": x}), "the name of the graph"),
        (lambda: ss.FeatureGraph(name="g", on=ss.trades, features=x), "features=trades.price"),
        (lambda: ss.FeatureGraph(name="g", on=ss.trades, features=[x]), r"Give \{"),
        (lambda: ss.FeatureGraph(name="g", on=ss.trades, features="ab"), r"Give \{"),
        (lambda: ss.FeatureGraph(name="g", on=ss.trades, features=[("a", x), ("a", x)]), "two features"),
        (lambda: ss.FeatureGraph(name="g", on=ss.trades, features={3: x}), "the name of a feature is 3"),
        (lambda: ss.FeatureGraph(name="g", on="1m", features={"a": x}), "on='1m'"),
        (lambda: ss.FeatureGraph(name="g", on=ss.instrument("B").trades, features={"a": x}), "own instrument"),
        (lambda: ss.FeatureGraph(name="g", on=ss.trades, features={"a": x}, axis="evnt"), 'Did you mean "event"'),
        (lambda: ss.FeatureGraph.from_plain({}), "is missing"),
        (lambda: ss.FeatureGraph.from_plain([]), "plain data"),  # type: ignore[arg-type]
        (lambda: ss.FeatureGraph.from_plain({"a": {1, 2}}), "not JSON"),
    ],
)  # fmt: skip
def test_a_value_out_of_bounds_is_named_with_its_line(use: Callable[[], object], said: str) -> None:
    with pytest.raises(GraphError, match=said) as raised:
        use()
    assert raised.value.where.startswith(f"{__file__}:") or "from_plain" in inspect.getsource(use)


def graph(**features: Any) -> ss.FeatureGraph:
    return ss.FeatureGraph(name="g", on=ss.trades, features=features)


def on_a_stack_of(kilobytes: int, work: Callable[[], object]) -> object:
    """What `work` gives or raises in a thread of so small a stack."""
    got: list[object] = []

    def run() -> None:
        try:
            got.append(work())
        except SignalStreamError as error:
            got.append(error)

    before = threading.stack_size(kilobytes << 10)
    try:
        thread = threading.Thread(target=run)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    return got[0]


DEEPER: list[Callable[[ss.Expression], ss.Expression]] = [
    lambda x: -x,
    lambda x: x + 1,
    lambda x: 1 / x,
    lambda x: x.diff(),
    lambda x: x.max_age("5s"),
    lambda x: ss.where(x > 0, x, 1),
]


@pytest.mark.parametrize("kilobytes", [256, 1024])
@pytest.mark.parametrize("step", DEEPER)
def test_depth_needs_no_stack(step: Callable[[ss.Expression], ss.Expression], kilobytes: int) -> None:
    def deep() -> ss.FeatureGraph:
        y = x
        for _ in range(4900):
            y = step(y)
        assert len(repr(y)) < 3000
        made = graph(y=pickle.loads(pickle.dumps(copy.deepcopy(y))))
        assert made.digest == graph(y=y).digest
        made.explain()
        return made

    assert isinstance(on_a_stack_of(kilobytes, deep), ss.FeatureGraph)


def test_more_than_the_nodes_allowed_is_refused_with_the_bound() -> None:
    y = x
    for _ in range(30_000):
        y = -y
    refused = on_a_stack_of(256, lambda: graph(y=y))
    assert isinstance(refused, GraphError)
    assert "10,000" in str(refused)


def test_a_value_used_twice_at_each_step_costs_its_steps() -> None:
    started = time.perf_counter()
    y = x
    for i in range(300):
        y = [y + y, ss.where(y > 1, y, -y), y.rolling(5).corr(y), ss.maximum(y, y.diff())][i % 4]
    made = graph(y=y, age=y.age(), old=y.max_age("1s"))
    text = repr(y)
    assert len(made.explain()["nodes"]) < 1000
    assert len(text) < 3000
    assert max(len(node["expression"]) for node in made.explain()["nodes"]) <= 120
    assert time.perf_counter() - started < 5


def test_a_wide_graph_costs_its_width() -> None:
    started = time.perf_counter()
    made = graph(**{f"f{i}": x.rolling(i + 2).mean() for i in range(5000)})
    assert len(made.features) == 5000
    assert time.perf_counter() - started < 5
    (price,) = [node for node in made.explain()["nodes"] if node["operator"] == "trades.price"]
    assert (price["users"], len(price["shared_by"])) == (5000, 100)


@pytest.mark.parametrize(
    "written",
    [
        "(1.0 < x) & (x < 2.0)", "(1.0 < x) | (x < 2.0) & x", "((1.0 < x) | (x < 2.0)) & x", "~(1.0 < x)", "~x & ~(x | 2.0)",
        "x + 1.0 & 3.0", "(x & 3.0) + 1.0", "-(x & 3.0)", "1.0 & x", "x.between(1.0, x + 2.0)", "(x & 1.0).normal_cdf()",
        "x.between(1.0, 2.0) & (x.floor() == x)",
    ],
)  # fmt: skip
def test_logic_is_written_as_python_reads_it(written: str) -> None:
    made = eval(written, {"x": x})
    text = repr(made).replace(repr(x), "x")
    assert text == written
