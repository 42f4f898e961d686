"""From a deployment to everything that a pipeline runs with, opened."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from signal_stream import _core, parts
from signal_stream.records import canonical_json
from signal_stream.store import State
from signal_stream.store.lock import StateLock
from signal_stream.store.retention import Retention
from signal_stream.store.tape_log import LogPosition, TapeLog

from . import assembly, served_models
from .axis_clock import AxisClock
from .checkpoint import CheckpointWriter
from .gateway import GatewayProcess, start_gateway
from .observing import ObserverThread
from .run_record import RunRecord, ServedGraph, ServedGuard
from .signal_path import Lane, SignalPath
from .sinks import Sinks
from .source_reader import SourceReader
from .upkeep import Upkeep, UpkeepThread

if TYPE_CHECKING:
    from pathlib import Path

    from signal_stream.registry import StageWatch
    from signal_stream.roles import Model
    from signal_stream.settings import Deployment
    from signal_stream.store import Journal, Latches


@dataclass(slots=True)
class Parts:
    """A deployment's parts, open and ready to run; whoever holds them closes them."""

    deployment: Deployment
    path: Path
    """The deployment file's."""
    started_at: int
    latches: Latches
    latches_noted: int
    """Number of the newest line of the latches that the journal holds."""
    journal: Journal
    run_record: RunRecord
    not_reproduced: int
    """Signals of the journal that rest on messages which a power cut took from the tape."""
    source: SourceReader
    signal_path: SignalPath
    sinks: Sinks
    observers: tuple[ObserverThread, ...]
    late: TapeLog
    """Where late rows are kept."""
    stages: StageWatch
    writer: CheckpointWriter
    upkeep: UpkeepThread
    gateway: GatewayProcess | None
    """None where the deployment has nothing served to others."""
    closing: ExitStack = field(repr=False)

    def close(self) -> None:
        """Gives everything back. May be called twice."""
        self.closing.close()


def build(deployment: Deployment, *, path: Path) -> Parts:
    """Opens what a deployment names: state folder, models, journal, source, sinks. `path` is the deployment file's.

    Raises an error of the tree, and leaves nothing open then.
    """
    with ExitStack() as closing:
        opened = _open(deployment, path, closing)
        opened.closing = closing.pop_all()
        return opened


def _open(deployment: Deployment, path: Path, closing: ExitStack) -> Parts:
    started_at = time.time_ns()
    source = parts.make("source", deployment.source)
    state = State(deployment.pipeline.state)
    lock = StateLock(state.folder)
    closing.callback(lock.close)
    gateway = start_gateway(deployment, path=path)
    if gateway is not None:
        closing.callback(gateway.close)
    registered = served_models.load_models(deployment)
    plans = {model.manifest.graph_digest: assembly.compile_graph(model.manifest) for model in registered}
    identity = assembly.identify(source, deployment)
    guards = served_models.guard_sections(registered, deployment)
    served = tuple(map(served_models.served_model, registered, deployment.models))
    models: list[Model] = []
    for model, settings in zip(registered, deployment.models, strict=True):
        models.append(served_models.start_model(model, settings, first=not models))
        closing.callback(models[-1].close)

    keeps = deployment.journal
    latches, journal = state.open(
        fsync=keeps.fsync,
        fsync_interval_ns=keeps.fsync_interval_ns,
        segment_bytes=keeps.segment_bytes,
        segment_age_ns=keeps.segment_age_ns,
    )
    closing.callback(journal.close)
    latches_noted = assembly.check_latches(latches, journal, pipeline=deployment.pipeline.name, now=started_at)
    graphs = {model.manifest.graph_digest: model.manifest for model in registered}
    run_record = RunRecord(
        package=_core.__version__,
        pid=os.getpid(),
        pipeline=deployment.pipeline.name,
        deployment=str(path.resolve()),
        registry=str(deployment.pipeline.registry),
        graphs=tuple(
            ServedGraph(each.graph_name, digest, each.graph, assembly.lateness_ns(each, deployment.source))
            for digest, each in graphs.items()
        ),
        models=served,
        guards=tuple(ServedGuard(each.kind, canonical_json(each.raw)) for each in guards),
        tape=identity,
        max_age_ns=deployment.guards.max_age_ns,
        max_venue_delay_ns=deployment.guards.max_venue_delay_ns,
        completeness=deployment.guards.completeness,
        messages=0,
        journal_seq=0,
        models_since_seq=0,
        superseded_through=-1,
        latch=latches.head(),
    )
    recorded = assembly.Recorded.open(identity, deployment.tape, durable=keeps.fsync == "always")
    if recorded is not None:
        closing.callback(recorded.log.close)
    made = [(parts.make("sink", settings), settings) for settings in deployment.sinks]
    sinks = Sinks(made, journal=journal, folder=state.folder / "sinks")
    closing.callback(sinks.close)
    sinks.recover()
    restart = assembly.plan_restart(
        plans=plans,
        run_record=run_record,
        journal=journal,
        snapshots=state.snapshots(),
        recorded=recorded,
        refuse_late=deployment.source.late == "refuse",
    )
    checkpoint = restart.checkpoint
    late = TapeLog(state.folder / "late")
    late.cut(LogPosition(0, 0) if checkpoint is None else checkpoint.late)
    closing.callback(late.close)
    steps = [
        served_models.new_step(
            model, each.manifest, as_served, deployment, guards=guards, tape=identity.name, latches=latches
        )
        for model, each, as_served in zip(models, registered, served, strict=True)
    ]
    reader = SourceReader(
        source,
        deployment.source,
        log=None if recorded is None else recorded.log,
        skip=restart.run_record.messages,
        position=None if checkpoint is None else checkpoint.position,
    )
    closing.callback(reader.close)
    lanes = [
        Lane(engine, tuple(step for step in steps if step.manifest.graph_digest == digest))
        for digest, engine in restart.engines.items()
    ]
    observers = []
    for number, section in enumerate(deployment.observers):
        observer = parts.make("observer", section)
        name = f"{section.kind}-{number}"
        observers.append(ObserverThread(observer, name=name, queue=section.queue))
        closing.callback(observers[-1].close)
    signal_path = SignalPath(
        lanes=lanes,
        journal=journal,
        observers=observers,
        clock=AxisClock(reader.rate, wall_within_ns=reader.wall_within_ns),
        superseded_through=restart.run_record.superseded_through,
    )
    if checkpoint is not None:
        checkpoint.give(signal_path.steps, superseded_through=restart.run_record.superseded_through)
        signal_path.vectors = checkpoint.totals.vectors

    def force() -> None:
        """Forces what a checkpoint stands on to the disk."""
        reader.sync()
        late.sync()
        if keeps.fsync == "interval":
            journal.sync()

    journal.sync_first(reader.sync)
    writer = CheckpointWriter(state.snapshots(), force=force)
    closing.callback(writer.close)
    upkeep = UpkeepThread(
        Upkeep(
            journal=state.journal_folder,
            tape=None if recorded is None else recorded.log.folder,
            late=late.folder,
            snapshots=state.snapshots(),
            retention=Retention(keeps.keep_ns, deployment.tape.keep_ns),
            begins={graph.digest: graph.begins for graph in restart.run_record.graphs},
            unsent=lambda: sinks.oldest_seq,
        )
    )
    closing.callback(upkeep.close)
    return Parts(
        deployment=deployment,
        path=path,
        started_at=started_at,
        latches=latches,
        latches_noted=latches_noted,
        journal=journal,
        run_record=restart.run_record,
        not_reproduced=restart.not_reproduced,
        source=reader,
        signal_path=signal_path,
        sinks=sinks,
        observers=tuple(observers),
        late=late,
        stages=served_models.watch_stages(deployment, registered),
        writer=writer,
        upkeep=upkeep,
        gateway=gateway,
        closing=closing,
    )
