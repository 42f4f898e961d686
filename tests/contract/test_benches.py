"""The benches: what they promise to print, and that the floors do the work that they stand for."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

import signal_stream as ss

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT))

from benches import floors, peers, talib_graph  # noqa: E402
from benches.figure import Figure, Goal, Measured  # noqa: E402
from benches.graph23 import graph  # noqa: E402
from benches.minutes import FIELDS, Minutes  # noqa: E402
from benches.report import number, show  # noqa: E402
from benches.turns import in_turns  # noqa: E402
from benches.works import WORKS, history, operators  # noqa: E402

PROMISED = {"work", "unit", "value", "peer", "peer_value", "ratio", "goal", "holds", "machine"}
ROWS = 3_000
SETTLED = 700
"""From this row on, seeds of exponential means are forgotten to 1e-12 (26 rows of span, weights 25/27 a row)."""


@pytest.fixture(scope="module")
def native():
    return floors.graph23()


@pytest.fixture(scope="module")
def minutes() -> Minutes:
    return Minutes.made(ROWS)


@pytest.fixture(scope="module")
def ours(minutes: Minutes) -> dict[str, np.ndarray]:
    table = ss.compute(graph, pa.table(minutes.batch(0, ROWS)), instrument="X")
    return {name: table[name].to_numpy()[SETTLED:] for name in graph.features}


def printed(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benches", *options]
    environment = {"PYTHONPATH": str(ROOT / "python"), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_a_quick_run_prints_table_and_lines(tmp_path: Path):
    lines = tmp_path / "figures" / "latest.jsonl"
    done = printed("--quick", "--only", "event_call", "--out", str(lines))
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    assert len(rows) == 2
    for row in rows:
        assert row.keys() >= PROMISED
        assert row["machine"].keys() >= {"cpu", "cores", "kernel", "load", "python", "versions"}
        assert row["value"] > 0
        assert row["spread"][0] <= row["value"] <= row["spread"][1]
        if row["peer_value"] is not None:
            assert row["ratio"] == pytest.approx(row["value"] / row["peer_value"])
    assert rows[0]["goal"] == "ratio <= 1.5"
    assert rows[0]["holds"] in (True, False, None)
    verdict = {True: "holds", False: "MISSED", None: "not measured"}[rows[0]["holds"]]
    assert verdict in done.stdout
    assert "c_ext_buf" in done.stdout


def test_the_list_names_every_work():
    done = printed("--list")
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(WORKS)


def test_an_unknown_work_is_a_wrong_option():
    done = printed("--only", "evnt_call")
    assert done.returncode == 2
    assert "event_call" in done.stderr


@pytest.mark.parametrize(
    ("goal", "value", "holds"),
    [
        (Goal("ratio", "<=", 2.0), 20.0, True),
        (Goal("ratio", "<=", 2.0), 20.5, False),
        (Goal("ratio", ">=", 1.5), 15.0, True),
        (Goal("value", "<", 20.0), 20.0, False),
        (Goal("value", "<=", 20.0), 20.0, True),
    ],
)
def test_a_goal_holds_or_is_said_to_be_missed(goal: Goal, value: float, holds: bool):
    figure = Figure("work", "ns", Measured.once(value), "peer", Measured.once(10.0), goal)
    assert figure.holds is holds
    shown = io.StringIO()
    show([{**figure.as_plain(), "bench": "x"}], Console(file=shown, width=150))
    assert ("MISSED" in shown.getvalue().splitlines()[3]) is not holds
    assert f"{int(holds)} goals hold, {int(not holds)} MISSED" in shown.getvalue()


def test_what_was_not_measured_is_neither_held_nor_missed():
    figure = Figure("work", "ns", None, "peer", goal=Goal("ratio", "<=", 1.0), note="not measured: no compiler")
    assert figure.holds is None
    shown = io.StringIO()
    show([{**figure.as_plain(), "bench": "x"}], Console(file=shown, width=150))
    assert "0 goals hold, 0 MISSED, 1 not measured" in shown.getvalue()
    assert "no compiler" in shown.getvalue()


def test_parties_take_turns():
    order: list[str] = []

    def party(name: str, seconds: float):
        return lambda: order.append(name) or seconds

    took = in_turns({"a": party("a", 1.0), "b": party("b", 2.0)}, rounds=3)
    assert order == ["a", "b"] * 4, "three rounds and one that is not counted"
    assert took == {"a": [1.0] * 3, "b": [2.0] * 3}


def test_numbers_are_short():
    assert [number(x) for x in (0.0123, 5.678, 1234.5, 17_345_678.0)] == ["0.0123", "5.68", "1,234", "17.3M"]


def test_the_c_floor_computes_what_we_compute(native, minutes: Minutes, ours: dict[str, np.ndarray]):
    """All 23, to 1e-7 of their size. C's running sums drift by about 1e-9 over these rows, ours do not."""
    out = np.zeros((ROWS, len(graph.features)))
    native.reset()
    native.run(minutes.rows(0, ROWS), out)
    for column, name in enumerate(graph.features):
        np.testing.assert_allclose(out[SETTLED:, column], ours[name], rtol=1e-7, atol=1e-9, err_msg=name)


def test_the_c_floor_gives_the_same_by_call_and_by_loop(native, minutes: Minutes):
    whole = np.zeros((ROWS, len(graph.features)))
    native.reset()
    native.run(minutes.rows(0, ROWS), whole)
    native.reset()
    out = np.zeros(len(graph.features))
    for row, wanted in zip(minutes.rows(0, ROWS), whole, strict=True):
        native.update(row, out)
        assert out.tobytes() == wanted.tobytes()


def test_the_c_floor_refuses_buffers_of_another_size(native):
    with pytest.raises(ValueError, match="23 float64"):
        native.update(np.zeros(len(FIELDS)), np.zeros(22))


def test_talib_computes_what_we_compute(minutes: Minutes, ours: dict[str, np.ndarray]):
    """The same numbers, but for conventions: TA-Lib's deviation is the population's, and it ranks a close among the 60
    before it, which is left out here."""
    theirs = {name: column[SETTLED:] for name, column in talib_graph.most(minutes).items()}
    assert set(graph.features) - set(theirs) == {"skew60"}
    for n in (20, 60):
        theirs[f"std{n}"] = theirs[f"std{n}"] * np.sqrt(n / (n - 1))
        theirs[f"z{n}"] = theirs[f"z{n}"] / np.sqrt(n / (n - 1))
    del theirs["rank60"]
    for name, column in theirs.items():
        np.testing.assert_allclose(column, ours[name], rtol=1e-6, atol=1e-9, err_msg=name)


def test_talib_streams_give_what_its_functions_give(minutes: Minutes):
    history, rest = Minutes(minutes.columns[:, :SETTLED]), minutes.rows(SETTLED, ROWS)
    update = talib_graph.streams(history)
    for high, low, close, volume in rest[:, :4].tolist():
        last = update(high, low, close, volume)
    wanted = [column[-1] for column in talib_graph.own(minutes).values()]
    np.testing.assert_allclose(last, wanted, rtol=1e-9)


def test_the_futex_floor_runs():
    program = floors.futex()
    found = json.loads(subprocess.run([program, "200"], check=True, stdout=subprocess.PIPE, text=True).stdout)
    assert 0 < found["p50_ns"] <= found["p99_ns"]
    assert found["n"] == 200


def test_minutes_are_the_same_however_many_follow():
    few, many = Minutes.made(65_536), Minutes.made(65_600)
    assert few.columns.tobytes() == np.ascontiguousarray(many.columns[:, :65_536]).tobytes()
    assert len(few.batch(0, 10)) == 10


def test_a_window_is_exact_whatever_came_before() -> None:
    found = dict(history.details(4_000, 6, {"ours": history.ours, "pandas": history.with_pandas}))
    stories = [story for story, library in found if library == "ours"]
    assert len(stories) == 5
    for story in stories:
        most = 0.0 if story == history.LATER else 1e-12
        assert max(found[story, "ours"].values()) <= most, story
    # Another library's statistics are the same ones: where nothing happened they agree.
    assert max(found["no disturbance", "pandas"].values()) < 1e-7
    assert max(found[history.LATER, "pandas"].values()) > 0.1, "and the bench shows what a later start changes"


TABLE = {row["name"]: row for row in operators.rows_of_table()}


def test_peers_are_named_by_operators_of_the_table() -> None:
    assert {*peers.SCREAMER, *peers.TALIB, *peers._polars()} <= TABLE.keys()


@pytest.mark.parametrize("kind", ["bars", "levels"])
def test_polars_computes_what_we_compute(kind: str) -> None:
    """Numbers, once each has warmed up: a rank is counted from 1, ours is over n."""
    import polars as pl

    theirs = {name: x for name, x in peers._polars().items() if operators.kind_of(TABLE[name]) == kind}
    data = operators.Data.made(600)
    features = {name: operators.expression_of(TABLE[name])[1] for name in theirs}
    graph = ss.FeatureGraph(name="beside", on=ss.bars("1m"), features=features)
    ours = ss.compute(graph, operators.table_of(data, kind), instrument="X")
    made = pl.DataFrame(data.columns).select(**theirs)
    for name in theirs:
        column = made[name].to_numpy().astype(float) / (peers.N if name == "rank" else 1)
        np.testing.assert_allclose(column[100:], ours[name].to_numpy()[100:], rtol=1e-6, atol=1e-9, err_msg=name)
