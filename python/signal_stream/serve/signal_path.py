"""The line itself: events in, signals out, each journaled before it goes anywhere else."""

from __future__ import annotations

import heapq
import time
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from signal_stream.core_errors import core_error
from signal_stream.errors import EngineError, SignalStreamError
from signal_stream.records import SignalRecord

from .axis_clock import recorded_moment
from .latency import StageLatencies
from .replay_guards import as_recorded
from .venue_delay import VenueDelay

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from signal_stream import _core
    from signal_stream.records import Amendment, Decision, Signal
    from signal_stream.store import Journal

    from .amended import Amended
    from .axis_clock import AxisClock
    from .model_step import ModelStep
    from .observing import ObserverThread
    from .passed_signal import PassedSignal


_SAMPLED: Final = 15
"""Of so many vectors and one, one tells how long its event was on its way."""


class Lane(NamedTuple):
    """An engine and the models that take its vectors: those of one graph; and what writes down its amendments, if it makes
    any."""

    engine: _core.Engine
    steps: tuple[ModelStep, ...]
    amended: Amended | None = None


class SignalPath:
    """Engines, models, guards and journal in a row, for one thread.

    Each graph has an engine, and all take the same events. Vectors come in the order of the messages that brought them about,
    those of one message in the order of the lanes: however events are cut into batches, signals are the same in the same order.

    `push` returns when every vector that the events brought about has its signal from every model, in the journal; sinks
    follow that on threads of their own. A signal that the journal holds already (the line repeats what an earlier process
    did) is made again, and not written.

    Raises EngineError, TapeError LATE or JournalError; after that the line is of no further use.
    """

    def __init__(
        self,
        *,
        lanes: Sequence[Lane],
        journal: Journal,
        clock: AxisClock,
        observers: Sequence[ObserverThread] = (),
        superseded_through: int = -1,
    ) -> None:
        """`superseded_through`: vectors up to this offset of the tape were answered by models that are no longer asked, or are of
        history."""
        self.lanes = tuple(lanes)
        self.steps = tuple(step for lane in lanes for step in lane.steps)
        self.journal = journal
        self.latencies = StageLatencies()
        self.venue_delay = VenueDelay()
        self.vectors = 0
        self.axis_ns = 0
        """Receive time of the newest vector."""
        self.newest: Signal | ModelStep | None = None
        """What has the id of the newest signal."""
        self.last_ns = 0
        """When the newest signal was in the journal, by the monotonic clock."""
        self.repeated = 0
        self._observers = tuple(observers)
        self.clock = clock
        self._now = clock.now
        self._superseded_through = self._silent_through = superseded_through
        self._recovering = not journal.recovery_ended
        self._clock = time.monotonic_ns

    @property
    def is_behind(self) -> bool:
        """Whether the journal holds answers to vectors that are still to come: those of an earlier process."""
        return self._recovering or self._superseded_through >= 0

    def silence_through(self, offset: int) -> None:
        """Makes no signals of vectors up to this offset of the tape: they are of history."""
        self._superseded_through = self._silent_through = offset

    def push(self, batch: _core.EventBatch) -> int:
        """Takes whole messages; returns the number of vectors that they brought about."""
        if len(self.lanes) == 1:
            return self._push_one(self.lanes[0], batch)
        rows = [self._rows(number, lane, batch) for number, lane in enumerate(self.lanes)]
        made = 0
        for _, number, row, features_ns, begun in heapq.merge(*rows, key=itemgetter(0, 1)):
            self._answer(self.lanes[number], row, features_ns, begun)
            made += 1
        return made

    def take_notices(self) -> Iterable[tuple[str, str, int, str]]:
        """What messages since the last call showed to be wrong with their feeds, each once though every lane saw it."""
        lanes = [lane.engine.take_notices() for lane in self.lanes]
        return lanes[0] if len(lanes) == 1 else dict.fromkeys(chain.from_iterable(lanes))

    def _push_one(self, lane: Lane, batch: _core.EventBatch) -> int:
        clock, answer, made = self._clock, self._answer, 0
        begun = clock()
        vectors = self._vectors(lane.engine, batch)
        while True:
            amendments = () if lane.amended is None else lane.amended.take(lane.engine)
            if count := len(vectors):
                features_ns = clock() - begun
                for i in range(count):
                    if amendments:
                        amendments = self._write(amendments, before=vectors.offset(i))
                    answer(lane, vectors.row(i), features_ns, begun)
                made += count
            if amendments:
                self._write(amendments)
            if not lane.engine.left:
                return made
            begun = clock()
            vectors = self._vectors(lane.engine, None)

    def _rows(self, number: int, lane: Lane, batch: _core.EventBatch) -> Iterator[tuple[int, int, _core.Row, int, int]]:
        """The rows that a batch brings about in one lane, each with its message's number and the lane's."""
        begun = self._clock()
        vectors = self._vectors(lane.engine, batch)
        while True:
            features_ns = self._clock() - begun
            amendments = () if lane.amended is None else lane.amended.take(lane.engine)
            for i in range(len(vectors)):
                if amendments:
                    amendments = self._write(amendments, before=vectors.offset(i))
                yield vectors.offset(i), number, vectors.row(i), features_ns, begun
            if amendments:
                self._write(amendments)
            if not lane.engine.left:
                return
            begun = self._clock()
            vectors = self._vectors(lane.engine, None)

    def _write(self, amendments: Sequence[Amendment], *, before: int | None = None) -> Sequence[Amendment]:
        """Journals what late events changed, up to and with the message `before`; gives what is left. What a message amends comes
        before its own vectors. Nothing is written of what is not spoken of, as in a history."""
        due = [each for each in amendments if before is None or each.offset <= before]
        told = [each for each in due if each.offset > self._silent_through]
        if told:
            self.journal.append_amendments([(each.ts_recv, each.amendment_id, each.to_json()) for each in told])
        return amendments[len(due) :]

    def _vectors(self, engine: _core.Engine, batch: _core.EventBatch | None) -> _core.Vectors:
        """What a batch brings about, or what is left of the one before."""
        try:
            return engine.go_on() if batch is None else engine.push(batch)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a Rust panic is no Exception
            raise _engine_failure(error) from error

    def _answer(self, lane: Lane, row: _core.Row, features_ns: int, begun: int) -> None:
        """Has every model of the lane answer a vector."""
        clock, latencies = self._clock, self.latencies
        self.vectors += 1
        ts_recv = self.axis_ns = row.ts_recv
        if not self.vectors & _SAMPLED and (ts_event := row.ts_event) is not None:
            self.venue_delay.add(ts_recv - ts_event)
        if self._superseded_through >= 0 and self._is_superseded(row):
            return
        journal, usual, shown = self.journal, not self._recovering, bool(self._observers)
        asked = [step for step in lane.steps if step.ask(row, usual=usual)]
        for step in asked:
            if self._recovering:
                # What is made again has been judged: the moment of the vector stands for the one that is gone.
                signal = step.signal(row, recorded_moment, features_ns)
                if self._is_reproduced(step, row, signal):
                    continue
            else:
                tail = journal.tail if journal.takes_more else None
                try:
                    signal = step.signal(row, self._now, features_ns, tail, shown=shown)
                except OSError as error:
                    raise journal.unwritten(error) from error
            if signal is not None:
                why = step.why(row) if step.verdict.codes else None
                journal.append_signals((signal,), why=why)
            done = clock()
            latencies.add((features_ns, step.asked_ns, step.judged_ns, done - step.judged_at, done - begun))
            self.newest, self.last_ns = step if signal is None else signal, done
            step.row, step.done_at = row, done
            if shown or step.gate.observes:
                self._show(step, row, signal)
        if latencies.is_full:
            latencies.settle()

    def _is_superseded(self, row: _core.Row) -> bool:
        """Whether other models have answered this vector; the first that they have not ends it."""
        if row.offset <= self._superseded_through:
            return True
        self._superseded_through = -1
        return False

    def _is_reproduced(self, step: ModelStep, row: _core.Row, signal: Signal | None) -> bool:
        """Whether the journal holds the signal already."""
        assert signal is not None
        seen = self.journal.seen(signal)
        self.repeated += seen
        self._recovering = not self.journal.recovery_ended
        if seen and step.gate.observes:
            decision, body = step.decision(row, signal), self.journal.seen_body
            step.gate.observe(as_recorded(decision, SignalRecord.from_json(body)) if body else decision)
        return seen

    def _show(self, step: ModelStep, row: _core.Row, signal: Signal | None) -> None:
        """Tells guards and observers what was decided."""
        decided: Decision | PassedSignal
        if step.passed is not None:  # no guard of one's own wants it, else the Gate had judged
            decided = step.passed
        else:
            decided = step.decision(row, signal)
            step.gate.observe(decided)
        for observer in self._observers:
            observer.offer(decided)


def _engine_failure(error: BaseException) -> SignalStreamError:
    """The error of the tree for what the engine raised."""
    from signal_stream import _core

    if isinstance(error, _core.CoreError):
        return core_error(error, "engine")
    advice = "Please report this, with the tape; a restart meets the same event again."
    return EngineError("PANIC", f"the engine failed: {error!r}", next_step=advice)
