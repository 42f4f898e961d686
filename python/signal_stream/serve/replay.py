"""Signals made again from journal and tape, and compared with what the journal holds."""

from __future__ import annotations

import json
import struct
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from signal_stream import parts
from signal_stream.core_errors import core_error
from signal_stream.errors import RegistryError, ReplayError, SettingsError, TapeError
from signal_stream.guards import Gate, standard_guards
from signal_stream.records import Decision, JournalRecord, ModelRow, Prediction, SignalRecord
from signal_stream.registry import RegisteredModel, Registry
from signal_stream.store import State
from signal_stream.store.tape_log import log_batches

from .assembly import compile_graph, own_guards
from .nearest_snapshot import Nearest
from .replay_guards import Memory, as_recorded
from .replay_models import ANSWER_NS_MAX, Remembering
from .run_record import RunRecord, ServedGraph, TapeIdentity, served_guard
from .served_models import card
from .signal_lookup import runs_of
from .source_reader import from_message, tape_batches

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from signal_stream import _core
    from signal_stream.registry import Manifest
    from signal_stream.roles import Guard, Model
    from signal_stream.store import JournalReader, Snapshots

AS_THEY_FELL: Final = frozenset({"STALE", "KILLED", "DEADLINE", "MODEL_DOWN", "MODEL_ERROR", "GUARD_ERROR"})
"""Codes that may rest on the wall clock, on a worker or on a person: recorded, not computed."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A field of the signal that is another one now. Numbers with their bits."""

    name: str
    recorded: str
    now: str

    def __str__(self) -> str:
        return f"{self.name}: recorded {self.recorded}, now {self.now}"


@dataclass(frozen=True, slots=True)
class Replayed:
    """One signal after its replay: `differences` in the order of the signal's fields, none if the bits are the same.

    `as_it_fell` are codes of the verdict that depended on the moment, and were not computed again. `vector` are the
    features as they are now, with their bits.
    """

    signal_id: str
    value: float | None
    vector_hash: str
    differences: tuple[Difference, ...]
    as_it_fell: tuple[str, ...] = ()
    vector: tuple[tuple[str, str], ...] = ()

    @property
    def same(self) -> bool:
        """Whether every bit that can be computed again is the same."""
        return not self.differences


@dataclass(slots=True)
class _Wanted:
    """A signal on its way: what the journal says, and what the tape gave."""

    record: JournalRecord
    signal: SignalRecord
    run_record: RunRecord
    row: _core.Row | None = None
    payload: bytes | None = None
    vector: tuple[tuple[str, str], ...] = ()
    prediction: Prediction | None = None

    @property
    def ref(self) -> str:
        """The model that made it, as name@version."""
        return f"{self.signal.lineage.model_id}@{self.signal.lineage.model_version}"


@dataclass(slots=True)
class _Run:
    """Signals of one tape and one graph: one pass serves them all."""

    run_record: RunRecord
    graph: ServedGraph
    wanted: list[_Wanted] = field(default_factory=list)


def replay(journal: JournalReader, records: Sequence[JournalRecord], *, tape: Path | None = None) -> Iterator[Replayed]:
    """Makes signals again, in runs of one tape and graph each; gives them in the order of the tape.

    The tape runs through an engine that is restored from the nearest snapshot before the signal, or new at the tape's beginning
    if there is none, which gives the same bits; the model predicts in the same session options as live; the
    Gate judges at the vector's own time. `tape` names the file where it was moved. Raises ReplayError if tape, graph
    or model are missing or others.
    """
    snapshots = State(journal.folder.parent).snapshots()
    runs: dict[tuple[TapeIdentity, ServedGraph, int | None], _Run] = {}
    asked = {record.seq for record in records}
    try:
        memory = Memory(journal, snapshots, records, runs_of(journal, [record.seq for record in records]))
    except SettingsError as error:
        raise _no_guard(error) from error
    run_records = runs_of(journal, [record.seq for record in memory.records])
    for record, run_record in zip(memory.records, run_records, strict=True):
        signal = SignalRecord.from_json(record.body)
        graph = run_record.graph(signal.lineage.feature_graph_hash)
        # a model that carries state began where those before it had stopped
        began = run_record.superseded_through if any(model.stateful for model in run_record.models) else None
        run = runs.setdefault((run_record.tape, graph, began), _Run(run_record, graph))
        run.wanted.append(_Wanted(record, signal, run_record))
        run.run_record = run_record
    own: dict[tuple[str, object], list[Guard]] = {}
    for run in runs.values():
        for seq, replayed in _replay_run(run, tape, snapshots, memory.begins, own):
            if seq in asked:
                yield replayed


def _replay_run(
    run: _Run,
    tape: Path | None,
    snapshots: Snapshots,
    begins: Mapping[int, bytes | None],
    own: dict[tuple[str, object], list[Guard]],
) -> Iterator[tuple[int, Replayed]]:
    """The run's signals with the numbers of their records. `begins` says where guards that remember begin, with which state;
    `own` holds them over all runs, by model and their settings."""
    models = _load_models(run)
    first = next(iter(models.values()))
    plan = compile_graph(first.manifest)
    with ExitStack() as closing:
        remembering = {
            ref: closing.enter_context(Remembering(model, run.run_record, _gate(run.run_record, model.manifest, ())))
            for ref, model in models.items()
            if model.manifest.stateful
        }
        _find_rows(run, plan, models, tape, snapshots, remembering)
    for ref, model in models.items():
        asked = [each for each in run.wanted if each.payload is not None and each.ref == ref and ref not in remembering]
        for each, prediction in zip(asked, _predict(model, asked), strict=True):
            each.prediction = prediction
    gates: dict[tuple[RunRecord, str], Gate] = {}
    for each in sorted(run.wanted, key=lambda each: each.record.seq):
        key, seq = (each.run_record, each.ref), each.record.seq
        home = (each.ref, each.run_record.guards)
        if seq in begins:
            own.pop(home, None)
            gates = {of: gate for of, gate in gates.items() if of[1] != each.ref}
        if key not in gates:
            manifest = models[each.ref].manifest
            if home not in own:
                own[home] = _own_guards(each.run_record, manifest.name)
            gates[key] = _gate(each.run_record, manifest, own[home])
        gate = gates[key]
        if (state := begins.get(seq)) is not None:
            gate.restore(state)
        replayed, decision = _compare(each, gate)
        if decision is not None and gate.observes:
            gate.observe(as_recorded(decision, each.signal))
        yield seq, replayed


def _load_models(run: _Run) -> dict[str, RegisteredModel]:
    """The models of the run's signals, by reference. Raises ReplayError if one is gone or another."""
    registry = Registry(Path(run.run_record.registry))
    models: dict[str, RegisteredModel] = {}
    for each in run.wanted:
        if each.ref not in models:
            try:
                models[each.ref] = registry.load(each.ref)
            except RegistryError as error:
                raise ReplayError("MODEL", error.message, where=error.where, next_step=error.next_step) from None
        digest = models[each.ref].manifest.digest
        if not any((opened.ref, opened.digest) == (each.ref, digest) for opened in each.run_record.models):
            raise ReplayError(
                "MODEL",
                f"{each.ref} is not the model that was served when signal {each.signal.signal_id} was made",
                where=run.run_record.registry,
            )
    return models


def _find_rows(
    run: _Run,
    plan: _core.Plan,
    models: dict[str, RegisteredModel],
    tape: Path | None,
    snapshots: Snapshots,
    remembering: dict[str, Remembering],
) -> None:
    """Runs the tape through engines and keeps the vectors that are wanted; models that carry state are asked for all."""
    missing: dict[tuple[int, str, int, int | None], list[_Wanted]] = {}
    for each in run.wanted:
        lineage = each.signal.lineage
        key = (lineage.tape.offset, each.signal.instrument, lineage.ts_recv, lineage.ts_event)
        missing.setdefault(key, []).append(each)
    offsets = {offset for offset, *_ in missing}
    identity = run.run_record.tape
    nearest = Nearest(
        snapshots,
        plan,
        run.graph,
        models=remembering.keys(),
        after=run.run_record.superseded_through if remembering else -1,
    )
    predictions: dict[str, Prediction | None] = {}
    for leg in nearest.legs(sorted(offsets), jumps=identity.recorded):
        engine, states = nearest.start(leg[0])
        for ref, model in remembering.items():
            model.begin(states.get(ref, b""))
        for batch in _batches(identity, tape, engine.messages):
            for vectors in _vectors(engine, batch):
                for i in range(len(vectors)):
                    if remembering and vectors.offset(i) <= leg[-1]:
                        predictions = {ref: model.take(vectors.row(i)) for ref, model in remembering.items()}
                    if vectors.offset(i) not in offsets:
                        continue
                    key = (vectors.offset(i), vectors.instrument(i), vectors.ts_recv(i), vectors.row(i).ts_event)
                    for each in missing.pop(key, ()):
                        _fill(each, vectors, i, models[each.ref])
                        each.prediction = predictions.get(each.ref)
            if engine.messages >= leg[-1]:
                break
        if engine.messages < leg[-1]:
            message = f"the tape ends after {engine.messages:,} messages; a signal rests on message {leg[-1]:,}"
            raise ReplayError("TAPE", message, where=identity.path)


def _vectors(engine: _core.Engine, batch: _core.EventBatch) -> Iterator[_core.Vectors]:
    """What a batch brings about, piece by piece."""
    from signal_stream import _core

    try:
        yield engine.push(batch)
        while engine.left:
            yield engine.go_on()
        engine.take_amendments()  # no signal rests on them; what nobody takes is held
    except _core.CoreError as error:
        raise core_error(error, "replay", about="the engine refuses the tape: ") from None


def _fill(each: _Wanted, vectors: _core.Vectors, i: int, model: RegisteredModel) -> None:
    """Takes what the signal needs from its vector."""
    manifest = model.manifest
    row = each.row = vectors.row(i)
    numbers = zip(vectors.features, row.values, row.reasons, strict=True)
    each.vector = tuple((name, number_text(value) if why is None else why) for name, value, why in numbers)
    defaults = [manifest.defaults.get(column) for column in manifest.columns]
    if all(why is None or value is not None for why, value in zip(row.reasons, defaults, strict=True)):
        each.payload = row.payload(defaults, double=manifest.dtype == "f64")


def _batches(identity: TapeIdentity, moved: Path | None, skip: int) -> Iterator[_core.EventBatch]:
    """The events of a run's tape from message `skip` on. Raises ReplayError if it is gone, or another one."""
    path = moved or Path(identity.path)
    if identity.recorded:
        if not path.is_dir():
            raise ReplayError("TAPE", "the recorded tape is gone", where=str(path))
        return log_batches(path, skip)
    try:
        now = TapeIdentity.of_file(path)
    except TapeError as error:
        advice = "If it was moved, say --tape PATH."
        raise ReplayError("TAPE", error.message, where=error.where, next_step=advice) from None
    if (now.bytes, now.sha256) != (identity.bytes, identity.sha256):
        raise ReplayError(
            "TAPE",
            f"it is not the tape that was served: sha256 {(identity.sha256 or '')[:12]}… then, "
            f"{(now.sha256 or '')[:12]}… now",
            where=str(path),
            next_step="Restore it from a copy, or say --tape PATH.",
        )
    return from_message(tape_batches(str(path)), skip)


def _predict(model: RegisteredModel, asked: Sequence[_Wanted]) -> list[Prediction]:
    """The model's predictions for vectors, one at a time and by the same runtime as live. Raises ReplayError where one does
    not come."""
    if not asked:
        return []
    started: Model = parts.make("model", card(model, spare=False))
    try:
        rows = [ModelRow(each.payload or b"", each.signal.instrument, each.signal.lineage.ts_recv) for each in asked]
        found = [started.predict([row], time.monotonic_ns() + ANSWER_NS_MAX)[0] for row in rows]
    finally:
        started.close()
    for each, prediction in zip(asked, found, strict=True):
        if prediction.status in ("DEAD", "DEADLINE", "BUSY"):
            what = f"{each.ref} does not answer for signal {each.signal.signal_id}: {prediction.status}"
            raise ReplayError("MODEL", what, where=model.entry.ref)
    return found


class _NoLatches:
    """Nobody is killed in a replay; what was killed then is in the journal."""

    path = None
    is_settled = True

    def killed(self, model: str) -> str | None:  # noqa: ARG002
        """None: nobody."""
        return None

    def kill(self, model: str | None, *, by: str, reason: str, now: int) -> None:
        """Nothing: the verdict says it."""


def _own_guards(run_record: RunRecord, model: str) -> list[Guard]:
    try:
        return own_guards([served_guard(each) for each in run_record.guards], model)
    except SettingsError as error:
        raise _no_guard(error) from error


def _no_guard(error: SettingsError) -> ReplayError:
    return ReplayError("GUARD", f"a guard that judged the signal cannot be made: {error.message}")


def _gate(run_record: RunRecord, manifest: Manifest, own: Sequence[Guard]) -> Gate:
    latches = _NoLatches()
    served = next(each for each in run_record.models if each.name == manifest.name)
    return Gate(
        (*standard_guards(manifest, run_record, latches), *own),
        manifest=manifest,
        latches=latches,
        pipeline=run_record.pipeline,
        tape=run_record.tape.name,
        fallback=served.fallback,
        stage=served.stage,
    )


def _compare(each: _Wanted, gate: Gate) -> tuple[Replayed, Decision | None]:
    recorded, row = each.signal, each.row
    if row is None:
        gone = Difference("vector", recorded.lineage.vector_hash, "the tape makes no vector there")
        return Replayed(recorded.signal_id, recorded.value, recorded.lineage.vector_hash, (gone,)), None
    prediction = each.prediction if gate.complete(row) else None
    verdict = gate.judge(prediction, row, row.ts_recv)
    text = gate.signal(verdict, recorded.latency).json
    decision = Decision(
        signal_id=recorded.signal_id,
        model=each.ref,
        stage=recorded.stage or "",
        vector=row,
        prediction=prediction,
        verdict=verdict,
        value=gate.value,
        latency=recorded.latency,
    )
    differences: tuple[Difference, ...] = ()
    fell: tuple[str, ...] = ()
    if text != each.record.body:
        then, now = json.loads(each.record.body), json.loads(text)
        fell = tuple(code for code in then["codes"] if code in AS_THEY_FELL and code not in now["codes"])
        if fell:
            # the moment decided: of the verdict only what the moment cannot have brought is compared
            now |= {name: then[name] for name in ("verdict", "value", "defaults_used")}
            now["codes"] = [code for code in then["codes"] if code in fell or code in now["codes"]] + [
                code for code in now["codes"] if code not in then["codes"]
            ]
        differences = tuple(
            Difference(name, number_text(then[name]), number_text(now[name]))
            for name in then
            if then[name] != now[name]
        )
    found = Replayed(recorded.signal_id, recorded.value, recorded.lineage.vector_hash, differences, fell, each.vector)
    return found, decision


def number_text(value: Any) -> str:
    """A value for people; a float with its bits.

    >>> number_text(0.5)
    '0.5 (0x3fe0000000000000)'
    """
    if isinstance(value, float):
        return f"{value!r} (0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016x})"
    return json.dumps(value) if isinstance(value, list | dict) else str(value)
