"""A model that carries state, asked again for the vectors of a tape."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Self

from signal_stream import parts
from signal_stream.errors import ReplayError
from signal_stream.records import ModelRow

from .served_models import card

if TYPE_CHECKING:
    from types import TracebackType

    from signal_stream import _core
    from signal_stream.guards import Gate
    from signal_stream.records import Prediction
    from signal_stream.registry import RegisteredModel
    from signal_stream.roles import StatefulModel

    from .run_record import RunRecord

ANSWER_NS_MAX: Final = 60_000_000_000


class Remembering:
    """Asks a model for each vector that it was asked about while it was served, in their order, so that its state is the same.

    Those are the complete vectors of its instruments behind what other models had answered before it.
    """

    def __init__(self, model: RegisteredModel, run_record: RunRecord, gate: Gate) -> None:
        """Starts the model. `gate` says which vectors are complete. Raises ModelError."""
        manifest = model.manifest
        served = next(each for each in run_record.models if each.ref == model.entry.ref)
        self._instruments = served.instruments
        self._after = run_record.superseded_through
        self._gate = gate
        self._defaults = [manifest.defaults.get(column) for column in manifest.columns]
        self._double = manifest.dtype == "f64"
        self._ref = model.entry.ref
        self._model: StatefulModel = parts.make("model", card(model, spare=False))

    def begin(self, state: bytes) -> None:
        """Takes over a state; empty: the one before the first vector. Raises ModelError."""
        self._model.restore(state)

    def take(self, row: _core.Row) -> Prediction | None:
        """The prediction for the next vector of the tape; None where the model was not asked. Raises ReplayError where none
        comes."""
        if row.offset <= self._after or (self._instruments is not None and row.instrument not in self._instruments):
            return None
        if row.invalid and not self._gate.complete(row):
            return None
        values = row.payload(self._defaults if row.invalid else None, double=self._double)
        one = [ModelRow(values, row.instrument, row.ts_recv)]
        [prediction] = self._model.predict(one, time.monotonic_ns() + ANSWER_NS_MAX)
        if prediction.status in ("DEAD", "DEADLINE", "BUSY"):
            what = f"{self._ref} does not answer at message {row.offset:,}: {prediction.status}"
            raise ReplayError("MODEL", what, where=self._ref)
        return prediction

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._model.close()
