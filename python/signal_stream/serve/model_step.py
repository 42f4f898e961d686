"""One model's way from a vector to a signal: ask, judge, make."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from signal_stream.records import PASS, Latency, Manifest, ModelRow, Prediction, Signal

if TYPE_CHECKING:
    from collections.abc import Callable

    from signal_stream import _core
    from signal_stream.guards import Gate
    from signal_stream.roles import Model
    from signal_stream.store import Latches

_new_tuple: Final = tuple.__new__  # half the time of a NamedTuple's own
_FAILED: Final = Prediction(None, (), "ERROR", 0)


class ModelStep:
    """Makes the signals of one model. Every vector gets one: a pass, or a veto with its codes.

    The model is not asked where its answer could change nothing: features are missing without a default that may
    stand in, or the model was killed when the last vector was judged and still is. Whatever asking raises is a
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
        speaks: bool = True,
    ) -> None:
        """`speaks`: whether its signals may be acted upon; else they are journaled and go nowhere else."""
        self.speaks = speaks
        self.model = model
        self.manifest = manifest
        self.gate = gate
        self.deadline_ns = deadline_ns
        self.outcomes: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self.asked_ns = 0
        """What asking and waiting took for the last vector; the guards' time follows it."""
        self.judged_ns = 0
        self.judged_at = 0
        """When the guards had judged, by the monotonic clock."""
        self._prediction: Prediction | None = None
        self._submitted = False
        self._latches = latches
        self._killed = False
        self._defaults = [manifest.defaults.get(column) for column in manifest.columns]
        self._double = manifest.dtype == "f64"
        self._clock = time.monotonic_ns

    def ask(self, row: _core.Row) -> None:
        """Asks the model about a vector, without waiting for the answer; `signal` is called next."""
        clock = self._clock
        begun = clock()
        self._prediction = None
        self._submitted = False
        try:
            values = self._values(row)
            if values is not None:
                one = (_new_tuple(ModelRow, (values, row.instrument, row.ts_recv)),)
                self.model.submit(one, begun + self.deadline_ns)
                self._submitted = True
        except Exception:  # noqa: BLE001  whatever a model does wrong is a veto
            self._prediction = _FAILED
        self.asked_ns = clock() - begun

    def signal(self, row: _core.Row, now: Callable[[int], int], features_ns: int) -> Signal:
        """The signal for the vector asked about. `now` gives axis time: it is asked when the model has answered, so its time
        counts."""
        clock = self._clock
        begun = clock()
        prediction = self._prediction
        if self._submitted:
            try:
                (prediction,) = self.model.collect()
            except Exception:  # noqa: BLE001  as above
                prediction = _FAILED
        answered = clock()
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
        return self.gate.signal(verdict, latency)

    def _values(self, row: _core.Row) -> bytes | None:
        """The model's numbers of a vector; None where its answer could change nothing."""
        if self._killed and self._latches.killed(self.manifest.name) is not None:
            return None
        if not row.invalid:
            return row.payload(double=self._double)
        if self.gate.complete(row):
            return row.payload(self._defaults, double=self._double)
        return None
