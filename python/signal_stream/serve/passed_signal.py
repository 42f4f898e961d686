"""A signal that the core judged and wrote by itself, as nothing was unusual; its Decision is made if somebody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from signal_stream.guards.gate import PASSED
from signal_stream.records import Decision, Latency, Prediction

if TYPE_CHECKING:
    from signal_stream import _core


class PassedSignal(NamedTuple):
    """Made on the way of the signal, for observers; its decision is made on a thread of theirs."""

    signal_id: str
    model: str
    stage: str
    vector: _core.Row
    value: float
    outputs: tuple[float, ...]
    waited_ns: int
    """From the question to the answer."""
    latency: tuple[int, int, int, int]

    def decision(self) -> Decision:
        """The same as it is shown to observers."""
        return Decision(
            signal_id=self.signal_id,
            model=self.model,
            stage=self.stage,
            vector=self.vector,
            prediction=Prediction(self.value, self.outputs, "OK", self.waited_ns),
            verdict=PASSED,
            value=self.value,
            latency=Latency(*self.latency),
        )
