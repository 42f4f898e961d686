"""A followed capture that is rotated: its file is read to its end, and nothing of the next one is skipped."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.serving import Deploy, Market, Served, wait_for

from signal_stream.records import SignalRecord

READ, LAST = 600, 700
"""Lines that are read before the rotation, and lines of the old file."""


@pytest.fixture(scope="module")
def lines(market: Market) -> list[str]:
    return gzip.open(market.capture, "rt").readlines()


@pytest.fixture(scope="module")
def expected(market: Market, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Any, ...]]:
    served = market.deploy(tmp_path_factory.mktemp("whole"))
    served.serve()
    return without_ids(served.signals())


def without_ids(signals: list[SignalRecord]) -> list[tuple[Any, ...]]:
    return [(each.value, each.verdict.codes, each.lineage.vector_hash, each.lineage.tape.offset) for each in signals]


def write(path: Path, lines: list[str]) -> None:
    path.write_text("".join(lines))


def add(path: Path, lines: list[str]) -> None:
    with path.open("a") as file:
        file.write("".join(lines))


def old(path: Path, number: int = 1) -> Path:
    return path.with_name(f"{path.name}.{number}")


def renamed(live: Path, lines: list[str]) -> None:
    live.rename(old(live))
    add(old(live), lines[READ:LAST])  # the writer has not noticed yet
    write(live, lines[LAST:])


def copied_and_truncated(live: Path, lines: list[str]) -> None:
    add(live, lines[READ:LAST])
    shutil.copyfile(live, old(live))
    write(live, lines[LAST:])


def renamed_twice(live: Path, lines: list[str]) -> None:
    add(live, lines[READ:LAST])
    live.rename(old(live, 2))
    write(old(live), lines[LAST : LAST + 100])
    write(live, lines[LAST + 100 :])


def copied_twice(live: Path, lines: list[str]) -> None:
    add(live, lines[READ:LAST])
    shutil.copyfile(live, old(live, 2))
    write(live, lines[LAST : LAST + 100])
    shutil.copyfile(live, old(live))
    write(live, lines[LAST + 100 :])


def renamed_to_a_date(live: Path, lines: list[str]) -> None:
    add(live, lines[READ:LAST])
    live.rename(live.with_name("20260101-live.capture"))
    write(live, lines[LAST:])


def truncated(live: Path, lines: list[str]) -> None:
    write(live, lines[READ:])


def remade(live: Path, lines: list[str]) -> None:
    live.unlink()
    write(live, lines[READ:])


def of_the_same_size(live: Path, lines: list[str]) -> None:
    size = live.stat().st_size
    rest = "".join(lines[READ:])
    live.unlink()
    live.write_text(rest[:size])
    with live.open("a") as file:
        file.write(rest[size:])


def truncated_to_the_same_size(live: Path, lines: list[str]) -> None:
    size = live.stat().st_size
    rest = "".join(lines[READ:])
    live.write_text(rest[:size])
    with live.open("a") as file:
        file.write(rest[size:])


WITH_THE_OLD_ONE = [renamed, copied_and_truncated, renamed_twice, copied_twice, renamed_to_a_date]
WITHOUT = [truncated, remade, of_the_same_size, truncated_to_the_same_size]


def start(deploy: Deploy, live: Path, lines: list[str], expected: list[tuple[Any, ...]]) -> tuple[Served, Any]:
    """A pipeline that has used the first lines of a followed file."""
    write(live, lines[:READ])
    served = deploy(url=f"file://{live}", follow=True, pace=None)
    process = served.start()
    served.wait_serving(len([each for each in expected if each[3] < READ - 10]))
    wait_for(lambda: served.status().get("counts", {}).get("input", 0) >= READ, "the first lines to be used")
    return served, process


def end(served: Served, process: Any, expected: list[tuple[Any, ...]]) -> None:
    """Waits for everything, and stops."""
    wait_for(lambda: process.poll() is not None or served.count_signals() == len(expected), "the rest of the signals")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert without_ids(served.signals()) == expected


@pytest.mark.parametrize("rotate", [*WITH_THE_OLD_ONE, *WITHOUT])
def test_a_running_pipeline_goes_over_a_rotation(
    deploy: Deploy, lines: list[str], expected: list[Any], tmp_path: Path, rotate: Any
) -> None:
    live = tmp_path / "live.capture"
    served, process = start(deploy, live, lines, expected)
    rotate(live, lines)
    end(served, process, expected)


@pytest.mark.parametrize("rotate", WITH_THE_OLD_ONE)
@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM])
def test_a_restart_reads_the_rotated_file_first(
    deploy: Deploy, lines: list[str], expected: list[Any], tmp_path: Path, rotate: Any, stop: signal.Signals
) -> None:
    live = tmp_path / "live.capture"
    served, process = start(deploy, live, lines, expected)
    process.send_signal(stop)
    process.communicate(timeout=30)
    rotate(live, lines)
    end(served, served.start(), expected)


def test_a_restart_begins_before_the_new_file_does(
    deploy: Deploy, lines: list[str], expected: list[Any], tmp_path: Path
) -> None:
    live = tmp_path / "live.capture"
    served, process = start(deploy, live, lines, expected)
    process.kill()
    process.communicate()
    add(live, lines[READ:LAST])
    live.rename(old(live))
    process = served.start()
    served.wait_serving(len([each for each in expected if each[3] < LAST - 10]))
    old(live).rename(old(live, 2))
    live.write_text(lines[LAST][:3])  # half a line is not a line
    add(live, [lines[LAST][3:], *lines[LAST + 1 :]])
    end(served, process, expected)


def test_two_restarts_over_two_rotations(deploy: Deploy, lines: list[str], expected: list[Any], tmp_path: Path) -> None:
    live = tmp_path / "live.capture"
    served, process = start(deploy, live, lines, expected)
    live.rename(old(live))
    write(live, lines[READ : READ + 200])
    served.wait_serving(len([each for each in expected if each[3] < READ + 190]))
    process.kill()
    process.communicate()
    old(live).rename(old(live, 2))
    live.rename(old(live))
    write(live, lines[READ + 200 :])
    end(served, served.start(), expected)


@pytest.mark.parametrize("rotate", WITHOUT)
def test_a_restart_says_that_the_file_is_another_one(
    deploy: Deploy, lines: list[str], expected: list[Any], tmp_path: Path, rotate: Any
) -> None:
    live = tmp_path / "live.capture"
    served, process = start(deploy, live, lines, expected)
    process.kill()
    process.communicate()
    rotate(live, lines)
    before = served.count_signals()
    message = served.command("serve", "deployment.toml", exit_code=2)
    assert "another file than the one that was read" in message
    assert str(live) in message
    assert served.count_signals() == before


def test_a_file_that_was_cut_ends_the_pipeline(
    deploy: Deploy, lines: list[str], expected: list[Any], tmp_path: Path
) -> None:
    live = tmp_path / "live.capture"
    served, process = start(deploy, live, lines, expected)
    os.truncate(live, live.stat().st_size // 2)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "was cut" in err
    message = served.command("serve", "deployment.toml", exit_code=2)
    assert "messages that were read before are not in it any more" in message
