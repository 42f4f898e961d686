"""A real model in a real worker process: what it answers, and whom."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import hashlib
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper
from tests.onnx_workers import (
    COLUMNS,
    MS,
    SECOND,
    ask,
    in_ns,
    ready,
    row,
    save,
    tensor,
)

from signal_stream.errors import ModelError
from signal_stream.models import OnnxModel

if TYPE_CHECKING:
    from collections.abc import Callable


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
