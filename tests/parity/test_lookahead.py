"""`lookahead`: a clean graph passes, what knows the future is found and named, and what was not shown is said."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import excerpt
from tests.serving import micro_graph

import signal_stream as ss
from signal_stream import bars, trades
from signal_stream.research import cuts
from signal_stream.research.input import Input

MINUTE = bars("1m")
START = 1_700_000_040
BARS = ss.FeatureGraph(
    name="bars",
    on=MINUTE,
    features={
        "step": MINUTE.close.log().diff(),
        "z": MINUTE.close.rolling(5).zscore(),
        "vol": MINUTE.volume.rolling(3).sum(),
        "range": MINUTE.high - MINUTE.low,
    },
)
COLUMNS = {"ts_open": "t"}


def minutes(closes: list[float], names: int = 1) -> pa.Table:
    """Minutes of some instruments, side by side."""
    rows = [
        {"t": START + 60 * i, "instrument": f"I{n}", "open": close, "high": close + 1, "low": close - 0.5, "close": close + n / 4,
         "volume": 1.0 + i % 5}
        for i, close in enumerate(closes) for n in range(names)
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows)
    return table if names > 1 else table.drop_columns("instrument")


def test_a_real_capture_on_both_axes() -> None:
    (capture,) = excerpt()
    for axis, lateness in (("recv", None), ("event", "20ms")):
        report = ss.lookahead(micro_graph(axis=axis), str(capture.path), lateness=lateness, cuts=4)
        assert report.clean, str(report)
        assert report.cuts == 4
        assert report.vectors > 100
        assert report.unmoved == ()
        assert str(report).startswith("PASS  4 cuts of ")


@settings(max_examples=30)
@given(
    closes=st.lists(st.floats(1.0, 1e6).map(lambda x: round(x, 4)), min_size=2, max_size=120),
    names=st.integers(1, 3),
    seed=st.integers(0, 2**32),
)
def test_tables_are_clean_wherever_they_are_cut(closes: list[float], names: int, seed: int) -> None:
    report = ss.lookahead(BARS, minutes(closes, names), columns=COLUMNS, cuts=5, seed=seed)
    assert report.difference is None, str(report)
    assert report.events == names * len(closes)


def test_other_numbers_reach_each_feature_behind_a_cut() -> None:
    report = ss.lookahead(BARS, minutes([100.0 + i % 7 for i in range(300)]), columns=COLUMNS)
    assert report.clean
    assert report.unmoved == ()
    assert report.cuts == 20


def test_a_feature_of_which_nothing_was_shown_is_named() -> None:
    graph = ss.FeatureGraph(
        name="g", on=MINUTE, features={"close": MINUTE.close, "nought": MINUTE.close - MINUTE.close}
    )
    report = ss.lookahead(graph, minutes([100.0 + i % 7 for i in range(300)]), columns=COLUMNS)
    assert report.clean
    assert report.unmoved == ("nought",)
    assert "not shown of nought: no changed price, quantity or side ever reached it" in str(report)


def test_a_leak_is_found_with_its_feature_and_operator() -> None:
    report = ss.lookahead(BARS, minutes([100.0 + i % 7 for i in range(300)]), columns=COLUMNS, leak=3)
    assert not report.clean
    assert report.difference is not None
    assert report.difference.feature == "step"
    assert report.difference.run == "future changed"
    assert report.cut is not None
    assert report.difference.vector in range(report.cut - 4, report.cut), "one of the last that were known"
    assert str(report).startswith("FAIL  a feature knows what comes later: vector ")
    assert json.loads(json.dumps(report.as_json()))["clean"] is False


class Peeking:
    """An engine that takes the close of each row's follower in the batch for its own."""

    def __init__(self, engine: ss.Engine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def copy(self) -> Peeking:
        return type(self)(self._engine.copy())

    def stream(self, batch: Any, **more: Any) -> Iterator[Any]:
        table = pa.table(batch)
        close = table.column("close")
        peeked = pa.chunked_array([*close.slice(1).chunks, *close.slice(len(close) - 1).chunks], close.type)
        for each in (
            table.set_column(table.schema.get_field_index("close"), "close", peeked).combine_chunks().to_batches()
        ):
            yield from self._engine.stream(each, **more)


def test_an_engine_that_peeks_into_its_batch_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    table = minutes([100.0 + i % 7 for i in range(300)]).drop_columns(["high", "low"])
    graph = ss.FeatureGraph(
        name="g", on=MINUTE, features={"vol": MINUTE.volume, "close": MINUTE.close.rolling(2).mean()}
    )
    assert ss.lookahead(graph, table, columns=COLUMNS, cuts=5).clean
    real = Input.engine
    monkeypatch.setattr(Input, "engine", lambda self, of: Peeking(real(self, of)))
    report = ss.lookahead(graph, table, columns=COLUMNS, cuts=5)
    assert not report.clean
    assert report.difference is not None
    assert (report.difference.run, report.difference.feature) == ("future there", "close")


class Blind(Peeking):
    """An engine that loses the closes of some batches."""

    def stream(self, batch: Any, **more: Any) -> Iterator[Any]:
        table = pa.table(batch)
        if self.loses(table.column("close").to_pylist()):
            nothing = pa.nulls(len(table), table.schema.field("close").type)
            table = table.set_column(table.schema.get_field_index("close"), "close", nothing)
        for each in table.combine_chunks().to_batches():
            yield from self._engine.stream(each, **more)

    def loses(self, closes: list[float]) -> bool:
        raise NotImplementedError


class Startled(Blind):
    """It sees from the end of its batch whether prices will have risen by half: as things were, they never did."""

    def loses(self, closes: list[float]) -> bool:
        return bool(closes) and closes[-1] > 150.0


def test_what_only_a_future_cut_off_shows_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int] = []

    class Odd(Blind):
        """It knows how long its batch will be."""

        def loses(self, closes: list[float]) -> bool:
            lengths.append(len(closes))
            return len(closes) == length

    length = -1
    table = minutes([100.0 + i % 7 for i in range(300)]).drop_columns(["high", "low"])
    graph = ss.FeatureGraph(name="g", on=MINUTE, features={"close": MINUTE.close.rolling(2).mean()})
    real = Input.engine
    monkeypatch.setattr(Input, "engine", lambda self, of: Odd(real(self, of)))
    assert ss.lookahead(graph, table, columns=COLUMNS, cuts=2).clean
    length = max(
        each for each in lengths if each < 300
    )  # from the beginning to the second cut: only a trial is given that
    report = ss.lookahead(graph, table, columns=COLUMNS, cuts=2)
    assert report.cut == length
    assert report.difference is not None
    assert (report.difference.run, report.difference.feature) == ("future cut off", "close")


@pytest.mark.parametrize("piece", [1024, 32])
def test_what_only_another_future_shows_is_found_wherever_a_trial_begins(
    monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    table = minutes([100.0 + i % 7 for i in range(300)]).drop_columns(["high", "low"])
    graph = ss.FeatureGraph(
        name="g", on=MINUTE, features={"vol": MINUTE.volume, "close": MINUTE.close.rolling(2).mean()}
    )
    real = Input.engine
    monkeypatch.setattr(Input, "engine", lambda self, of: Startled(real(self, of)))
    monkeypatch.setattr(cuts, "PIECES", (piece, piece))
    report = ss.lookahead(graph, table, columns=COLUMNS, cuts=20)
    assert not report.clean
    assert report.difference is not None
    assert (report.difference.run, report.difference.feature) == ("future changed", "close")
    assert report.cut is not None
    assert report.difference.vector in range(report.cut - report.cut % piece, report.cut)


@pytest.mark.parametrize("piece", [100, 700, 100_000])
def test_what_is_found_does_not_depend_on_where_trials_begin(monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    (capture,) = excerpt()
    for axis, lateness in (("recv", None), ("event", "20ms")):
        graph = micro_graph(axis=axis)
        whole = ss.lookahead(graph, str(capture.path), lateness=lateness, cuts=6)
        with monkeypatch.context() as patch:
            patch.setattr(cuts, "PIECES", (piece, piece))
            pieces = ss.lookahead(graph, str(capture.path), lateness=lateness, cuts=6)
        assert whole.clean and pieces.clean
        assert (pieces.vectors, pieces.unmoved) == (whole.vectors, whole.unmoved)
        with monkeypatch.context() as patch:
            patch.setattr(cuts, "PIECES", (piece, piece))
            leaking = ss.lookahead(graph, str(capture.path), lateness=lateness, cuts=6, leak=2000)
        assert leaking.difference is not None
        assert leaking.difference.run == "future changed"


def test_the_command_says_what_it_found(tmp_path: Path) -> None:
    (capture,) = excerpt()
    graph = tmp_path / "graph.py"
    graph.write_text(
        "from signal_stream import FeatureGraph, book, every, trades\n"
        "flow = trades.signed_qty().rolling('1s').sum()\n"
        "graph = FeatureGraph(name='g', on=every('100ms'), features={'mid': book.mid(), 'flow': flow})\n"
    )
    command = [
        sys.executable,
        "-m",
        "signal_stream",
        "lookahead",
        str(graph),
        "--tape",
        str(capture.path),
        "--cuts",
        "3",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("PASS  3 cuts of ")
    done = subprocess.run([*command, "--leak", "500", "--json"], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["difference"]["run"] == "future changed"


def test_an_input_too_short_to_be_cut_says_so() -> None:
    table = pa.table({"t": [START], "price": [1.0], "qty": [2.0]})
    graph = ss.FeatureGraph(name="g", on=trades, features={"p": trades.price})
    report = ss.lookahead(graph, table, columns={"ts_recv": "t"}, instrument="X")
    assert (report.cuts, report.clean) == (0, False)
    assert str(report).startswith("NOTHING SHOWN")
