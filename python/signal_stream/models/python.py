"""A Python module of a user's as a model, in a worker process of its own."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Final, Unpack

from signal_stream.errors import ModelError
from signal_stream.models.isolated import FLOAT_BYTES, IsolatedModel, WorkerOptions
from signal_stream.models.python_request import TAIL_BYTES, Do, Tail
from signal_stream.models.python_session import PythonSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from signal_stream.models.process import WorkerProcess
    from signal_stream.records import ModelCard, ModelRow, Prediction

MODULE_FILE: Final = "model.py"
"""The name under which a registration keeps the module."""
_NEVER_NS: Final = (1 << 63) - 1
_STATE_NS_MAX: Final = 5_000_000_000
_ROWS_MAX: Final = 4096
"""After so many rows a snapshot is taken, so that a new worker has few to compute again."""
_ROWS_LOST: Final = 65_536
"""So many rows are kept where no worker gives one; then the state is lost."""
_FEED_ROWS: Final = 128
"""A new worker is fed so many of them at a time, so that it is seen to live."""


class PythonModel(IsolatedModel):
    """A module of a user's: `predict(rows, instruments, times)`, as a function or a method of a class `Model`. See
    `IsolatedModel` for the rest, and `python_session.PythonSession` for what the module has to be.

    A model that carries state (its class has `snapshot` and `restore`) has one worker. The state is a function of the rows that
    were submitted, all of them, answered in time or not: a worker that takes the place of another one is given the newest
    snapshot and the rows since.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        columns: Sequence[str],
        dtype: str = "f64",
        requirements: Sequence[str] = (),
        sha256: str | None = None,
        folder: Callable[[], object] | None = None,
        **options: Unpack[WorkerOptions],
    ) -> None:
        """Starts the worker and waits until it has imported the module.

        `columns` are the row's columns in the model's order, of type `dtype` (f32 or f64). `requirements` is what has to be
        installed, as "numpy>=1.26". `sha256` is the digest that the module must have. `folder` is called when the model
        is closed, to give back what lies around it.

        Raises ModelError where something is missing or the module fails, ValueError for sizes outside their limits.
        """
        spec = PythonSpec(os.fspath(path), tuple(columns), dtype, tuple(requirements), sha256)
        super().__init__(
            "python", spec.as_plain(), columns=columns, output_index=0, row_more=TAIL_BYTES, options=options
        )
        self._request_bytes = FLOAT_BYTES[dtype] * len(columns) + TAIL_BYTES
        self._folder = folder
        self._base = b""
        self._since: list[bytes] = []
        self._in_step = 0
        """The worker that has computed all rows: its generation."""
        self._last = 0
        """The newest request of bringing it up."""

    def snapshot(self) -> bytes:
        """The state behind the last row that was submitted. Raises ModelError STATE where the model does not give it."""
        if not self._since:
            return self._base
        worker = self._worker()
        if worker is None or len(self._since) >= _ROWS_LOST:
            raise self._no_state("no worker answers")
        size = self._answered(worker, self._submit(worker, Tail(Do.SNAPSHOT)))
        self._base, self._since = os.pread(worker.state_fd, size, 0), []
        return self._base

    def restore(self, snapshot: bytes, /) -> None:
        """Takes over what `snapshot` gave; empty: the state before the first row. Raises ModelError STATE if the model refuses
        it."""
        self._base, self._since, self._in_step = snapshot, [], 0
        worker = self._worker()
        if worker is not None:  # else the next one is brought up with its first row
            self._answered(worker, self._last)

    def first_wrong(
        self, rows: Sequence[ModelRow], expected: Sequence[float], *, tolerance: float, limit_ns: int
    ) -> tuple[int, Prediction] | None:
        """As `IsolatedModel.first_wrong`; the state is then as at the beginning."""
        try:
            return super().first_wrong(rows, expected, tolerance=tolerance, limit_ns=limit_ns)
        finally:
            if self.stateful:
                self.restore(b"")

    def close(self) -> None:
        """Ends the workers and gives everything back."""
        super().close()
        if self._folder is not None:
            self._folder()

    def _request(self, row: ModelRow) -> bytes:
        return super()._request(row) + Tail(Do.PREDICT, row.instrument, row.ts_recv).to_bytes()

    def _put(self, row: ModelRow, deadline_ns: int) -> tuple[WorkerProcess | None, int, int]:
        if not self.stateful:
            return super()._put(row, deadline_ns)
        request = self._request(row)
        worker = self._worker()
        if worker is not None and len(self._since) >= _ROWS_MAX:
            self.snapshot()
        if len(self._since) >= _ROWS_LOST:
            raise self._no_state(
                f"no worker has answered for {_ROWS_LOST:,} rows; a restart of the pipeline makes it again"
            )
        self._since.append(request)
        begun = time.monotonic_ns()
        if worker is None:
            return None, 0, begun
        # The worker computes it whenever it comes to it: the rows behind it rest on it.
        number = worker.ring.submit(request, _NEVER_NS)
        if number == 0:
            self._supervisor.replace(worker, "fell too far behind, and was replaced")
        return worker, number if begun < deadline_ns or number == 0 else -1, begun

    def _worker(self) -> WorkerProcess | None:
        """The worker that answers, given all rows that it lacks."""
        supervisor = self._supervisor
        worker = supervisor.active
        if worker is None or not worker.ring.is_alive():
            worker = supervisor.successor(worker)
        if worker is None:
            if not self._finalizer.alive:
                raise ValueError("the model is closed")
            return None
        if worker.generation != self._in_step:
            self._bring_up(worker)
        return worker

    def _bring_up(self, worker: WorkerProcess) -> None:
        """Has a new worker restore the newest snapshot and compute the rows since, without waiting."""
        data = b"".join((self._base, *self._since))
        written = 0
        while written < len(data):
            written += os.pwrite(worker.state_fd, data[written:], written)
        self._last = self._submit(worker, Tail(Do.RESTORE, first=len(self._base)))
        at_a_time = max(_FEED_ROWS, -(-len(self._since) // max(self._slots - 2, 1)))
        for begin in range(0, len(self._since), at_a_time):
            count = min(at_a_time, len(self._since) - begin)
            first = len(self._base) + begin * self._request_bytes
            self._last = self._submit(worker, Tail(Do.FEED, first=first, count=count))
        self._in_step = worker.generation

    def _submit(self, worker: WorkerProcess, tail: Tail) -> int:
        row = bytes(self._request_bytes - TAIL_BYTES)
        return worker.ring.submit(row + tail.to_bytes(), _NEVER_NS)

    def _answered(self, worker: WorkerProcess, number: int) -> int:
        """The number that a request other than for a prediction is answered with. Raises ModelError STATE."""
        if number == 0:
            raise self._no_state("its queue is full")
        status, values = worker.ring.collect(number, time.monotonic_ns() + _STATE_NS_MAX)
        if status != "OK":
            raise self._no_state(f"{status}. It said last: {worker.last_words}")
        return int(values[0])

    def _no_state(self, why: str) -> ModelError:
        return ModelError("STATE", f"the model does not give its state: {why}", where=self._path)


def python_model(card: ModelCard) -> PythonModel:
    """A registered Python model, ready to answer. Its files are copied to a folder of their own, which goes with it: what
    becomes of the registry meanwhile is nothing to it. Raises ModelError."""
    if not card.isolated:
        what = f"{card.ref} is a Python model, which runs isolated"
        raise ModelError("KIND", what, next_step='Write placement = "isolated".')
    if MODULE_FILE not in card.files:
        raise ModelError("KIND", f"{card.ref} has no {MODULE_FILE}")
    folder = Path(tempfile.mkdtemp(prefix="signal-stream-model-"))
    owner = os.getpid()
    try:
        for name, path in card.files.items():
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() != card.digests[name]:
                raise ModelError("UNREADABLE", f"{name} of {card.ref} was changed", where=str(path))
            (folder / name).write_bytes(data)
        model = PythonModel(
            folder / MODULE_FILE,
            columns=card.columns,
            dtype=card.dtype,
            requirements=card.requirements,
            sha256=card.digests[MODULE_FILE],
            folder=lambda: _remove(folder, owner),
            spare=card.spare,
            pin="auto" if card.first else "apart",
        )
    except BaseException:
        _remove(folder, owner)
        raise
    weakref.finalize(model, _remove, folder, owner)
    return model


def _remove(folder: Path, owner: int) -> None:
    """Removes the folder, unless this is a fork of the process that made it."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
