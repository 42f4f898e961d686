"""Does `check_model` pass our models, and fail one that is wrong in one rule?"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from signal_stream.models import OnnxModel, PythonModel
from signal_stream.records import ModelRow, Prediction
from signal_stream.testing import check_model

ROWS = [ModelRow(struct.pack("2d", i, i / 3), "BTCUSDT.BINANCE", 10 + i) for i in range(9)]
PLAIN = "def predict(rows, instruments, times):\n    return rows.sum(axis=1)\n"
REMEMBERS = (
    "class Model:\n    def __init__(self, folder):\n        self.x = 0.0\n"
    "    def predict(self, rows, instruments, times):\n        self.x += float(rows.sum())\n        return [self.x]\n"
    "    def snapshot(self):\n        return repr(self.x).encode()\n"
    "    def restore(self, snapshot):\n        self.x = float(snapshot)\n"
)


@pytest.mark.parametrize("text", [PLAIN, REMEMBERS])
def test_a_python_model_is_a_model(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.py").write_text(text)
    make = lambda: PythonModel(tmp_path / "model.py", columns=("a", "b"), spare=False)  # noqa: E731
    assert check_model(make, ROWS) == len(ROWS)


def test_an_onnx_model_is_a_model(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info
    inputs, outputs = [value("x", TensorProto.FLOAT, [1, 2])], [value("y", TensorProto.FLOAT, [1, 1])]
    node = helper.make_node("ReduceSum", ["x"], ["y"], keepdims=1)
    graph = helper.make_graph([node], "sum", inputs, outputs)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "m.onnx")
    rows = [row._replace(values=np.frombuffer(row.values).astype(np.float32).tobytes()) for row in ROWS]
    make = lambda: OnnxModel(tmp_path / "m.onnx", columns=("a", "b"), output="y", spare=False)  # noqa: E731
    assert check_model(make, rows) == len(rows)


class Right:
    """A model in this process that does all as it should."""

    dtype = "f64"

    def __init__(self) -> None:
        self.closed = False
        self.asked: Sequence[ModelRow] = ()
        self.deadline_ns = 0

    def value(self, row: ModelRow) -> float:
        return sum(struct.unpack("2d", row.values))

    def submit(self, rows: Sequence[ModelRow], deadline_ns: int) -> None:
        if self.closed or any(len(row.values) != 16 for row in rows):
            raise ValueError("closed, or of another length")
        self.asked, self.deadline_ns = rows, deadline_ns

    def collect(self) -> list[Prediction]:
        asked, self.asked = self.asked, ()
        if time.monotonic_ns() >= self.deadline_ns:
            return [Prediction(None, (), "DEADLINE", 0) for _ in asked]
        return [self.answer(self.value(row)) for row in asked]

    def answer(self, value: float) -> Prediction:
        return Prediction(value, (value,), "OK", 1)

    def predict(self, rows: Sequence[ModelRow], deadline_ns: int) -> list[Prediction]:
        self.submit(rows, deadline_ns)
        return self.collect()

    def stats(self) -> dict[str, Any]:
        return {"state": "READY", "last_error": ""}

    def close(self) -> None:
        self.closed = True


class Remembering(Right):
    """The same with a state."""

    def __init__(self) -> None:
        super().__init__()
        self.sum = 0.0

    def value(self, row: ModelRow) -> float:
        self.sum += super().value(row)
        return self.sum

    def snapshot(self) -> bytes:
        return repr(self.sum).encode()

    def restore(self, snapshot: bytes, /) -> None:
        self.sum = float(snapshot) if snapshot else 0.0


def wrong(right: type[Right], **methods: Any) -> Callable[[], Any]:
    return type("Wrong", (right,), methods)


def counted(self: Any, row: ModelRow) -> float:
    self.calls = getattr(self, "calls", 0) + 1
    return float(self.calls)


def once(self: Right) -> None:
    if self.closed:
        raise RuntimeError("closed twice")
    self.closed = True


def slow(self: Any, rows: Any, deadline_ns: int) -> list[Prediction]:
    if time.monotonic_ns() >= deadline_ns:
        time.sleep(0.11)
    return Right.predict(self, rows, deadline_ns)


def sticky(self: Any) -> list[Prediction]:
    asked = self.asked
    found = Right.collect(self)
    self.asked = asked
    return found


def growing(self: Remembering) -> bytes:
    self.sum += 1
    return repr(self.sum).encode()


def never_empty(self: Remembering, snapshot: bytes) -> None:
    self.sum = float(snapshot or self.sum)


made = iter(range(1_000_000))


@pytest.mark.parametrize("right", [Right, Remembering])
def test_what_is_right_passes(right: type[Right]) -> None:
    assert check_model(right, ROWS) == len(ROWS)


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (wrong(Right, dtype="f16"), "dtype is 'f16'"),
        (wrong(Right, predict=lambda self, rows, deadline_ns: Right.predict(self, rows, deadline_ns)[1:]), "predictions for"),
        (wrong(Right, answer=lambda self, x: x), "not a Prediction"),
        (wrong(Right, answer=lambda self, x: Prediction(x, (x,), "FINE", 1)), "status is 'FINE'"),  # type: ignore[arg-type]
        (wrong(Right, answer=lambda self, x: Prediction(x, (), "OK", 1)), "has outputs"),
        (wrong(Right, answer=lambda self, x: Prediction(x, (float("nan"),), "OK", 1)), "has outputs"),
        (wrong(Right, answer=lambda self, x: Prediction(x, (x + 1,), "OK", 1)), "none of its outputs"),
        (wrong(Right, answer=lambda self, x: Prediction(x, (x,), "ERROR", 1)), "has a value"),
        (wrong(Right, answer=lambda self, x: Prediction(None, (), "ERROR", 1)), "answers none of the rows"),
        (wrong(Right, answer=lambda self, x: Prediction(x, (x,), "OK", -1)), "below zero"),
        (wrong(Right, value=counted), "in another order"),
        (wrong(Right, value=lambda self, row: float(next(made))), "replay would differ"),
        (wrong(Right, snapshot=lambda self: b""), "snapshot alone"),
        (wrong(Right, submit=lambda self, rows, deadline_ns: Right.submit(self, rows, deadline_ns) or 1), "submit gives"),
        (wrong(Right, collect=sticky), "collect gives answers twice"),
        (wrong(Right, predict=slow), "ms to say so"),
        (wrong(Right, submit=lambda self, rows, _: Right.submit(self, rows, 1 << 62)), "after the deadline"),
        (wrong(Right, value=lambda self, row: struct.unpack_from("2d", row.values)[0], submit=lambda self, rows, deadline_ns: setattr(self, "asked", rows) or setattr(self, "deadline_ns", deadline_ns)), "another length"),  # noqa: E501
        (wrong(Right, stats=lambda self: []), "not a dict"),
        (wrong(Right, stats=lambda self: {"state": "READY"}), 'no text "last_error"'),
        (wrong(Right, stats=lambda self: {"state": "READY", "last_error": "", "x": {1}}), "cannot hold"),
        (wrong(Right, close=lambda self: None), "after close it predicts"),
        (wrong(Remembering, snapshot=lambda self: self.sum), "not bytes"),
        (wrong(Remembering, snapshot=growing), "snapshot changes"),
        (wrong(Remembering, restore=lambda self, snapshot: None), "restored, it gives another snapshot"),
        (wrong(Remembering, restore=never_empty), "to the beginning"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_one_rule_fails_by_it(make: Callable[[], Any], rule: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_model(make, ROWS)
    assert rule in str(caught.value)


def test_a_second_close_that_raises_is_seen() -> None:
    with pytest.raises(RuntimeError, match="closed twice"):
        check_model(wrong(Right, close=once), ROWS)
