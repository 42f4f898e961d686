"""`explain --profile`: every node of the plan, shares that sum to the whole, and the bytes that `explain` says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import signal_stream as ss
from signal_stream import bars, book, trades
from signal_stream.cli.diagram import boxes, dot, mermaid
from signal_stream.errors import DataError

ROOT = Path(__file__).parents[2]
CAPTURE = next((ROOT / "tests" / "data" / "binance-excerpt").glob("*.gz"))


def streams() -> tuple[ss.FeatureGraph, Any, dict[str, Any]]:
    """A clock that reads windows of a book and of trades."""
    ret = book.mid().log().diff()
    features = {
        "mid": book.mid(), "flow": trades.signed_qty().rolling("5s").sum(), "vol": ret.rolling(50).std(),
        "age": book.mid().age(), "up": ret.rolling("1s").max() > 0, "two": trades.price.rolling("5s").mean(),
    }  # fmt: skip
    return ss.FeatureGraph(name="streams", on=ss.every("100ms"), features=features), str(CAPTURE), {}


def table() -> tuple[ss.FeatureGraph, Any, dict[str, Any]]:
    """Bars in blocks."""
    close = bars("1m").close
    features = {"m": close.rolling(20).mean(), "s": close.rolling(20).std(), "x": close.log().diff(), "one": 1.0}
    graph = ss.FeatureGraph(name="table", on=bars("1m"), features=features)
    rows = pa.table(
        {"ts_open": [1700000040 + 60 * i for i in range(200_000)], "close": [100.0 + i % 7 for i in range(200_000)]}
    )
    return graph, rows, {"instrument": "BTC"}


def across() -> tuple[ss.FeatureGraph, Any, dict[str, Any]]:
    """Values across instruments."""
    daily = bars("1d")
    graph = ss.FeatureGraph(name="across", on=daily, features={"r": ss.cross(daily.close).rank().rolling(3).mean()})
    names, days = [f"S{i:02}" for i in range(40)], 200
    rows = {
        "ts_open": [86_400 * d for d in range(19_000, 19_000 + days) for _ in names], "instrument": names * days,
        "close": [100.0 + (i * 7919) % 101 for i in range(days * len(names))],
    }  # fmt: skip
    return graph, pa.table(rows), {}


@pytest.mark.parametrize("source", [streams, table, across], ids=lambda source: source.__name__)
def test_every_node_is_there_and_the_shares_sum_to_the_whole(source: Any) -> None:
    graph, data, options = source()
    report = ss.profile(graph, data, seconds=0.0, **options)
    plan = graph.explain()
    told = report.as_json()
    assert [node["node"] for node in told["nodes"]] == [node["node"] for node in plan["nodes"]] == list(report.nodes)
    assert [node["bytes"] for node in told["nodes"]] == [node["bytes"] for node in plan["nodes"]]
    assert report.samples > 0 and report.passes > 0
    assert report.reading + report.events + sum(report.nodes.values()) == pytest.approx(1.0, abs=1e-9)
    whole = report.ns(report.reading) + report.ns(report.events) + sum(node["ns_per_message"] for node in told["nodes"])
    assert whole == pytest.approx(report.ns_per_message, rel=1e-9)
    engine = ss.Engine(graph, **options)
    if isinstance(data, pa.Table):
        engine.push(data)
        assert report.messages == engine.messages


@pytest.mark.parametrize("source", [streams, table, across], ids=lambda source: source.__name__)
def test_steps_are_seen_at_work(source: Any) -> None:
    graph, data, options = source()
    report = ss.profile(graph, data, seconds=1.0, **options)
    assert any(report.nodes.values())
    assert report.reading and report.events


def test_a_profile_changes_no_bit() -> None:
    graph, data, _ = streams()
    from signal_stream import _core
    from signal_stream.ingest import Intake
    from signal_stream.research.compute import arrow_of
    from signal_stream.research.input import Input

    source, sampled = Input.of(data), _core.Profile()
    engine = source.engine(graph)
    engine.sampled = sampled
    with sampled:
        found = [piece for vectors in source.vectors(engine, Intake()) for piece in arrow_of(engine, vectors)]
    assert pa.Table.from_batches(found).equals(ss.compute(graph, data).replace_schema_metadata(None))


def test_the_picture_colours_nodes_by_their_share() -> None:
    plan = table()[0].explain()
    shares = [i / 10 for i in range(len(plan["nodes"]))]
    nodes = [{**node, "share": share, "ns_per_message": 5.0} for node, share in zip(plan["nodes"], shares, strict=True)]
    whole = {"ns_per_message": 12.0, "reading": 0.25, "events": 0.5, "passes": 1, "samples": 9, "messages": 9}
    told = {**plan, "nodes": nodes, "profile": whole}
    colours = [box.colour for box in boxes(told)[0] if box.id[0] == "n"]
    assert len(set(colours)) == len(colours) and colours[0] == "#fffbf5" and colours[-1] == "#f0723c"
    assert "12 ns a message: reading 25.0%, events 50.0%" in dot(told)
    assert "10.0%   5.0 ns a message" in dot(told) and "10.0" in mermaid(told)


def test_an_input_without_a_message_is_refused(tmp_path: Path) -> None:
    graph, data, options = table()
    with pytest.raises(DataError, match="no message"):
        ss.profile(graph, data.slice(0, 0), **options)


def explain(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "signal_stream", "explain", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_the_command_shows_a_line_a_node_and_the_same_as_json(tmp_path: Path) -> None:
    graph = "examples/btc_micro.py"
    plain, timed = explain(graph), explain(graph, "--profile", CAPTURE, "--svg", tmp_path / "g.svg")
    assert (plain.returncode, timed.returncode) == (0, 0), timed.stderr
    assert "ns a message" in timed.stdout and "ns a message" in (tmp_path / "g.svg").read_text()
    shown = explain(graph, "--profile", CAPTURE)
    assert len(shown.stdout.splitlines()) == len(plain.stdout.splitlines()) + 1
    told = json.loads(explain(graph, "--profile", CAPTURE, "--json").stdout)
    assert told["profile"]["messages"] > 0 and all("share" in node for node in told["nodes"])


def test_what_cannot_be_profiled_is_named() -> None:
    missing = explain("examples/btc_micro.py", "--profile", "no-such-file.parquet")
    assert missing.returncode == 2 and "no-such-file.parquet" in missing.stderr
    alone = explain("examples/btc_micro.py", "--instrument", "X")
    assert alone.returncode == 2 and "--profile TAPE" in alone.stderr
