"""One model's way from a vector to a signal: ask, judge, make."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from signal_stream.guards.gate import PASSED
from signal_stream.models import OnnxModel
from signal_stream.records import PASS, Decision, Latency, ModelRow, Prediction, Signal, canonical_json

from .passed_signal import PassedSignal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from signal_stream import _core
    from signal_stream.guards import Gate
    from signal_stream.registry import Manifest
    from signal_stream.roles import Model
    from signal_stream.store import Latches

_new_tuple: Final = tuple.__new__  # half the time of a NamedTuple's own
_FAILED: Final = Prediction(None, (), "ERROR", 0)


class ModelStep:
    """Makes the signals of one model. Every vector of its instruments gets one: a pass, or a veto with its codes.

    The model is not asked where its answer could change nothing: features are missing without a default that may
    stand in, or the model was killed when the last vector was judged and still is (one that carries state is asked: its state
    is a function of the vectors alone). Whatever asking raises is a
    MODEL_ERROR.

    `outcomes` counts signals by verdict, `codes` counts the codes of all that are no plain pass.
    """

    def __init__(
        self,
        *,
        model: Model,
        manifest: Manifest,
        gate: Gate,
        latches: Latches,
        deadline_ns: int,
        ref: str = "",
        stage: str = "",
        instruments: Collection[str] | None = None,
    ) -> None:
        """`ref` is name@version,
        `stage` the version's when the pipeline was opened. `instruments`: those that it has signals for, None for all."""
        self._instruments = None if instruments is None else frozenset(instruments)
        self.ref = ref
        self.stage = stage
        self.verdict = PASSED
        """Of the newest signal; with prediction and latency, what its decision is made of."""
        self._latency: tuple[int, int, int, int] = (0, 0, 0, 0)
        self._passing = gate.passing
        self.model = model
        self.manifest = manifest
        self.gate = gate
        self.deadline_ns = deadline_ns
        self.outcomes: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self.unasked: Counter[str] = Counter()
        """Vectors by instrument that the model was not asked about, for it does not speak for them."""
        self.asked_ns = 0
        """What asking and waiting took for the last vector; the guards' time follows it."""
        self.judged_ns = 0
        self.row: _core.Row | None = None
        """The newest vector that was answered, which was in the journal at `done_at` by the monotonic clock."""
        self.done_at = 0
        self.judged_at = 0
        """When the guards had judged, by the monotonic clock."""
        self._prediction: Prediction | None = None
        self._submitted = False
        self._latches = latches
        self._killed = False
        self._defaults = [manifest.defaults.get(column) for column in manifest.columns]
        self._double = manifest.dtype == "f64"
        self._stateful = manifest.stateful
        self._direct: OnnxModel | None = model if isinstance(model, OnnxModel) else None
        """The model, if it takes vectors of the core as they are."""
        self._is_direct = False
        self._asked_at = 0
        self.passed: PassedSignal | None = None
        """The newest signal, where the core took the answer itself and observers are to be shown it."""
        self._clock = time.monotonic_ns

    def limit(self, gate: Gate, *, deadline_ns: int) -> None:
        """Other limits from now on: `gate` goes on where the one before stood."""
        gate.take_over(self.gate)
        self.gate, self._passing, self.deadline_ns = gate, gate.passing, deadline_ns

    def ask(self, row: _core.Row, *, usual: bool = False) -> bool:
        """Asks the model about a vector, without waiting for the answer, and `signal` is called next. False where the model
        does not speak for the vector's instrument. `usual`: if there is nothing unusual about it, its signal may be written at
        once."""
        instrument = row.instrument
        if self._instruments is not None and instrument not in self._instruments:
            self.unasked[instrument] += 1
            return False
        clock = self._clock
        begun = self._asked_at = clock()
        self._prediction = self.passed = None
        self._submitted = self._is_direct = False
        try:
            if usual and self._passing is not None and self._direct is not None and not self._killed:
                self._is_direct = self._submitted = self._direct.submit_vector(row, begun, begun + self.deadline_ns)
            values = None if self._submitted else self._values(row)
            if values is not None:
                one = (_new_tuple(ModelRow, (values, instrument, row.ts_recv)),)
                self.model.submit(one, begun + self.deadline_ns)
                self._submitted = True
        except Exception:  # noqa: BLE001  whatever a model does wrong is a veto
            self._prediction = _FAILED
        self.asked_ns = clock() - begun
        return True

    def signal(
        self,
        row: _core.Row,
        now: Callable[[int], int],
        features_ns: int,
        tail: _core.JournalFile | None = None,
        *,
        shown: bool = False,
    ) -> Signal | None:
        """The signal for the vector asked about. `now` gives axis time: it is asked when the model has answered, so its time
        counts.

        With `tail`, the signal about which nothing is unusual is written there at once, and None comes back. If it is to be
        `shown` to observers, `passed` may be what they are given.
        """
        clock = self._clock
        begun = clock()  # before the direct way, which may have waited for the answer where it then declines
        passing = None if tail is None else self._passing
        if self._is_direct and passing is not None and tail is not None:
            assert self._direct is not None
            written = self._direct.pass_on(passing, row, now, tail, (features_ns, self.asked_ns), wanted=shown)
            if written is not None:
                value, answered, asked, guards, emit, more = written
                took = (features_ns, asked, guards, emit)
                self._note_passed(answered, took)
                if more is not None:
                    waited = answered - self._asked_at
                    self.passed = _new_tuple(
                        PassedSignal, (more[0], self.ref, self.stage, row, value, more[1], waited, took)
                    )
                return None
        self._is_direct = False
        prediction = self._prediction
        if self._submitted:
            try:
                (prediction,) = self.model.collect()
            except Exception:  # noqa: BLE001  as above
                prediction = _FAILED
            self._prediction = prediction
        answered = clock()
        if passing is not None and tail is not None and prediction is not None and prediction.value is not None:
            asked = self.asked_ns + answered - begun
            axis_ns = now(row.ts_recv)
            judged_in = passing.write(tail, row, prediction.value, axis_ns, (features_ns, asked), answered)
            if judged_in is not None:
                self._note_passed(answered, (features_ns, asked, *judged_in))
                return None
        verdict = self.gate.judge(prediction, row, now(row.ts_recv))
        judged = self.judged_at = clock()
        asked_ns = self.asked_ns = self.asked_ns + answered - begun
        self.judged_ns = judged - answered
        self.outcomes[verdict.outcome] += 1
        if verdict.codes:
            self.codes.update(verdict.codes)
            self._killed = "KILLED" in verdict.codes
        elif verdict.outcome == PASS:
            self._killed = False
        latency = _new_tuple(Latency, (features_ns, asked_ns, judged - answered, clock() - judged))
        self.verdict, self._latency = verdict, latency
        return self.gate.signal(verdict, latency)

    def _note_passed(self, answered: int, took: tuple[int, int, int, int]) -> None:
        """Notes that the usual signal was written; `took` is its latency."""
        self.asked_ns, self.judged_ns, self.judged_at = took[1], took[2], answered + took[2]
        self.outcomes[PASS] += 1
        self._killed = False
        self.verdict = PASSED
        self._latency = took

    @property
    def signal_id(self) -> str:
        """Of the newest signal that was written at once."""
        return "" if self._passing is None else self._passing.signal_id

    def decision(self, row: _core.Row, signal: Signal | None) -> Decision:
        """What was decided last: of this vector, which is in this signal; None for the one that was written at once."""
        prediction = self._prediction
        at_once = signal is None and prediction is not None
        return Decision(
            signal_id=self.signal_id if signal is None else signal.signal_id,
            model=self.ref,
            stage=self.stage,
            vector=row,
            prediction=prediction,
            verdict=self.verdict,
            value=prediction.value if at_once and prediction is not None else self.gate.value,
            latency=_new_tuple(Latency, self._latency),
        )

    def why(self, row: _core.Row) -> str:
        """Why the newest signal is no plain pass, for the journal: a sentence for each code, and the vector that was judged."""
        columns = self.manifest.columns
        reasons = {name: reason for name, reason in zip(columns, row.reasons, strict=False) if reason is not None}
        return canonical_json(
            {
                "format": 1,
                "why": list(self.verdict.why),
                "features": dict(zip(columns, row.values, strict=False)),
                "reasons": reasons,
            }
        )

    def _values(self, row: _core.Row) -> bytes | None:
        """The model's numbers of a vector; None where its answer could change nothing."""
        if self._killed and not self._stateful and self._latches.killed(self.manifest.name) is not None:
            return None
        if not row.invalid:
            return row.payload(double=self._double)
        if self.gate.complete(row):
            return row.payload(self._defaults, double=self._double)
        return None
