"""What every guard has to do, tried out on one."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any, Final

from signal_stream.guards import CODES
from signal_stream.records import Finding

from .sample_decisions import sample_decisions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from signal_stream.records import Decision
    from signal_stream.roles import Guard

_MEMORY: Final = ("observe", "snapshot", "restore")


def check_guard(
    make: Callable[[], Guard], *, decisions: Sequence[Decision] | None = None, check_ns_max: int = 200_000
) -> int:
    """Tries a guard out; returns how many vectors it objected to. Raises AssertionError with the rule that it breaks.

    `make` gives a new guard each time, of the same settings. It is asked about the vectors of `decisions` (those of
    `sample_decisions` by default; give some to which it objects) and then shown each decision. `check_ns_max` is what a
    check may take, at the median: it is in the latency of each signal.

    >>> from signal_stream.guards import Staleness
    >>> from signal_stream.testing import check_guard
    >>> check_guard(lambda: Staleness(max_age_ns=10**18))  # two vectors came before their inputs
    2
    """
    shown = sample_decisions() if decisions is None else decisions
    guard = make()
    remembers = _memory(guard)
    findings, times = [], []
    for decision in shown:
        before = _state(guard) if remembers else b""
        begun = time.perf_counter_ns()
        findings.append(_ask(guard, decision))
        times.append(time.perf_counter_ns() - begun)
        moved = remembers and _state(guard) != before
        assert not moved, "check changes what snapshot gives: state moves in observe alone"
        again = _ask(guard, decision)
        why = "" if remembers else ", and has no observe to remember with"
        assert again == findings[-1], f"asked twice about one vector it says {findings[-1]}, then {again}{why}"
        if remembers:
            _observe(guard, decision)
    _check_replayed(make(), shown, findings, remembers, "a new guard")
    if remembers:
        _check_restored(make, shown, findings, guard)
    median = statistics.median(times) if times else 0
    assert median <= check_ns_max, f"check takes {median:,.0f} ns at the median, {check_ns_max:,} are allowed"
    return sum(finding is not None for finding in findings)


def _memory(guard: Guard) -> bool:
    """Whether it remembers. All of observe, snapshot and restore, or none."""
    there = [name for name in _MEMORY if callable(getattr(guard, name, None))]
    missing = [name for name in _MEMORY if name not in there]
    assert not there or not missing, f"it has {' and '.join(there)}, and no {' and no '.join(missing)}"
    return bool(there)


def _ask(guard: Guard, decision: Decision) -> Finding | None:
    try:
        found = guard.check(decision.prediction, decision.vector, decision.vector.ts_recv)
    except Exception as error:
        what = f"prediction {decision.prediction}, features {decision.vector.values}"
        raise AssertionError(f"check raises {error!r}, which vetoes, for {what}") from error
    assert found is None or type(found) is Finding, f"check gives {found!r}, not a Finding or None"
    if found is not None:
        assert found.code in CODES, f"a finding's code is {found.code!r}, not one of {', '.join(CODES)}"
        assert found.why and isinstance(found.why, str), f"a finding says {found.why!r}, and people will ask why"
    return found


def _observe(guard: Any, decision: Decision) -> None:
    try:
        guard.observe(decision)
    except Exception as error:
        raise AssertionError(f"observe raises {error!r} for {decision.verdict}") from error


def _state(guard: Any) -> bytes:
    state = guard.snapshot()
    assert isinstance(state, bytes), f"snapshot gives {type(state).__name__}, not bytes"
    return state


def _check_replayed(
    guard: Any, shown: Sequence[Decision], findings: Sequence[Finding | None], remembers: bool, who: str
) -> None:
    """The same decisions bring the same findings: nothing but the state, no clock and no chance, has a say."""
    for i, (decision, before) in enumerate(zip(shown, findings, strict=True)):
        found = _ask(guard, decision)
        assert found == before, f"{who} says {found} about vector {i}, before it was {before}: a replay would differ"
        if remembers:
            _observe(guard, decision)


def _check_restored(
    make: Callable[[], Any], shown: Sequence[Decision], findings: Sequence[Finding | None], whole: Any
) -> None:
    """From the middle on, and from the beginning on, a restored guard is as the one whose state it has."""
    for at in (0, len(shown) // 3, len(shown) // 2, len(shown)):
        before = make()
        for decision in shown[:at]:
            _observe(before, decision)
        state = _state(before)
        after = make()
        for decision in shown[at:]:
            _observe(after, decision)  # what it has seen is replaced by what it is given
        after.restore(state)
        assert _state(after) == state, f"restored after {at} decisions it has another state than it was given"
        _check_replayed(after, shown[at:], findings[at:], remembers=True, who=f"restored after {at} decisions it")
        assert _state(after) == _state(whole), f"restored after {at} decisions it ends in another state than without"
