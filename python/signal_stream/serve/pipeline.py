"""A pipeline: the signal path fed by its source, with everything that makes it survive."""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Final, Self

from signal_stream import _core, parts
from signal_stream.emit import sink_from_url
from signal_stream.errors import JournalError, LatchError, SignalStreamError, SinkError, TapeError
from signal_stream.records import canonical_json
from signal_stream.store import State

from . import assembly
from .axis_clock import AxisClock
from .checkpoint import Checkpoint, CheckpointWriter
from .lock import StateLock
from .run_record import RunRecord
from .signal_path import SignalPath
from .source_reader import SourceReader
from .status import Status
from .tape_log import LogPosition, TapeLog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from signal_stream.settings import Deployment

WAIT_NS: Final = 50_000_000
"""How long the source is waited for at a time: the longest that a signal of the process waits."""
IDLE_HOUSEKEEPING_NS: Final = 20_000_000
BUSY_HOUSEKEEPING_NS: Final = 200_000_000
STATUS_NS: Final = 1_000_000_000
_SILENT_NS: Final = 2_000_000_000
"""No source is called silent before it was silent for so long, and not before its newest event is too old."""
SNAPSHOT_AXIS_NS: Final = 10_000_000_000
_NOT_LATCHED: Final = (SinkError, TapeError)
_LATCHED_TAPE_CODES: Final = ("QUEUE_FULL", "WRITE")


class Pipeline:
    """Serves a deployment: opening it starts models and source, `run` goes on until the source ends or `stop`.

    One thread does everything but reading the source, running the models and writing snapshots. What is not on the
    way of a signal (status, snapshots, late rows, progress) is done when no event waits, or when it is overdue.

    A pipeline that cannot go on latches a kill of all in its state folder: it stays silent over restarts until it is
    re-armed. Closing it is always right.
    """

    def __init__(self, deployment: Deployment, *, path: Path) -> None:
        """Opens everything. `path` is the deployment file's. Raises an error of the tree, and leaves nothing open."""
        self.deployment = deployment
        self._path = path
        self._started_at = time.time_ns()
        self._stop_reason: str | None = None
        self._state = "SERVING"
        self._reason = ""
        self._closing = ExitStack()
        try:
            self._open()
        except BaseException:
            self._closing.close()
            raise

    def _open(self) -> None:
        deployment, closing = self.deployment, self._closing
        state = State(deployment.pipeline.state)
        lock = StateLock(state.folder)
        closing.callback(lock.close)
        registered = assembly.load_models(deployment)
        plan = assembly.compile_graph(registered[0].manifest)
        source = parts.make("source", deployment.source)
        identity = assembly.identify(source, deployment)
        opened = tuple(map(assembly.served_model, registered, deployment.models))
        self._stages = assembly.watch_stages(deployment, opened)
        models = []
        for model, settings in zip(registered, deployment.models, strict=True):
            models.append(assembly.start_model(model, settings))
            closing.callback(models[-1].close)

        journal = deployment.journal
        self._latches, self.journal = state.open(
            fsync=journal.fsync, fsync_interval_ns=journal.fsync_interval_ns, segment_bytes=journal.segment_bytes
        )
        closing.callback(self.journal.close)
        self._latches_noted = assembly.check_latches(
            self._latches, self.journal, pipeline=deployment.pipeline.name, now=self._started_at
        )
        first = registered[0].manifest
        run_record = RunRecord(
            package=_core.__version__,
            pid=os.getpid(),
            pipeline=deployment.pipeline.name,
            deployment=str(self._path.resolve()),
            registry=str(deployment.pipeline.registry),
            graph_name=first.graph_name,
            graph_digest=first.graph_digest,
            graph=first.graph,
            models=opened,
            tape=identity,
            lateness_ns=assembly.lateness_ns(first, deployment.source),
            max_age_ns=deployment.guards.max_age_ns,
            completeness=deployment.guards.completeness,
            messages=0,
            journal_seq=0,
            models_since_seq=0,
            superseded_through=-1,
            latch=self._latches.head(),
        )
        recorded = assembly.Recorded.open(identity, durable=journal.fsync == "always")
        sinks = []
        for sink in deployment.sinks:
            sinks.append(sink_from_url(sink.url))
            closing.callback(sinks[-1].close)
        assembly.take_over(self.journal, sinks)
        restart = assembly.plan_restart(
            plan=plan,
            run_record=run_record,
            journal=self.journal,
            snapshots=state.snapshots(),
            recorded=recorded,
            refuse_late=deployment.source.late == "refuse",
        )
        checkpoint = restart.checkpoint
        self._late = TapeLog(state.folder / "late")
        self._late.cut(LogPosition(0, 0) if checkpoint is None else checkpoint.late)
        closing.callback(self._late.close)
        steps = [
            assembly.new_step(model, each.manifest, as_opened, deployment, tape=identity.name, latches=self._latches)
            for model, each, as_opened in zip(models, registered, opened, strict=True)
        ]
        for each in sinks:
            each.resume(self.journal)
        self.run_record = restart.run_record
        self._not_reproduced = restart.not_reproduced
        self.source = SourceReader(
            source,
            deployment.source,
            log=None if recorded is None else recorded.log,
            skip=self.run_record.messages,
            position=None if checkpoint is None else checkpoint.position,
        )
        closing.callback(self.source.close)
        self._sinks = tuple(sinks)
        self.journal.sync_first(self._sync_beside)
        self.signal_path = SignalPath(
            engine=restart.engine,
            steps=steps,
            journal=self.journal,
            sinks=sinks,
            clock=AxisClock(self.source.rate, wall_within_ns=self.source.wall_within_ns),
            superseded_through=self.run_record.superseded_through,
        )
        if checkpoint is not None:
            checkpoint.give(self.signal_path.steps)
            self.signal_path.vectors = checkpoint.totals.vectors
        self._writer = CheckpointWriter(state.snapshots(), force=self._force)
        closing.callback(self._writer.close)
        self._note_latches()
        self.journal.heading = self.run_record.to_json()
        self.journal.append("open", ts=self._started_at, body=self.journal.heading)
        self._housekept_ns = self._status_ns = time.monotonic_ns()
        self._snapshot_axis_ns = 0
        self.status().write(state.folder)

    def run(self, on_status: Callable[[Status], None] | None = None) -> Status:
        """Serves until the source ends, `stop` is called, or something halts the pipeline; then raises that error.

        `on_status` is given a status about once a second. Returns the last status.
        """
        source, signal_path, clock = self.source, self.signal_path, time.monotonic_ns
        try:
            while True:
                batch = source.next(0)
                if batch is None:
                    if source.ended:
                        break
                    if clock() - self._housekept_ns >= IDLE_HOUSEKEEPING_NS:
                        self._housekeeping(on_status)
                    batch = source.next(WAIT_NS)
                    if batch is None:
                        continue
                signal_path.push(batch)
                if clock() - self._housekept_ns >= BUSY_HOUSEKEEPING_NS:
                    self._housekeeping(on_status)
            return self._finish()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._fail(error)
            raise

    def stop(self, reason: str) -> None:
        """Ends the pipeline gracefully: what was read is served first. May be called from a signal handler."""
        self._stop_reason = self._stop_reason or reason
        self.source.stop()

    def status(self) -> Status:
        """How things are now."""
        counts = self.signal_path.engine.counts()
        source = self.source.stats()
        refused = source.pop("refused")
        if "silent_ns" in source:
            source["silent_after_ns"] = max(self.deployment.guards.max_age_ns, _SILENT_NS)
        lost = sum(refused.values())
        outcomes, codes = Counter[str](), Counter[str]()
        for step in self.signal_path.steps:
            outcomes.update(step.outcomes)
            codes.update(step.codes)
        last = self.signal_path.last
        try:
            latches = tuple(str(latch) for latch in self._latches.standing())
        except LatchError as error:
            latches = (str(error),)
        cut = self.journal.recovered
        return Status(
            state=self._state,
            reason=self._reason,
            pid=os.getpid(),
            pipeline=self.deployment.pipeline.name,
            written_at=time.time_ns(),
            started_at=self._started_at,
            deployment=str(self._path),
            source=source,
            models=assembly.model_stats(self.signal_path.steps, self.run_record.models, self._stages.look()),
            counts={
                "input": counts["input"] + lost,
                **{name: counts[name] for name in ("accepted", "duplicate", "late")},
                "rejected": counts["rejected"] + lost,
                **{name: counts[name] for name in ("gaps", "missing", "off_book", "clock_steps", "restarts")},
            },
            refused=refused,
            books={name: number for name, number in counts.items() if name.startswith("book_")},
            vectors=self.signal_path.vectors,
            signals=dict(outcomes),
            codes=dict(codes),
            last_signal=None
            if last is None
            else {
                "signal_id": last.signal_id,
                "ts_recv": last.ts_recv,
                "age_ns": time.monotonic_ns() - self.signal_path.last_ns,
            },
            latches=latches,
            journal={
                "records": self.journal.next_seq,
                "reproduced": self.signal_path.repeated,
                "not_reproduced": self._not_reproduced,
                "cut_at_start": None if cut is None else cut.bytes_cut,
                "snapshots": self._writer.written,
                "snapshot_failure": self._writer.failure,
            },
            latency_ns=self.signal_path.latencies.summary(),
        )

    def close(self) -> None:
        """Gives everything back. May be called twice."""
        self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _housekeeping(self, on_status: Callable[[Status], None] | None) -> None:
        """What has to be done now and then, none of it on the way of a signal."""
        now = self._housekept_ns = time.monotonic_ns()
        axis = self.signal_path.axis_ns
        if now - self._status_ns >= STATUS_NS:
            self._status_ns = now
            self._note_latches()
            self._keep_late()
            status = self.status()
            with suppress(OSError):  # signals go on without it; a full disk shows itself in the journal
                status.write(self.deployment.pipeline.state)
            if on_status is not None:
                with suppress(Exception):  # what is shown is no part of serving
                    on_status(status)
        if axis - self._snapshot_axis_ns >= SNAPSHOT_AXIS_NS and not self._writer.is_busy:
            self._snapshot_axis_ns = axis
            self._checkpoint()

    def _checkpoint(self) -> None:
        """Has a checkpoint written, unless the signal path is behind what the journal holds: then the one before is right."""
        if self.signal_path.is_behind:
            return
        self._keep_late()
        self._writer.put(
            Checkpoint.take(
                journal_seq=self.journal.next_seq,
                engine=self.signal_path.engine,
                steps=self.signal_path.steps,
                vectors=self.signal_path.vectors,
                late=self._late.position,
                position=self.source.position,
            )
        )

    def _sync_beside(self) -> None:
        """Forces to the disk what the journal's records rest on, and the sinks: a power cut takes no more from them."""
        self.source.sync()
        for sink in self._sinks:
            sink.sync()

    def _force(self) -> None:
        """Forces what a checkpoint stands on to the disk."""
        self.source.sync()
        self._late.sync()
        if self.deployment.journal.fsync == "interval":
            self.journal.sync()

    def _keep_late(self) -> None:
        late = self.signal_path.engine.take_late()
        if len(late):
            self._late.append(late)

    def _note_latches(self) -> None:
        """Writes kills and re-arms into the journal that are not there yet."""
        try:
            history = self._latches.history()
        except LatchError:
            return  # everything is killed, and every veto says why
        for latch in history:
            if latch.seq > self._latches_noted:
                self.run_record = replace(self.run_record, latch=latch)
                self.journal.heading = self.run_record.to_json()
                self.journal.append("latch", ts=latch.ts, key=str(latch.seq), body=canonical_json(asdict(latch)))
                self._latches_noted = latch.seq

    def _finish(self) -> Status:
        """A graceful end: counts, close and a snapshot behind the last signal."""
        self._state = "STOPPED"
        self._reason = self._stop_reason or "the source has ended"
        self._note_latches()
        self._keep_late()
        status = self.status()
        now = time.time_ns()
        body = {"counts": dict(status.counts), "refused": dict(status.refused), "source": dict(status.source)}
        self.journal.append("counts", ts=now, body=canonical_json(body))
        signals = {"signals": dict(status.signals), "codes": dict(status.codes), "vectors": status.vectors}
        self.journal.append(
            "close", ts=now, body=canonical_json({"state": self._state, "reason": self._reason, **signals})
        )
        self._checkpoint()
        self._writer.close()
        status = self.status()
        with suppress(OSError):  # everything is journaled
            status.write(self.deployment.pipeline.state)
        return status

    def _fail(self, error: BaseException) -> None:
        """The last will of a pipeline that cannot go on: a latch where it must not simply start again, and a status."""
        self._state, self._reason = "FAILED", str(error) or repr(error)
        latched = not isinstance(error, _NOT_LATCHED) or (
            isinstance(error, TapeError) and error.code in _LATCHED_TAPE_CODES
        )
        if isinstance(error, JournalError) and error.code == "DIFFERS":
            latched = False  # nothing was sent, and a restart meets the same difference
        now = time.time_ns()
        if latched:
            self._state = "HALTED"
            by = f"pipeline:{self.deployment.pipeline.name}"
            try:
                self._latches.kill(None, by=by, reason=self._reason[:500], now=now)
            except (LatchError, OSError) as second:
                self._reason += f" (and the latch could not be written: {second})"
        with suppress(SignalStreamError):  # the journal may be what failed
            self._note_latches()
            body = canonical_json({"state": self._state, "reason": self._reason})
            self.journal.append("close", ts=now, body=body)
        with suppress(Exception):  # what is being raised counts
            self.status().write(self.deployment.pipeline.state)
