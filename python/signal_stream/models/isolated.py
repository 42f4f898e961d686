"""A model behind a ring: in a worker process of its own, warm, answered by the deadline whatever the model does."""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias, TypedDict

from signal_stream._core import run_promptly
from signal_stream.errors import ModelError
from signal_stream.models.placement import Pin, Placement
from signal_stream.models.supervisor import State, Supervision, Supervisor
from signal_stream.records import ModelRow, Prediction

if TYPE_CHECKING:
    from types import TracebackType

    from signal_stream.models.process import WorkerProcess
    from signal_stream.records import Status

FLOAT_BYTES: Final = {"f32": 4, "f64": 8}
COLUMNS_MAX: Final = (1 << 20) // 8
"""A request of the ring holds so many doubles."""
_ANSWER_NS_MAX: Final = 10_000_000_000
Asked: TypeAlias = "tuple[WorkerProcess | None, int, int]"
"""The worker that was asked, the request's id (0 where it was not taken, -1 where it came too late), and when."""
_new_tuple = tuple.__new__  # half the time of a NamedTuple's own


def _opened(path: str) -> int:
    """The model's file, held open: later workers read it whatever becomes of its name. -1 where it cannot be read."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1


def _closed(fd: int) -> None:
    if fd >= 0:
        os.close(fd)


class WorkerOptions(TypedDict, total=False):
    """How a model's workers are kept. Each has a default.

    `queue_slots` (1 to 64; 64) requests may be unfinished, given-up ones included, before a row is answered BUSY. `spare`
    (True) keeps a second worker warm. `pin`: see `Placement`. `warm_up_runs` (50) are made before the worker is ready.
    `keep_warm_ns` > 0 (0) makes an idle worker run the model once in that time, for some percent of a CPU.
    A worker that has missed a deadline and stays silent for `hang_after_ns` (250 ms) is killed, and so is one that is not
    ready after `start_ns_max` (30 s); after more than `deaths_max` (10) deaths within a minute the state is FAILED, and the
    next worker is tried after `retry_after_ns` (60 s); each such pause that did not help makes the next one twice as
    long, up to ten times.
    """

    queue_slots: int
    spare: bool
    pin: Pin
    warm_up_runs: int
    keep_warm_ns: int
    hang_after_ns: int
    start_ns_max: int
    deaths_max: int
    retry_after_ns: int


_DEFAULTS: Final = WorkerOptions(
    queue_slots=64, spare=True, pin="auto", warm_up_runs=50, keep_warm_ns=0, hang_after_ns=250_000_000,
    start_ns_max=30_000_000_000, deaths_max=10, retry_after_ns=60_000_000_000,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """What a model has done and how its workers are. `state` and the next eight are the supervisor's `Report`; the rest
    counts predictions by status since the model was made."""

    state: State
    generation: int
    workers_started: int
    deaths: int
    hangs: int
    pids: tuple[int, ...]
    last_error: str
    retry_in_ns: int | None
    said: str
    answers: int
    deadline_misses: int
    dead: int
    busy: int
    errors: int


class IsolatedModel:
    """A model in a worker process of its own, with a warm spare: what `OnnxModel` and `PythonModel` have in common.

    The constructor returns when the model has been loaded, checked and warmed up. From then on each row is answered by
    its deadline, whether the worker answers, hangs, dies or is being replaced: a death or a hang costs one prediction
    while a spare is at hand. One thread asks; on machines with two CPUs or fewer it is pinned, beside its worker,
    to one of them by its first question (`pin="none"` leaves it alone), and set free by `close` on the same thread.

    A deadline nearer than the kernel's next tick (4 ms at 250 Hz) costs some microseconds more a call, for its timer.
    A fork of this process cannot use the model: it makes its own.
    """

    def __init__(
        self,
        kind: str,
        spec: dict[str, Any],
        *,
        columns: Sequence[str],
        output_index: int,
        row_more: int,
        options: WorkerOptions,
    ) -> None:
        """Starts the worker and waits until it is ready. `spec` is what a worker of this kind is told of the model, as JSON
        carries it; its requests have `row_more` bytes behind the row. Raises ModelError or ValueError."""
        keep = _DEFAULTS | options
        if not columns:
            raise ValueError("a model needs at least one column")
        if keep["queue_slots"] not in range(1, 65):
            raise ValueError(f"queue_slots = {keep['queue_slots']} lies outside 1 to 64")
        self._path: str = spec["path"]
        if len(columns) > COLUMNS_MAX - row_more:
            what = f"{len(columns):,} columns; a row has at most {COLUMNS_MAX - row_more:,}"
            raise ModelError("COLUMNS", what, where=self._path, value=len(columns))
        self._pid = os.getpid()
        held = _opened(self._path)
        self._give_back = weakref.finalize(self, _closed, held)
        self._slots = keep["queue_slots"]
        self._placement = Placement.choose(keep["pin"], allowed=os.sched_getaffinity(0))
        order = {
            "kind": kind,
            "spec": spec,
            "held": f"/proc/{self._pid}/fd/{held}" if held >= 0 else "",
            "warm_up_runs": keep["warm_up_runs"],
            "keep_warm_ns": keep["keep_warm_ns"],
            "shares_cpu": self._placement.shared,
        }
        try:
            self._supervisor = Supervisor(
                order,
                slots=self._slots,
                row_bytes=8 * len(columns) + row_more,
                placement=self._placement,
                supervision=Supervision(
                    spare=keep["spare"],
                    hang_after_ns=keep["hang_after_ns"],
                    start_ns_max=keep["start_ns_max"],
                    deaths_max=keep["deaths_max"],
                    retry_after_ns=keep["retry_after_ns"],
                ),
            )
        except OSError as error:
            self._give_back()
            what = f"its worker cannot be looked after ({error.strerror})"
            raise ModelError("WORKER", what, where=self._path, next_step="See `ulimit -a`.") from None
        self._finalizer = weakref.finalize(self, Supervisor.close, self._supervisor)
        try:
            info = self._supervisor.first_info()
        except ModelError:
            self._finalizer()
            self._give_back()
            raise
        self.columns = tuple(columns)
        self.dtype = info.dtype
        self.sha256 = info.sha256
        self.runtime = info.runtime
        self.run_ns_p50 = info.run_ns_p50
        self.stateful = info.stateful
        self._row_bytes = FLOAT_BYTES[info.dtype] * len(columns)
        self._output_index = output_index
        self._caller = 0
        self._cpus_before: set[int] = set()
        self._counts = {"OK": 0, "DEADLINE": 0, "DEAD": 0, "BUSY": 0, "ERROR": 0}
        self._deadline_ns = 0
        self._asked: list[Asked] = []

    def predict(self, rows: Sequence[ModelRow], deadline_ns: int) -> list[Prediction]:
        """A prediction for each row, all by `deadline_ns` of `time.monotonic_ns()` at the latest. NaN goes to the model
        as it is. Raises ValueError if a row has another length or the model is closed, and ModelError in a fork of the
        process that made the model."""
        found: list[Prediction] = []
        for begin in range(0, len(rows), self._slots):
            self.submit(rows[begin : begin + self._slots], deadline_ns)
            found += self.collect()
        return found

    def submit(self, rows: Sequence[ModelRow], deadline_ns: int) -> None:
        """Asks, without waiting, for what `collect` then gives: several models answer at once this way. Rows beyond
        `queue_slots` are answered BUSY. Raises what `predict` raises."""
        if os.getpid() != self._pid:
            raise self._forked()
        if self._asked:
            raise ValueError("the answers to the rows before these were not collected")
        if threading.get_ident() != self._caller:
            self._seat_caller()
        self._deadline_ns = deadline_ns
        try:
            for row in rows:
                self._asked.append(self._put(row, deadline_ns))
        except BaseException:
            self._asked = []
            raise

    def collect(self) -> list[Prediction]:
        """The predictions for the rows submitted last, in their order, by their deadline at the latest."""
        asked, self._asked = self._asked, []
        return [self._take(*each) for each in asked]

    def _put(self, row: ModelRow, deadline_ns: int) -> Asked:
        """Puts a row into the ring of the worker that answers."""
        request = self._request(row)
        supervisor = self._supervisor
        worker = supervisor.active
        if worker is None or not worker.ring.is_alive():
            worker = supervisor.successor(worker)
            if worker is None:
                if not self._finalizer.alive:
                    raise ValueError("the model is closed")
                return None, 0, time.monotonic_ns()
        begun = time.monotonic_ns()
        if begun >= deadline_ns:
            return worker, -1, begun
        return worker, worker.ring.submit(request, deadline_ns), begun

    def _take(self, worker: WorkerProcess | None, request: int, begun: int) -> Prediction:
        status: Status
        if worker is None:
            status = "DEAD"
        elif request > 0:
            status, values = worker.ring.collect(request, self._deadline_ns)
            if status == "OK":
                self._counts[status] += 1
                waited = time.monotonic_ns() - begun
                return _new_tuple(Prediction, (values[self._output_index], values, status, waited))
            if status == "DEAD":
                self._supervisor.successor(worker)
        else:
            status = "DEADLINE" if request else "BUSY"
        if status == "DEADLINE" and worker is not None:
            self._supervisor.suspect(worker)
        self._counts[status] += 1
        return Prediction(None, (), status, 0 if worker is None else time.monotonic_ns() - begun)

    def _request(self, row: ModelRow) -> bytes:
        """A row as the worker takes it. Raises ValueError for one of another length."""
        values = row.values
        if len(values) != self._row_bytes:
            raise ValueError(
                f"a row of {len(values)} bytes; {len(self.columns)} columns of {self.dtype} make {self._row_bytes}"
            )
        return values

    def first_wrong(
        self, rows: Sequence[ModelRow], expected: Sequence[float], *, tolerance: float, limit_ns: int
    ) -> tuple[int, Prediction] | None:
        """The first of the rows whose prediction is not within `tolerance` of what is expected, with what came; None if all
        that could be asked in `limit_ns` are right.

        The rows are asked in an order that spreads over all of them, in their own if the model carries state, and are not
        counted in `status`.
        """
        counts = dict(self._counts)
        order = list(range(len(rows)))
        if not self.stateful:
            random.Random(0).shuffle(order)
        until = time.monotonic_ns() + limit_ns
        try:
            for row in order:
                if (now := time.monotonic_ns()) > until:
                    break
                [answer] = self.predict([rows[row]], now + _ANSWER_NS_MAX)
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
        counts = self._counts
        return ModelStatus(
            **asdict(self._supervisor.report()),
            answers=counts["OK"],
            deadline_misses=counts["DEADLINE"],
            dead=counts["DEAD"],
            busy=counts["BUSY"],
            errors=counts["ERROR"],
        )

    def stats(self) -> dict[str, Any]:
        """The same as plain data."""
        return asdict(self.status())

    def close(self) -> None:
        """Ends the workers, gently for at most a second, and gives all processes, descriptors and memory back.

        In a fork it leaves everything to the process that made the model.
        """
        self._finalizer()
        self._give_back()
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
        advice = f"Make the {type(self).__name__} in each process, after the fork."
        return ModelError("WORKER", what, where=self._path, next_step=advice)

    def _seat_caller(self) -> None:
        """Puts the calling thread where its worker is."""
        self._caller = threading.get_ident()
        cpu = self._placement.cpu
        if cpu is not None and self._placement.shared:
            self._cpus_before = os.sched_getaffinity(0)
            with contextlib.suppress(OSError):  # it runs as well elsewhere, only slower
                os.sched_setaffinity(0, {cpu})
                run_promptly(True)
