"""What every source has to do, tried out on one."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pyarrow as pa

from signal_stream.errors import SignalStreamError
from signal_stream.ingest import read_tape

from .held import Held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from signal_stream import _core
    from signal_stream.roles import Source

_WAIT_NS: Final = 20_000_000
_PLACES_MAX: Final = 5
"""At most so many positions are gone on from."""


class _Patience(NamedTuple):
    """Seconds that a source may take to its end, and `next` beyond what it was asked to wait."""

    whole_s: float
    grace_s: float


def check_source(make: Callable[[], Source], *, patience_s: float = 30.0, grace_s: float = 5.0) -> int:
    """Tries a source out; returns how many messages it gave. Raises AssertionError with the rule that it breaks.

    `make` gives a new source, not opened, each time one and the same: of messages that end, some thousands at most. A source
    of standard input may need its descriptor put back first. The whole is read several times, on the calling thread. A source
    that has not ended in `patience_s` seconds, or takes `grace_s` longer than it was asked to wait, breaks a rule too.

    >>> from signal_stream.testing import MarketSimulator, MemorySource, check_source
    >>> lines = list(MarketSimulator(seed=1, duration_s=0.2).lines())
    >>> check_source(lambda: MemorySource.of_lines(lines)) == len(lines)
    True
    """
    patience = _Patience(patience_s, grace_s)
    before = Held.now()
    _check_unopened(make())
    messages, places = _check_whole(make(), patience)
    assert messages, "make a source that gives messages: nothing was tried out"
    goes_on = places[0][0] != b""
    if not goes_on:
        kept = [position for position, _ in places if position]
        assert not kept, (
            f"position is empty at the beginning and {kept[:1]} later: it can be gone on with, or it cannot"
        )
    for position, given in _some(places) if goes_on else ():
        _check_rest(make(), position, messages[given:], patience)
    _check_tape(make(), messages)
    _check_stop(make(), messages, patience)
    before.check()
    return len(messages)


def _check_unopened(source: Source) -> None:
    assert isinstance(source.name, str) and source.name, f"name is {source.name!r}: it is part of each signal's id"
    assert isinstance(source.live, bool), f"live is {source.live!r}, not True or False"
    assert source.rate > 0, f"rate is {source.rate!r}: nanoseconds of event time in one of ours, more than none"
    assert not source.live or source.rate == 1, (
        f"rate is {source.rate!r}, and events that come as they happen come at 1"
    )
    assert source.tape is None or isinstance(source.tape, Path), f"tape is {source.tape!r}, not a Path or None"
    _quietly(source.stop, "stop", "before open")
    _quietly(source.close, "close", "without open")
    _quietly(source.close, "close", "a second time")


def _check_whole(source: Source, patience: _Patience) -> tuple[list[Any], list[tuple[bytes, int]]]:
    """All messages, and each position with how many were given before it."""
    name = source.name
    source.open(None)
    messages: list[Any] = []
    places = [(_position(source), 0)]
    until = time.monotonic() + patience.whole_s
    while not source.ended:
        before = _position(source)
        batch = _next(source, _WAIT_NS, patience)
        if batch is None:
            assert _position(source) == before, "position moved, and nothing was given"
            assert time.monotonic() < until, f"ended is still False after {patience.whole_s:g} s"
            continue
        messages += _messages(batch)
        places.append((_position(source), len(messages)))
    for _ in range(3):
        assert _next(source, 0, patience) is None, "ended was True, and there was more"
        assert source.ended, "ended was True, and is not any more"
    assert _position(source) == places[-1][0], "position moved after the end"
    assert source.name == name, f"name was {name!r} and is {source.name!r}"
    _check_stats(source.stats(), len(messages))
    source.close()
    _quietly(source.close, "close", "a second time")
    return messages, places


def _check_stats(stats: dict[str, Any], messages: int) -> None:
    for key, kind in (("url", str), ("messages", int), ("refused", dict)):
        assert isinstance(stats.get(key), kind), f'stats()["{key}"] is {stats.get(key)!r}, not of type {kind.__name__}'
    refused = stats["refused"]
    counted = all(isinstance(code, str) and isinstance(count, int) for code, count in refused.items())
    assert counted, f'stats()["refused"] is {refused!r}: counts by reason'
    assert stats["messages"] == messages, f'stats()["messages"] is {stats["messages"]}, and {messages} were given'
    try:
        json.dumps(stats)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"stats() is no JSON, and the status file is: {error}") from None


def _check_rest(source: Source, position: bytes, rest: list[Any], patience: _Patience) -> None:
    source.open(position)
    found = _read(source, patience)
    source.close()
    shown = position if len(position) < 40 else position[:40] + b"..."
    assert len(found) == len(rest), (
        f"from position {shown!r} on it gives {len(found)} messages, where {len(rest)} followed"
    )
    assert found == rest, f"from position {shown!r} on it gives other messages than those that followed"


def _check_tape(source: Source, messages: list[Any]) -> None:
    tape = source.tape
    source.close()
    if tape is None:
        return
    assert tape.is_file(), f"tape is {tape}, which is no file"
    try:
        there = [message for batch in read_tape(tape, max_rejected=1) for message in _messages(batch)]
    except SignalStreamError as error:
        raise AssertionError(f"tape cannot be read: {error}") from None
    assert there == messages, (
        f"tape holds {len(there)} messages that are not those of the source: a replay would differ"
    )


def _check_stop(source: Source, messages: list[Any], patience: _Patience) -> None:
    source.open(None)
    found: list[Any] = []
    until = time.monotonic() + patience.whole_s
    while not found and not source.ended and time.monotonic() < until:
        batch = _next(source, _WAIT_NS, patience)
        found += [] if batch is None else _messages(batch)
    _quietly(source.stop, "stop", "after the first messages")
    _quietly(source.stop, "stop", "a second time")
    found += _read(source, patience)
    assert found == messages[: len(found)], "after stop it gives messages that do not follow those before"
    assert isinstance(source.stats().get("messages"), int), "stats() says nothing after stop"
    source.close()
    _quietly(source.stop, "stop", "after close")


def _read(source: Source, patience: _Patience) -> list[Any]:
    found = []
    until = time.monotonic() + patience.whole_s
    while not source.ended:
        batch = _next(source, _WAIT_NS, patience)
        found += [] if batch is None else _messages(batch)
        assert time.monotonic() < until, f"ended is still False after {patience.whole_s:g} s"
    return found


def _next(source: Source, wait_ns: int, patience: _Patience) -> _core.EventBatch | None:
    begun = time.monotonic()
    batch = source.next(wait_ns)
    took = time.monotonic() - begun
    assert took <= wait_ns / 1e9 + patience.grace_s, f"next({wait_ns}) took {took:.1f} s"
    assert batch is None or batch.messages, "next gave no message, and not None"
    return batch


def _position(source: Source) -> bytes:
    position = source.position
    assert isinstance(position, bytes), f"position is {position!r}, not bytes"
    return position


def _messages(batch: _core.EventBatch) -> list[Any]:
    """Each message's rows, with its instrument's id."""
    ids = batch.instruments
    columns = pa.record_batch(batch).to_pydict()
    columns["instrument"] = [ids[i] if i < len(ids) else None for i in columns["instrument"]]
    messages: list[Any] = []
    begins = True
    for *row, marks in zip(*(columns[name] for name in columns if name != "flags"), columns["flags"], strict=True):
        if begins:
            messages.append([])
        messages[-1].append((*row, marks))
        begins = bool(marks & 1)  # the last row of a message
    return messages


def _some(places: list[tuple[bytes, int]]) -> Iterable[tuple[bytes, int]]:
    """The first, the last and some between."""
    if len(places) <= _PLACES_MAX:
        return places
    step = (len(places) - 1) / (_PLACES_MAX - 1)
    return [places[round(i * step)] for i in range(_PLACES_MAX)]


def _quietly(call: Callable[[], object], name: str, when: str) -> None:
    try:
        call()
    except Exception as error:
        raise AssertionError(f"{name} {when} raises {error!r}") from error
