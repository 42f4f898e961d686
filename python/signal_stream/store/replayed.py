"""Whether a restarted pipeline makes the signals again that the journal holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from signal_stream.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from signal_stream.records import JournalRecord, Signal

_LATENCY = '"latency_ns"'


class Replayed:
    """Compares a run that repeats what the journal holds with it, signal by signal, in bounded memory.

    A pipeline that goes on from a snapshot makes the signals since then again, in the order of the journal: the next
    one made is the next one recorded, or the run is another one, and sends nothing. Verdicts may differ, since they
    depend on the moment; the inputs are in the signal's id, and the value of one that passed is compared.

    Signals among `records` that rest on the tape's first `after_offset` messages are not made again; behind message
    `tape_end` nothing is. A lost record stands for one signal at most. Where the journal's oldest segments were
    removed (`begins_late`), what comes before its first signal was sent before.
    """

    def __init__(
        self,
        records: Iterator[JournalRecord],
        *,
        after_offset: int = 0,
        tape_end: int | None = None,
        begins_late: bool = False,
    ) -> None:
        self.body = ""
        """Of the record that `seen` found last; empty where it was not found itself."""
        self._records = records
        self._begins_late = begins_late
        self._tape_end = tape_end
        self._lost = 0
        self._next: JournalRecord | None = None
        self._advance()
        while after_offset and self._next is not None and _offset(self._next.body) <= after_offset:
            self._advance()

    @property
    def ended(self) -> bool:
        """Whether every signal of the journal was made again."""
        return self._next is None and not self._lost

    def seen(self, signal: Signal) -> bool:
        """Whether the journal holds this signal; each is asked for once. Raises JournalError DIFFERS."""
        recorded, self.body = self._next, ""
        if recorded is not None and recorded.key == signal.signal_id:
            self.body = recorded.body
            if recorded.body != signal.json:
                _compare(recorded, signal.json)
            self._begins_late = False
            self._advance()
            return True
        if recorded is None and self._is_new(signal):
            self._lost = 0
            return False
        if self._begins_late and recorded is not None and _offset(signal.json) <= _offset(recorded.body):
            return True
        if self._lost:
            self._lost -= 1
            if recorded is None or _offset(signal.json) <= _offset(recorded.body):
                return True
        if recorded is None:
            return False
        raise _differs(recorded, signal.json)

    def _is_new(self, signal: Signal) -> bool:
        return self._tape_end is not None and _offset(signal.json) > self._tape_end

    def _advance(self) -> None:
        self._lost, self._next = 0, None
        for record in self._records:
            if record.kind == "signal":
                self._next = record
                return
            self._lost += record.kind == "lost"


def _compare(recorded: JournalRecord, text: str) -> None:
    """Raises JournalError DIFFERS if a value that passed without a code is another one now."""
    if recorded.body.partition(_LATENCY)[0] == text.partition(_LATENCY)[0]:
        return
    then, now = json.loads(recorded.body), json.loads(text)
    plain = all(each["verdict"] == "PASS" and not each["codes"] for each in (then, now))
    if plain and (then["value"], then["defaults_used"]) != (now["value"], now["defaults_used"]):
        raise _differs(recorded, text)


def _differs(recorded: JournalRecord, text: str) -> JournalError:
    then, now = json.loads(recorded.body), json.loads(text)
    differences = "; ".join(f"{name} {then[name]} in the journal, {now[name]} now" for name in _named(then, now))
    return JournalError(
        "DIFFERS",
        f"made again, signal {then['signal_id']} (record {recorded.seq:,}) is another one: {differences}. "
        "Nothing was sent",
        where=f"message {then['tape']['offset']:,} of {then['tape']['name']}",
        value=then["signal_id"],
        next_step="Tape, graph or model are not those of the journal: restore them from a copy, or name another "
        "[pipeline] state in the deployment file.",
    )


def _named(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """The fields that differ, apart from the moment's."""
    return [name for name in then if then[name] != now[name] and name not in ("signal_id", "latency_ns")]


def _offset(text: str) -> int:
    offset: int = json.loads(text)["tape"]["offset"]
    return offset
