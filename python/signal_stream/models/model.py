"""What a model is to the rest of the line: a row in, a prediction out, by a deadline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from types import TracebackType

    from signal_stream.records import Prediction


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
