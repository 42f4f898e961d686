"""The checkpoint file: what is saved while a pipeline runs, so that a restart can go on from it (restart.py decides)."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final, cast

from signal_stream.errors import SignalStreamError
from signal_stream.store import Snapshot, Snapshots
from signal_stream.store.tape_log import LogPosition

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from signal_stream.roles import StatefulModel

    from .model_step import ModelStep
    from .signal_path import Lane


_DIGEST: Final = slice(8, 72)  # where an engine's snapshot has its graph's digest


@dataclass(frozen=True, slots=True)
class Totals:
    """What has been counted up to a snapshot: vectors, and signals by verdict and code for each model."""

    vectors: int
    outcomes: Mapping[str, Mapping[str, int]]
    codes: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a pipeline between two batches of events.

    `engines` (by their graphs' digests), `gates` and `models` (of those that carry state, by name@version) are their makers'
    snapshots, `late` the end of the log of late rows,
    `position` where the source stands, `journal_seq` the number of records that the journal had, `messages` the number of the
    tape's messages that were used, `begins` behind which of them each graph's engine began where that is not the first.
    """

    journal_seq: int
    messages: int
    engines: Mapping[str, bytes]
    gates: Mapping[str, bytes]
    totals: Totals
    late: LogPosition
    position: bytes
    begins: Mapping[str, int]
    models: Mapping[str, bytes] = field(default_factory=dict)

    @classmethod
    def take(
        cls,
        *,
        journal_seq: int,
        lanes: tuple[Lane, ...],
        vectors: int,
        late: LogPosition,
        position: bytes,
        begins: Mapping[str, int],
    ) -> Checkpoint:
        """The state as it is now. Raises ModelError STATE where a model does not give its own."""
        steps = [step for lane in lanes for step in lane.steps]
        return cls(
            journal_seq,
            lanes[0].engine.messages,
            {lane.steps[0].manifest.graph_digest: lane.engine.snapshot() for lane in lanes},
            {step.manifest.name: step.gate.snapshot() for step in steps},
            Totals(
                vectors,
                {step.manifest.name: dict(step.outcomes) for step in steps},
                {step.manifest.name: dict(step.codes) for step in steps},
            ),
            late,
            position,
            begins,
            {step.ref: cast("StatefulModel", step.model).snapshot() for step in steps if step.manifest.stateful},
        )

    def give(self, steps: tuple[ModelStep, ...], *, superseded_through: int = -1) -> None:
        """Puts the steps' part back; a model that is new has none, and one that begins behind what others have answered
        (`superseded_through`) begins without a state. Raises ModelError STATE."""
        for step in steps:
            name = step.manifest.name
            if name in self.gates:
                step.gate.restore(self.gates[name])
                step.outcomes.update(self.totals.outcomes[name])
                step.codes.update(self.totals.codes[name])
            if step.ref in self.models and self.messages > superseded_through:
                cast("StatefulModel", step.model).restore(self.models[step.ref])

    def snapshot(self) -> Snapshot:
        """As the store keeps it."""
        rest = {"totals": asdict(self.totals), "late": asdict(self.late), "begins": dict(self.begins)}
        gates = {f"gate:{name}": data for name, data in self.gates.items()}
        engines = {f"engine:{digest}": data for digest, data in self.engines.items()}
        models = {f"model:{ref}": data for ref, data in self.models.items()}
        parts = {**engines, **models, "rest": json.dumps(rest).encode(), "position": self.position, **gates}
        return Snapshot(self.journal_seq, parts, self.messages)

    @classmethod
    def of(cls, snapshot: Snapshot) -> Checkpoint:
        """Reads a snapshot back. Raises KeyError, ValueError or TypeError if it is another program's."""
        rest = json.loads(snapshot.parts["rest"])
        engines, gates = engine_states(snapshot), _named(snapshot.parts, "gate:")
        models = model_states(snapshot)
        totals = Totals(*(rest["totals"][name] for name in ("vectors", "outcomes", "codes")))
        late = LogPosition(rest["late"]["segments"], rest["late"]["bytes"])
        position = snapshot.parts.get("position", b"")
        messages, begins = snapshot.messages or 0, rest.get("begins", {})
        return cls(snapshot.journal_seq, messages, engines, gates, totals, late, position, begins, models)


def engine_states(snapshot: Snapshot) -> dict[str, bytes]:
    """The engines' snapshots by their graphs' digests. In format 0 there was one, which says in itself whose it is."""
    if "engine" in snapshot.parts:
        engine = snapshot.parts["engine"]
        return {engine[_DIGEST].decode("ascii", "replace"): engine}
    return _named(snapshot.parts, "engine:")


def model_states(snapshot: Snapshot) -> dict[str, bytes]:
    """The snapshots of the models that carry state, by name@version."""
    return _named(snapshot.parts, "model:")


def _named(parts: Mapping[str, bytes], kind: str) -> dict[str, bytes]:
    """The parts whose names begin with a kind, by the rest of their names."""
    return {name.removeprefix(kind): data for name, data in parts.items() if name.startswith(kind)}


class CheckpointWriter:
    """Writes checkpoints to the disk in a thread of its own, the newest given while it was busy, if any, next.

    `force` forces what a checkpoint stands on to the disk before it is written, so that none is ahead of the journal.
    A failure is kept in `failure`; a pipeline can live without snapshots, it only starts again more slowly.
    """

    def __init__(
        self,
        snapshots: Snapshots,
        *,
        force: Callable[[], None],
        on_written: Callable[[int, str], None] | None = None,
    ) -> None:
        """`on_written` is told, on the writer's thread, how many messages a snapshot rests on that is on the disk, and its
        name."""
        self.failure: str | None = None
        self.written = 0
        self._snapshots = snapshots
        self._force = force
        self._on_written = on_written
        self._next: Checkpoint | None = None
        self._changed = threading.Condition()
        self._busy = False
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="signal-stream-snapshots", daemon=True)
        self._thread.start()

    @property
    def is_busy(self) -> bool:
        """Whether one is being written, or waits."""
        return self._busy

    def put(self, checkpoint: Checkpoint) -> None:
        """Has it written; returns at once."""
        with self._changed:
            self._next = checkpoint
            self._busy = True
            self._changed.notify()

    def close(self) -> None:
        """Writes what was given and ends the thread. May be called twice."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = self._next is not None
                while self._next is None and not self._closing:
                    self._changed.wait()
                checkpoint, self._next = self._next, None
            if checkpoint is None:
                return
            try:
                self._force()
                path = self._snapshots.put(checkpoint.snapshot())
                self.written += 1
                if self._on_written is not None:
                    self._on_written(checkpoint.messages, path.name)
                self.failure = None
            except (OSError, SignalStreamError) as error:
                self.failure = f"{type(error).__name__}: {error}"
