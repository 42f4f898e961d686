"""`signal-stream demo`: the whole line, as a user runs it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import typer

import signal_stream as ss
from signal_stream.commands import program
from signal_stream.demo import closing, prices, steps
from signal_stream.demo.fit import HORIZON, fit
from signal_stream.demo.folder import DemoFolder
from signal_stream.demo.graph import graph
from signal_stream.demo.show import Show
from signal_stream.demo.story import Story, reason
from signal_stream.demo.tape import cut, take
from signal_stream.errors import CommandError, DataError, ModelError
from signal_stream.store import State, Status
from signal_stream.store.lock import StateLock
from signal_stream.testing import MarketSimulator

EXCERPT = Path(__file__).parents[1] / "data" / "binance-excerpt" / "spot_btcusdt.gz"
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(ss.__file__).parents[1])}
PATIENCE_S = 180.0
NEXT = ("signals", "status", "replay", "rearm", "serve", "explain", "parity")


def run(*words: str, where: Path) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    command = [sys.executable, "-m", "signal_stream", *words]
    return subprocess.run(
        command, cwd=where, env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder in which a demo has run over a short capture, into a folder of an earlier one; what it said."""
    here = tmp_path_factory.mktemp("demo")
    MarketSimulator(seed=5, duration_s=110.0).write_capture(here / "short.gz")
    DemoFolder(here / "out").begin()
    (here / "out" / "state").mkdir()
    (here / "out" / "state" / "of an earlier run").write_text("x")
    done = run("demo", "--tape", "short.gz", "--out", "out", where=here)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr
    return here, done.stdout


def row(said: str, name: str) -> str:
    """What the closing table says of something."""
    found = re.search(rf"^{name} +(.*)$", said[said.index("What happened") :], re.MULTILINE)
    assert found is not None, f"no {name} in\n{said}"
    return found[1]


def test_tells_the_whole_line_in_order(shown: tuple[Path, str]) -> None:
    _, said = shown
    steps = (
        "tape convert", "explain", "backfill", "rank IC", "no evidence of alpha", "register", "models promote", "serve ",
        "VETO INCOMPLETE", "PASS  ", "PASS  [0-9,]+ events", "0 differ", "SAME BITS", "everything killed by demo",
        "VETO KILLED", "silence: [1-9]", "rearm", "refused: a name is needed", "demo.png", "What happened", "What to try next",
    )  # fmt: skip
    at = 0
    for step in steps:
        found = re.search(step, said[at:])
        assert found is not None, f"{step} does not follow in\n{said}"
        at += found.end()
    assert len(said.splitlines()) < 150


def test_a_subscriber_prints_what_the_line_shown_prints(shown: tuple[Path, str]) -> None:
    here, said = shown
    code, printed = re.findall(r"^\.\.\.     (print.*)\n((?:\d.*\n)+)", said, flags=re.MULTILINE)[0]
    assert code == "print(signal.seq, signal.record.signal, signal.record.value, signal.record.verdict.outcome)"
    journal = {
        record.seq: json.loads(record.body) for record in State(DemoFolder(here / "out").state).reader().records()
    }
    for line in printed.splitlines():
        seq, *rest = line.split()
        body = journal[int(seq)]
        assert rest == [body["signal"], str(body["value"]), body["verdict"]]


def test_numbers_are_those_of_the_journal(shown: tuple[Path, str]) -> None:
    here, said = shown
    folder = DemoFolder(here / "out")
    bodies = [json.loads(record.body) for record in State(folder.state).reader().records(kind="signal")]
    outcomes = Counter(body["verdict"] for body in bodies)
    assert row(said, "signals") == f"{len(bodies):,} = PASS {outcomes['PASS']:,} + VETO {outcomes['VETO']:,}"
    assert outcomes["PASS"] > 50
    numbers = [int(text.replace(",", "")) for text in re.findall(r"[0-9][0-9,]*", row(said, "events"))]
    assert numbers[0] == sum(numbers[1:5]) > 0
    assert (
        sum(int(text.replace(",", "")) for text in re.findall(r" ([0-9,]+)", row(said, "vetoes"))) == outcomes["VETO"]
    )
    killed = [i for i, body in enumerate(bodies) if "KILLED" in body["codes"]]
    assert killed
    assert {body["verdict"] for body in bodies[killed[0] :]} == {"VETO"}
    assert folder.signals.read_text().splitlines() == [json.dumps(body) for body in bodies]
    for stage in ("features", "model", "guards", "emit"):
        p50, p99, p999, largest = (float(x.replace(",", "")) for x in row(said, stage).split())
        assert 0 < p50 <= p99 <= p999 <= largest


def test_picture_is_worth_opening(shown: tuple[Path, str]) -> None:
    png = (shown[0] / "out" / "demo.png").read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    assert width >= 1600
    assert height >= 1000
    assert len(png) > 60_000


def test_writes_nowhere_else_and_begins_clean(shown: tuple[Path, str]) -> None:
    here, _ = shown
    assert sorted(path.name for path in here.iterdir()) == ["out", "short.gz"]
    assert not (here / "out" / "state" / "of an earlier run").exists()


def test_what_to_try_next_works_where_the_user_stands(shown: tuple[Path, str], tmp_path: Path) -> None:
    """Each command, in order; then the pipeline that was killed has spoken again, and served its stream to the end."""
    here, said = shown
    shutil.copytree(here / "out", tmp_path / "out")
    folder = DemoFolder(tmp_path / "out")
    hurried = re.sub(r'pace = "[^"]*"', 'pace = "max"', folder.deployment.read_text())
    folder.deployment.write_text(hurried)
    advice = [
        shlex.split(line) for line in said[said.index("What to try next") :].splitlines() if line.startswith("$ ")
    ]
    words = [line[next(i for i, word in enumerate(line) if word in NEXT) :] for line in advice]
    assert [line[0] for line in words] == ["signals", *NEXT]
    for line in words:
        done = run(*line, where=tmp_path)
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
    story = Story.of(State(folder.state).reader())
    assert len(story.signals) == ss.compute(graph, folder.live).num_rows
    assert reason(story.signals[-1]) == "PASS"


def test_refuses_a_foreign_folder(tmp_path: Path) -> None:
    mine = tmp_path / "thesis"
    mine.mkdir()
    (mine / "chapter.txt").write_text("mine")
    done = run("demo", "--out", "thesis", where=tmp_path)
    assert done.returncode == 2
    assert "not empty, and the demo did not make it; nothing was touched" in done.stderr
    assert [path.name for path in mine.iterdir()] == ["chapter.txt"]
    mark = DemoFolder(tmp_path / "other")
    mark.begin()
    (mine / ".signal-stream-demo").symlink_to(mark.path / ".signal-stream-demo")
    with pytest.raises(CommandError, match="nothing was touched"):
        DemoFolder(mine).begin()


def test_empties_only_its_own(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    folder = DemoFolder(tmp_path / "out")
    folder.begin()
    (folder.path / "link").symlink_to(outside)
    (folder.path / "old.txt").write_text("x")
    folder.begin()
    assert [path.name for path in folder.path.iterdir()] == [".signal-stream-demo"]
    assert (outside / "kept").exists()


def test_refuses_while_an_earlier_demo_is_served(tmp_path: Path) -> None:
    folder = DemoFolder(tmp_path / "out")
    folder.begin()
    lock = StateLock(folder.state)
    with pytest.raises(CommandError, match="still serves from this folder"):
        folder.begin()
    lock.close()
    folder.begin()


@pytest.mark.parametrize(
    ("tape", "why"),
    [
        ("nowhere.gz", "there is no such file"),
        (str(EXCERPT), "the demo needs a minute and a half"),
        ("out/short.gz", "lies in the folder that would be emptied"),
        ("bars.parquet", "a table has no order book"),
    ],
)
def test_users_mistakes_are_exit_code_2(tmp_path: Path, tape: str, why: str) -> None:
    pq.write_table(pa.table({"close": [1.0]}), tmp_path / "bars.parquet")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "short.gz").write_bytes(EXCERPT.read_bytes())
    if why.startswith("the demo"):
        (tmp_path / "out" / "short.gz").unlink()
    done = run("demo", "--tape", tape, "--out", "out", where=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert why in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (ModelError("GOLDEN", "the ONNX file predicts something else"), 1),
        (DataError("BAD_VALUE", "it has no valid order book"), 2),
        (OSError(28, "No space left on device"), 1),
        (typer.Exit(1), 1),
    ],
)
def test_a_step_that_fails_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], failure: Exception, code: int
) -> None:
    def fail(show: Show, *_: object) -> None:
        show.step("Register")
        raise failure

    monkeypatch.setattr(steps, "run_steps", fail)
    assert program().main(["demo", "--out", str(tmp_path / "out")], standalone_mode=False) == code
    said = capsys.readouterr().err
    assert said.startswith("the demo stopped at step 1 (Register): ")
    assert isinstance(failure, typer.Exit) or str(failure) in said


def test_the_cut_changes_no_feature(tmp_path: Path) -> None:
    """What is served begins with the books as they stood: once its windows are full it has the whole tape's bits."""
    at_ns = 1_723_161_264_000_000_000
    halves = cut(EXCERPT, at_ns, plan=graph.plan, first=tmp_path / "a.parquet", second=tmp_path / "b.parquet")
    assert halves.first + halves.second == 3008 + 1  # every line, and the snapshot of one book
    whole, rest = ss.compute(graph, EXCERPT), ss.compute(graph, tmp_path / "b.parquet")
    filled = pa.scalar(at_ns + 11_000_000_000, pa.int64())
    late = [table.filter(pc.greater(table["ts_recv"].cast(pa.int64()), filled)) for table in (whole, rest)]
    assert late[0].num_rows > 50
    for name in ("instrument", "ts_recv", *graph.features):
        assert late[0][name].to_pylist() == late[1][name].to_pylist(), name
    assert not any(late[0][name].null_count for name in graph.features)


def test_long_tapes_are_taken_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signal_stream.demo.tape.SPAN_MIN_NS", 1)
    monkeypatch.setattr("signal_stream.demo.tape.SPAN_MAX_NS", 5_000_000_000)
    taken = take(EXCERPT, tmp_path / "t.parquet", on_progress=lambda _: None)
    assert not taken.whole
    assert 0 < taken.span_ns < 5_000_000_000
    assert sum(batch.messages for batch in ss.read_tape(tmp_path / "t.parquet")) == taken.messages
    monkeypatch.setattr("signal_stream.demo.tape.MESSAGES_MAX", 100)
    assert take(EXCERPT, tmp_path / "t.parquet", on_progress=lambda _: None).messages == 100


def test_the_fit_uses_no_label_that_was_not_known(tmp_path: Path) -> None:
    MarketSimulator(seed=2, duration_s=60.0).write_capture(tmp_path / "m.gz")
    done = ss.backfill(graph, tmp_path / "m.gz", tmp_path / "f.parquet")
    fitted = fit(tmp_path / "f.parquet", tmp_path / "m.gz", graph.features)
    table = ss.compute(graph, tmp_path / "m.gz")
    whole = ~np.any([~np.isfinite(table[name].to_numpy()) for name in graph.features], axis=0)
    times = table["ts_recv"].cast(pa.int64()).to_numpy()
    known = times + 10_000_000_000 <= times[-1]
    assert HORIZON == "10s"
    assert fitted.vectors == done.vectors
    assert len(fitted.rows) == int((whole & known).sum())


def test_the_fit_refuses_a_market_that_does_not_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    MarketSimulator(seed=2, duration_s=40.0).write_capture(tmp_path / "m.gz")
    ss.backfill(graph, tmp_path / "m.gz", tmp_path / "f.parquet")
    real = prices.prices(tmp_path / "m.gz")
    still = real.set_column(2, "mid", pa.array(np.ones(real.num_rows)))
    monkeypatch.setattr("signal_stream.demo.fit.prices", lambda _: still)
    with pytest.raises(DataError, match="too few, or all the same"):
        fit(tmp_path / "f.parquet", tmp_path / "m.gz", graph.features)


def test_numbers_that_do_not_add_up_are_an_error(shown: tuple[Path, str]) -> None:
    folder = DemoFolder(shown[0] / "out")
    story, status = Story.of(State(folder.state).reader()), Status.read(folder.state)
    assert status is not None
    closing.check(status, story)
    with pytest.raises(CommandError, match="the pipeline says"):
        closing.check(status, Story(story.signals[:-1], story.killed_at))
    with pytest.raises(CommandError, match="passed after the kill"):
        closing.check(status, Story(story.signals, story.signals[0].lineage.ts_recv))
