"""What model cannot be served, what the pipeline hears when a worker dies or hangs, and what is left of it behind."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.onnx_workers import (
    COLUMNS,
    ENDLESS_NS,
    FOREVER,
    MS,
    SECOND,
    ask,
    eventually,
    in_ns,
    kill,
    process_state,
    ready,
    row,
    stop,
)

from signal_stream.errors import ModelError
from signal_stream.models import OnnxModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from signal_stream.records import Prediction

OTHERS: set[int] = set()
"""Processes that were there before: other modules' fork server and the tracker of its resources live as long as pytest."""


@pytest.fixture(scope="module", autouse=True)
def others() -> None:
    OTHERS.update(all_children())


# What cannot be served


@pytest.mark.parametrize(
    ("file", "asked", "code", "said"),
    [
        ("missing.onnx", {}, "UNREADABLE", "cannot be read (No such file or directory)"),
        ("broken.onnx", {}, "UNREADABLE", "cannot load the model"),
        ("trees.onnx", {"sha256": "0" * 64}, "UNREADABLE", "expected was 000"),
        ("trees.onnx", {"columns": ("a", "b")}, "COLUMNS", "takes 4 columns, the graph gives 2 (a, b)"),
        ("trees.onnx", {"input_name": "Y"}, "COLUMNS", 'no input "Y"'),
        ("two.onnx", {}, "COLUMNS", "2 inputs (A, B)"),
        ("two.onnx", {"input_name": "A"}, "COLUMNS", 'needs B beside "A"'),
        ("whole.onnx", {}, "DTYPE", "tensor(int64)"),
        ("trees.onnx", {"output": "probability"}, "OUTPUT", 'Did you mean "probabilities"?'),
        ("trees.onnx", {"output": "label"}, "OUTPUT", "tensor(int64)"),
        ("trees.onnx", {"output_index": 2}, "OUTPUT", "there is no number 2"),
        ("zipmap.onnx", {"output": "output_probability"}, "OUTPUT", '{"zipmap": False}'),
    ],
)
def test_a_model_that_cannot_be_served_is_refused(
    models: Path, file: str, asked: dict[str, Any], code: str, said: str
) -> None:
    options = {"columns": COLUMNS, "output": "probabilities", **asked}
    with pytest.raises(ModelError) as error:
        OnnxModel(models / file, **options)
    assert error.value.code == code
    assert said in str(error.value)
    assert file in str(error.value)
    assert children() == []


def test_sizes_outside_their_limits_are_refused(models: Path) -> None:
    for options in ({"queue_slots": 0}, {"queue_slots": 65}, {"columns": ()}):
        with pytest.raises(ValueError, match=r"queue_slots|column"):
            OnnxModel(models / "slow.onnx", **{"columns": COLUMNS, "output": "Y", **options})


def test_a_worker_that_is_never_ready_is_given_up(models: Path) -> None:
    with pytest.raises(ModelError, match=r"was not ready after 0\.01 s"):
        OnnxModel(models / "trees.onnx", columns=COLUMNS, output="probabilities", start_ns_max=10 * MS)
    assert children() == []


# A worker that dies


def test_a_death_amid_a_call_costs_that_call_only(slow: Callable[..., OnnxModel]) -> None:
    model = slow()
    before = ready(model)
    victim = before.pids[0]

    def kill_amid_work() -> None:
        eventually(lambda: all(process_state(victim) == "R" for _ in range(50)))
        kill(victim)

    assassin = threading.Thread(target=kill_amid_work)
    assassin.start()
    deadline = in_ns(ENDLESS_NS)
    got = ask(model, row(FOREVER, 0, 0, 0), deadline)
    assert (got.status, got.value) == ("DEAD", None)
    assert time.monotonic_ns() < deadline - ENDLESS_NS // 2, "a death is told when it happens"
    for i in range(100):
        assert ask(model, row(0, i, 0, 0), in_ns(10 * SECOND)).value == i
    assassin.join()
    after = ready(model)
    assert (after.state, after.deaths, after.dead, after.workers_started) == ("READY", 1, 1, 3)
    assert victim not in after.pids
    assert "was ended by SIGKILL" in after.last_error


def test_a_death_between_calls_costs_nothing(slow: Callable[..., OnnxModel]) -> None:
    model = slow(deaths_max=50)
    for i in range(5):
        kill(ready(model).pids[0])
        assert ask(model, row(0, i, 0, 0), in_ns(10 * SECOND)).value == i
    assert model.status().dead == 0


def test_without_a_spare_calls_are_answered_at_once_until_the_next_worker_is_ready(
    slow: Callable[..., OnnxModel],
) -> None:
    model = slow(spare=False)
    kill(model.status().pids[0])
    got = ask(model, row(0, 1, 0, 0), in_ns(ENDLESS_NS))
    assert (got.status, got.latency_ns) == ("DEAD", 0)
    assert model.status().state in ("DOWN", "READY")
    ready(model)
    assert ask(model, row(0, 1, 0, 0), in_ns(10 * SECOND)).value == 1.0


def test_a_crash_loop_ends(slow: Callable[..., OnnxModel]) -> None:
    model = slow(deaths_max=2, retry_after_ns=20 * SECOND)
    while model.status().state != "FAILED":
        for pid in children():
            kill(pid)
    assert not model.wait_ready(200 * SECOND), "it says at once that there will be none"
    assert ask(model, row(0, 1, 0, 0), in_ns(ENDLESS_NS)).status == "DEAD"
    eventually(lambda: model.status().workers_started == model.status().deaths)
    assert children() == []
    assert model.status().deaths >= 3
    assert "SIGKILL" in model.status().last_error


def test_after_a_pause_workers_are_tried_again_and_a_death_then_makes_the_pause_longer(
    slow: Callable[..., OnnxModel],
) -> None:
    pause = SECOND
    model = slow(deaths_max=1, spare=False, retry_after_ns=pause)

    def kill_until_it_fails() -> None:
        while model.status().state != "FAILED":
            for pid in children():
                kill(pid)

    kill_until_it_fails()
    first = model.status()
    assert first.deaths == 2
    assert first.retry_in_ns is not None and 0 < first.retry_in_ns <= pause
    kill_until_it_fails_again = first.deaths + 1
    eventually(lambda: model.status().workers_started > first.workers_started)
    kill_until_it_fails()
    second = model.status()
    assert second.deaths == kill_until_it_fails_again, "one death is enough after a pause"
    assert second.retry_in_ns is not None and second.retry_in_ns > pause
    eventually(lambda: model.status().state == "READY")
    assert model.status().retry_in_ns is None
    assert ask(model, row(0, 1, 0, 0), in_ns(10 * SECOND)).value == 1.0


def test_a_new_worker_loads_the_same_bytes_or_none(models: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes((models / "trees.onnx").read_bytes())
    with OnnxModel(file, columns=COLUMNS, output="probabilities", deaths_max=1, spare=False) as model:
        file.write_bytes((models / "slow.onnx").read_bytes())
        kill(model.status().pids[0])
        eventually(lambda: model.status().state == "FAILED")
        assert "expected was" in model.status().last_error


def test_signals_to_the_whole_group_leave_the_worker_to_its_parent(slow: Callable[..., OnnxModel]) -> None:
    model = slow(spare=False)
    pid = model.status().pids[0]
    os.kill(pid, signal.SIGINT)
    os.kill(pid, signal.SIGTERM)
    assert ask(model, row(0, 1, 0, 0), in_ns(10 * SECOND)).value == 1.0
    assert model.status().pids == (pid,)


# A worker that hangs


def due_calls(model: OnnxModel, count: int, every_ns: int, budget_ns: int) -> list[tuple[Prediction, int]]:
    """Calls as a pipeline makes them, each due at its time; what came, and how long after its deadline."""
    gc.disable()
    try:
        answers = []
        due, pause = time.monotonic_ns(), threading.Event()
        for i in range(count):
            due += every_ns
            if (left := due - time.monotonic_ns()) > 0:
                pause.wait(left / 1e9)
            deadline = in_ns(budget_ns)
            got = ask(model, row(0, i, 0, 0), deadline)
            answers.append((got, time.monotonic_ns() - deadline))
            assert got.status != "OK" or got.value == i
        return answers
    finally:
        gc.enable()


@pytest.mark.parametrize("spare", [True, False])
def test_while_a_worker_hangs_every_call_is_answered_by_its_deadline(
    slow: Callable[..., OnnxModel], spare: bool, record_property: Callable[[str, object], None]
) -> None:
    model = slow(spare=spare, hang_after_ns=ENDLESS_NS)
    hung = ready(model).pids[0]
    stop(hung)
    answers = due_calls(model, count=100, every_ns=10 * MS, budget_ns=5 * MS)  # for a second
    missed = [late for got, late in answers if got.status == "DEADLINE"]
    assert all(got.status in ("OK", "DEADLINE", "BUSY") for got, _ in answers)
    record_property("overshoot_ns_max", max(missed))
    os.kill(hung, signal.SIGCONT)
    eventually(lambda: ask(model, row(0, 1, 2, 3), in_ns(SECOND)).value == 6.0)
    if spare:
        assert len(missed) < 50, "the spare answers from the second call on"
        eventually(lambda: model.status().state == "READY")
        assert hung in model.status().pids, "it has caught up and is the spare now"
    else:
        assert len(missed) >= 50
        assert sorted(missed)[len(missed) // 2] < 5 * MS, "how late exactly is the benches' question"
    assert model.status().deaths == 0


def test_a_busy_worker_is_killed_and_replaced(slow: Callable[..., OnnxModel]) -> None:
    model = slow(hang_after_ns=50 * MS)
    hung = ready(model).pids[0]
    assert ask(model, row(FOREVER, 0, 0, 0), in_ns(SECOND)).status == "DEADLINE"
    for i in range(100):
        assert ask(model, row(0, i, 0, 0), in_ns(10 * SECOND)).value == i
    eventually(lambda: model.status().hangs == 1)
    after = ready(model)
    assert hung not in after.pids
    assert after.deadline_misses == 1
    assert "was silent for" in after.last_error


def test_a_stopped_worker_without_a_spare_is_killed_and_replaced(slow: Callable[..., OnnxModel]) -> None:
    model = slow(spare=False, hang_after_ns=50 * MS)
    stop(model.status().pids[0])
    assert ask(model, row(0, 1, 0, 0), in_ns(200 * MS)).status == "DEADLINE"
    eventually(lambda: model.status().hangs == 1)
    ready(model)
    assert ask(model, row(0, 1, 0, 0), in_ns(10 * SECOND)).value == 1.0


def test_a_full_queue_refuses_at_once(slow: Callable[..., OnnxModel]) -> None:
    model = slow(spare=False, queue_slots=3, hang_after_ns=ENDLESS_NS)
    pid = model.status().pids[0]
    stop(pid)
    statuses = [ask(model, row(0, 1, 0, 0), in_ns(200 * MS)).status for _ in range(3)]
    assert statuses == ["DEADLINE"] * 3
    deadline = in_ns(ENDLESS_NS)
    assert ask(model, row(0, 1, 0, 0), deadline).status == "BUSY"
    assert time.monotonic_ns() < deadline - ENDLESS_NS // 2
    os.kill(pid, signal.SIGCONT)
    eventually(lambda: ask(model, row(0, 1, 0, 0), in_ns(SECOND)).status == "OK")
    assert model.status().busy >= 1


def test_a_passed_deadline_is_answered_at_once(slow: Callable[..., OnnxModel]) -> None:
    model = slow(spare=False)
    assert ask(model, row(FOREVER, 0, 0, 0), 0).status == "DEADLINE"
    assert ask(model, row(0, 1, 0, 0), in_ns(10 * SECOND)).value == 1.0


@pytest.mark.parametrize("spare", [True, False])
def test_no_answer_reaches_another_call(slow: Callable[..., OnnxModel], spare: bool) -> None:
    """Calls whose work and patience vary at random: an answer that came late never stands for a later row's."""
    model = slow(spare=spare, hang_after_ns=ENDLESS_NS)
    ready(model)
    rng = np.random.default_rng(11)
    seen = {"OK": 0, "DEADLINE": 0, "BUSY": 0}
    for i in range(3000):
        patience = int(rng.uniform(0.1, 4) * MS)
        got = ask(model, row(rng.integers(0, 6), i, 0.25, 0), in_ns(patience))
        assert got.status != "OK" or got.value == i + 0.25
        seen[got.status] += 1
        if i >= 300 and min(seen["OK"], seen["DEADLINE"]) >= 100:
            break
    assert seen["OK"] > 0, seen
    assert seen["DEADLINE"] > 0, seen


# What is left behind


def children() -> list[int]:
    """Processes that this module's tests have started and not reaped."""
    return [pid for pid in all_children() if pid not in OTHERS]


def all_children() -> list[int]:
    found = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            found += [int(pid) for pid in (task / "children").read_text().split()]
    return found


def belongings() -> tuple[list[int], int, int, int]:
    gc.collect()
    rings = Path("/proc/self/maps").read_text().count("signal-stream-ring")
    return children(), len(list(Path("/proc/self/fd").iterdir())), rings, threading.active_count()


def test_nothing_is_left_after_close(models: Path) -> None:
    def live() -> None:
        with OnnxModel(models / "slow.onnx", columns=COLUMNS, output="Y", hang_after_ns=20 * MS) as model:
            kill(ready(model).pids[0])
            assert ask(model, row(0, 1, 0, 0), in_ns(10 * SECOND)).status == "OK"
            stop(ready(model).pids[0])
            assert ask(model, row(0, 1, 0, 0), in_ns(5 * MS)).status == "DEADLINE"
            with contextlib.suppress(ProcessLookupError):  # it may be the one that hung, and be gone already
                os.kill(ready(model).pids[1], signal.SIGSTOP)  # closing must not wait for it for long

    cpus = os.sched_getaffinity(0)
    live()
    before = belongings()
    assert before[0] == []
    for _ in range(3):
        live()
    assert belongings() == before
    assert os.sched_getaffinity(0) == cpus, "the calling thread is as free as before"


def test_closing_twice_is_closing_once_and_a_closed_model_does_not_predict(slow: Callable[..., OnnxModel]) -> None:
    model = slow()
    model.close()
    model.close()
    assert model.status().state == "CLOSED"
    assert children() == []
    with pytest.raises(ValueError, match="closed"):
        ask(model, row(0, 1, 0, 0), in_ns(SECOND))


def test_a_forgotten_model_closes_itself(models: Path) -> None:
    model = OnnxModel(models / "slow.onnx", columns=COLUMNS, output="Y")
    assert children() != []
    del model
    gc.collect()
    assert children() == []


ORPHANS = """
import sys
from signal_stream.models import OnnxModel
model = OnnxModel(sys.argv[1], columns="abcd", output="Y")
assert model.wait_ready(30_000_000_000)
print(*model.status().pids, flush=True)
if sys.argv[2] == "stay":
    sys.stdin.read()
"""


@pytest.mark.parametrize("end", ["killed", "left"])
def test_workers_go_with_their_parent(models: Path, end: str) -> None:
    argv = [sys.executable, "-c", ORPHANS, str(models / "slow.onnx"), "stay" if end == "killed" else "leave"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        if end == "killed":
            stop(pids[1])  # a stopped worker goes as well
            parent.kill()
        assert parent.wait(30) == (-signal.SIGKILL if end == "killed" else 0)
    eventually(lambda: all(process_state(pid) in ("", "Z") for pid in pids))
