"""The parts of a pipeline as components: what opens each, what it needs, how it is, and what closes it."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from signal_stream import _core, parts
from signal_stream.components import Backoff, Component, Health
from signal_stream.records import canonical_json
from signal_stream.store import Bell, State
from signal_stream.store.lock import StateLock
from signal_stream.store.retention import Retention
from signal_stream.store.tape_log import LogPosition, TapeLog

from . import assembly, served_models
from .amended import Amended
from .axis_clock import AxisClock
from .checkpoint import CheckpointWriter
from .gateway import GatewayProcess, asked_servers, start_gateway
from .input_places import InputPlaces
from .observing import ObserverThread
from .restart import plan_restart
from .run_record import RunRecord, ServedGraph, ServedGuard
from .signal_path import Lane, SignalPath
from .sinks import Sinks
from .source_reader import SourceReader
from .upkeep import Upkeep, UpkeepThread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from signal_stream.components.component import Kind
    from signal_stream.roles import Model, Sink
    from signal_stream.settings import Deployment

_ONCE: Final = Backoff(retries=0)
"""A pipeline does not start without one of its parts, and says why at once."""
_NO_LIMIT_NS: Final = 36_500 * 86_400_000_000_000
"""A journal of years may take long to open; what may hang, a model's worker, has a limit of its own."""
_WELL: Final = Health()


class Opening:
    """Opens a deployment's parts, each in a method: what a part needs was opened before it.

    Models are started at the same time, each on a thread of its own. Everything else is opened and closed on the thread that
    asks, one after the other: it reads what an earlier process left, and the order of that matters. The journal is not touched
    before all models are ready.
    """

    def __init__(self, deployment: Deployment, path: Path) -> None:
        """Opens nothing. Raises SettingsError for a source that does not exist."""
        self.deployment = deployment
        self.path = path
        self.started_at = time.time_ns()
        self.source = parts.make("source", deployment.source)
        self.state = State(deployment.pipeline.state)
        self.gateway: GatewayProcess | None = None
        self.models: dict[int, Model] = {}
        self.recorded: assembly.Recorded | None = None
        self.observers: list[ObserverThread] = []
        self._made: list[Component] = []

    def components(self) -> list[Component]:
        """All parts, in the order of their opening."""
        self._part("state folder", self._open_folder)
        if asked_servers(self.deployment):
            self._part("gateway", self._open_gateway, health=self._gateway_health)
        self._part("registry", self._open_registry)
        before = self._made[-1].name
        refs = [f"model {settings.ref}" for settings in self.deployment.models]
        for number, name in enumerate(refs):
            self._part(name, self._model_opener(number), needs=(before,), apart=frozenset(("start",)),
                       health=self._model_healther(number))  # fmt: skip
        self._part("journal", self._open_journal, needs=tuple(refs))
        self._part("tape", self._open_tape, health=self._tape_health)
        self._part("sinks", self._open_sinks, health=self._sinks_health)
        self._part("engines", self._open_engines)
        self._part("source", self._open_source)
        if self.deployment.observers:
            self._part("observers", self._open_observers)
        self._part("line", self._open_line)
        self._part("snapshots", self._open_snapshots, health=lambda: _failing(self.writer.failure))
        self._part("upkeep", self._open_upkeep, health=lambda: _failing(self.upkeep.failure))
        return self._made

    def _part(
        self,
        name: str,
        opens: Callable[[ExitStack], None],
        *,
        needs: tuple[str, ...] | None = None,
        health: Callable[[], Health] = lambda: _WELL,
        apart: frozenset[Kind] = frozenset(),
    ) -> None:
        """A component that needs the one before it, unless it is said otherwise; closed by what `opens` puts on its stack."""
        closing = ExitStack()
        if needs is None:
            needs = tuple(each.name for each in self._made[-1:])
        self._made.append(
            Component(name, needs, lambda: opens(closing), health=health, stop=closing.close, apart=apart,
                      start_ns_max=_NO_LIMIT_NS, backoff=_ONCE)
        )  # fmt: skip

    def _open_folder(self, closing: ExitStack) -> None:
        closing.callback(StateLock(self.state.folder).close)

    def _open_gateway(self, closing: ExitStack) -> None:
        self.gateway = start_gateway(self.deployment, path=self.path)
        if self.gateway is not None:
            closing.callback(self.gateway.close)

    def _gateway_health(self) -> Health:
        stats = {} if self.gateway is None else self.gateway.stats()
        return Health("DEGRADED", stats["error"]) if stats.get("state") == "DEGRADED" else _WELL

    def _open_registry(self, _closing: ExitStack) -> None:
        deployment = self.deployment
        self.registered = served_models.load_models(deployment)
        self.plans = {model.manifest.graph_digest: assembly.compile_graph(model.manifest) for model in self.registered}
        self.identity = assembly.identify(self.source, deployment)
        self.guards = served_models.guard_sections(self.registered, deployment)
        self.served = tuple(map(served_models.served_model, self.registered, deployment.models))
        self.stages = served_models.watch_stages(deployment, self.registered)

    def _model_opener(self, number: int) -> Callable[[ExitStack], None]:
        def opens(closing: ExitStack) -> None:
            settings = self.deployment.models[number]
            model = served_models.start_model(self.registered[number], settings, first=number == 0)
            self.models[number] = model
            closing.callback(model.close)

        return opens

    def _model_healther(self, number: int) -> Callable[[], Health]:
        def health() -> Health:
            stats = self.models[number].stats()
            why = stats.get("last_error") or ""
            if stats["state"] == "READY" or (stats["state"] == "DEGRADED" and not why):  # its spare is still starting
                return _WELL
            return Health("DEGRADED", why or f"its worker is {stats['state'].lower()}")

        return health

    def _open_journal(self, closing: ExitStack) -> None:
        """The journal with the latches, and what this process writes down of itself."""
        deployment, keeps = self.deployment, self.deployment.journal
        self.latches, self.journal = self.state.open(
            fsync=keeps.fsync,
            fsync_interval_ns=keeps.fsync_interval_ns,
            segment_bytes=keeps.segment_bytes,
            segment_age_ns=keeps.segment_age_ns,
        )
        closing.callback(self.journal.close)
        self.latches_noted = assembly.check_latches(
            self.latches, self.journal, pipeline=deployment.pipeline.name, now=self.started_at
        )
        graphs = {model.manifest.graph_digest: model.manifest for model in self.registered}
        self.run_record = RunRecord(
            package=_core.__version__,
            pid=os.getpid(),
            pipeline=deployment.pipeline.name,
            deployment=str(self.path.resolve()),
            registry=str(deployment.pipeline.registry),
            graphs=tuple(
                ServedGraph(
                    each.graph_name,
                    digest,
                    each.graph,
                    assembly.lateness_ns(each, deployment.source),
                    amend_ns=assembly.amend_ns(each, deployment.source),
                )
                for digest, each in graphs.items()
            ),
            models=self.served,
            guards=tuple(ServedGuard(each.kind, canonical_json(each.raw)) for each in self.guards),
            tape=self.identity,
            max_age_ns=deployment.guards.max_age_ns,
            max_venue_delay_ns=deployment.guards.max_venue_delay_ns,
            completeness=deployment.guards.completeness,
            messages=0,
            journal_seq=0,
            models_since_seq=0,
            superseded_through=-1,
            latch=self.latches.head(),
        )

    def _open_tape(self, closing: ExitStack) -> None:
        durable = self.deployment.journal.fsync == "always"
        self.recorded = assembly.Recorded.open(self.identity, self.deployment.tape, durable=durable)
        if self.recorded is not None:
            closing.callback(self.recorded.log.close)

    def _tape_health(self) -> Health:
        lies = () if self.recorded is None else self.recorded.log.index_lies
        return Health("DEGRADED", f"its index was made anew at the start: {'; '.join(lies)}") if lies else _WELL

    def _open_sinks(self, closing: ExitStack) -> None:
        made = [(parts.make("sink", settings), settings) for settings in self.deployment.sinks]
        bell = Bell(self.state.folder) if self.deployment.grpc.listen is not None else None
        self.places = self._places([sink for sink, _ in made])
        self.sinks = Sinks(
            made, journal=self.journal, folder=self.state.folder / "sinks", bell=bell, places=self.places
        )
        closing.callback(self.sinks.close)
        self.sinks.recover()

    def _places(self, sinks: Sequence[Sink]) -> InputPlaces | None:
        """Where sinks commit what signals rest on, and the source has offsets: the places of its newest messages."""
        if not hasattr(self.source, "inputs_at") or not any(hasattr(sink, "rests_on") for sink in sinks):
            return None
        return InputPlaces(self.source.inputs_at)

    def _sinks_health(self) -> Health:
        degraded = [f"{each['sink']}: {each['error']}" for each in self.sinks.stats() if each["state"] == "DEGRADED"]
        return Health("DEGRADED", "; ".join(degraded)) if degraded else _WELL

    def _open_engines(self, closing: ExitStack) -> None:
        """Where the pipeline goes on, and the log of late rows cut to there."""
        self.restart = plan_restart(
            plans=self.plans,
            run_record=self.run_record,
            journal=self.journal,
            snapshots=self.state.snapshots(),
            recorded=self.recorded,
            refuse_late=self.deployment.source.late == "refuse",
        )
        checkpoint = self.restart.checkpoint
        self.late = TapeLog(self.state.folder / "late")
        self.late.cut(LogPosition(0, 0) if checkpoint is None else checkpoint.late)
        closing.callback(self.late.close)
        self.steps = [
            served_models.new_step(
                self.models[number], each.manifest, as_served, self.deployment, guards=self.guards, tape=self.identity.name,
                latches=self.latches,
            )
            for number, (each, as_served) in enumerate(zip(self.registered, self.served, strict=True))
        ]  # fmt: skip

    def _open_source(self, closing: ExitStack) -> None:
        checkpoint = self.restart.checkpoint
        self.reader = SourceReader(
            self.source,
            self.deployment.source,
            log=None if self.recorded is None else self.recorded.log,
            skip=self.restart.run_record.messages,
            position=None if checkpoint is None else checkpoint.position,
            places=self.places,
        )
        closing.callback(self.reader.close)

    def _open_observers(self, closing: ExitStack) -> None:
        for number, section in enumerate(self.deployment.observers):
            observer = parts.make("observer", section)
            self.observers.append(ObserverThread(observer, name=f"{section.kind}-{number}", queue=section.queue))
            closing.callback(self.observers[-1].close)

    def _open_line(self, _closing: ExitStack) -> None:
        """The way of a signal, with what the checkpoint remembers of it."""
        checkpoint, superseded = self.restart.checkpoint, self.restart.run_record.superseded_through
        graphs = {graph.digest: graph for graph in self.restart.run_record.graphs}
        lanes = [
            Lane(
                engine, tuple(step for step in self.steps if step.manifest.graph_digest == digest),
                Amended(graphs[digest], written_through=self.restart.amended_through.get(digest, -1))
                if graphs[digest].amend_ns else None,
            )
            for digest, engine in self.restart.engines.items()
        ]  # fmt: skip
        self.signal_path = SignalPath(
            lanes=lanes,
            journal=self.journal,
            observers=self.observers,
            clock=AxisClock(self.reader.rate, wall_within_ns=self.reader.wall_within_ns),
            superseded_through=superseded,
        )
        if checkpoint is not None:
            checkpoint.give(self.signal_path.steps, superseded_through=superseded)
            self.signal_path.vectors = checkpoint.totals.vectors
        self.journal.sync_first(self.reader.sync)

    def _open_snapshots(self, closing: ExitStack) -> None:
        def force() -> None:
            """Forces what a checkpoint stands on to the disk."""
            self.reader.sync()
            self.late.sync()
            if self.deployment.journal.fsync == "interval":
                self.journal.sync()

        noted = None if self.places is None else self.places.note_snapshot
        self.writer = CheckpointWriter(self.state.snapshots(), force=force, on_written=noted)
        closing.callback(self.writer.close)

    def _open_upkeep(self, closing: ExitStack) -> None:
        keeps = Retention(self.deployment.journal.keep_ns, self.deployment.tape.keep_ns)
        self.upkeep = UpkeepThread(
            Upkeep(
                journal=self.state.journal_folder,
                tape=None if self.recorded is None else self.recorded.log.folder,
                late=self.late.folder,
                snapshots=self.state.snapshots(),
                retention=keeps,
                begins={graph.digest: graph.begins for graph in self.restart.run_record.graphs},
                unsent=lambda: self.sinks.oldest_seq,
            )
        )
        closing.callback(self.upkeep.close)


def _failing(failure: str | None) -> Health:
    return _WELL if failure is None else Health("DEGRADED", failure)
