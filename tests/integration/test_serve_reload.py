"""SIGHUP: limits change while the pipeline serves, and what cannot change is said; nothing is lost over it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.serving import Market, Served, wait_for

from signal_stream.serve.run_record import RunRecord


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    return Market.make(tmp_path_factory.mktemp("market"), seconds=20.0)


@pytest.fixture
def served(market: Market, tmp_path: Path) -> Iterator[Served]:
    made = market.deploy(tmp_path / "served", pace="4x", completeness=0.8)
    yield made
    made.end()


def changed(served: Served, old: str, new: str) -> None:
    text = served.deployment.read_text()
    assert old in text
    served.deployment.write_text(text.replace(old, new))


def passed(served: Served) -> int:
    return sum(each.verdict.outcome == "PASS" for each in served.signals())


def test_limits_are_taken_over_and_replayed(served: Served) -> None:
    process = served.start()
    served.wait_serving()
    wait_for(lambda: passed(served) >= 3, "3 signals that passed")
    changed(served, 'max_age = "1h"', 'max_age = "1ms"')
    changed(served, 'deadline = "1s"', 'deadline = "900ms"')
    changed(served, "queue_rows = 65536", "queue_rows = 65537")
    process.send_signal(signal.SIGHUP)
    wait_for(lambda: served.signals()[-1].verdict.codes == ("STALE",), "a stale signal")
    changed(served, 'max_age = "1ms"', 'max_age = "one hour"')
    process.send_signal(signal.SIGHUP)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    changed(served, 'max_age = "one hour"', 'max_age = "1ms"')
    said = " ".join(out.split())
    assert "[guards] max_age: '1h' -> '1ms'" in said
    assert "[[model]] deadline: '1s' -> '900ms'" in said
    assert "[source] queue_rows: 65536 -> 65537: not while it is served" in said
    assert '[guards] max_age = "one hour" is not a duration' in said
    assert "Nothing was changed." in said
    opened = [RunRecord.from_json(record.body) for record in served.state.reader().records(kind="open")]
    assert [each.max_age_ns for each in opened] == [3_600_000_000_000, 1_000_000]
    assert opened[1].models[0].deadline_ns == 900_000_000
    assert opened[0].pid == opened[1].pid
    assert "SAME BITS" in served.command("replay", "--sample", "60")
    assert served.ids() == served.sink_ids()


def test_a_file_that_says_the_same_changes_nothing(served: Served) -> None:
    process = served.start()
    served.wait_serving()
    process.send_signal(signal.SIGHUP)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "read again: nothing was changed" in " ".join(out.split())
    assert len(list(served.state.reader().records(kind="open"))) == 1


def deadlines(served: Served) -> list[int]:
    """What each opening of the journal says, the newest last."""
    if not any(served.state.journal_folder.glob("*.arrows")):
        return []
    opened = [RunRecord.from_json(record.body) for record in served.state.reader().records(kind="open")]
    return [each.models[0].deadline_ns for each in opened]


def test_asked_for_before_the_file_is_read_it_is_no_end(served: Served) -> None:
    process = served.start()

    def is_listened_for() -> bool:
        caught = Path(f"/proc/{process.pid}/status").read_text().partition("SigCgt:")[2].split()[0]
        return bool(int(caught, 16) >> (signal.SIGHUP - 1) & 1)

    wait_for(is_listened_for, "somebody who listens for SIGHUP")
    process.send_signal(signal.SIGHUP)
    served.wait_serving()
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err


def test_asked_for_while_it_opens_it_is_done_when_it_serves(served: Served) -> None:
    served.start()
    wait_for((served.state.folder / "lock").exists, "a pipeline that has read its file")
    changed(served, 'deadline = "1s"', 'deadline = "900ms"')
    served.processes[0].send_signal(signal.SIGHUP)
    wait_for(lambda: deadlines(served) == [1_000_000_000, 900_000_000], "the deadline of the file now")
