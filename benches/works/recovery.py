"""How long a restart takes behind logs of 1, 10 and 100 million messages, what memory, and how long a replay."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from benches.figure import Figure, Goal, Measured
from benches.folders import ROOT
from benches.served import NotTrained, Served, served
from signal_stream import _core
from signal_stream.serve.checkpoint import Checkpoint, Totals
from signal_stream.serve.run_record import RunRecord
from signal_stream.store import State
from signal_stream.store.journal_upkeep import seal_journal
from signal_stream.store.tape_log import LogPosition, TapeLog, seal
from signal_stream.store.tape_log.index import LogBegin, LogIndex
from signal_stream.store.tape_log.segment import Segment, list_segments

SIZES = (1_000_000, 10_000_000, 100_000_000)
QUICK = (100_000, 1_000_000)
EVENTS_AN_APPEND = 8
"""As they come while a market is busy; at one an append a segment holds fewer."""
MESSAGES_A_SIGNAL = 500
JOURNAL_ROWS = 60_000
FED = 20_000
PATIENCE_S = 120.0
LOOK_EVERY_S = 0.002
DEPLOYMENT = """\
[pipeline]
name = "bench"
state = "{state}"
registry = "{registry}"

[source]
url = "stdin:"
queue_rows = 65536
when_full = "block"
lateness = "0s"
late = "drop"

[[model]]
ref = "book_gbdt@latest"
deadline = "1s"

[guards]
max_age = "30s"
completeness = 1.0
"""


class Silent(Exception):
    """`serve` gave no signal; the message is what it printed last."""


def measure(*, quick: bool) -> Iterator[Figure]:
    """Start, memory and replay for each size."""
    try:
        with served() as what:
            yield from _measured(what, QUICK if quick else SIZES)
    except (NotTrained, Silent) as error:
        yield Figure("restart behind a long log", "s", None, note=f"not measured: {error}")


def _measured(what: Served, sizes: Sequence[int]) -> Iterator[Figure]:
    with gzip.open(what.capture, "rt") as file:
        lines = list(islice(file, 3 * FED))
    empty = Place.made(what, "empty")
    began = empty.first_signal(lines[:FED])
    run_record, signal = empty.said()
    for size in sizes:
        place = Place.made(what, f"aged{size}")
        Aged(place, run_record, signal, size).write(what.capture)
        place.first_signal(lines[:FED], settle=True)
        found = place.first_signal(lines[FED : 2 * FED])
        name = f"{size // 1_000_000} M messages" if size >= 1_000_000 else f"{size // 1000} k messages"
        yield Figure(
            f"restart behind {name}", "s beyond an empty start", Measured.once(found.seconds - began.seconds),
            goal=Goal("value", "<=", 2.0),
            note=f"killed, started again, to the first new signal: {found.seconds:.2f} s, empty {began.seconds:.2f} s; "
            f"{place.segments()} segments of tape, {place.records():,} records of journal",
        )  # fmt: skip
        yield Figure(f"memory behind {name}", "MB", Measured.once(found.peak_mb), goal=Goal("value", "<=", 250.0),
                     note=f"most that the process had resident; empty {began.peak_mb:.0f} MB")  # fmt: skip
        yield Figure(f"replay of the newest signal, {name}", "s", Measured.once(place.replay_s()))


@dataclass(frozen=True, slots=True)
class Start:
    """From the command to the first new signal, and the most memory up to then."""

    seconds: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class Place:
    """A deployment with a state folder of its own."""

    file: Path
    state: State

    @classmethod
    def made(cls, what: Served, name: str) -> Place:
        """Writes the deployment file."""
        folder = what.folder / name
        folder.mkdir()
        file = folder / "deployment.toml"
        file.write_text(DEPLOYMENT.format(state=folder / "state", registry=what.folder / "registry"))
        return cls(file, State(folder / "state"))

    def first_signal(self, lines: Sequence[str], *, settle: bool = False) -> Start:
        """Serves these lines, and kills the process after its first signal, or with `settle` when all are used."""
        tail = self.state.tail()
        tail.last(1)
        begun = time.perf_counter()
        with self._serving() as process:
            assert process.stdin is not None
            with suppress(BrokenPipeError):  # it has ended: what it printed follows
                process.stdin.write("".join(lines))
                process.stdin.flush()
            while not any(True for _ in tail.read()):
                if process.poll() is not None or time.perf_counter() - begun > PATIENCE_S:
                    raise Silent(" ".join(self.file.with_suffix(".out").read_text().split())[-300:])
                time.sleep(LOOK_EVERY_S)
            seconds = time.perf_counter() - begun
            peak = Path(f"/proc/{process.pid}/status").read_text().partition("VmHWM:")[2].split()[0]
            while settle and any(True for _ in tail.read()):
                time.sleep(0.2)
        return Start(seconds, int(peak) / 1024)

    def said(self) -> tuple[RunRecord, str]:
        """What the journal says about the run, and its newest signal."""
        reader = self.state.reader()
        opened, last = reader.last("open"), reader.last("signal")
        assert opened is not None
        assert last is not None
        return RunRecord.from_json(opened.body), last.body

    def replay_s(self) -> float:
        """Seconds of `replay` of the newest signal."""
        newest = self.state.reader().last("signal")
        assert newest is not None
        command = [sys.executable, "-m", "signal_stream", "replay", newest.key, "--state", str(self.state.folder)]
        begun = time.perf_counter()
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        return time.perf_counter() - begun

    def segments(self) -> int:
        """Of the tape log."""
        return len(list_segments(self.state.folder / "tape"))

    def records(self) -> int:
        """Of the journal."""
        return self.state.reader().check_end()

    @contextmanager
    def _serving(self) -> Iterator[subprocess.Popen[str]]:
        with self.file.with_suffix(".out").open("w") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "signal_stream", "serve", str(self.file)],
                cwd=ROOT, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@dataclass(frozen=True, slots=True)
class Aged:
    """A state folder as it is after `size` messages: recycled segments, a journal of signals, a snapshot at the end."""

    place: Place
    run_record: RunRecord
    signal: str
    size: int

    def write(self, capture: Path) -> None:
        """Makes it."""
        state = self.place.state
        state.folder.mkdir(parents=True)
        state.latches_path.parent.mkdir(exist_ok=True)
        tape = state.folder / "tape"
        messages = self._write_tape(tape, capture)
        tape_identity = replace(self.run_record.tape, path=str(tape))
        run_record = replace(self.run_record, tape=tape_identity, messages=messages, latch=None)
        records = self._write_journal(state.journal_folder, run_record, messages)
        engines = {
            graph.digest: _core.Engine(_core.Plan(graph.json), messages=messages).snapshot()
            for graph in run_record.graphs
        }
        checkpoint = Checkpoint(records, messages, engines, {}, Totals(0, {}, {}), LogPosition(0, 0), b"", {})
        state.snapshots().put(checkpoint.snapshot())

    def _write_tape(self, folder: Path, capture: Path) -> int:
        batch = _core.Reader([str(capture)]).next()
        assert batch is not None
        log = TapeLog(folder)
        while log.position.segments == 0 and log.messages < self.size // 2:  # until a segment is full
            for at in range(0, batch.messages - EVENTS_AN_APPEND, EVENTS_AN_APPEND):
                log.append(batch.slice(at, at + EVENTS_AN_APPEND))
        log.close()
        log = TapeLog(folder)
        log.append(batch.slice(0, 1))
        log.close()
        seal(folder, compress=True)
        index = LogIndex.read(folder)
        assert index is not None
        first = index.entries[0]
        one, *others = list_segments(folder)
        for each in others:
            each.remove()
        entries = [first]
        messages = first.holds.messages
        for number in range(1, self.size // messages):
            segment = Segment.named(folder, number, number * messages, sealed=True)
            os.link(one.path, segment.path)
            os.link(one.sums_path, segment.sums_path)
            entries.append(replace(first, number=number, file=segment.path.name, first=number * messages))
        LogIndex(LogBegin(), tuple(entries)).write(folder)
        return messages * len(entries)

    def _write_journal(self, folder: Path, run_record: RunRecord, messages: int) -> int:
        folder.mkdir(parents=True)
        body: dict[str, Any] = json.loads(self.signal)
        body["tape"]["offset"] = "OFFSET"
        body["signal_id"] = "ID"
        text = json.dumps(body).replace('"OFFSET"', "%d").replace('"ID"', '"%032x"')
        opened = run_record.to_json()
        ts = body["ts_recv"]
        seq = 0
        for first in range(0, messages // MESSAGES_A_SIGNAL, JOURNAL_ROWS):
            stop = min(first + JOURNAL_ROWS, messages // MESSAGES_A_SIGNAL)
            with (folder / f"{seq:020d}.arrows").open("wb") as file:
                file.write(_core.journal_header() + _core.journal_encode(seq, ts, "open", "", opened))
                seq += 1
                for number in range(first, stop):
                    made = text % (number, number * MESSAGES_A_SIGNAL)
                    file.write(_core.journal_encode(seq, ts, "signal", f"{number:032x}", made))
                    seq += 1
        seal_journal(folder)
        return seq
