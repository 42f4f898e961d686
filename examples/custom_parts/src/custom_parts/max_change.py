"""A prediction that jumps is not believed."""

from __future__ import annotations

import json

from pydantic import Field

from signal_stream.records import Decision, Finding, Prediction, VectorRow
from signal_stream.settings import GuardSettings


class MaxChange:
    """`kind = "max_change"`. Objects where a prediction differs from the instrument's one before by more than `max_change`.

    The predictions before are its state: part of each checkpoint, so that a restart and a replay judge alike.
    """

    class Settings(GuardSettings):
        """`[[guard]]` of a prediction's change."""

        max_change: float = Field(gt=0)
        """In the unit of the prediction."""

    def __init__(self, settings: Settings) -> None:
        self._max = settings.max_change
        self._last: dict[str, float] = {}

    def check(self, prediction: Prediction | None, vector: VectorRow, now: int) -> Finding | None:
        """The objection, None if there is none. Looks only: state moves in `observe`."""
        before = self._last.get(vector.instrument)
        if prediction is None or prediction.value is None or before is None:
            return None
        if abs(prediction.value - before) <= self._max:
            return None
        return Finding("GUARD", f"{before:.3f} became {prediction.value:.3f}, which is more than {self._max}")

    def observe(self, decision: Decision) -> None:
        """Keeps what was predicted."""
        if decision.prediction is not None and decision.prediction.value is not None:
            self._last[decision.vector.instrument] = decision.prediction.value

    def snapshot(self) -> bytes:
        """The predictions before."""
        return json.dumps(self._last, sort_keys=True).encode()

    def restore(self, snapshot: bytes) -> None:
        """Takes over what `snapshot` gave."""
        self._last = json.loads(snapshot)
