"""A user's Python module in a worker of its own: what it answers, and what the pipeline hears of whatever it does wrong."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving import is_alive, wait_for

from signal_stream.errors import ModelError
from signal_stream.models import PythonModel
from signal_stream.records import ModelRow, Prediction

SECOND = 1_000_000_000
COLUMNS = ("a", "b")
PLAIN = "def predict(rows, instruments, times):\n    return rows.sum(axis=1)\n"
COUNTING = """
import time
class Model:
    def __init__(self, folder):
        self.sum = 0.0
    def predict(self, rows, instruments, times):
        if rows[0, 1] < 0:
            time.sleep(-rows[0, 1])
        self.sum += float(rows[0, 0])
        return [self.sum]
    def snapshot(self):
        return str(self.sum).encode()
    def restore(self, snapshot):
        self.sum = float(snapshot)
"""

Make = Callable[..., PythonModel]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Make]:
    """Makes models of a module's text; closes them after the test."""
    models: list[PythonModel] = []

    def make(text: str, **options: Any) -> PythonModel:
        path = tmp_path / "model.py"
        path.write_text(text)
        models.append(PythonModel(path, **{"columns": COLUMNS, "spare": False} | options))
        return models[-1]

    yield make
    for model in models:
        model.close()


def ask(model: PythonModel, a: float, b: float = 0.0, *, within_ns: int = 10 * SECOND) -> Prediction:
    row = ModelRow(np.array([a, b]).tobytes(), "BTCUSDT.BINANCE", 7)
    [prediction] = model.predict([row], time.monotonic_ns() + within_ns)
    return prediction


def wait_said(model: PythonModel, words: str) -> None:
    wait_for(lambda: words in model.status().said, f"the complaint {words}")


def test_a_function_is_a_model(made: Make) -> None:
    model = made(PLAIN, spare=True)
    assert (model.dtype, model.stateful) == ("f64", False)
    assert ask(model, 0.1, 0.2).value == 0.1 + 0.2
    assert model.wait_ready(30 * SECOND)
    assert len(model.status().pids) == 2, "a spare stands by"


def test_a_class_is_told_folder_instrument_and_time(made: Make, tmp_path: Path) -> None:
    (tmp_path / "weights.txt").write_text("0.5")
    (tmp_path / "helper.py").write_text("def twice(x):\n    return 2 * x\n")
    model = made(
        "import helper\n"
        "class Model:\n"
        "    def __init__(self, folder):\n"
        "        self.weight = float((folder / 'weights.txt').read_text())\n"
        "    def predict(self, rows, instruments, times):\n"
        "        assert rows.shape == (1, 2) and rows.dtype == 'float64'\n"
        "        assert instruments == ['BTCUSDT.BINANCE'] and times.tolist() == [7] and times.dtype == 'int64'\n"
        "        return helper.twice(self.weight) * rows[:, 0]\n"
    )
    assert ask(model, 3.0).value == 3.0


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
        ("return [1.0, 2.0]", "shape [2] for one row"),
        ("return []", "shape [0] for one row"),
        ("return 1.0", "shape [] for one row"),
        ("return None", "shape [] for one row"),
        ("return ['x']", "could not convert string"),
        ("return [float('nan')]", "the model gave [nan]"),
        ("return [float('inf')]", "the model gave [inf]"),
    ],
)
def test_a_wrong_answer_is_an_error_and_the_next_row_is_answered(made: Make, body: str, words: str) -> None:
    model = made(f"def predict(rows, instruments, times):\n    if rows[0, 1]:\n        {body}\n    return rows[:, 0]\n")
    got = ask(model, 1.0, 1.0)
    assert (got.value, got.status) == (None, "ERROR")
    assert ask(model, 2.0).value == 2.0
    assert (model.status().errors, model.status().deaths) == (1, 0)
    wait_said(model, words)


@pytest.mark.parametrize(
    "noise",
    [
        "print('x' * 100_000)",
        "sys.stdout.write('{\"ready\": 1}\\n'); sys.stdout.flush()",
        "os.write(1, b'y' * 300_000)",
        "os.write(2, b'z' * 300_000)",
        "sys.__stdout__.buffer.write(b'w' * 100_000)",
        "sys.stdin.read()",
        "os.close(0); os.close(1)",
    ],
)
def test_what_it_prints_disturbs_nothing(made: Make, noise: str) -> None:
    model = made(f"import os, sys\ndef predict(rows, instruments, times):\n    {noise}\n    return rows[:, 0]\n")
    for i in range(5):
        got = ask(model, i)
        assert (got.value, got.status) == (i, "OK") or "os.close" in noise
    assert model.status().deaths == 0


def test_what_it_prints_at_import_is_no_word_of_the_worker(made: Make) -> None:
    model = made("import os\nprint('{\"refused\": 1}')\nos.write(1, b'nonsense\\n')\n" + PLAIN)
    assert ask(model, 1.0).value == 1.0


def test_one_that_hangs_misses_its_deadline_and_is_replaced(made: Make) -> None:
    model = made(
        "import time\ndef predict(rows, instruments, times):\n    while rows[0, 1]: time.sleep(0.01)\n    return rows[:, 0]\n",
    )
    assert ask(model, 1.0, 1.0, within_ns=SECOND // 4).status == "DEADLINE"
    wait_for(lambda: model.status().hangs == 1, "the hung worker's end")
    assert wait_for(lambda: ask(model, 2.0).value, "the next worker") == 2.0


@pytest.mark.parametrize("end", ["sys.exit()", "sys.exit(3)", "os._exit(0)", "os.kill(os.getpid(), 9)"])
def test_one_that_exits_is_dead_and_replaced(made: Make, end: str) -> None:
    model = made(
        f"import os, sys\ndef predict(rows, instruments, times):\n    if rows[0, 1]:\n        {end}\n    return rows[:, 0]\n"
    )
    assert ask(model, 1.0, 1.0).status == "DEAD"
    assert wait_for(lambda: ask(model, 2.0).value, "the next worker") == 2.0
    assert model.status().deaths == 1


@pytest.mark.parametrize("child", ["pass", "sys.exit()", "raise KeyError", "return [9.0]", "time.sleep(1000)"])
def test_a_fork_of_it_neither_answers_nor_outlives_it(made: Make, tmp_path: Path, child: str) -> None:
    text = (
        "import os, sys, time\n"
        "def predict(rows, instruments, times):\n"
        "    if rows[0, 1]:\n"
        "        pid = os.fork()\n"
        "        if pid == 0:\n"
        f"            {child}\n"
        "            return [7.0]\n"
        f"        with open({str(tmp_path / 'pid')!r}, 'w') as file: file.write(str(pid))\n"
        "    return rows[:, 0]\n"
    )
    model = made(text)
    assert ask(model, 1.0, 1.0).value == 1.0
    for i in range(20):
        assert ask(model, i).value == i
    pid = int((tmp_path / "pid").read_text())
    if "sleep" in child:
        assert is_alive(pid)
    model.close()
    wait_for(lambda: not is_alive(pid), "the child's end")
    assert model.status().deaths == 0


@pytest.mark.parametrize("how", ["killed", "gone"])
def test_what_it_starts_ends_with_the_worker(made: Make, tmp_path: Path, how: str) -> None:
    text = (
        "import subprocess\n"
        f"child = subprocess.Popen(['sleep', '1000'])\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n"
        + PLAIN
    )
    model = made(text)
    pid = int((tmp_path / "pid").read_text())
    assert is_alive(pid)
    if how == "killed":
        os.kill(model.status().pids[0], signal.SIGKILL)
    else:
        model.close()
    wait_for(lambda: not is_alive(pid), "the child's end")


@pytest.mark.parametrize(
    ("text", "requirements", "code", "words"),
    [
        ("import no_such_thing\n" + PLAIN, (), "REQUIREMENT", "No module named 'no_such_thing'"),
        ("import no_such_thing\n" + PLAIN, (), "REQUIREMENT", 'pip install "no_such_thing"'),
        (PLAIN, ("no-such-thing>=2",), "REQUIREMENT", 'needs "no-such-thing>=2", and no-such-thing is not installed'),
        (PLAIN, ("numpy>=1000",), "REQUIREMENT", 'needs "numpy>=1000", and numpy '),
        (PLAIN, ("numpy>=1000",), "REQUIREMENT", 'pip install "numpy>=1000"'),
        (PLAIN, ("numpy >< 3",), "REQUIREMENT", "is no requirement"),
        ("x = 1\nraise ValueError('early')\n", (), "PYTHON", "model.py:2  the module raises ValueError: early"),
        ("x = (\n", (), "PYTHON", "model.py:1  the module raises SyntaxError"),
        ("import sys\nsys.exit(0)\n", (), "PYTHON", "model.py:2  the module raises SystemExit"),
        ("predict = 7\n", (), "PYTHON", "neither a class Model nor a function predict"),
        ("class Model:\n    pass\n", (), "PYTHON", "has no method predict"),
        (
            "class Model:\n    predict = len\n    def __init__(self): pass\n",
            (),
            "PYTHON",
            "Model(folder) raises TypeError",
        ),
    ],
)
def test_a_module_that_cannot_be_served_is_refused_by_name(
    made: Make, text: str, requirements: tuple[str, ...], code: str, words: str
) -> None:
    with pytest.raises(ModelError) as caught:
        made(text, requirements=requirements)
    assert caught.value.code == code
    assert words in str(caught.value)


def test_one_that_never_gets_ready_is_refused(made: Make) -> None:
    with pytest.raises(ModelError, match=r"was not ready after 0\.5 s"):
        made("import time\ntime.sleep(1000)\n" + PLAIN, start_ns_max=SECOND // 2)


def test_met_requirements_are_no_obstacle(made: Make) -> None:
    model = made(PLAIN, requirements=("numpy>=1.0", 'no-such-thing; python_version < "3"'))
    assert ask(model, 1.0).value == 1.0


def test_another_module_than_expected_is_not_run(made: Make) -> None:
    with pytest.raises(ModelError, match="expected was 000"):
        made("open('/nowhere/at/all', 'w')\n" + PLAIN, sha256="0" * 64)


def test_the_state_is_that_of_the_rows_submitted(made: Make) -> None:
    model = made(COUNTING)
    assert model.stateful
    assert [ask(model, i).value for i in (1, 2, 3)] == [1, 3, 6]
    state = model.snapshot()
    assert state == model.snapshot() == b"6.0"
    assert ask(model, 4).value == 10
    model.restore(state)
    assert ask(model, 1).value == 7
    model.restore(b"")
    assert ask(model, 1).value == 1
    other = made(COUNTING)
    other.restore(state)
    assert ask(other, 1).value == 7


def test_a_row_that_missed_its_deadline_counts(made: Make) -> None:
    model = made(COUNTING, hang_after_ns=60 * SECOND)
    assert ask(model, 1.0, -0.2, within_ns=SECOND // 100).status == "DEADLINE"
    assert ask(model, 2.0, within_ns=0).status == "DEADLINE"
    assert ask(model, 4.0).value == 7.0


def test_a_worker_that_takes_anothers_place_has_its_state(made: Make) -> None:
    model = made(COUNTING, spare=True)
    for i in range(300):
        assert ask(model, 1).value == i + 1
        if i == 100:
            assert model.snapshot() == b"101.0"
    os.kill(model.status().pids[0], signal.SIGKILL)
    assert wait_for(lambda: model.status().workers_started == 2 and model.status().pids, "the next worker")
    assert ask(model, 1).value == 301
    os.kill(model.status().pids[0], signal.SIGKILL)
    assert wait_for(lambda: not model.status().pids, "the worker's end") is True
    assert [ask(model, 1).status for _ in range(5)] == ["DEAD"] * 5
    assert wait_for(lambda: model.status().pids, "the next worker")
    assert ask(model, 1).value == 307, "rows for which none answered count"
    assert len(model.status().pids) == 1, "a spare would lack the state"


def test_rows_beyond_what_is_kept_are_in_a_snapshot(made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signal_stream.models.python._ROWS_MAX", 50)
    monkeypatch.setattr("signal_stream.models.python._FEED_ROWS", 8)
    model = made(COUNTING)
    for _ in range(175):
        ask(model, 1)
    assert len(model._since) <= 50
    os.kill(model.status().pids[0], signal.SIGKILL)
    wait_for(lambda: model.status().workers_started == 2 and model.status().pids, "the next worker")
    assert ask(model, 1).value == 176


@pytest.mark.parametrize(
    ("snapshot", "words"),
    [("return 7", "gave int"), ("raise KeyError('k')", "KeyError"), ("return b'x' * (65 << 20)", "at most")],
)
def test_a_state_that_is_not_to_be_had_is_an_error_of_its_own(made: Make, snapshot: str, words: str) -> None:
    model = made(COUNTING.replace("return str(self.sum).encode()", snapshot))
    assert ask(model, 1).value == 1
    with pytest.raises(ModelError) as caught:
        model.snapshot()
    assert caught.value.code == "STATE"
    wait_said(model, words)
    assert ask(model, 1).value == 2


def test_a_model_too_far_behind_is_replaced_and_nothing_is_left_out(made: Make) -> None:
    model = made(COUNTING, queue_slots=4, hang_after_ns=60 * SECOND)
    statuses = [ask(model, 1.0, -0.05, within_ns=1).status for _ in range(8)]
    assert {"BUSY", "DEAD"} & set(statuses[4:]), "four wait, and there is no room for more"
    wait_for(lambda: model.status().workers_started == 2 and model.status().pids, "the next worker")
    assert ask(model, 1.0).value == 9


def test_a_state_that_cannot_be_kept_is_lost_and_says_so(made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signal_stream.models.python._ROWS_LOST", 20)
    model = made(COUNTING, deaths_max=0, retry_after_ns=SECOND)
    assert ask(model, 1).value == 1
    os.kill(model.status().pids[0], signal.SIGKILL)
    wait_for(lambda: model.status().state == "FAILED", "the pause")
    for _ in range(19):
        assert ask(model, 1).status == "DEAD"
    wait_for(lambda: model.status().pids, "the next worker")
    for _ in range(3):  # a right answer would rest on a state that lacks a row
        with pytest.raises(ModelError, match="no worker has answered for 20 rows"):
            ask(model, 1)
    with pytest.raises(ModelError, match="does not give its state"):
        model.snapshot()
