"""Models for real worker processes, and what tests ask and do of these. The slow one is made for that: `x[0]` is the number of
matrix products it computes, the rest it adds up."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from signal_stream.models import OnnxModel
from signal_stream.records import ModelRow

if TYPE_CHECKING:
    from collections.abc import Callable

    from signal_stream.models import ModelStatus
    from signal_stream.records import Prediction

MS = 1_000_000
SECOND = 1_000_000_000
COLUMNS = ("trips", "a", "b", "c")
FOREVER = 1e9
ENDLESS_NS = 100 * SECOND


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


def make_models(folder: Path) -> Path:
    """Writes models of every kind that the tests need into a folder."""
    from skl2onnx import to_onnx
    from sklearn.ensemble import GradientBoostingClassifier

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
