"""kill -9 at any point: after a restart the journal holds what an uninterrupted run gives, each signal once."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from tests.serving import Market, Served, computed, forked

CRASHES = 50
START_S = 0.4


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    return Market.make(tmp_path_factory.mktemp("market"), seconds=40.0, clock="50ms")


def journal_bytes(served: Served) -> int:
    return sum(path.stat().st_size for path in served.state.journal_folder.glob("*.arrows"))


def test_fifty_crashes_change_nothing(market: Market, tmp_path: Path) -> None:
    whole = market.deploy(tmp_path / "whole")
    serve_here_in_child(whole)
    expected = computed(whole.signals())
    assert len(expected) > 700
    bytes_a_signal = journal_bytes(whole) / len(expected)

    # eighty times recorded pace: slow enough to be hit anywhere, snapshots included
    served = market.deploy(tmp_path / "served", pace="80x")
    chance = random.Random(11)
    grown = sorted(chance.uniform(0, len(expected) * bytes_a_signal) for _ in range(CRASHES))
    ended = went_on = 0
    for crash, size in enumerate(grown):
        process = forked(served)
        until = time.monotonic() + (chance.uniform(0, START_S) if crash % 5 == 0 else 30.0)
        # once it has to live until its first snapshot, which a busy machine may write too late otherwise
        snapshots = served.state.folder / "snapshots"
        waits = crash == CRASHES // 2
        while process.is_alive() and (
            (waits and not any(snapshots.glob("*.snapshot")))
            or (time.monotonic() < until and journal_bytes(served) < size)
        ):
            time.sleep(0.0002)
        ended += not process.is_alive()
        process.kill()
        process.join()
        process.close()
        if served.state.journal_folder.is_dir():
            ids = served.ids()
            assert ids == [each[0] for each in expected[: len(ids)]], f"after crash {crash}"
            went_on += any((served.state.folder / "snapshots").glob("*.snapshot"))
    assert ended < CRASHES / 5, "most crashes are to come while it serves"
    assert went_on > CRASHES / 5, "some restarts are to begin at a snapshot"

    serve_here_in_child(served)
    assert computed(served.signals()) == expected
    assert served.sink_ids() == [each[0] for each in expected]
    assert served.status()["counts"] == whole.status()["counts"]
    assert served.status()["signals"] == whole.status()["signals"]
    assert served.status()["vectors"] == whole.status()["vectors"]
    assert served.status()["journal"]["not_reproduced"] == 0
    assert "SAME BITS  30 signals replayed" in served.command("replay", "--sample", "30")


def serve_here_in_child(served: Served) -> None:
    process = forked(served)
    process.join(60)
    assert process.exitcode == 0
