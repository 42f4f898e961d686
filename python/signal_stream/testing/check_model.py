"""What every model has to do, tried out on one."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any, Final

from signal_stream.records import ModelRow, Prediction

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from signal_stream.roles import Model

_PATIENCE_NS: Final = 10_000_000_000
_LATE_NS_MAX: Final = 100_000_000
_STATUSES: Final = ("OK", "DEADLINE", "DEAD", "BUSY", "ERROR")
_MEMORY: Final = ("snapshot", "restore")


def check_model(make: Callable[[], Model], rows: Sequence[ModelRow]) -> int:
    """Tries a model out; returns how many of the rows it answered. Raises AssertionError with the rule that it breaks.

    `make` gives a new model each time, ready to answer, of the same files. `rows` are at least four, of its columns and dtype, in
    an order in which it may be asked.

    >>> from signal_stream.records import ModelRow, Prediction
    >>> class Sum:
    ...     dtype, closed = "f64", False
    ...     def submit(self, rows, deadline_ns):
    ...         if self.closed or any(len(row.values) != 8 for row in rows):
    ...             raise ValueError
    ...         self.asked, self.late = rows, time.monotonic_ns() >= deadline_ns
    ...     def collect(self):
    ...         asked, self.asked = self.asked, ()
    ...         if self.late:
    ...             return [Prediction(None, (), "DEADLINE", 0) for _ in asked]
    ...         return [Prediction(x, (x,), "OK", 1) for x in (float(row.ts_recv) for row in asked)]
    ...     def predict(self, rows, deadline_ns):
    ...         self.submit(rows, deadline_ns)
    ...         return self.collect()
    ...     def stats(self):
    ...         return {"state": "READY", "last_error": ""}
    ...     def close(self):
    ...         self.closed = True
    >>> check_model(Sum, [ModelRow(bytes(8), "X", i) for i in range(4)])
    4
    """
    assert len(rows) >= 4, "give at least four rows"
    model: Any = make()
    try:
        assert model.dtype in ("f32", "f64"), f'dtype is {model.dtype!r}, not "f32" or "f64"'
        stateful = _memory(model)
        first = _ask(model, rows)
        answered = [answer for answer in first if answer.status == "OK"]
        assert answered, f"it answers none of the rows: {first[0].status}"
        assert model.predict([], _soon()) == [], "for no rows it gives something"
        _check_state(make, rows, first) if stateful else _check_stateless(model, rows, first)
        _check_halves(make, rows, first)
        _check_mistakes(model, rows)
        _check_stats(model.stats())
    finally:
        model.close()
    model.close()  # may be called twice
    _raises(lambda: model.predict(rows[:1], _soon()), "after close it predicts")
    again = make()
    try:
        _same(first, _ask(again, rows), "a new one")
    finally:
        again.close()
    return len(answered)


def _soon() -> int:
    return time.monotonic_ns() + _PATIENCE_NS


def _memory(model: Any) -> bool:
    """Whether it carries state: it has both, or neither."""
    there = [name for name in _MEMORY if callable(getattr(model, name, None))]
    if getattr(model, "stateful", True) is False:
        return False
    assert len(there) in (0, 2), f"it has {there[0]} alone: a model that carries state has snapshot and restore"
    return bool(there)


def _ask(model: Any, rows: Sequence[ModelRow]) -> list[Prediction]:
    return _well_formed(model.predict(rows, _soon()), rows)


def _well_formed(answers: Any, rows: Sequence[ModelRow]) -> list[Prediction]:
    assert len(answers) == len(rows), f"it gives {len(answers)} predictions for {len(rows)} rows"
    for answer in answers:
        assert isinstance(answer, Prediction), f"it gives {answer!r}, not a Prediction"
        assert answer.status in _STATUSES, (
            f"a prediction's status is {answer.status!r}, not one of {', '.join(_STATUSES)}"
        )
        if answer.status == "OK":
            finite = all(math.isfinite(x) for x in answer.outputs)
            assert answer.outputs and finite, f"a prediction that is OK has outputs {answer.outputs}"
            assert answer.value in answer.outputs, f"a prediction's value {answer.value} is none of its outputs"
        else:
            assert answer.value is None and not answer.outputs, f"a prediction that is {answer.status} has a value"
        assert answer.latency_ns >= 0, "a prediction's latency_ns is below zero"
    return list(answers)


def _same(wanted: Sequence[Prediction], found: Sequence[Prediction], who: str) -> None:
    for i, (before, now) in enumerate(zip(wanted, found, strict=True)):
        same = before.value == now.value
        assert same, f"{who} predicts {now.value!r} for row {i}, before it was {before.value!r}: a replay would differ"


def _check_stateless(model: Any, rows: Sequence[ModelRow], first: Sequence[Prediction]) -> None:
    alone = [_ask(model, [row])[0] for row in reversed(rows)]
    _same(first, alone[::-1], "asked row by row, in another order, it")


def _check_state(make: Callable[[], Any], rows: Sequence[ModelRow], first: Sequence[Prediction]) -> None:
    half = len(rows) // 2
    model = make()
    try:
        _ask(model, rows[:half])
        state = model.snapshot()
        assert isinstance(state, bytes), f"snapshot gives {type(state).__name__}, not bytes"
        assert model.snapshot() == state, "snapshot changes the state: the next one is another"
        _same(first[half:], _ask(model, rows[half:]), "after a snapshot it")
        model.restore(state)
        assert model.snapshot() == state, "restored, it gives another snapshot than it was given"
        _same(first[half:], _ask(model, rows[half:]), "restored it")
        model.restore(b"")
        _same(first, _ask(model, rows), "restored to the beginning it")
    finally:
        model.close()


def _check_halves(make: Callable[[], Any], rows: Sequence[ModelRow], first: Sequence[Prediction]) -> None:
    model = make()
    try:
        assert model.submit(rows, _soon()) is None, "submit gives something: answers come from collect"
        _same(first, _well_formed(model.collect(), rows), "by submit and collect it")
        assert list(model.collect()) == [], "collect gives answers twice"
    finally:
        model.close()


def _check_mistakes(model: Any, rows: Sequence[ModelRow]) -> None:
    begun = time.monotonic_ns()
    late = _well_formed(model.predict(rows, begun), rows)
    took = time.monotonic_ns() - begun
    assert took <= _LATE_NS_MAX, f"past the deadline it takes {took / 1e6:.0f} ms to say so"
    assert all(answer.status != "OK" for answer in late), "it answers after the deadline"
    wrong = rows[0]._replace(values=rows[0].values + b"\0")
    _raises(lambda: model.predict([wrong], _soon()), "a row of another length is answered")
    until = _soon()
    while _ask(model, rows[:1])[0].status != "OK":
        assert time.monotonic_ns() < until, "after a missed deadline or a wrong row it does not answer again"


def _raises(ask: Callable[[], object], otherwise: str) -> None:
    try:
        ask()
    except ValueError:
        return
    raise AssertionError(f"{otherwise}: it has to raise ValueError")


def _check_stats(stats: Any) -> None:
    assert isinstance(stats, dict), f"stats gives {type(stats).__name__}, not a dict"
    for name in ("state", "last_error"):
        assert isinstance(stats.get(name), str), f'stats has no text "{name}"'
    try:
        json.dumps(stats)
    except TypeError as error:
        raise AssertionError(f"stats gives what the status file cannot hold: {error}") from None
