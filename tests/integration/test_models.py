"""A real model in a real worker process: what it answers, and what the pipeline hears when the worker dies or hangs.

The slow model is made for these tests: `x[0]` is the number of matrix products it computes, the rest it adds up.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from signal_stream.errors import ModelError
from signal_stream.models import OnnxModel
from signal_stream.records import ModelRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from signal_stream.models import ModelStatus
    from signal_stream.records import Prediction

MS = 1_000_000
SECOND = 1_000_000_000
COLUMNS = ("trips", "a", "b", "c")
FOREVER = 1e9
ENDLESS_NS = 100 * SECOND
ALLOWED_CPUS = os.sched_getaffinity(0)


def in_ns(ns: int) -> int:
    return time.monotonic_ns() + ns


def row(*numbers: float) -> bytes:
    return np.array(numbers, np.float32).tobytes()


def ask(model: OnnxModel, values: bytes, deadline_ns: int) -> Prediction:
    """One row's prediction."""
    [prediction] = model.predict([ModelRow(values, "X", 0)], deadline_ns)
    return prediction


def eventually(true: Callable[[], bool], within_s: float = 30.0) -> None:
    """Waits for a condition; looks again every 2 ms."""
    until, pause = time.monotonic() + within_s, threading.Event()
    while not true():
        assert time.monotonic() < until, "it did not come about"
        pause.wait(0.002)


def process_state(pid: int) -> str:
    """R, S, T, Z …; empty once the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: process_state(pid) == "T")


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: process_state(pid) in ("", "Z"))


def ready(model: OnnxModel) -> ModelStatus:
    assert model.wait_ready(30 * SECOND)
    return model.status()


def tensor(name: str, values: Any, dtype: Any) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(values, dtype), name)


def save(path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: list[Any]) -> Path:
    graph = helper.make_graph(nodes, "test", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


OTHERS: set[int] = set()
"""Processes that were there before: other modules' fork server and the tracker of its resources live as long as pytest."""


@pytest.fixture(scope="module", autouse=True)
def others() -> None:
    OTHERS.update(all_children())


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models."""
    from skl2onnx import to_onnx
    from sklearn.ensemble import GradientBoostingClassifier

    folder = tmp_path_factory.mktemp("models")
    rng = np.random.default_rng(7)
    x = rng.normal(size=(500, 4)).astype(np.float32)
    trees = GradientBoostingClassifier(n_estimators=50, random_state=7).fit(x, x[:, 0] * x[:, 1] > 0)
    plain = to_onnx(trees, x[:1], options={id(trees): {"zipmap": False}})
    (folder / "trees.onnx").write_bytes(plain.SerializeToString())
    (folder / "zipmap.onnx").write_bytes(to_onnx(trees, x[:1]).SerializeToString())
    (folder / "broken.onnx").write_bytes(b"no model at all")

    def value(name: str, kind: int, shape: list[Any]) -> Any:
        return helper.make_tensor_value_info(name, kind, shape)

    state = [300, 300]
    body = helper.make_graph(
        [helper.make_node("MatMul", ["s", "W"], ["s_next"]), helper.make_node("Identity", ["go"], ["go_next"])],
        "trip",
        [value("i", TensorProto.INT64, []), value("go", TensorProto.BOOL, []), value("s", TensorProto.FLOAT, state)],
        [value("go_next", TensorProto.BOOL, []), value("s_next", TensorProto.FLOAT, state)],
    )
    save(
        folder / "slow.onnx",
        [
            helper.make_node("Split", ["X", "parts"], ["x0", "rest"], axis=1),
            helper.make_node("Cast", ["x0"], ["count"], to=TensorProto.INT64),
            helper.make_node("Reshape", ["count", "scalar"], ["trips"]),
            helper.make_node("Loop", ["trips", "true", "W"], ["product"], body=body),
            helper.make_node("ReduceSum", ["product"], ["work"], keepdims=0),
            helper.make_node("Mul", ["work", "nought"], ["nothing"]),
            helper.make_node("ReduceSum", ["rest"], ["sum"], keepdims=0),
            helper.make_node("Add", ["sum", "nothing"], ["y"]),
            helper.make_node("Reshape", ["y", "one"], ["Y"]),
        ],
        [value("X", TensorProto.FLOAT, ["N", 4])],
        [value("Y", TensorProto.FLOAT, [1])],
        [
            numpy_helper.from_array(np.eye(300, dtype=np.float32), "W"),
            tensor("parts", [1, 3], np.int64),
            tensor("scalar", [], np.int64),
            tensor("one", [1], np.int64),
            tensor("true", True, np.bool_),
            tensor("nought", 0, np.float32),
        ],
    )
    double = [value("X", TensorProto.DOUBLE, [1, 3])]
    save(
        folder / "double.onnx",
        [helper.make_node("Sin", ["X"], ["wave"]), helper.make_node("MatMul", ["wave", "W"], ["Y"])],
        double,
        [value("Y", TensorProto.DOUBLE, [1, 2])],
        [tensor("W", rng.normal(size=(3, 2)), np.float64)],
    )
    whole = [value("X", TensorProto.INT64, [1, 4])]
    save(
        folder / "whole.onnx",
        [helper.make_node("Neg", ["X"], ["Y"])],
        whole,
        [value("Y", TensorProto.INT64, [1, 4])],
        [],
    )
    two = [value("A", TensorProto.FLOAT, [1, 4]), value("B", TensorProto.FLOAT, [1, 4])]
    save(
        folder / "two.onnx",
        [helper.make_node("Add", ["A", "B"], ["Y"])],
        two,
        [value("Y", TensorProto.FLOAT, [1, 4])],
        [],
    )
    return folder


@pytest.fixture
def slow(models: Path) -> Iterator[Callable[..., OnnxModel]]:
    """Makes the slow model; closes what it made."""
    with contextlib.ExitStack() as made:

        def make(**options: Any) -> OnnxModel:
            model = OnnxModel(models / "slow.onnx", columns=COLUMNS, output="Y", **options)
            return made.enter_context(model)

        yield make


# What it answers


def test_an_answer_is_the_runtimes_to_the_bit(models: Path) -> None:
    direct = onnxruntime.InferenceSession(models / "trees.onnx", providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(1)
    with OnnxModel(models / "trees.onnx", columns=COLUMNS, output="probabilities", output_index=1) as model:
        assert (model.dtype, model.columns) == ("f32", COLUMNS)
        assert model.sha256 == hashlib.sha256((models / "trees.onnx").read_bytes()).hexdigest()
        for _ in range(500):
            x = rng.normal(size=(1, 4)).astype(np.float32)
            expected = direct.run(["probabilities"], {"X": x})[0][0]
            got = ask(model, x.tobytes(), in_ns(10 * SECOND))
            assert got.status == "OK"
            assert np.array(got.outputs, np.float32).tobytes() == expected.tobytes()
            assert got.value == float(expected[1])
            assert 0 < got.latency_ns < 10 * SECOND
        assert model.status().answers == 500


def test_doubles_stay_doubles(models: Path) -> None:
    direct = onnxruntime.InferenceSession(models / "double.onnx", providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(2)
    with OnnxModel(models / "double.onnx", columns=("a", "b", "c"), output="Y", spare=False) as model:
        assert model.dtype == "f64"
        for _ in range(50):
            x = rng.normal(size=(1, 3))
            got = ask(model, x.tobytes(), in_ns(10 * SECOND))
            assert np.array(got.outputs).tobytes() == direct.run(["Y"], {"X": x})[0].tobytes()
        assert got.value == got.outputs[0]


def test_a_number_that_is_none_is_an_error_and_the_next_row_is_answered(slow: Callable[..., OnnxModel]) -> None:
    model = slow(spare=False)
    for bad in (float("nan"), float("inf")):
        got = ask(model, row(0, bad, 1, 1), in_ns(10 * SECOND))
        assert (got.status, got.value, got.outputs) == ("ERROR", None, ())
        assert ask(model, row(0, 1, 2, 3), in_ns(10 * SECOND)).value == 6.0
    assert (model.status().errors, model.status().deaths) == (2, 0)


def test_a_row_of_another_length_is_the_callers_mistake(slow: Callable[..., OnnxModel]) -> None:
    model = slow(spare=False)
    for payload in (b"", row(1, 2, 3), row(1, 2, 3, 4, 5), np.zeros(4).tobytes()):
        with pytest.raises(ValueError, match="4 columns of f32 make 16"):
            ask(model, payload, in_ns(SECOND))


def test_kept_warm_it_answers_the_same(slow: Callable[..., OnnxModel]) -> None:
    model = slow(spare=False, keep_warm_ns=MS)
    for i in range(100):
        assert ask(model, row(0, i, 0, 0), in_ns(10 * SECOND)).value == i


def test_a_worker_asks_for_short_time_slices(slow: Callable[..., OnnxModel]) -> None:
    pid = slow(spare=False).status().pids[0]
    calls = {"x86_64": 315, "aarch64": 275}  # sched_getattr
    attributes = (ctypes.c_uint64 * 7)()  # struct sched_attr: size and policy, flags, nice and priority, runtime, …
    size = ctypes.sizeof(attributes)
    assert ctypes.CDLL(None, use_errno=True).syscall(calls[os.uname().machine], pid, attributes, size, 0) == 0
    kernel = tuple(int(number) for number in os.uname().release.split(".")[:2])
    assert attributes[3] == (100_000 if kernel >= (6, 12) else 0), "older kernels ignore the wish"


def test_thousands_of_columns_reach_the_worker(tmp_path: Path) -> None:
    wide = 5_000
    path = save(
        tmp_path / "wide.onnx",
        [helper.make_node("ReduceSum", ["X", "axis"], ["Y"], keepdims=1)],
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [1, wide])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, [1, 1])],
        [tensor("axis", [1], np.int64)],
    )
    columns = [f"a_feature_with_a_name_of_some_length_{i:05}" for i in range(wide)]
    with OnnxModel(path, columns=columns, output="Y", spare=False) as model:
        assert ask(model, np.ones(wide, np.float32).tobytes(), in_ns(10 * SECOND)).value == wide
    with pytest.raises(ModelError, match="131,073 columns; a row has at most 131,072"):
        OnnxModel(path, columns=["a"] * 131_073, output="Y")


def test_files_in_the_users_folder_are_no_modules_of_the_worker(
    slow: Callable[..., OnnxModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("signal", "json", "numpy", "onnxruntime"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong module')")
    monkeypatch.chdir(tmp_path)
    assert ask(slow(spare=False), row(0, 1, 0, 0), in_ns(10 * SECOND)).value == 1.0


# A process that forks


def test_a_fork_is_refused_and_leaves_the_model_to_its_parent(slow: Callable[..., OnnxModel]) -> None:
    model = slow()
    ready(model)

    def refused(ask: Callable[[], object]) -> bool:
        try:
            ask()
        except ModelError as error:
            return error.code == "WORKER" and "after the fork" in str(error) and "is a fork" in str(error)
        return False

    # The supervisor's thread, which is not in the fork, may hold its lock at that moment.
    held, forked = threading.Event(), threading.Event()

    def hold() -> None:
        with model._supervisor._changed:
            held.set()
            forked.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # a child that waits is one that fails
        with contextlib.suppress(BaseException):  # nothing of the child may go on with the tests
            asks = (
                lambda: ask(model, row(0, 1, 0, 0), in_ns(SECOND)),
                lambda: model.wait_ready(SECOND),
                lambda: model.status(),
            )
            answers = all(refused(ask) for ask in asks)
            model.close()
            del model
            gc.collect()
            os._exit(0 if answers else 1)
        os._exit(2)
    forked.set()
    holder.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    for i in range(100):
        assert ask(model, row(0, i, 0, 0), in_ns(10 * SECOND)).value == i
    assert (model.status().state, model.status().deaths) == ("READY", 0)


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

    live()
    before = belongings()
    assert before[0] == []
    for _ in range(3):
        live()
    assert belongings() == before
    assert os.sched_getaffinity(0) == ALLOWED_CPUS, "the calling thread is free again"


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
