"""An ONNX model behind a ring: isolated, warm, answered by the deadline whatever the model does."""

from __future__ import annotations

import contextlib
import os
import random
import struct
import threading
import time
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from signal_stream._core import run_promptly
from signal_stream.errors import ModelError
from signal_stream.models.placement import Pin, Placement
from signal_stream.models.session import OnnxSpec
from signal_stream.models.supervisor import State, Supervision, Supervisor
from signal_stream.records import Prediction

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

_new_tuple = tuple.__new__  # half the time of a NamedTuple's own
_ANSWER_NS_MAX = 10_000_000_000
FLOAT_BYTES = {"f32": 4, "f64": 8}
COLUMNS_MAX = (1 << 20) // 8
"""A request of the ring holds so many doubles."""


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """What a model has done and how its workers are. `state` and the next six are the supervisor's `Report`; the rest
    counts predictions by status since the model was made."""

    state: State
    generation: int
    workers_started: int
    deaths: int
    hangs: int
    pids: tuple[int, ...]
    last_error: str
    retry_in_ns: int | None
    answers: int
    deadline_misses: int
    dead: int
    busy: int
    errors: int


class OnnxModel:
    """One ONNX model in a worker process of its own, with a warm spare.

    The constructor returns when the model has been loaded, checked and warmed up. From then on `predict` answers by
    its deadline, whether the worker answers, hangs, dies or is being replaced: a death or a hang costs one prediction
    while a spare is at hand. One thread predicts; on machines with two CPUs or fewer it is pinned, beside its worker,
    to one of them by its first prediction (`pin="none"` leaves it alone), and set free by `close` on the same thread.

    A deadline nearer than the kernel's next tick (4 ms at 250 Hz) costs some microseconds more a call, for its timer.

    >>> with OnnxModel(path, columns=("a", "b"), output="probabilities", output_index=1) as model:  # doctest: +SKIP
    ...     row = np.array([0.1, 0.2], model.dtype).tobytes()
    ...     model.predict(row, deadline_ns=time.monotonic_ns() + 5_000_000).value
    0.618
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
        queue_slots: int = 64,
        spare: bool = True,
        pin: Pin = "auto",
        warm_up_runs: int = 50,
        keep_warm_ns: int = 0,
        hang_after_ns: int = 250_000_000,
        start_ns_max: int = 30_000_000_000,
        deaths_max: int = 10,
        retry_after_ns: int = 60_000_000_000,
    ) -> None:
        """Starts the worker and waits until it is ready.

        `columns` are the row's columns in the model's order. `output` names the model's output tensor, [1] or [1, K]
        floats, and `output_index` the number of it that becomes the prediction's value. `input_name` may be left out
        where the model has one input. `sha256` is the digest that the file must have; without it, later workers must
        find the bytes that the first one found.

        `queue_slots` (1 to 64) requests may be unfinished, given-up ones included, before `predict` says BUSY.
        `keep_warm_ns` > 0 makes an idle worker run the model once in that time, for some percent of a CPU.
        A worker that has missed a deadline and stays silent for `hang_after_ns` is killed; after more than `deaths_max`
        deaths within a minute the state is FAILED, and the next worker is tried after `retry_after_ns`; each such pause that
        did not help makes the next one twice as long, up to ten times.

        A fork of this process cannot use the model: it makes its own.

        Raises ModelError if the file cannot be served, ValueError for sizes outside their limits.
        """
        if not columns:
            raise ValueError("a model needs at least one column")
        if queue_slots not in range(1, 65):
            raise ValueError(f"queue_slots = {queue_slots} lies outside 1 to 64")
        if len(columns) > COLUMNS_MAX:
            what = f"{len(columns):,} columns; a row has at most {COLUMNS_MAX:,}"
            raise ModelError("COLUMNS", what, where=os.fspath(path), value=len(columns))
        self._pid = os.getpid()
        spec = OnnxSpec(
            path=os.fspath(path),
            columns=tuple(columns),
            output=output,
            output_index=output_index,
            input_name=input_name,
            sha256=sha256,
        )
        self._placement = Placement.choose(pin, allowed=os.sched_getaffinity(0))
        order = {
            "spec": spec.as_plain(),
            "warm_up_runs": warm_up_runs,
            "keep_warm_ns": keep_warm_ns,
            "shares_cpu": self._placement.cpu is not None,
        }
        try:
            self._supervisor = Supervisor(
                order,
                slots=queue_slots,
                row_bytes=8 * len(columns),
                placement=self._placement,
                supervision=Supervision(
                    spare=spare,
                    hang_after_ns=hang_after_ns,
                    start_ns_max=start_ns_max,
                    deaths_max=deaths_max,
                    retry_after_ns=retry_after_ns,
                ),
            )
        except OSError as error:
            what = f"its worker cannot be looked after ({error.strerror})"
            raise ModelError("WORKER", what, where=spec.path, next_step="See `ulimit -a`.") from None
        self._finalizer = weakref.finalize(self, Supervisor.close, self._supervisor)
        try:
            info = self._supervisor.first_info()
        except ModelError:
            self._finalizer()
            raise
        self._path = spec.path
        self.columns = spec.columns
        self.dtype = info.dtype
        self.sha256 = info.sha256
        self.runtime = info.runtime
        self.run_ns_p50 = info.run_ns_p50
        self._row_bytes = FLOAT_BYTES[info.dtype] * len(columns)
        self._output_index = output_index
        self._caller = 0
        self._cpus_before: set[int] = set()
        self._counts = {"OK": 0, "DEADLINE": 0, "DEAD": 0, "BUSY": 0, "ERROR": 0}

    def predict(self, payload: bytes | memoryview, deadline_ns: int) -> Prediction:
        """The prediction for one row, by `deadline_ns` of `time.monotonic_ns()` at the latest.

        `payload` is the row in `dtype` and the machine's byte order, one number a column. NaN goes to the model as it
        is. Raises ValueError if the payload has another length, or the model is closed, and ModelError in a fork of the
        process that made the model.
        """
        if os.getpid() != self._pid:
            raise self._forked()
        if type(payload) is not bytes:
            payload = bytes(payload)
        if len(payload) != self._row_bytes:
            raise ValueError(
                f"a row of {len(payload)} bytes; {len(self.columns)} columns of {self.dtype} make {self._row_bytes}"
            )
        if threading.get_ident() != self._caller:
            self._seat_caller()
        supervisor = self._supervisor
        worker = supervisor.active
        if worker is None or not worker.ring.is_alive():
            worker = supervisor.successor(worker)
            if worker is None:
                if not self._finalizer.alive:
                    raise ValueError("the model is closed")
                self._counts["DEAD"] += 1
                return Prediction(None, (), "DEAD", 0)
        status, latency_ns, values = worker.ring.call(payload, deadline_ns)
        self._counts[status] += 1
        if status == "OK":
            return _new_tuple(Prediction, (values[self._output_index], values, status, latency_ns))
        if status == "DEADLINE":
            supervisor.suspect(worker)
        elif status == "DEAD":
            supervisor.successor(worker)
        return Prediction(None, (), status, latency_ns)

    def first_wrong(
        self, rows: Sequence[Sequence[float]], expected: Sequence[float], *, tolerance: float, limit_ns: int
    ) -> tuple[int, Prediction] | None:
        """The first of the rows whose prediction is not within `tolerance` of what is expected, with what came; None if all
        that could be asked in `limit_ns` are right.

        The rows are asked in an order that spreads over all of them, and are not counted in `status`.
        """
        counts, form = dict(self._counts), f"{len(self.columns)}{'d' if self.dtype == 'f64' else 'f'}"
        order = list(range(len(rows)))
        random.Random(0).shuffle(order)
        until = time.monotonic_ns() + limit_ns
        try:
            for row in order:
                if (now := time.monotonic_ns()) > until:
                    break
                answer = self.predict(struct.pack(form, *rows[row]), now + _ANSWER_NS_MAX)
                if answer.value is None or not abs(answer.value - expected[row]) <= tolerance:
                    return row, answer
            return None
        finally:
            self._counts = counts

    def wait_ready(self, timeout_ns: int) -> bool:
        """Waits until the worker, and the spare where one is wanted, are ready. False if that did not come about."""
        if os.getpid() != self._pid:
            raise self._forked()
        return self._supervisor.wait(spare=True, timeout_ns=timeout_ns)

    def status(self) -> ModelStatus:
        """What the model has done, and how its workers are just now."""
        if os.getpid() != self._pid:
            raise self._forked()
        report = self._supervisor.report()
        counts = self._counts
        return ModelStatus(
            state=report.state,
            generation=report.generation,
            workers_started=report.workers_started,
            deaths=report.deaths,
            hangs=report.hangs,
            pids=report.pids,
            last_error=report.last_error,
            retry_in_ns=report.retry_in_ns,
            answers=counts["OK"],
            deadline_misses=counts["DEADLINE"],
            dead=counts["DEAD"],
            busy=counts["BUSY"],
            errors=counts["ERROR"],
        )

    def close(self) -> None:
        """Ends the workers, gently for at most a second, and gives all processes, descriptors and memory back.

        In a fork it leaves everything to the process that made the model.
        """
        self._finalizer()
        if os.getpid() != self._pid:
            return
        if self._cpus_before and threading.get_ident() == self._caller:
            os.sched_setaffinity(0, self._cpus_before)
            run_promptly(False)
            self._cpus_before = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _forked(self) -> ModelError:
        what = f"the model belongs to process {self._pid}, of which this one ({os.getpid()}) is a fork"
        advice = "Make the OnnxModel in each process, after the fork."
        return ModelError("WORKER", what, where=self._path, next_step=advice)

    def _seat_caller(self) -> None:
        """Puts the calling thread where its worker is."""
        self._caller = threading.get_ident()
        if self._placement.cpu is not None:
            self._cpus_before = os.sched_getaffinity(0)
            with contextlib.suppress(OSError):  # it runs as well elsewhere, only slower
                os.sched_setaffinity(0, {self._placement.cpu})
                run_promptly(True)
