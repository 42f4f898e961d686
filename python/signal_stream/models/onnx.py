"""An ONNX model in a worker process of its own."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Unpack, overload

from signal_stream.errors import ModelError
from signal_stream.models.isolated import IsolatedModel, WorkerOptions
from signal_stream.models.session import OnnxSpec
from signal_stream.records import ModelRow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from signal_stream._core import JournalFile, PassingSignals, Row
    from signal_stream.records import ModelCard, Prediction


class OnnxModel(IsolatedModel):
    """One ONNX model in a worker process of its own. See `IsolatedModel`.

    with OnnxModel(path, columns=("a", "b"), output="probabilities", output_index=1) as model:
        row = np.array([0.1, 0.2], model.dtype).tobytes()
        model.predict(row, deadline_ns=time.monotonic_ns() + 5_000_000).value    # 0.618
    """

    def __init__(
        self,
        path: str | Path,
        *,
        columns: Sequence[str],
        output: str,
        output_index: int = 0,
        input_name: str | None = None,
        sha256: str | None = None,
        **options: Unpack[WorkerOptions],
    ) -> None:
        """Starts the worker and waits until it is ready.

        `columns` are the row's columns in the model's order. `output` names the model's output tensor, [1] or [1, K]
        floats, and `output_index` the number of it that becomes the prediction's value. `input_name` may be left out
        where the model has one input. `sha256` is the digest that the file must have; without it, later workers must
        find the bytes that the first one found. `options` say how the workers are kept.

        Raises ModelError if the file cannot be served, ValueError for sizes outside their limits.
        """
        spec = OnnxSpec(
            path=os.fspath(path),
            columns=tuple(columns),
            output=output,
            output_index=output_index,
            input_name=input_name,
            sha256=sha256,
        )
        super().__init__(
            "onnx", spec.as_plain(), columns=columns, output_index=output_index, row_more=0, options=options
        )

    @overload
    def predict(self, rows: bytes, deadline_ns: int) -> Prediction: ...
    @overload
    def predict(self, rows: Sequence[ModelRow], deadline_ns: int) -> list[Prediction]: ...
    def predict(self, rows: bytes | Sequence[ModelRow], deadline_ns: int) -> Prediction | list[Prediction]:
        """As `IsolatedModel.predict`; the bytes of one row, of which an ONNX model needs no instrument and no time, have one
        prediction."""
        if isinstance(rows, bytes):
            [prediction] = super().predict((ModelRow(rows, "", 0),), deadline_ns)
            return prediction
        return super().predict(rows, deadline_ns)

    def submit_vector(self, vector: Row, asked_at: int, deadline_ns: int) -> bool:
        """As `submit`, for a vector of the core, which goes into the ring as it is. False, with nothing done, where that is not
        possible: something in it is invalid, the worker has ended or has no room."""
        worker = self._supervisor.active
        if worker is None or self._asked:
            return False
        if threading.get_ident() != self._caller:
            self._seat_caller()
        request = worker.ring.submit_row(vector, self._row_bytes, deadline_ns)
        if not request:
            return False
        self._deadline_ns = deadline_ns
        self._asked.append((worker, request, asked_at))
        return True

    def pass_on(
        self,
        passing: PassingSignals,
        vector: Row,
        axis_now: Callable[[int], int],
        tail: JournalFile,
        before: tuple[int, int],
        *,
        wanted: bool,
    ) -> tuple[float, int, int, int, int, tuple[str, tuple[float, ...]] | None] | None:
        """Instead of `collect`, after `submit_vector`: waits for the answer and writes the signal, if nothing is unusual. None,
        with nothing done, otherwise: `collect` gives what there is. See `PassingSignals.take`."""
        worker, request, _ = self._asked[0]
        assert worker is not None
        written = passing.take(
            worker.ring, request, self._deadline_ns, self._output_index, vector, axis_now, tail, before, wanted
        )
        if written is not None:
            self._counts["OK"] += 1
            self._asked.clear()
        return written


def onnx_model(card: ModelCard) -> OnnxModel:
    """A registered ONNX model, ready to answer. Raises ModelError."""
    if not card.isolated:
        what = f"{card.ref} is an ONNX model, which runs isolated"
        raise ModelError("KIND", what, next_step='Write placement = "isolated".')
    names = [name for name in card.files if name.endswith(".onnx")]
    if len(names) != 1:
        raise ModelError("KIND", f"{card.ref} has {len(names)} ONNX files, and has to have one")
    return OnnxModel(
        card.files[names[0]],
        columns=card.columns,
        output=card.output,
        output_index=card.output_index,
        sha256=card.digests[names[0]],
        pin="auto" if card.first else "apart",
        spare=card.spare,
    )
