"""How long a start takes: the import in a fresh interpreter, and `serve` until its first signal stands in a sink."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benches.figure import Figure, Goal, Measured
from benches.folders import ROOT
from benches.served import NotTrained, Served, served
from benches.turns import in_turns

IMPORT = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
SERVE = "serve, start to first signal"
TO_SIGNAL = Goal("value", "<=", 3.0)
PATIENCE_S = 60.0
LOOK_EVERY_S = 0.002


class Silent(Exception):
    """`serve` gave no signal; the message is what it printed last."""


def measure(*, quick: bool) -> Iterator[Figure]:
    """The import beside pyarrow's, and the start of `serve`."""
    rounds = 3 if quick else 15
    took = in_turns(
        {"ours": lambda: import_seconds("signal_stream"), "pyarrow": lambda: import_seconds("pyarrow")}, rounds=rounds
    )
    yield Figure(
        "import signal_stream", "s", Measured.middle(took["ours"]), "import pyarrow", Measured.middle(took["pyarrow"]),
        Goal("value", "<", 0.3), f"fresh interpreters, median of {rounds}",
    )  # fmt: skip
    starts = 1 if quick else 5
    try:
        with served() as what:
            found = [first_signal(what, f"start{i}") for i in range(starts)]
    except (NotTrained, Silent) as error:
        yield Figure(SERVE, "s", None, goal=TO_SIGNAL, note=f"not measured: {error}")
        return
    note = (
        f"from the command to its first line in a sink, {found[0][1]}; one GBDT in a worker and its spare, pace max; "
        f"median of {starts}, each with an empty state"
    )
    yield Figure(SERVE, "s", Measured.middle([seconds for seconds, _ in found]), goal=TO_SIGNAL, note=note)


def import_seconds(module: str) -> float:
    """Seconds of one import in an interpreter that has imported nothing else."""
    done = subprocess.run([sys.executable, "-c", IMPORT.format(module)], check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def first_signal(what: Served, name: str) -> tuple[float, str]:
    """Seconds from starting `serve` until its first signal stands in the sink, and that signal's verdict."""
    file, sink = what.deployment(name, sink=True)
    printed = file.with_suffix(".out")
    begun = time.perf_counter()
    with printed.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "signal_stream", "serve", str(file)], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        while not _has_line(sink):
            if process.poll() is not None or time.perf_counter() - begun > PATIENCE_S:
                raise Silent(" ".join(printed.read_text().split())[-200:])
            time.sleep(LOOK_EVERY_S)
        seconds = time.perf_counter() - begun
    finally:
        process.terminate()
        process.wait()
    with sink.open() as lines:
        verdict = "a PASS" if '"verdict":"PASS"' in lines.readline() else "a VETO (windows are still filling)"
    return seconds, verdict


def _has_line(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b"\n" in file.read(1 << 16)
    except FileNotFoundError:
        return False
