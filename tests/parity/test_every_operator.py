"""`examples/every_operator`: all operators of the table in a graph each kind of input, run in every way over real data."""

from __future__ import annotations

import json
import runpy
from functools import cache
from typing import Any

import pytest
from pyarrow import csv
from tests.conftest import DAILY_STOCKS, ROOT, excerpt

import signal_stream as ss
from signal_stream import _core
from signal_stream.features.expression import in_order

EXAMPLE = ROOT / "examples" / "every_operator"
# A book has a slope, and so has a window.
TABLE: dict[str, dict[str, Any]] = {
    f"rolling.{row['name']}" if row["family"].startswith("rolling") else row["name"]: row
    for row in json.loads(_core.operators())
}
KINDS = ("market", "trades", "stocks")
# Of two or more instruments; the trades' day and the excerpt of captures have one.
OF_SEVERAL = {"cross.zscore", "cross.robust_zscore", "cross.dispersion"}
# Other prices, quantities and sides do not change these, or not those that are read here.
UNMOVED = {name for name, row in TABLE.items() if row["family"] == "time"} | {"age", "cross.count", "cross.breadth"}
UNMOVED |= {"rolling.count", "expanding.count", "count_10s", "count_10m", "count_30d"}
ACROSS = {name for name in TABLE if name.startswith("cross.")}


@cache
def graph_of(kind: str) -> ss.FeatureGraph:
    return ss.load_graph(EXAMPLE / f"{kind}.py")


@cache
def input_of(kind: str) -> tuple[Any, dict[str, str]]:
    """The data and how it is read: part of each, so that every way of running takes a second or two."""
    prepare = runpy.run_path(str(EXAMPLE / "prepare.py"))
    if kind == "market":
        return [str(capture.path) for capture in excerpt()], {}
    if kind == "trades":
        rows = csv.read_csv(ROOT / "tests" / "data" / "deribit-excerpt" / "btc-perpetual.csv.gz")
        return prepare["trades"](rows), {"instrument": "BTC-PERPETUAL.DERIBIT"}
    return prepare["stocks"](csv.read_csv(DAILY_STOCKS)).slice(0, 1_700), {"missing_bars": "skip"}


def operators_of(graph: ss.FeatureGraph) -> set[str]:
    """What the graph's expressions are made of, by the table's names."""
    found = set()
    for expression in graph.expressions.values():
        for node in (each.node for each in in_order(expression)):
            op = str(node["op"])
            if op == "cross":
                found.add(f"cross.{node['stat']}")
            elif op == "rolling":
                found.add(f"rolling.{node['stat']}")
            elif op == "expanding" or "half_life_ns" in node:
                found.add(f"{op.replace('ewm', 'ewm_over_time')}.{node['stat']}")
            elif op == "ewm":
                found.add(f"ewm.{node.get('stat', 'mean')}")
            else:
                found.add(str(node["name"] if op in ("book", "time") else node.get("stat", op)))
    return found


def test_every_operator_of_the_table_is_in_a_graph() -> None:
    assert operators_of(graph_of("market")) >= set(TABLE)


@pytest.mark.parametrize(("kind", "absent"), [("trades", {"book"}), ("stocks", {"book", "trades"})])
def test_a_graph_leaves_out_what_its_input_has_no_stream_for(kind: str, absent: set[str]) -> None:
    def needs(row: dict[str, Any]) -> str:
        return "book" if row["family"] == "book" or row.get("of") == "quotes" else str(row.get("of"))

    left = {name for name, row in TABLE.items() if needs(row) in absent}
    if kind == "stocks":  # they do not say who bought
        left |= {"signed_volume", "volume_imbalance", "flow_toxicity"}
    assert set(TABLE) - operators_of(graph_of(kind)) == left


@pytest.mark.parametrize("kind", KINDS)
def test_every_operator_has_a_value_somewhere(kind: str) -> None:
    data, options = input_of(kind)
    table = ss.compute(graph_of(kind), data, **options)
    without = {name for name in graph_of(kind).features if table.column(name).null_count == len(table)}
    assert without <= OF_SEVERAL if kind != "stocks" else not without


@pytest.mark.parametrize("kind", KINDS)
def test_the_bits_are_the_same_however_it_is_run(kind: str) -> None:
    data, options = input_of(kind)
    report = ss.parity(graph_of(kind), data, snapshots=5, **options)
    assert report.same, report.difference
    assert len(set(report.runs.values())) == 1
    assert report.features >= 150


@pytest.mark.parametrize("kind", KINDS)
def test_no_operator_knows_what_comes_later(kind: str) -> None:
    data, options = input_of(kind)
    report = ss.lookahead(graph_of(kind), data, cuts=5, **options)
    assert report.clean, str(report)
    assert set(report.unmoved) <= (UNMOVED if kind == "stocks" else UNMOVED | ACROSS)
