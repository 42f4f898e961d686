"""How long a stack takes to be up, and a status document to be answered."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from benches.figure import Figure, Goal, Measured
from benches.folders import ROOT
from benches.works.scrape import MODELS, status

if TYPE_CHECKING:
    from collections.abc import Iterator

LEVELS: Final = (4, 3, 3)
START_S: Final = 1.0
UP: Final = Goal("value", "<=", 3.5)
ANSWER: Final = Goal("value", "<", 100.0)


def measure(*, quick: bool) -> Iterator[Figure]:
    """`up` of ten processes on three levels, and the status document."""
    took = [seconds_up() for _ in range(1 if quick else 5)]
    each = f"processes whose starts take {START_S:g} s, {LEVELS} a level; median of {len(took)}"
    alone = Measured.once(len(LEVELS) * START_S)
    levels, command = (Measured.middle(list(found)) for found in zip(*took, strict=True))
    yield Figure(
        "up, ten components on three levels",
        "s",
        levels,
        "the levels alone",
        alone,
        UP,
        f"{each}: from the first start",
    )
    yield Figure("up, from the command", "s", command, note=f"{each}: with the interpreter and its imports")
    answers = Measured.middle([seconds * 1e3 for seconds in seconds_of_answers(20 if quick else 300)])
    note = f"state folder, latches and journal looked at and judged; {MODELS} models of 200 features, none of which it lists"
    yield Figure("status document, 10,000 features", "ms", answers, goal=ANSWER, note=note)


def seconds_up() -> tuple[float, float]:
    """From the first start, and from the command, until each part is ready. Each needs all of the level before its own."""
    with TemporaryDirectory() as folder:
        parts, before = [], list[str]()
        for level, many in enumerate(LEVELS):
            names = [f"part{level}{i}" for i in range(many)]
            parts += [
                f'[[process]]\nname = "{name}"\ncommand = ["sleep", "{START_S:g}"]\nonce = true\nneeds = {json.dumps(before)}\n'
                for name in names
            ]
            before = names
        path = Path(folder) / "stack.toml"
        path.write_text("\n".join(['[stack]\nname = "bench"\n', *parts]))
        begun = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "signal_stream", "up", str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        moments: dict[str, list[float]] = {"starting": [], "ready": []}
        for line in process.stdout:
            moment, *words = line.split()
            if words[1:2] in (["starting"], ["ready"]):
                moments[words[1]].append(datetime.fromisoformat(moment).timestamp())
            if len(moments["ready"]) == sum(LEVELS):
                break
        seconds = time.perf_counter() - begun
        process.stdout.close()
        process.terminate()
        process.wait()
        return max(moments["ready"]) - min(moments["starting"]), seconds


def seconds_of_answers(many: int) -> list[float]:
    """Of each answer, as a document of JSON."""
    from signal_stream.monitor.look import look
    from signal_stream.store import State

    with TemporaryDirectory() as folder:
        state = State(Path(folder))
        _, journal = state.open()
        journal.close()
        status().write(state.folder)
        took = []
        for _ in range(many):
            begun = time.perf_counter()
            json.dumps(look(state.folder, now=time.time_ns()))
            took.append(time.perf_counter() - begun)
        return took
