"""What is decided about one vector: the vector, a model's prediction, the guards' findings, the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, TypeAlias

from .signal import Latency
from .verdict import Verdict


class VectorRow(Protocol):
    """One feature vector as the engine made it. `reasons[i]` is None where feature i is valid."""

    @property
    def graph_digest(self) -> str: ...
    @property
    def schema_digest(self) -> str: ...
    @property
    def instrument(self) -> str: ...
    @property
    def ts_event(self) -> int | None: ...
    @property
    def ts_recv(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def data_window_end(self) -> int: ...
    @property
    def age_recv_ns(self) -> int | None:
        """Receive-time age of the oldest input at the moment of the vector; None if an input never came."""

    @property
    def age_event_ns(self) -> int | None:
        """The same since it happened by the venue's clock, a delay on the way included; None where it sends no time."""

    @property
    def values(self) -> Sequence[float | None]: ...
    @property
    def reasons(self) -> tuple[str | None, ...]: ...
    @property
    def digest(self) -> bytes: ...


class ModelRow(NamedTuple):
    """One vector as a model is given it: `values` are the numbers of its columns in its dtype and the machine's byte order,
    with defaults where they stand in; of which instrument, and its receive time in nanoseconds."""

    values: bytes
    instrument: str
    ts_recv: int


Status: TypeAlias = Literal["OK", "DEADLINE", "DEAD", "BUSY", "ERROR"]


class Prediction(NamedTuple):
    """A model's answer to one row, or the reason why there is none.

    `value` is the output that the signal is made of and `outputs` are all numbers of the model's output tensor, in its
    order; None and empty unless `status` is OK. `latency_ns` is what the caller waited. The status says:

    - OK: answered in time, every number finite;
    - DEADLINE: the deadline passed first;
    - DEAD: the worker ended during the call, or there is none to ask;
    - BUSY: refused at once, the queue is full or another thread is asking;
    - ERROR: the model failed on this row, or gave a number that is not finite.

    >>> Prediction(value=0.6, outputs=(0.4, 0.6), status="OK", latency_ns=21_000).value
    0.6
    """

    value: float | None
    outputs: tuple[float, ...]
    status: Status
    latency_ns: int


@dataclass(frozen=True, slots=True)
class Finding:
    """A guard's objection: one of `CODES`, a sentence, and whether it latches (a Halt) or concerns this vector."""

    code: str
    why: str
    halt: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """One vector and one model, after the fact: what came in, what the model said, what was made of it.

    `prediction` is None where the model was not asked. `value` is what the signal carries: None unless the verdict is PASS.
    `model` is name@version, `stage` that version's when the pipeline was opened.
    """

    signal_id: str
    model: str
    stage: str
    vector: VectorRow
    prediction: Prediction | None
    verdict: Verdict
    value: float | None
    latency: Latency
