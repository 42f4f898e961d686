"""Serving what cannot be read again: standard input, a growing file; and input that is not as it should be."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.serving import Deploy, Market, computed, wait_for

import signal_stream as ss
from signal_stream.records import SignalRecord
from signal_stream.testing import BadQuantity, BrokenJson, ClockJump, Duplicate, Gap, TruncatedGzip


@pytest.fixture(scope="module")
def lines(market: Market) -> list[str]:
    return gzip.open(market.capture, "rt").readlines()


@pytest.fixture(scope="module")
def expected(market: Market, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Any, ...]]:
    """What a run over the whole file gives, by everything but the tape's name, on which the ids rest."""
    served = market.deploy(tmp_path_factory.mktemp("whole"))
    served.serve()
    return without_ids(served.signals())


def without_ids(signals: list[SignalRecord]) -> list[tuple[Any, ...]]:
    return [(each.value, each.verdict.codes, each.lineage.vector_hash, each.lineage.tape.offset) for each in signals]


def feed(process: subprocess.Popen[str], lines: list[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("".join(lines))
    process.stdin.flush()


def test_standard_input_is_recorded_and_replayed(deploy: Deploy, lines: list[str], expected: list[Any]) -> None:
    served = deploy(url="stdin:", pace=None)
    process = served.start(stdin=subprocess.PIPE)
    half = len(lines) // 2
    feed(process, lines[:half])
    served.wait_serving(60)
    assert "SAME BITS  20 signals" in served.command("replay", "--sample", "20")
    feed(process, lines[half:])
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert without_ids(served.signals()) == expected
    assert {each.lineage.tape.name for each in served.signals()} == {"stdin"}
    assert "SAME BITS  100 signals" in served.command("replay", "--sample", "100")
    [segment] = (served.state.folder / "tape").glob("*.arrow")
    info = json.loads(served.command("tape", "info", str(segment), "--json"))
    assert info["messages"] == served.status()["counts"]["input"]


def test_standard_input_goes_on_after_a_crash(deploy: Deploy, lines: list[str], expected: list[Any]) -> None:
    served = deploy(url="stdin:", pace=None)
    first = served.start(stdin=subprocess.PIPE)
    half = len(lines) // 2
    feed(first, lines[:half])
    wait_for(lambda: served.status().get("counts", {}).get("input") == half, "everything to be used")
    first.kill()
    first.communicate()
    second = served.start(stdin=subprocess.PIPE)
    feed(second, lines[half:])
    second.communicate(timeout=30)
    assert second.returncode == 0
    assert without_ids(served.signals()) == expected
    assert served.sink_ids() == served.ids()
    assert len(list((served.state.folder / "tape").glob("*.arrow"))) == 2
    assert "SAME BITS  50 signals" in served.command("replay", "--sample", "50")


def test_a_growing_file_is_followed_over_a_crash(
    deploy: Deploy, lines: list[str], expected: list[Any], tmp_path: Path
) -> None:
    growing = tmp_path / "growing.capture"
    growing.write_text("".join(lines[:200]))
    served = deploy(url=f"file://{growing}", follow=True, pace=None)
    process = served.start()
    served.wait_serving()
    cut = len(lines[1000]) // 2
    with growing.open("a") as file:
        file.write("".join(lines[200:1000]) + lines[1000][:cut])
        file.flush()
        served.wait_serving(len([each for each in expected if each[3] < 990]))
        process.kill()
        process.communicate()
        process = served.start()
        file.write(lines[1000][cut:] + "".join(lines[1001:]))
        file.flush()
        wait_for(lambda: served.count_signals() == len(expected), "the rest of the signals")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert without_ids(served.signals()) == expected
    assert "SAME BITS  30 signals" in served.command("replay", "--sample", "30")


def test_silence_brings_marks_that_replay_knows(deploy: Deploy, lines: list[str]) -> None:
    served = deploy(url="stdin:", pace=None, idle_mark="50ms")
    process = served.start(stdin=subprocess.PIPE)
    feed(process, lines[:600])
    served.wait_serving(1)
    settled = wait_for(lambda: served.status().get("counts", {}).get("input", 0) > 600, "a mark")
    assert settled
    before = served.count_signals()
    served.wait_serving(before + 5)  # the clock goes on firing although nothing comes
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0
    counts = served.status()["counts"]
    assert counts["input"] > 605
    assert counts["accepted"] == counts["input"]
    assert "SAME BITS" in served.command("replay", "--sample", "40")


BAD_INPUT = {
    "broken JSON": (BrokenJson(rate_hz=0.5), "rejected"),
    "a negative quantity": (BadQuantity(at_s=5.0, kind="negative"), "rejected"),
    "an over-precise quantity": (BadQuantity(at_s=5.0, kind="over-precise"), "rejected"),
    "the same again": (Duplicate(rate_hz=0.5, stream="trade"), "duplicate"),
    "time goes back": (ClockJump(at_s=8.0, by_s=-3.0, frames=5), "clock_steps"),
    "time jumps ahead": (ClockJump(at_s=8.0, by_s=30 * 86_400.0), "clock_steps"),
    "ids are missing": (Gap(at_s=8.0, stream="trade"), "gaps"),
    "a truncated file": (TruncatedGzip(keep=0.7), "rejected"),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_is_counted_and_replays(market: Market, deploy: Deploy, tmp_path: Path, name: str) -> None:
    fault, count = BAD_INPUT[name]
    capture = tmp_path / "faulty.gz"
    market.simulator.write_capture(capture, faults=[fault])
    served = deploy(url=f"file://{capture}")
    served.serve()
    counts = served.status()["counts"]
    assert counts["input"] == sum(counts[name] for name in ("accepted", "duplicate", "late", "rejected"))
    assert counts[count] > 0
    late = sorted((served.state.folder / "late").glob("*.arrow"))
    kept = sum(json.loads(served.command("tape", "info", str(path), "--json"))["messages"] for path in late)
    assert kept == counts["late"]
    table = ss.compute(market.graph, capture, max_rejected=1)
    assert len(served.signals()) == table.num_rows
    assert "SAME BITS" in served.command("replay", "--sample", "20")


def test_late_events_stop_a_pipeline_that_refuses_them(market: Market, deploy: Deploy, tmp_path: Path) -> None:
    capture = tmp_path / "faulty.gz"
    market.simulator.write_capture(capture, faults=[ClockJump(at_s=8.0, by_s=-3.0)])
    served = deploy(url=f"file://{capture}", late="refuse")
    message = served.command("serve", "deployment.toml", exit_code=2)
    assert 'late = "refuse"' in message
    assert served.status()["state"] == "FAILED"
    assert computed(served.signals())
