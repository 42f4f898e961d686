"""A model to serve: a simulated capture, a graph, a fitted and registered classifier, and deployments of them."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import signal_stream as ss
from signal_stream import book, trades
from signal_stream.records import JournalRecord, SignalRecord
from signal_stream.registry import Registry
from signal_stream.serve import Pipeline, build
from signal_stream.settings import load_deployment
from signal_stream.store import State
from signal_stream.testing import MarketSimulator

PATIENCE_S = 60.0
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(ss.__file__).parents[1])}
DEPLOYMENT = """
[pipeline]
name = "micro"
state = "state/"
registry = "{registry}"

[source]
url = "{url}"
{source}

[[model]]
ref = "micro@live"
deadline = "{deadline}"
fallback = "{fallback}"

[guards]
max_age = "{max_age}"
completeness = {completeness}

[[sink]]
url = "file://signals.jsonl"
"""
SOURCE = {"pace": "max", "queue_rows": 65536, "when_full": "block", "lateness": "0ms", "late": "drop"}


def wait_for(condition: Callable[[], Any], what: str, *, patience_s: float = PATIENCE_S) -> Any:
    """What the condition gives once it gives something. Fails after `patience_s`."""
    until = time.monotonic() + patience_s
    while not (found := condition()):
        assert time.monotonic() < until, f"waited {patience_s} s for {what}"
        time.sleep(0.001)
    return found


def micro_graph(clock: str = "100ms", axis: str = "recv") -> ss.FeatureGraph:
    """Book and trade features that are valid soon after the start of a capture."""
    mid = book.mid()
    return ss.FeatureGraph(
        name="micro",
        on=ss.every(clock),
        axis=axis,
        features={
            "obi_5": book.imbalance(levels=5),
            "micro": book.microprice() - mid,
            "ofi_1s": book.ofi(levels=1).rolling("1s").sum(),
            "flow_200ms": trades.signed_qty().rolling("200ms").sum(),
            "vol_2s": mid.log().diff().rolling("2s").std(),
            "trend": mid - mid.rolling(20).mean(),
            "mid": mid,
        },
    )


@dataclass(frozen=True)
class Market:
    """A capture and a registry with a live model for it."""

    folder: Path
    capture: Path
    registry: Path
    graph: ss.FeatureGraph
    simulator: MarketSimulator

    @classmethod
    def make(
        cls, folder: Path, *, seconds: float = 20.0, trees: int = 20, clock: str = "100ms", axis: str = "recv"
    ) -> Market:
        """Simulates, fits and registers. Takes a second or two."""
        import numpy as np
        import pyarrow.parquet as pq
        from sklearn.ensemble import GradientBoostingClassifier

        from signal_stream.research.onnx_file import save_onnx
        from signal_stream.research.registration import Declaration, register

        folder.mkdir(parents=True, exist_ok=True)
        capture = folder / "market.gz"
        simulator = MarketSimulator(seed=7, duration_s=seconds)
        simulator.write_capture(capture)
        graph = micro_graph(clock, axis)
        table = ss.compute(graph, capture, lateness="0s" if axis == "event" else None)
        pq.write_table(table, folder / "train.parquet")
        rows = np.column_stack([table[name].to_numpy(zero_copy_only=False) for name in graph.features])
        rows = np.nan_to_num(rows.astype(np.float32))
        rises = (np.roll(rows[:, -1], -5) > rows[:, -1]).astype(int)
        model = GradientBoostingClassifier(n_estimators=trees, random_state=0).fit(rows, rises)
        onnx = save_onnx(model, folder / "model.onnx", columns=graph.features, rows=rows, signal="up", horizon="1s")
        declared = Declaration("micro", "tests", defaults={"flow_200ms": 0.0})
        registry = folder / "registry"
        entry = register(graph, onnx, folder / "train.parquet", registry, declared, now=1)
        Registry(registry).promote(entry.ref, "live", by="tests", reason="tests", now=2)
        return cls(folder, capture, registry, graph, simulator)

    def delay_frames(self) -> None:
        """Has a tenth of the capture's frames come up to 400 ms later than they did, some of them behind newer ones."""
        lines = gzip.decompress(self.capture.read_bytes()).splitlines()
        chooser = random.Random(3)
        came = [
            int(each.split(b" ", 1)[0]) + (chooser.random() < 0.1) * chooser.randrange(400_000_000) for each in lines
        ]
        order = sorted(range(len(lines)), key=lambda k: came[k])
        late = b"".join(b"%d %s\n" % (came[k], lines[k].split(b" ", 1)[1]) for k in order)
        self.capture.write_bytes(gzip.compress(late))

    def pieces(self, count: int) -> list[str]:
        """The capture's lines, cut into so many texts: for a pipeline on standard input, whose market cannot end before a test
        has done what it wants to do meanwhile."""
        with gzip.open(self.capture, "rt") as file:
            lines = file.readlines()
        cuts = [len(lines) * i // count for i in range(count + 1)]
        return ["".join(lines[begin:end]) for begin, end in pairwise(cuts)]

    def deploy(
        self,
        folder: Path,
        *,
        url: str | None = None,
        deadline: str = "1s",
        fallback: str = "veto",
        max_age: str = "1h",
        completeness: float = 0.8,
        more: str = "",
        **source: Any,
    ) -> Served:
        """A deployment of the model in a folder of its own; keywords are `[source]` keys."""
        folder.mkdir(parents=True, exist_ok=True)
        keys = SOURCE | source
        lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in keys.items() if value is not None)
        text = DEPLOYMENT.format(
            registry=self.registry,
            url=url or f"file://{self.capture}",
            source=lines,
            deadline=deadline,
            fallback=fallback,
            max_age=max_age,
            completeness=completeness,
        )
        (folder / "deployment.toml").write_text(text + more)
        return Served(folder)


@dataclass
class Served:
    """A deployment's folder, and the processes that work on it."""

    folder: Path
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def deployment(self) -> Path:
        """The deployment file."""
        return self.folder / "deployment.toml"

    @property
    def state(self) -> State:
        """The state folder."""
        return State(self.folder / "state")

    def start(self, *words: str, stdin: int | None = subprocess.DEVNULL, **more: Any) -> subprocess.Popen[str]:
        """`signal-stream serve deployment.toml`, or another command, as a process of its own."""
        process = subprocess.Popen(
            [sys.executable, "-m", "signal_stream", *(words or ("serve", "deployment.toml"))],
            cwd=self.folder,
            env=ENVIRONMENT,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **more,
        )
        self.processes.append(process)
        return process

    def feed(self, text: str) -> None:
        """Gives the newest process more on its standard input."""
        stdin = self.processes[-1].stdin
        assert stdin is not None
        stdin.write(text)
        stdin.flush()

    def serve(self) -> str:
        """Serves to the end of the source; returns what was printed."""
        process = self.start()
        out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, err
        return out

    def command(self, *words: str, exit_code: int | None = 0) -> str:
        """Runs another command in the folder; returns standard output, or standard error where it fails as expected.

        With `exit_code` None any code will do.
        """
        done = subprocess.run(
            [sys.executable, "-m", "signal_stream", *words],
            cwd=self.folder,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert exit_code in (None, done.returncode), done.stdout + done.stderr
        return done.stderr if exit_code == 2 else done.stdout

    def status(self) -> dict[str, Any]:
        """The status file; empty while there is none."""
        path = self.state.folder / "status.json"
        found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def wait_serving(self, signals: int = 1) -> None:
        """Waits until so many signals are in the journal."""
        wait_for(lambda: self.count_signals() >= signals, f"{signals} signals")

    def count_signals(self) -> int:
        """Signals in the journal now."""
        return len(self.signal_records()) if any(self.state.journal_folder.glob("*.arrows")) else 0

    def signal_records(self) -> list[JournalRecord]:
        """The journal's signals, in its order."""
        return list(self.state.reader().records(kind="signal"))

    def signals(self) -> list[SignalRecord]:
        """The journal's signals, in its order."""
        return [SignalRecord.from_json(record.body) for record in self.signal_records()]

    def ids(self) -> list[str]:
        """Their ids."""
        return [record.key for record in self.signal_records()]

    def sink_ids(self) -> list[str]:
        """The ids in the JSON-lines sink."""
        lines = (self.folder / "signals.jsonl").read_text().splitlines()
        return [json.loads(line)["signal_id"] for line in lines]

    def end(self) -> None:
        """Ends what still runs."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.communicate()


def computed(signals: Sequence[SignalRecord]) -> list[tuple[str, float | None, str, tuple[str, ...]]]:
    """Of each signal what does not depend on how long anything took."""
    return [(each.signal_id, each.value, each.verdict.outcome, each.verdict.codes) for each in signals]


def is_alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in found for child in path.read_text().split()]


def serve_here(folder: Path) -> None:
    """Serves the deployment of a folder in this process, in silence: what a forked child runs."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    path = folder / "deployment.toml"
    with Pipeline(build(load_deployment(path), path=path)) as pipeline:
        pipeline.run()


def forked(served: Served) -> multiprocessing.process.BaseProcess:
    """A process that serves, forked from one that has everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.serving", "signal_stream.emit", "signal_stream.serve.pipeline"])
    process = context.Process(target=serve_here, args=(served.folder,))
    process.start()
    return process


Deploy = Callable[..., Served]
"""`Market.deploy` in a folder of the test."""
