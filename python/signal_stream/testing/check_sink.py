"""What every sink has to do, tried out on one."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, Literal, Protocol

from signal_stream.records import SkippedRange

from .held import Held
from .sample_amendments import sample_amendments
from .sample_signals import sample_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from signal_stream.records import JournalRecord
    from signal_stream.roles import Sink

_PIECES = (1, 0, 5, 300)
_UNKNOWN = "f" * 32


class Samples(Protocol):
    """Records to send, numbered from `first` on."""

    def __call__(self, count: int, *, first: int = 0) -> list[JournalRecord]: ...


def check_sink(
    make: Callable[[], Sink],
    *,
    read: Callable[[], Sequence[str]] | None = None,
    gets: Literal["signals", "amendments"] = "signals",
) -> int:
    """Tries a sink out; returns how many signals it was sent. Raises AssertionError with the rule that it breaks.

    `make` gives a new sink, not opened, each time for one and the same place, which is empty at first. `read` gives the ids of
    the signals that are there now: without it, whether they arrived is not tried out. Sinks are made on this thread and used
    on another, as by a pipeline. With `gets`, it is sent amendments.

    >>> from signal_stream.testing import MemorySink, check_sink
    >>> sink = MemorySink()
    >>> check_sink(lambda: sink, read=lambda: sink.ids)
    308
    """
    samples = sample_signals if gets == "signals" else sample_amendments
    before = Held.now()
    _call(make().close, "close without open")
    sent: list[JournalRecord] = []
    made = make()
    _elsewhere(lambda: _first(made, sent, read, samples))
    again = make()
    _elsewhere(lambda: _later(again, sent, read, samples))
    before.check()
    return len(sent)


def _first(sink: Sink, sent: list[JournalRecord], read: Callable[[], Sequence[str]] | None, samples: Samples) -> None:
    """An empty place, pieces of several sizes, closed and opened again."""
    held = _call(lambda: sink.open(None), "open(None) of an empty place")
    assert held in (None, ""), f'open says {held!r} of an empty place: "" if it holds none, None if it cannot tell'
    _check_tail(sink, sent)
    for size in _PIECES:
        piece = samples(size, first=len(sent))
        _call(lambda piece=piece: sink.send(piece), f"send of {size} signals")  # type: ignore[misc]
        sent += piece
        _check_there(sent, read, f"after a send of {size} signals, before close")
    _optional(sink, "sync")
    mark = SkippedRange("check", 1, 2, "a" * 32, "b" * 32, 2, "waited too long")
    _optional(sink, "skipped", mark)
    _call(sink.close, "close")
    _call(sink.close, "close a second time")
    _check_there(sent, read, "after close")
    _check_opened(sink, sent, "open after close")
    _send_one(sink, sent, read, samples)
    _call(sink.close, "close")


def _later(sink: Sink, sent: list[JournalRecord], read: Callable[[], Sequence[str]] | None, samples: Samples) -> None:
    """What another process finds."""
    _check_opened(sink, sent, "open of a place that an earlier sink filled")
    _check_tail(sink, sent)
    _send_one(sink, sent, read, samples)
    _call(sink.close, "close")
    held = _call(lambda: sink.open(_UNKNOWN), "open with an id that the place does not hold")
    assert held != _UNKNOWN, "open answers with the id that it was given: what the place holds counts"
    _call(sink.close, "close")


def _check_opened(sink: Sink, sent: list[JournalRecord], what: str) -> None:
    held = _call(lambda: sink.open(sent[-1].key), what)
    assert held in (None, sent[-1].key), f"{what} says {held!r}, and {sent[-1].key!r} was sent last"


def _send_one(
    sink: Sink, sent: list[JournalRecord], read: Callable[[], Sequence[str]] | None, samples: Samples
) -> None:
    piece = samples(1, first=len(sent))
    _call(lambda: sink.send(piece), "send after open")
    sent += piece
    _check_there(sent, read, "after it was opened again")


def _check_there(sent: list[JournalRecord], read: Callable[[], Sequence[str]] | None, when: str) -> None:
    if read is None:
        return
    there, wanted = list(read()), [record.key for record in sent]
    assert len(there) == len(set(there)), f"{when} {len(there) - len(set(there))} signals are there twice"
    lacking = set(wanted) - set(there)
    assert not lacking, f"{when} {len(lacking)} of {len(wanted)} signals are not there"
    assert there == wanted, f"{when} the signals are not in the order in which they were sent"


def _check_tail(sink: Sink, sent: list[JournalRecord]) -> None:
    tail = _optional(sink, "tail")
    if tail is None:
        return
    texts = [json.loads(text) for text in tail]
    wanted = [json.loads(record.body) for record in sent][-len(texts) :] if texts else []
    assert bool(texts) == bool(sent), f"tail gives {len(texts)} signals, and {len(sent)} were sent"
    assert texts == wanted, "tail does not give the last signals as they were sent, oldest first"


def _optional(sink: Sink, name: str, *words: object) -> Any:
    """What a method answers that a sink need not have."""
    method = getattr(sink, name, None)
    return None if method is None else _call(lambda: method(*words), name)


def _call(call: Callable[[], Any], what: str) -> Any:
    try:
        return call()
    except Exception as error:
        raise AssertionError(f"{what} raises {error!r}") from error


def _elsewhere(work: Callable[[], None]) -> None:
    """Does it on another thread."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  raised again on the thread that asked
            errors.append(error)

    thread = threading.Thread(target=run, name="check-sink")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
