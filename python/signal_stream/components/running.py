"""One component and how it stands: the rules by which it goes from one state to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from signal_stream.durations import duration_text
from signal_stream.errors import ComponentError

from .call import Call
from .component import Health

if TYPE_CHECKING:
    from collections.abc import Callable

    from .component import Component, Kind

State = Literal["WAITING", "STARTING", "READY", "DEGRADED", "DONE", "FAILED", "STOPPING", "STOPPED"]
UP: Final = ("READY", "DEGRADED", "DONE")
"""What needs a component may be started in these."""


class Running:
    """A component with its state. One thread calls everything here; the component's own calls run on others.

    WAITING for its needs; STARTING until it is ready; READY, or DEGRADED where its health says so, or DONE; FAILED until it is
    tried again; STOPPING, STOPPED.

    Invariants: at most one call of the component is under way; a failed one is stopped before it is started again.
    """

    def __init__(self, component: Component, *, launch: Callable[[str, Callable[[], None]], None]) -> None:
        self.component = component
        self.state: State = "WAITING"
        self.reason = ""
        self.error: BaseException | None = None
        """Why it failed last; None if it never did."""
        self.failures = 0
        """In a row: forgotten once it was up for long enough."""
        self.restarts = 0
        self.is_stop_asked = False
        self.tell: Callable[[], None] = lambda: None
        """Called, on any thread, when a call has come back."""
        self._launch = launch
        self._call: Call | None = None
        self._must_stop = False
        self._begun_ns = self._up_ns = self._due_ns = self._changed_ns = 0
        self._start_ns: int | None = None
        self._stop_asked_ns: int | None = None
        self._stop_error: BaseException | None = None

    @property
    def is_up(self) -> bool:
        """Whether what needs it may be started."""
        return self.state in UP

    @property
    def is_settled(self) -> bool:
        """Whether nothing of it is under way that could still come back in time."""
        return self._call is None or self._call.is_overdue

    @property
    def is_final(self) -> bool:
        """Whether nothing more will become of it by itself."""
        return self.is_settled and (self.state in ("DONE", "STOPPED") or self.is_given_up)

    @property
    def is_given_up(self) -> bool:
        """Whether it failed and is not tried again."""
        return self.state == "FAILED" and not self.component.backoff.may_retry(self.failures)

    def advance(self, now: int, *, needs: list[Running], needed_by: list[Running], begin: bool = True) -> int | None:
        """Does what is due at the monotonic time `now`; when the next thing is, None if it depends on others. Without `begin`
        it only takes what came back."""
        was = self.state
        while True:
            before = (self.state, self._call, self._must_stop)
            self._take(now)
            if begin and self._call is None:
                self._begin(now, needs, needed_by)
            if (self.state, self._call, self._must_stop) == before:
                break
        if self.state != was:
            self._changed_ns = now
        call = self._call
        if call is not None:
            return None if call.is_over or (call.is_overdue and not self.is_stop_asked) else self._limit_ns(call)
        return self._due_ns if self._due_ns > now else None

    def take_stop_error(self) -> BaseException | None:
        """What its stop raised; None if it did not, or that was taken before."""
        error, self._stop_error = self._stop_error, None
        return error

    def status(self, now: int) -> dict[str, Any]:
        """For a status: `state` and how long it has been so (`since_ns`), `reason`, `uptime_ns` (None while it is not up), how
        long its start took, `restarts` and `retry_in_ns`."""
        retries = self.state == "FAILED" and not self.is_given_up
        return {
            "name": self.component.name,
            "needs": list(self.component.needs),
            "state": self.state,
            "since_ns": now - self._changed_ns,
            "reason": self.reason,
            "uptime_ns": now - self._up_ns if self.state in ("READY", "DEGRADED") else None,
            "start_ns": self._start_ns,
            "restarts": self.restarts,
            "retry_in_ns": max(0, self._due_ns - now) if retries else None,
        }

    def _take(self, now: int) -> None:
        """Looks after the call that is under way."""
        call = self._call
        if self.is_stop_asked and self._stop_asked_ns is None:
            self._stop_asked_ns = now
        if call is None:
            return
        if call.is_over:
            self._call = None
            self._came_back(call, now)
        elif now >= self._limit_ns(call):
            if self.is_stop_asked:
                self._call, self._must_stop, self.state = None, False, "STOPPED"
                limit = duration_text(self.component.stop_ns_max)
                self.reason = f"its {call.kind} did not return within {limit}, and was left behind"
            elif not call.is_overdue:
                call.is_overdue = True
                self._overdue(call, now)

    def _begin(self, now: int, needs: list[Running], needed_by: list[Running]) -> None:
        """Begins the next call, if one is due."""
        component = self.component
        if self._must_stop:  # it failed: whatever is left of it goes first
            self._call_on("stop", component.stop, now)
        elif self.is_stop_asked:
            self._stop(now, needed_by)
        elif self.state == "WAITING":
            lacking = [each.component.name for each in needs if not each.is_up]
            self.reason = f"it waits for {', '.join(lacking)}" if lacking else ""
            if not lacking:
                self.state, self._begun_ns = "STARTING", now
                self.reason = self._after_failures("it is started again") if self.failures else ""
                self._call_on("start", component.start, now)
        elif now < self._due_ns:
            return
        elif self.state == "STARTING":
            self._call_on("ready", component.ready, now)
        elif self.state in ("READY", "DEGRADED"):
            self._call_on("health", component.health, now)
        elif self.state == "FAILED" and not self.is_given_up:
            self.restarts += 1
            self.state = "WAITING"

    def _stop(self, now: int, needed_by: list[Running]) -> None:
        if self.state in ("WAITING", "FAILED"):
            self.state, self.reason = "STOPPED", ""
        elif self.state not in ("STOPPING", "STOPPED") and all(each.state == "STOPPED" for each in needed_by):
            self.state, self.reason = "STOPPING", ""
            self._call_on("stop", self.component.stop, now)

    def _call_on(self, kind: Kind, function: Callable[[], Any], now: int) -> None:
        self._call = call = Call(kind, function, begun_ns=now, over=lambda: self.tell())
        if kind in self.component.apart:
            self._launch(f"{kind} {self.component.name}", call.run)
        else:
            call.run()

    def _limit_ns(self, call: Call) -> int:
        """Until when a call is waited for."""
        component = self.component
        if self._stop_asked_ns is not None:
            return max(call.begun_ns, self._stop_asked_ns) + component.stop_ns_max
        if call.kind in ("start", "ready"):
            return self._begun_ns + component.start_ns_max
        return call.begun_ns + (component.health_ns_max if call.kind == "health" else component.stop_ns_max)

    def _came_back(self, call: Call, now: int) -> None:
        error = call.error
        if call.kind == "stop":
            self._must_stop = False
            if self.state == "STOPPING":
                self.state, self.reason = "STOPPED", "" if error is None else f"its stop failed: {_text(error)}"
                self._stop_error = error
        elif call.kind in ("start", "ready"):
            if self.state != "STARTING":  # it was given up meanwhile
                return
            if error is not None:
                self._fail(error, now)
            elif call.kind == "start":
                self._due_ns = now
            elif call.result:
                self._is_up(now)
            elif now >= self._begun_ns + self.component.start_ns_max:
                self._fail(self._not_ready(), now)
            else:
                self._due_ns = now + self.component.ready_every_ns
        elif error is not None:  # a part is not taken away because nobody could look at it
            self._judge(Health("DEGRADED", f"its health cannot be told: {_text(error)}"), now)
        else:
            self._judge(call.result, now)

    def _overdue(self, call: Call, now: int) -> None:
        if call.kind in ("start", "ready"):
            self._fail(self._not_ready(), now)
        elif call.kind == "health":
            limit = duration_text(self.component.health_ns_max)
            self.state, self.reason = "DEGRADED", f"it has not said how it is for {limit}"
        else:
            self.reason += f"; its stop has not returned for {duration_text(self.component.stop_ns_max)}"

    def _not_ready(self) -> ComponentError:
        limit = duration_text(self.component.start_ns_max)
        return ComponentError("TIMEOUT", f"it was not ready within {limit}", where=self.component.name,
                              value=self.component.start_ns_max, next_step="See what it logs.")  # fmt: skip

    def _is_up(self, now: int) -> None:
        self.state, self.reason = "READY", ""
        self._up_ns = now
        self._start_ns = now - self._begun_ns
        self._due_ns = now + self.component.health_every_ns

    def _judge(self, health: Health, now: int) -> None:
        component = self.component
        if health.state == "DEAD":
            self._fail(ComponentError("DIED", health.reason or "it ended", where=component.name), now)
            return
        if health.state == "DONE":
            self.state, self.reason = "DONE", health.reason
            return
        if now - self._up_ns >= component.backoff.steady_ns:
            self.failures = 0
        self._due_ns = now + component.health_every_ns
        self.state = "READY"
        self.reason = health.reason
        if health.state == "DEGRADED":
            self.state = "DEGRADED"
        elif self.failures:
            self.state = "DEGRADED"
            self.reason = self._after_failures("it is back")

    def _after_failures(self, what: str) -> str:
        times = "1 failure" if self.failures == 1 else f"{self.failures} failures in a row"
        return f"{what}, after {times}: {_text(self.error)}"

    def _fail(self, error: BaseException, now: int) -> None:
        self.failures += 1
        self.state, self.reason, self.error = "FAILED", _text(error), error
        self._must_stop = True
        self._due_ns = now + self.component.backoff.pause_ns(self.failures)


def _text(error: BaseException | None) -> str:
    message = getattr(error, "message", None)
    return str(message or error) or type(error).__name__
