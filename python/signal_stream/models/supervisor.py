"""Keeps a model served: one worker that answers, one warm spare, and a new one for each that dies or hangs."""

from __future__ import annotations

import contextlib
import os
import selectors
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from signal_stream.errors import ModelError
from signal_stream.models.process import WorkerProcess
from signal_stream.models.restarts import Restarts

if TYPE_CHECKING:
    from signal_stream.models.placement import Placement
    from signal_stream.models.session import SessionInfo

State: TypeAlias = Literal["STARTING", "READY", "DEGRADED", "DOWN", "FAILED", "CLOSED"]

CLOSE_NS_MAX = 1_000_000_000
SUSPECT_LOOK_NS = 25_000_000
LOOK_NS = 1_000_000_000
START_GRACE_NS = 5_000_000_000


@dataclass(frozen=True, slots=True)
class Report:
    """How the workers of a model are.

    STARTING: none has been ready yet; READY: one answers and the spare, if wanted, is warm; DEGRADED: one answers,
    but is suspected of hanging or has no spare; DOWN: none answers, one is being started; FAILED: none answers, since too
    many have died, and the next is tried in `retry_in_ns`; CLOSED. `generation` counts workers from 1 and names the one
    that answers, 0 if none does. `retry_in_ns` is None unless a pause is being made. `said` is the last line that the
    worker which answers has complained.
    """

    state: State
    generation: int
    workers_started: int
    deaths: int
    hangs: int
    pids: tuple[int, ...]
    last_error: str
    retry_in_ns: int | None
    said: str


@dataclass(frozen=True, slots=True)
class Supervision:
    """How workers are watched. `hang_after_ns`: a worker that has missed a deadline and stays silent for so long is
    killed. `start_ns_max`: a worker that is not ready by then is killed. `deaths_max`: after more deaths than this
    within a minute no new worker is started for `retry_after_ns`. One death within a minute of that makes the next pause
    twice as long, up to ten times."""

    spare: bool
    hang_after_ns: int
    start_ns_max: int
    deaths_max: int
    retry_after_ns: int


class Supervisor:
    """Owns the worker processes of one model, and the thread that they live by.

    The caller's thread uses `active`, and on trouble `successor` and `suspect`, which swap seats and return at once.
    All else happens on the supervisor's thread: starting, listening, killing, reaping.

    Invariants (`check_invariants`): a worker sits in at most one seat; a seated worker has said that it is ready; at
    most two workers are alive besides those already killed.
    """

    def __init__(
        self,
        order: dict[str, Any],
        *,
        slots: int,
        row_bytes: int,
        placement: Placement,
        supervision: Supervision,
    ) -> None:
        self.active: WorkerProcess | None = None
        self._spare: WorkerProcess | None = None
        self._order = order
        self._slots = slots
        self._row_bytes = row_bytes
        self._placement = placement
        self._supervision = supervision
        self._workers: list[WorkerProcess] = []  # touched by the supervisor's thread only
        self._info: SessionInfo | None = None
        self._generations = 0
        self._hangs = 0
        self._deaths = 0
        self._restarts = Restarts(deaths_max=supervision.deaths_max, retry_after_ns=supervision.retry_after_ns)
        self._pid = os.getpid()
        self._last_error: ModelError | None = None
        self._closing = False
        self._changed = threading.Condition()
        self._alarm = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._alarm, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run, name="signal-stream-workers", daemon=True)
        self._thread.start()

    # What the caller's thread asks

    def successor(self, dead: WorkerProcess | None) -> WorkerProcess | None:
        """The worker to ask instead of one that is dead; None if there is none."""
        with self._changed:
            if self.active is dead:
                spare, self._spare = self._spare, None
                self.active = spare if spare is not None and spare.is_usable else None
            self._ring_alarm()
            return self.active

    def suspect(self, worker: WorkerProcess) -> None:
        """Notes that `worker` has missed a deadline; the spare answers from now on, until that one has caught up."""
        if worker.suspected_ns is not None and self._spare is None:
            return  # known, and nothing to be done about it here: the caller is late already
        with self._changed:
            if worker.suspected_ns is None:
                worker.progress_seen = worker.ring.progress()
                worker.suspected_ns = time.monotonic_ns()
            if self.active is worker and self._spare is not None and self._spare.is_usable:
                self.active, self._spare = self._spare, worker
            self._ring_alarm()

    def wait(self, *, spare: bool, timeout_ns: int) -> bool:
        """Waits until a worker answers, and with `spare` until the spare is ready too. False on timeout, or if
        that cannot come about any more."""

        def settled() -> bool:
            return self._closing or self._restarts.is_pausing or reached()

        def reached() -> bool:
            return self.active is not None and (not spare or self._spare is not None or not self._wants_spare)

        with self._changed:
            self._changed.wait_for(settled, timeout_ns / 1e9)
            return reached()

    def replace(self, worker: WorkerProcess, why: str) -> None:
        """Has a worker ended, and another one started in its place."""
        with self._changed:
            if self.active is worker:
                self.active = None
            worker.replaced_because = why
            self._ring_alarm()

    def first_info(self) -> SessionInfo:
        """Waits for the first worker, and says what its model is like. Raises ModelError if there is none."""
        with self._changed:
            limit_ns = self._supervision.start_ns_max + START_GRACE_NS
            self._changed.wait_for(lambda: self._info is not None or self._deaths, limit_ns / 1e9)
            if self._info is not None:
                return self._info
            what = "the worker process could not be started in time"
            raise self._last_error or ModelError("WORKER", what, where=self._order["spec"]["path"])

    def report(self) -> Report:
        """How the workers are, just now."""
        with self._changed:
            return Report(
                state=self._state(),
                generation=self.active.generation if self.active is not None else 0,
                workers_started=self._generations,
                deaths=self._deaths,
                hangs=self._hangs,
                pids=tuple(seat.pid for seat in (self.active, self._spare) if seat is not None),
                last_error=str(self._last_error or ""),
                retry_in_ns=max(self._restarts.not_before_ns - time.monotonic_ns(), 0)
                if self._restarts.is_pausing
                else None,
                said=self.active.last_words if self.active is not None else "",
            )

    def close(self) -> None:
        """Ends the workers, gently for at most a second, and gives everything back. In a fork: does nothing."""
        if os.getpid() != self._pid:
            return  # the workers are the parent's, and the thread that may hold the lock is not here
        with self._changed:
            self._closing = True
            self._ring_alarm()
            self._changed.notify_all()
        self._thread.join()

    def check_invariants(self) -> None:
        """Asserts what the class' text promises."""
        with self._changed:
            seated = [seat for seat in (self.active, self._spare) if seat is not None]
            assert len({worker.generation for worker in seated}) == len(seated)
            assert all(worker.info is not None for worker in seated)
            assert sum(worker.killed_because is None for worker in self._workers) <= 2

    # The supervisor's thread

    def _run(self) -> None:
        if self._placement.cpu is not None:
            os.sched_setaffinity(0, self._placement.elsewhere)  # this thread, and the workers while they start
        while not self._closing:
            now_ns = time.monotonic_ns()
            self._start_missing(now_ns)
            self._hear(self._patience_ns(now_ns))
            self._judge(time.monotonic_ns())
        self._end_all()

    def _start_missing(self, now_ns: int) -> None:
        # The spare starts when the first is ready. It would lack the state of one that carries some.
        wanted = 1 + (self._supervision.spare and self._info is not None and not self._info.stateful)
        living = sum(worker.killed_because is None for worker in self._workers)
        if living >= wanted or now_ns < self._restarts.not_before_ns:
            return
        with self._changed:
            self._restarts.note_start(now_ns)
        self._generations += 1
        try:
            worker = WorkerProcess(
                self._order,
                slots=self._slots,
                row_bytes=self._row_bytes,
                spin_ns_max=self._placement.spin_ns_max,
                generation=self._generations,
                now_ns=now_ns,
            )
        except OSError as error:
            what = f"the worker process cannot be started ({error.strerror})"
            self._note_death(ModelError("WORKER", what, where=self._order["spec"]["path"]), now_ns)
            return
        self._workers.append(worker)
        for fd in worker.files:
            self._selector.register(fd, selectors.EVENT_READ, worker)

    def _patience_ns(self, now_ns: int) -> int:
        """How long nothing needs to be looked at, unless something is heard."""
        looks = [now_ns + LOOK_NS]
        if self._restarts.not_before_ns > now_ns:
            looks.append(self._restarts.not_before_ns)
        for worker in self._workers:
            if worker.killed_because is None and worker.info is None:
                looks.append(worker.started_ns + self._supervision.start_ns_max)
            elif worker.killed_because is None and worker.suspected_ns is not None:
                looks.append(now_ns + min(SUSPECT_LOOK_NS, self._supervision.hang_after_ns // 10))
        return max(min(looks) - now_ns, 0)

    def _hear(self, patience_ns: int) -> None:
        for key, _ in self._selector.select(patience_ns / 1e9):
            worker = key.data
            if worker is None:
                with contextlib.suppress(BlockingIOError):
                    os.eventfd_read(self._alarm)
            elif key.fd == worker.pidfd:
                self._reap(worker)
            elif worker in self._workers:  # not reaped a moment ago, in this same round
                self._listen(worker, key.fd)

    def _listen(self, worker: WorkerProcess, fd: int) -> None:
        was_ready = worker.info is not None
        if not worker.listen(fd):
            self._selector.unregister(fd)
        if worker.info is None or was_ready:
            return
        if self._placement.cpu is not None:
            worker.run_on(frozenset({self._placement.cpu}))
        with self._changed:
            if self._info is None:
                self._info = worker.info
                # Later workers must load these very bytes, whatever lies under the path by then.
                self._order["spec"]["sha256"] = worker.info.sha256
            if self.active is None:
                self.active = worker
            else:
                self._spare = worker
            self._changed.notify_all()

    def _reap(self, worker: WorkerProcess) -> None:
        registered = self._selector.get_map()
        for fd in worker.files:
            if fd in registered:
                self._selector.unregister(fd)
        how = worker.reap()
        self._workers.remove(worker)
        self._unseat(worker)
        if worker.killed_because is None and not self._closing:
            self._note_death(how, time.monotonic_ns())

    def _judge(self, now_ns: int) -> None:
        limits = self._supervision
        for worker in self._workers:
            if worker.killed_because is not None:
                continue
            if worker.info is None and now_ns - worker.started_ns >= limits.start_ns_max:
                late = f"was not ready after {limits.start_ns_max / 1e9:g} s, and was killed"
                self._kill(worker, worker.error(late, "Raise start_ns_max, or use a smaller model."), now_ns)
            elif worker.replaced_because:
                self._kill(worker, worker.error(worker.replaced_because), now_ns)
            elif worker.suspected_ns is not None:
                self._judge_suspect(worker, worker.suspected_ns, now_ns)

    def _judge_suspect(self, worker: WorkerProcess, suspected_ns: int, now_ns: int) -> None:
        progress = worker.ring.progress()
        if worker.ring.in_flight() == 0:
            worker.suspected_ns = None
            if self._placement.cpu is not None:
                worker.run_on(frozenset({self._placement.cpu}))
        elif progress != worker.progress_seen:  # slow, not hung
            worker.progress_seen, worker.suspected_ns = progress, now_ns
        elif now_ns - suspected_ns >= self._supervision.hang_after_ns:
            silent = f"was silent for {(now_ns - suspected_ns) / 1e6:.0f} ms after a deadline, and was killed"
            with self._changed:  # whoever sees the hang sees the worker gone, too
                self._hangs += 1
                self._kill(worker, worker.error(silent), now_ns)
        elif self._placement.cpu is not None:
            worker.run_on(self._placement.elsewhere)  # whatever it does, not on the pipeline's CPU

    def _kill(self, worker: WorkerProcess, because: ModelError, now_ns: int) -> None:
        self._unseat(worker)
        worker.kill(because)
        self._note_death(because, now_ns)

    def _unseat(self, worker: WorkerProcess) -> None:
        with self._changed:
            if self._spare is worker:
                self._spare = None
            if self.active is worker:
                spare, self._spare = self._spare, None
                self.active = spare

    def _note_death(self, how: ModelError, now_ns: int) -> None:
        with self._changed:
            self._deaths += 1
            self._last_error = how
            self._restarts.note_death(now_ns)
            self._changed.notify_all()

    def _end_all(self) -> None:
        for worker in self._workers:
            worker.ring.close()
        self._hear_until_gone(CLOSE_NS_MAX)
        for worker in self._workers:
            worker.kill(worker.error("did not end when its model was closed"))
        self._hear_until_gone(CLOSE_NS_MAX)
        with self._changed:
            self._selector.close()
            os.close(self._alarm)
            self._alarm = -1

    def _hear_until_gone(self, limit_ns: int) -> None:
        until_ns = time.monotonic_ns() + limit_ns
        while self._workers and (left_ns := until_ns - time.monotonic_ns()) > 0:
            self._hear(left_ns)

    # Both, with `_changed` held

    @property
    def _wants_spare(self) -> bool:
        return self._supervision.spare and not (self._info is not None and self._info.stateful)

    def _ring_alarm(self) -> None:
        if self._alarm >= 0:
            os.eventfd_write(self._alarm, 1)

    def _state(self) -> State:
        if self._closing:
            return "CLOSED"
        if self.active is not None:
            whole = self._spare is not None or not self._wants_spare
            return "READY" if whole and self.active.is_usable else "DEGRADED"
        if self._restarts.is_pausing:
            return "FAILED"
        return "DOWN" if self._info is not None else "STARTING"
