"""Attempts to make, change or smuggle a signal past the Gate. Each must fail."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.manifests import DIGEST, plain_manifest

import signal_stream
from signal_stream.errors import GateError, JournalError
from signal_stream.guards import Gate, KillSwitch, standard_guards
from signal_stream.records import Latency, Signal, Verdict
from signal_stream.store import Journal

if TYPE_CHECKING:
    from collections.abc import Callable

MANIFEST = plain_manifest()
LATENCY = Latency(1, 2, 3, 4)


@dataclass(frozen=True)
class Row:
    graph_digest: str = DIGEST
    schema_digest: str = DIGEST
    instrument: str = "X"
    ts_event: int | None = 5
    ts_recv: int = 6
    offset: int = 7
    data_window_end: int = 5
    age_recv_ns: int | None = 1
    age_event_ns: int | None = 1
    values: tuple[float | None, ...] = (0.5,)
    reasons: tuple[str | None, ...] = (None,)
    digest: bytes = bytes(32)


@dataclass(frozen=True)
class Prediction:
    value: float | None = 0.618
    status: str = "OK"


@dataclass
class Limits:
    max_age_ns: int = 10
    max_venue_delay_ns: int | None = None
    completeness: float = 1.0


@dataclass
class MemoryLatches:
    path = None
    is_settled = True

    killed_models: set[str] = field(default_factory=set)

    def killed(self, model: str) -> str | None:
        return "killed" if model in self.killed_models else None

    def kill(self, model: str | None, *, by: str, reason: str, now: int) -> None:
        self.killed_models.add(model or "m")


def new_gate(latches: MemoryLatches | None = None) -> Gate:
    latches = latches or MemoryLatches()
    guards = standard_guards(MANIFEST, Limits(), latches)
    return Gate(guards, manifest=MANIFEST, latches=latches, pipeline="p", tape="t")


def new_signal(gate: Gate | None = None, row: Row | None = None) -> Signal:
    gate = gate or new_gate()
    return gate.signal(gate.judge(Prediction(), row or Row(), 6), LATENCY)


def empty() -> Signal:
    return object.__new__(Signal)


def filled(source: Signal) -> Signal:
    forged = object.__new__(Signal)
    for name in Signal.__dataclass_fields__:
        object.__setattr__(forged, name, getattr(source, name))
    object.__setattr__(forged, "json", source.json.replace("0.618", "9.9"))
    return forged


CONSTRUCTIONS: dict[str, Callable[[Any], object]] = {
    "constructor": lambda s: Signal(),
    "constructor with fields": lambda s: Signal(s.signal_id, s.ts_recv, s.json, 0),
    "__new__": lambda s: Signal.__new__(Signal),
    "replace": lambda s: dataclasses.replace(s, json="{}"),
    "copy": lambda s: copy.copy(s),
    "deepcopy": lambda s: copy.deepcopy(s),
    "pickle": lambda s: pickle.dumps(s),
    "pickle protocol 0": lambda s: pickle.dumps(s, 0),
    "reduce": lambda s: s.__reduce_ex__(2),
    "subclass": lambda s: type("Mine", (Signal,), {}),
    "setstate": lambda s: empty().__setstate__([s.signal_id, s.ts_recv, s.json, 0]),
}


@pytest.mark.parametrize("name", CONSTRUCTIONS)
def test_no_signal_but_from_the_gate(name: str) -> None:
    with pytest.raises(GateError) as caught:
        CONSTRUCTIONS[name](new_signal())
    assert caught.value.code == "GATE_ONLY"


def test_a_signal_does_not_change() -> None:
    signal = new_signal()
    with pytest.raises(dataclasses.FrozenInstanceError):
        signal.json = "{}"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        object.__setattr__(signal, "verdict", "PASS")


class LookAlike:
    """Has everything that a signal has."""

    def __init__(self, source: Signal) -> None:
        for name in Signal.__dataclass_fields__:
            setattr(self, name, getattr(source, name))

    def check(self) -> LookAlike:
        return self


class Layout:
    __slots__ = tuple(Signal.__dataclass_fields__)


def renamed(source: Signal) -> Any:
    fake: Any = Layout()
    fake.__class__ = Signal
    object.__setattr__(fake, "signal_id", source.signal_id)
    object.__setattr__(fake, "ts_recv", source.ts_recv)
    object.__setattr__(fake, "json", source.json)
    object.__setattr__(fake, "_seal", hash(source.json))
    return fake


def changed(source: Signal, name: str, value: object) -> Signal:
    object.__setattr__(source, name, value)
    return source


FORGERIES: dict[str, Callable[[Signal], Any]] = {
    "a look-alike": lambda s: LookAlike(s),
    "an empty one": lambda s: empty(),
    "one filled from a real one": filled,
    "one of the same layout": renamed,
    "a real one with other text": lambda s: changed(s, "json", s.json.replace("0.618", "9.9")),
    "a real one with another id": lambda s: changed(s, "signal_id", "0" * 32),
    "a real one with another time": lambda s: changed(s, "ts_recv", 1),
    "a real one with another seal": lambda s: changed(s, "_seal", 0),
    "its record": lambda s: s.record,
    "its text": lambda s: s.json,
    "nothing": lambda s: None,
}


@pytest.mark.parametrize("name", FORGERIES)
def test_the_journal_takes_no_forgery(name: str, tmp_path: Path) -> None:
    """Nor do sinks get one: they follow the journal."""
    real = new_signal()
    forged = FORGERIES[name](new_signal(row=Row(offset=8)))
    with Journal(tmp_path / "journal") as journal:
        for signals in ([forged], [real, forged]):
            with pytest.raises(GateError) as caught:
                journal.append_signals(signals)
            assert caught.value.code == "FORGED"
        assert journal.next_seq == 0
        journal.append_signals([real])
        assert [record.key for record in journal.records()] == [real.signal_id]


def test_no_signal_record_without_a_signal(tmp_path: Path) -> None:
    signal = new_signal()
    with Journal(tmp_path) as journal, pytest.raises(JournalError) as caught:
        journal.append("signal", ts=1, key=signal.signal_id, body=signal.json)
    assert caught.value.code == "KIND"


def test_a_verdict_makes_one_signal_at_its_own_gate() -> None:
    gate = new_gate()
    verdict = gate.judge(Prediction(), Row(), 6)
    forged = Verdict("PASS")
    assert forged == verdict
    for other in (forged, copy.copy(verdict)):
        with pytest.raises(GateError) as caught:
            gate.signal(other, LATENCY)
        assert caught.value.code == "VERDICT"
    with pytest.raises(GateError):
        new_gate().signal(verdict, LATENCY)
    gate.signal(verdict, LATENCY)
    with pytest.raises(GateError):
        gate.signal(verdict, LATENCY)
    veto = gate.judge(Prediction(), Row(age_recv_ns=99), 6)
    with pytest.raises(GateError):
        gate.signal(verdict, LATENCY)
    assert gate.signal(veto, LATENCY).record.value is None


def test_no_gate_without_its_four_guards() -> None:
    latches = MemoryLatches()
    four = standard_guards(MANIFEST, Limits(), latches)

    class Blind(KillSwitch):
        def check(self, *_: object) -> None:
            return None

    blind = Blind(model="m", latches=latches)
    for guards in ((), four[:3], four[1:], four[::-1], (*four[:3], blind)):
        with pytest.raises(GateError) as caught:
            Gate(guards, manifest=MANIFEST, latches=latches, pipeline="p", tape="t")
        assert caught.value.code == "GUARDS"


def test_nobody_else_in_the_package_holds_the_seal() -> None:
    package = Path(signal_stream.__path__[0])
    holders = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"_seal_signal|\b_SEAL\b|\._seal\b", path.read_text())
    }
    assert holders == {"records/signal.py", "guards/gate.py"}
