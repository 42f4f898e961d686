"""What a model is to the rest of the line: a row in, a prediction out, by a deadline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, Self, TypeAlias

if TYPE_CHECKING:
    from types import TracebackType

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


class Model(Protocol):
    """Something that predicts. One thread asks; `close` ends it and gives everything back, and may be called twice."""

    def predict(self, payload: bytes | memoryview, deadline_ns: int) -> Prediction:
        """The prediction for one row of the model's columns, answered by `deadline_ns` whatever happens.

        `payload` holds the row's numbers in the model's dtype and byte order; `deadline_ns` is a moment of
        `time.monotonic_ns()`. Raises ValueError if the payload has another length than the row.
        """

    def close(self) -> None:
        """Ends the model. Predictions after this raise ValueError."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
