"""A pipeline: the signal path fed by its source, with everything that makes it survive."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Final, Self

from signal_stream.components import PeriodicTask, PeriodicTasks
from signal_stream.errors import JournalError, LatchError, ModelError, SignalStreamError, TapeError
from signal_stream.records import FORMAT, canonical_json
from signal_stream.settings import load_deployment
from signal_stream.store import Status

from . import served_models
from .checkpoint import Checkpoint
from .history import IN_HISTORY, handover_text
from .reload import changes, limited, relimited
from .sinks import WAKE_NS

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from .build import Parts

WAIT_NS: Final = 50_000_000
"""How long the source is waited for at a time: the longest that a signal of the process waits."""
IDLE_HOUSEKEEPING_NS: Final = 20_000_000
BUSY_HOUSEKEEPING_NS: Final = 200_000_000
STATUS_NS: Final = 1_000_000_000
_MS: Final = 1_000_000
_TURN_S: Final = 50e-6
"""What another thread, an observer's or a sink's, may compute before the line has its turn: the interpreter's own 5 ms would be
seen in each signal."""
_SILENT_NS: Final = 2_000_000_000
"""No source is called silent before it was silent for so long, and not before its newest event is too old."""
SNAPSHOT_AXIS_NS: Final = 10_000_000_000
_NOT_LATCHED: Final = (TapeError,)
_LATCHED_TAPE_CODES: Final = ("QUEUE_FULL", "WRITE")


class Pipeline:
    """Runs what `build` has opened, until the source ends or `stop`.

    One thread does everything but reading the source, running the models and writing snapshots. What is not on the
    way of a signal (status, snapshots, late rows, progress) is done when no event waits, or when it is overdue.

    A pipeline that cannot go on latches a kill of all in its state folder: it stays silent over restarts until it is
    re-armed. Closing it is always right.
    """

    def __init__(self, parts: Parts) -> None:
        """`parts` are what `build` opened; closing the pipeline closes them."""
        self._parts = parts
        self.deployment = parts.deployment
        self.journal = parts.journal
        self.source = parts.source
        self.signal_path = parts.signal_path
        self.sinks = parts.sinks
        self.run_record = parts.run_record
        self._stop_reason: str | None = None
        self._state = "SERVING"
        self._reason = ""
        self._begun = False
        self._reload_asked = False
        self.on_note: Callable[[str, str], None] = _ignore
        """Is told what happened ("reload", "history"), and in a sentence what came of it."""
        self._in_history = False
        self._on_status: Callable[[Status], None] | None = None
        self._housekept_ns = time.monotonic_ns()
        self._snapshot_axis_ns = self._wake_ns = 0
        self._tasks = PeriodicTasks(
            [
                PeriodicTask("reload", 0, 50 * _MS, self._reload_if_asked),
                PeriodicTask("sinks", 0, 5 * _MS, self._look_at_sinks),
                PeriodicTask("latches", STATUS_NS, 20 * _MS, self._note_latches),
                PeriodicTask("late rows", STATUS_NS, 20 * _MS, self._keep_late),
                PeriodicTask("journal", STATUS_NS, 50 * _MS, self._roll_journal),
                PeriodicTask("components", STATUS_NS, 5 * _MS, self._look_at_components),
                PeriodicTask("status", STATUS_NS, 20 * _MS, self._show_status),
                PeriodicTask("checkpoint", 0, 50 * _MS, self._checkpoint_if_due),
            ]
        )

    def run(self, on_status: Callable[[Status], None] | None = None) -> Status:
        """Serves until the source ends, `stop` is called, or something halts the pipeline; then raises that error.

        `on_status` is given a status about once a second. Returns the last status.
        """
        source, signal_path, clock = self.source, self.signal_path, time.monotonic_ns
        self._on_status = on_status
        self._begin()
        turns_s = sys.getswitchinterval()
        sys.setswitchinterval(_TURN_S)
        try:
            while True:
                batch = source.next(0)
                if batch is None:
                    self.sinks.wake()
                    if source.ended:
                        break
                    if clock() - self._housekept_ns >= IDLE_HOUSEKEEPING_NS:
                        self._housekeeping()
                    batch = source.next(WAIT_NS)
                    if batch is None:
                        continue
                if self._in_history and not source.in_history:
                    self._leave_history()
                signal_path.push(batch)
                if source.answers:
                    source.tell(signal_path.take_notices())
                now = clock()
                if now >= self._wake_ns:
                    self._wake_ns = now + WAKE_NS
                    self.sinks.wake()
                if now - self._housekept_ns >= BUSY_HOUSEKEEPING_NS:
                    self._housekeeping()
            return self._finish()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._fail(error)
            raise
        finally:
            sys.setswitchinterval(turns_s)

    def reload(self) -> None:
        """Has the deployment file read again soon. May be called from a signal handler."""
        self._reload_asked = True

    def stop(self, reason: str) -> None:
        """Ends the pipeline gracefully: what was read is served first. May be called from a signal handler."""
        self._stop_reason = self._stop_reason or reason
        self.source.stop()

    def status(self) -> Status:
        """How things are now."""
        counts = self.signal_path.lanes[0].engine.counts()
        source = self.source.stats()
        refused = source.pop("refused")
        if "silent_ns" in source:
            source["silent_after_ns"] = max(self.deployment.guards.max_age_ns, _SILENT_NS)
        source["venue_delay_ns"] = self.signal_path.venue_delay.stats()
        lost = sum(refused.values())
        outcomes, codes = Counter[str](), Counter[str]()
        for step in self.signal_path.steps:
            outcomes.update(step.outcomes)
            codes.update(step.codes)
        newest = self.signal_path.newest
        try:
            latches = tuple(str(latch) for latch in self._parts.latches.standing())
        except LatchError as error:
            latches = (error.one_line,)
        cut = self.journal.recovered
        return Status(
            state=self._state,
            reason=self._reason,
            pid=os.getpid(),
            pipeline=self.deployment.pipeline.name,
            written_at=time.time_ns(),
            started_at=self._parts.started_at,
            deployment=str(self._parts.path),
            source=source,
            models=served_models.model_stats(
                self.signal_path.steps, self.run_record.models, self._parts.stages.look(), self.signal_path.clock
            ),
            counts={
                "input": counts["input"] + lost,
                **{name: counts[name] for name in ("accepted", "duplicate", "late")},
                "rejected": counts["rejected"] + lost,
                "conflated": counts["conflated"],
                **{name: counts[name] for name in ("gaps", "missing", "off_book", "clock_steps", "restarts")},
                **{name: counts[name] for name in ("amended", "amendments")},
            },
            refused=refused,
            books={name: number for name, number in counts.items() if name.startswith("book_")},
            vectors=self.signal_path.vectors,
            signals=dict(outcomes),
            codes=dict(codes),
            last_signal=None
            if newest is None
            else {
                "signal_id": newest.signal_id,
                "ts_recv": self.signal_path.axis_ns,
                "age_ns": time.monotonic_ns() - self.signal_path.last_ns,
            },
            latches=latches,
            journal={
                "records": self.journal.next_seq,
                **self.journal.sync_lag(),
                "reproduced": self.signal_path.repeated,
                "not_reproduced": self._parts.not_reproduced,
                "cut_at_start": None if cut is None else cut.bytes_cut,
                "snapshots": self._parts.writer.written,
                "snapshot_failure": self._parts.writer.failure,
                "upkeep_failure": self._parts.upkeep.failure,
            },
            latency_ns=self.signal_path.latencies.summary(),
            observers=tuple(observer.stats() for observer in self._parts.observers),
            sinks=self.sinks.stats(),
            gateway=None if self._parts.gateway is None else self._parts.gateway.stats(),
            components=self._parts.components.status(),
            tasks=self._tasks.stats(),
            age_limits=self.deployment.health.limits(),
        )

    def close(self) -> None:
        """Gives everything back. May be called twice."""
        self._parts.close()

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self) -> None:
        """Writes down, once, that this process serves from here on."""
        if self._begun:
            return
        self._begun = True
        self._in_history = self.source.in_history
        if self._in_history:
            self.signal_path.silence_through(IN_HISTORY)
            self.run_record = replace(self.run_record, superseded_through=IN_HISTORY)
        self._note_latches()
        self.journal.heading = self.run_record.to_json()
        self.journal.append("open", ts=self._parts.started_at, body=self.journal.heading)
        self.sinks.start()
        self.status().write(self.deployment.pipeline.state)

    def _leave_history(self) -> None:
        """The first live messages came: from the next vector on there are signals."""
        self._in_history = False
        through = self.signal_path.lanes[0].engine.messages
        self.signal_path.silence_through(through)
        self.run_record = replace(self.run_record, superseded_through=through)
        self.journal.heading = self.run_record.to_json()
        self.journal.append("open", ts=time.time_ns(), body=self.journal.heading)
        self.on_note("history", handover_text(self.source.stats()["history"]))

    def _housekeeping(self) -> None:
        """What has to be done now and then, none of it on the way of a signal."""
        self._housekept_ns = time.monotonic_ns()
        self._tasks.run_due()

    def _reload_if_asked(self) -> None:
        if self._reload_asked:
            self._reload_asked = False
            self._reload()

    def _look_at_sinks(self) -> None:
        self.sinks.look(time.monotonic_ns())

    def _roll_journal(self) -> None:
        self.journal.check_place()
        self.journal.roll_when_old(self.signal_path.axis_ns)

    def _look_at_components(self) -> None:
        self._parts.components.step()

    def _show_status(self) -> None:
        status = self.status()
        with suppress(OSError):  # signals go on without it; a full disk shows itself in the journal
            status.write(self.deployment.pipeline.state)
        if self._on_status is not None:
            with suppress(Exception):  # what is shown is no part of serving
                self._on_status(status)

    def _checkpoint_if_due(self) -> None:
        axis = self.signal_path.axis_ns
        if axis - self._snapshot_axis_ns >= SNAPSHOT_AXIS_NS and not self._parts.writer.is_busy:
            self._snapshot_axis_ns = axis
            self._checkpoint()

    def _reload(self) -> None:
        """Reads the deployment file again and takes over what may change while it is served."""
        try:
            read = load_deployment(self._parts.path)
        except SignalStreamError as error:
            self.on_note("reload", f"{error} Nothing was changed.")
            return
        found = changes(self.deployment, read)
        for change in found:
            if not change.may:
                self.on_note("reload", f"{change}: not while it is served; restart the pipeline for it")
        if not any(change.may for change in found):
            self.on_note("reload", f"{self._parts.path} read again: nothing was changed")
            return
        self.deployment = replace(
            self.deployment, guards=read.guards, models=limited(self.deployment.models, read.models)
        )
        self.run_record = relimited(self.run_record, self.deployment, self.signal_path.steps, self._parts.latches)
        self.journal.heading = self.run_record.to_json()
        self.journal.append("open", ts=time.time_ns(), body=self.journal.heading)
        for change in found:
            if change.may:
                self.on_note("reload", f"{change}")

    def _checkpoint(self) -> None:
        """Has a checkpoint written, unless the signal path is behind what the journal holds: then the one before is right."""
        if self.signal_path.is_behind:
            return
        self._keep_late()
        try:
            checkpoint = Checkpoint.take(
                journal_seq=self.journal.next_seq,
                lanes=self.signal_path.lanes,
                vectors=self.signal_path.vectors,
                late=self._parts.late.position,
                position=self.source.position,
                begins={graph.digest: graph.begins for graph in self.run_record.graphs if graph.begins},
            )
        except (
            ModelError
        ) as error:  # its worker is being replaced, say: the checkpoint before is right, and another comes
            self._parts.writer.failure = str(error)
            return
        self._parts.writer.put(checkpoint)

    def _keep_late(self) -> None:
        late = self.signal_path.lanes[0].engine.take_late()
        if len(late):
            self._parts.late.append(late)

    def _note_latches(self) -> None:
        """Writes kills and re-arms into the journal that are not there yet."""
        try:
            history = self._parts.latches.history()
        except LatchError:
            return  # everything is killed, and every veto says why
        for latch in history:
            if latch.seq > self._parts.latches_noted:
                self.run_record = replace(self.run_record, latch=latch)
                self.journal.heading = self.run_record.to_json()
                self.journal.append(
                    "latch", ts=latch.ts, key=str(latch.seq), body=canonical_json({"format": FORMAT} | asdict(latch))
                )
                self._parts.latches_noted = latch.seq

    def _finish(self) -> Status:
        """A graceful end: counts, close and a snapshot behind the last signal."""
        self.journal.check_place()
        self._state = "STOPPED"
        self._reason = self._stop_reason or "the source has ended"
        self._note_latches()
        self._keep_late()
        status = self.status()
        now = time.time_ns()
        body = {
            "format": FORMAT,
            "counts": dict(status.counts),
            "refused": dict(status.refused),
            "source": dict(status.source),
        }
        self.journal.append("counts", ts=now, body=canonical_json(body))
        signals = {"signals": dict(status.signals), "codes": dict(status.codes), "vectors": status.vectors}
        self.journal.append(
            "close",
            ts=now,
            body=canonical_json({"format": FORMAT, "state": self._state, "reason": self._reason, **signals}),
        )
        self._checkpoint()
        self._parts.writer.close()
        self.sinks.close()
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
                self._parts.latches.kill(None, by=by, reason=self._reason[:500], now=now)
            except (LatchError, OSError) as second:
                self._reason += f" (and the latch could not be written: {second})"
        with suppress(SignalStreamError):  # the journal may be what failed
            self._note_latches()
            body = canonical_json({"format": FORMAT, "state": self._state, "reason": self._reason})
            self.journal.append("close", ts=now, body=body)
        with suppress(Exception):  # what is being raised counts
            self.status().write(self.deployment.pipeline.state)


def _ignore(_what: str, _text: str) -> None:
    """Nobody listens."""
