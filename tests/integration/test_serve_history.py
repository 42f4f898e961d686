"""History, then live: the first signal rests on warm windows, and nothing is used twice or left out between the two."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.serving import Deploy, Market, Served, wait_for

from signal_stream.records import SignalRecord

HISTORY, OVERLAP = 900, 60
"""Lines of the history, and how many of them the live source brings once more."""


@pytest.fixture(scope="module")
def lines(market: Market) -> list[str]:
    return gzip.open(market.capture, "rt").readlines()


@pytest.fixture(scope="module")
def expected(market: Market, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Any, ...]]:
    """The signals behind the history, of a run over the whole file."""
    served = market.deploy(tmp_path_factory.mktemp("whole"))
    served.serve()
    behind = [each for each in without_ids(served.signals()) if each[3] > HISTORY]
    assert len(behind) > 30
    return behind


def without_ids(signals: list[SignalRecord]) -> list[tuple[Any, ...]]:
    return [(each.value, each.verdict.codes, each.lineage.vector_hash, each.lineage.tape.offset) for each in signals]


@pytest.fixture
def history(lines: list[str], tmp_path: Path) -> Path:
    path = tmp_path / "history.capture"
    path.write_text("".join(lines[:HISTORY]))
    return path


def test_a_pipe_continues_a_history(deploy: Deploy, lines: list[str], expected: list[Any], history: Path) -> None:
    served = deploy(url="stdin:", pace=None, history=f"file://{history}")
    process = served.start(stdin=subprocess.PIPE)
    wait_for(lambda: served.status().get("counts", {}).get("input", 0) == HISTORY, "the history to be used")
    assert served.count_signals() == 0, "a history is silent"
    out, err = process.communicate("".join(lines[HISTORY - OVERLAP :]), timeout=60)
    assert process.returncode == 0, err
    assert without_ids(served.signals()) == expected
    assert f"history  {HISTORY:,} messages up to " in out
    assert f"{OVERLAP} were in both; no id is missing between" in out
    counts = served.status()["counts"]
    assert (counts["input"], counts["duplicate"], counts["gaps"]) == (len(lines), 0, 0)
    assert "SAME BITS  30 signals" in served.command("replay", "--sample", "30")


def test_what_is_missing_between_is_said(deploy: Deploy, lines: list[str], history: Path) -> None:
    served = deploy(url="stdin:", pace=None, history=f"file://{history}")
    process = served.start(stdin=subprocess.PIPE)
    out, err = process.communicate("".join(lines[HISTORY + 200 :]), timeout=60)
    assert process.returncode == 0, err
    [said] = [line for line in out.splitlines() if line.startswith("history")]
    assert "ids are missing between: " in said
    source = served.status()["source"]["history"]
    assert (source["messages"], source["overlap"]) == (HISTORY, 0)
    lacking = {each["kind"]: each["missing"] for each in source["lacking"]}
    assert lacking["trade"] > 0
    assert sum(lacking.values()) == source["missing"]


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM])
def test_a_restart_continues_behind_the_history(
    deploy: Deploy, lines: list[str], expected: list[Any], history: Path, tmp_path: Path, stop: signal.Signals
) -> None:
    live = tmp_path / "live.capture"
    live.write_text("".join(lines[HISTORY - OVERLAP : 1200]))
    served = deploy(url=f"file://{live}", follow=True, pace=None, history=[f"file://{history}"])
    process = served.start()
    served.wait_serving(len([each for each in expected if each[3] < 1190]))
    process.send_signal(stop)
    process.communicate(timeout=30)
    with live.open("a") as more:
        more.write("".join(lines[1200:]))
    served.start()
    wait_for(lambda: served.count_signals() == len(expected), "the rest of the signals")
    finish(served)
    assert without_ids(served.signals()) == expected
    assert served.sink_ids() == served.ids()


def test_a_restart_within_the_history_is_silent_until_its_end(
    deploy: Deploy, lines: list[str], expected: list[Any], history: Path, tmp_path: Path
) -> None:
    """The process was killed before it had a live message: only the history is in its log."""
    live = tmp_path / "live.capture"
    live.write_text("")
    served = deploy(url=f"file://{live}", follow=True, pace=None, history=f"file://{history}")
    process = served.start()
    wait_for(lambda: served.status().get("counts", {}).get("input", 0) == HISTORY, "the history to be used")
    process.kill()
    process.communicate(timeout=30)
    served.start()
    live.write_text("".join(lines[HISTORY - OVERLAP :]))
    wait_for(lambda: served.count_signals() == len(expected), "the signals")
    finish(served)
    assert without_ids(served.signals()) == expected
    [run] = {
        json.loads(each.body)["superseded_through"] for each in list(served.state.reader().records(kind="open"))[-1:]
    }
    assert run == HISTORY


def finish(served: Served) -> None:
    process = served.processes[-1]
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
