"""What every observer has to do, tried out on one."""

from __future__ import annotations

import statistics
import threading
import time
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from .held import Held
from .sample_decisions import sample_decisions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from signal_stream.records import Decision
    from signal_stream.roles import Observer


def check_observer(
    make: Callable[[], Observer], *, decisions: Sequence[Decision] | None = None, observe_ns_max: int = 1_000_000
) -> int:
    """Tries an observer out; returns how many decisions it was shown. Raises AssertionError with the rule that it breaks.

    `make` gives a new observer each time. It is made on this thread and shown `decisions` (those of `sample_decisions` by
    default) on another, as by a pipeline. `observe_ns_max` is what it may take for one, at the median, lest its queue fill.

    >>> from signal_stream.testing import check_observer
    >>> class Counting:
    ...     seen = 0
    ...     def observe(self, decision):
    ...         self.seen += 1
    ...     def close(self):
    ...         pass
    >>> check_observer(Counting)
    39
    """
    shown = sample_decisions() if decisions is None else decisions
    before = Held.now()
    _quietly(make().close, "close without a decision")
    times = _shown_all(make(), shown)
    before.check()
    median = statistics.median(times) if times else 0
    assert median <= observe_ns_max, f"observe takes {median:,.0f} ns at the median, {observe_ns_max:,} are allowed"
    return len(shown)


def _shown_all(observer: Observer, shown: Sequence[Decision]) -> list[int]:
    """Shows all and closes, on another thread; how long each took."""
    times: list[int] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            times.extend(_show(observer, decision) for decision in shown)
            _quietly(observer.close, "close")
            _quietly(observer.close, "close a second time")
        except BaseException as error:  # noqa: BLE001  raised again on the thread that asked
            errors.append(error)

    thread = threading.Thread(target=work, name="check-observer")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return times


def _show(observer: Observer, decision: Decision) -> int:
    held = _fields(decision)
    begun = time.perf_counter_ns()
    _quietly(lambda: observer.observe(decision), f"observe, on a thread of its own, for a {decision.verdict.outcome},")
    took = time.perf_counter_ns() - begun
    assert _fields(decision) == held, "observe changed the decision, which others are shown too"
    return took


def _fields(decision: Decision) -> list[Any]:
    return [getattr(decision, field.name) for field in fields(decision)]


def _quietly(call: Callable[[], object], what: str) -> None:
    try:
        call()
    except Exception as error:
        raise AssertionError(f"{what} raises {error!r}") from error
