"""Guards: what each stops, that failures of any part stop the signal, and what stands in for a model that is silent."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.manifests import GRAPH, SCHEMA, plain_manifest

from signal_stream.errors import GateError, LatchError
from signal_stream.guards import CODES, Gate, Staleness, standard_guards
from signal_stream.records import Finding, Latency, Prediction, Signal, VectorRow, Verdict
from signal_stream.roles import Guard

if TYPE_CHECKING:
    from collections.abc import Callable

COLUMNS = tuple("abcdefghij")
MANIFEST = plain_manifest(
    name="btc_micro", schema_digest=SCHEMA, columns=COLUMNS, defaults={"a": 0.0, "b": 1.0, "c": 2.0}
)
SECOND = 1_000_000_000
NOW = 100 * SECOND


@dataclass(frozen=True)
class Row:
    graph_digest: str = GRAPH
    schema_digest: str = SCHEMA
    instrument: str = "X"
    ts_event: int | None = NOW - 5
    ts_recv: int = NOW
    offset: int = 7
    data_window_end: int = NOW
    age_recv_ns: int | None = 1
    age_event_ns: int | None = 1
    values: tuple[float | None, ...] = (0.5,) * 10
    reasons: tuple[str | None, ...] = (None,) * 10
    digest: bytes = bytes(32)


@dataclass(frozen=True)
class Answer:
    value: Any = 0.618
    status: Any = "OK"


@dataclass
class Limits:
    max_age_ns: int = SECOND
    max_venue_delay_ns: int | None = None
    completeness: float = 1.0


@dataclass
class MemoryLatches:
    path = None
    is_settled = True

    kills: dict[str | None, str] = field(default_factory=dict)
    broken: bool = False

    def killed(self, model: str) -> str | None:
        if self.broken:
            raise OSError("no disk")
        return self.kills.get(None) or self.kills.get(model)

    def kill(self, model: str | None, *, by: str, reason: str, now: int) -> None:
        if self.broken:
            raise LatchError("WRITE", "no disk")
        self.kills[model] = f"killed by {by}: {reason}"


def new_gate(
    *more: Guard,
    limits: Limits | None = None,
    latches: MemoryLatches | None = None,
    fallback: str | None = None,
    **changes: Any,
) -> Gate:
    manifest = MANIFEST.changed(**changes)
    latches = latches or MemoryLatches()
    guards: list[Guard] = [*standard_guards(manifest, limits or Limits(), latches), *more]
    return Gate(guards, manifest=manifest, latches=latches, pipeline="p", tape="t", fallback=fallback)


def invalid(**reasons: str) -> Row:
    return Row(
        values=tuple(None if name in reasons else 0.5 for name in COLUMNS),
        reasons=tuple(reasons.get(name) for name in COLUMNS),
    )


def emitted(gate: Gate, verdict: Verdict) -> Signal:
    return gate.signal(verdict, Latency(1, 2, 3, 4))


def test_a_good_prediction_passes_with_its_value() -> None:
    gate = new_gate()
    verdict = gate.judge(Answer(), Row(), NOW)
    assert verdict == Verdict("PASS")
    record = emitted(gate, verdict).record
    assert (record.value, record.instrument, record.lineage.ts_recv) == (0.618, "X", NOW)
    assert record.lineage.vector_hash == "00" * 32


@pytest.mark.parametrize(
    ("row", "code", "why"),
    [
        (Row(graph_digest=SCHEMA), "SCHEMA_MISMATCH", f"graph digest is {SCHEMA}, the manifest has {GRAPH}"),
        (Row(schema_digest=GRAPH), "SCHEMA_MISMATCH", f"schema digest is {GRAPH}, the manifest has {SCHEMA}"),
        (invalid(d="GAP"), "INCOMPLETE", "invalid without a declared default: d GAP"),
        (invalid(a="WARMUP"), "INCOMPLETE", "0.900 of the features are valid, 1.0 needed: a WARMUP"),
        (
            Row(age_recv_ns=SECOND + 1),
            "STALE",
            "the oldest input is 1.000 s old in receive time, 1 s allowed",
        ),
        (Row(age_event_ns=2 * SECOND), "STALE", "the oldest input is 2.000 s old in event time, 1 s allowed"),
        (Row(age_recv_ns=None), "STALE", "an input never came"),
    ],
)
def test_each_guard_says_what_it_saw(row: Row, code: str, why: str) -> None:
    gate = new_gate()
    verdict = gate.judge(Answer(), row, NOW)
    assert (verdict.outcome, verdict.codes, verdict.why) == ("VETO", (code,), (why,))
    record = emitted(gate, verdict).record
    assert (record.value, record.verdict.codes, record.verdict.outcome) == (None, (code,), "VETO")


def test_a_vector_of_another_width_is_vetoed() -> None:
    verdict = new_gate().judge(Answer(), Row(reasons=(None,) * 9), NOW)
    assert verdict.codes[0] == "SCHEMA_MISMATCH"
    assert verdict.outcome == "VETO"


@pytest.mark.parametrize(
    ("age_recv", "age_event", "waited", "passes"),
    [
        (SECOND, SECOND, 0, True),
        (SECOND + 1, 0, 0, False),
        (0, SECOND + 1, 0, False),
        (0, None, 0, True),
        (0, -3 * SECOND, 0, True),
        (0, 0, SECOND, True),
        (1, 0, SECOND, False),
        (0, 1, SECOND, False),
        (SECOND, 0, -5, True),
    ],
)
def test_age_counts_to_the_moment_of_judgement(age_recv: int, age_event: int | None, waited: int, passes: bool) -> None:
    row = Row(age_recv_ns=age_recv, age_event_ns=age_event)
    verdict = new_gate().judge(Answer(), row, NOW + waited)
    assert verdict.codes == (() if passes else ("STALE",))


def test_declared_defaults_are_recorded_where_the_deployment_allows_them() -> None:
    gate = new_gate(limits=Limits(completeness=0.8))
    verdict = gate.judge(Answer(), invalid(b="STALE", a="WARMUP"), NOW)
    assert verdict == Verdict("PASS", defaults_used=("a", "b"))
    assert emitted(gate, verdict).record.verdict.defaults_used == ("a", "b")
    for row in (invalid(a="GAP", b="GAP", c="GAP"), invalid(a="GAP", d="GAP")):
        verdict = gate.judge(Answer(), row, NOW)
        assert (verdict.codes, verdict.defaults_used) == (("INCOMPLETE",), ())
    stale = dataclasses.replace(invalid(a="WARMUP"), age_recv_ns=2 * SECOND)
    assert gate.judge(Answer(), stale, NOW).defaults_used == ("a",)


@given(st.sets(st.sampled_from(COLUMNS)), st.floats(0.05, 1.0))
def test_completeness_is_defaults_and_share(missing: set[str], least: float) -> None:
    gate = new_gate(limits=Limits(completeness=least))
    verdict = gate.judge(Answer(), invalid(**dict.fromkeys(missing, "NAN")), NOW)
    passes = missing <= {"a", "b", "c"} and 1 - len(missing) / 10 >= least
    assert (verdict.outcome == "PASS") == passes
    assert gate.complete(invalid(**dict.fromkeys(missing, "NAN"))) == passes
    assert set(verdict.defaults_used) == (missing if passes else set())


def test_the_kill_switch_is_asked_each_time() -> None:
    latches = MemoryLatches()
    gate = new_gate(latches=latches)
    assert gate.judge(Answer(), Row(), NOW).outcome == "PASS"
    latches.kill("other", by="ann", reason="x", now=0)
    assert gate.judge(Answer(), Row(), NOW).outcome == "PASS"
    latches.kill("btc_micro", by="ann", reason="odd", now=0)
    verdict = gate.judge(Answer(), Row(), NOW)
    assert (verdict.codes, verdict.why) == (("KILLED",), ("killed by ann: odd",))
    latches.kills = {None: "all"}
    assert gate.judge(Answer(), Row(), NOW).codes == ("KILLED",)
    latches.kills = {}
    assert gate.judge(Answer(), Row(), NOW).outcome == "PASS"


def test_all_codes_are_kept_in_the_order_of_the_guards() -> None:
    latches = MemoryLatches({None: "all"})
    row = dataclasses.replace(invalid(d="GAP"), graph_digest=SCHEMA, age_recv_ns=2 * SECOND)
    verdict = new_gate(latches=latches).judge(Answer(None, "DEAD"), row, NOW)
    assert verdict.codes == ("SCHEMA_MISMATCH", "INCOMPLETE", "STALE", "KILLED", "MODEL_DOWN")
    assert len(verdict.why) == 5
    assert set(verdict.codes) <= set(CODES)


class Objects:
    def __init__(self, answer: Callable[[], object]) -> None:
        self.answer = answer

    def check(self, prediction: Prediction | None, vector: VectorRow, now: int) -> Any:
        return self.answer()


def fails() -> None:
    raise ZeroDivisionError("oops")


@pytest.mark.parametrize("answer", [fails, lambda: True, lambda: False, lambda: "x", lambda: Finding("MADE_UP", "x")])
def test_a_guard_that_fails_vetoes(answer: Callable[[], object]) -> None:
    verdict = new_gate(Objects(answer)).judge(Answer(), Row(), NOW)
    assert (verdict.outcome, verdict.codes) == ("VETO", ("GUARD_ERROR",))
    assert verdict.why[0].startswith("Objects failed: ")


def test_latches_that_fail_veto() -> None:
    verdict = new_gate(latches=MemoryLatches(broken=True)).judge(Answer(), Row(), NOW)
    assert verdict.codes == ("GUARD_ERROR",)


@pytest.mark.parametrize("name", [each.name for each in dataclasses.fields(Row)])
def test_a_vector_that_cannot_be_read_never_passes(name: str) -> None:
    class Torn(Row):
        def __getattribute__(self, wanted: str) -> Any:
            if wanted == name:
                raise RuntimeError("torn")
            return super().__getattribute__(wanted)

    gate = new_gate()
    verdict = gate.judge(Answer(), Torn(), NOW)
    if name == "values":  # nothing judges by values: validity stands in reasons
        assert emitted(gate, verdict).record.value == 0.618
    elif verdict.outcome == "PASS":
        with pytest.raises(RuntimeError, match="torn"):
            emitted(gate, verdict)
    else:
        assert "GUARD_ERROR" in verdict.codes


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(None, "DEADLINE"), "DEADLINE"),
        (Answer(None, "BUSY"), "DEADLINE"),
        (Answer(None, "DEAD"), "MODEL_DOWN"),
        (Answer(None, "ERROR"), "MODEL_ERROR"),
        (Answer(0.5, "SOMETHING"), "MODEL_ERROR"),
        (Answer(0.5, None), "MODEL_ERROR"),
        (Answer(0.5, []), "MODEL_ERROR"),
        (Answer(None, "OK"), "MODEL_ERROR"),
        (Answer(math.nan, "OK"), "MODEL_ERROR"),
        (Answer(-math.inf, "OK"), "MODEL_ERROR"),
        (Answer("0.5", "OK"), "MODEL_ERROR"),
        (Answer(0.5, "DEADLINE"), "DEADLINE"),
        (None, "MODEL_ERROR"),
        (object(), "MODEL_ERROR"),
    ],
)
def test_no_value_no_pass(answer: Any, code: str) -> None:
    gate = new_gate()
    verdict = gate.judge(answer, Row(), NOW)
    assert (verdict.outcome, verdict.codes) == ("VETO", (code,))
    assert emitted(gate, verdict).record.value is None


def test_a_model_that_was_not_asked_is_no_model_error_where_a_guard_says_why() -> None:
    latches = MemoryLatches()
    gate = new_gate(latches=latches)
    verdict = gate.judge(None, invalid(d="GAP"), NOW)
    assert (verdict.outcome, verdict.codes, len(verdict.why)) == ("VETO", ("INCOMPLETE",), 1)
    latches.kills[None] = "killed"
    assert gate.judge(None, Row(), NOW).codes == ("KILLED",)
    assert gate.judge(Answer(None, "ERROR"), Row(), NOW).codes == ("KILLED", "MODEL_ERROR")


def test_a_constant_stands_in_and_says_why() -> None:
    gate = new_gate(fallback="constant:0.5")
    verdict = gate.judge(Answer(None, "DEADLINE"), Row(), NOW)
    assert (verdict.outcome, verdict.codes) == ("PASS", ("DEADLINE",))
    assert verdict.why == ("the model's answer is DEADLINE; the fallback is constant",)
    assert emitted(gate, verdict).record.value == 0.5
    stale = gate.judge(Answer(None, "DEADLINE"), Row(age_recv_ns=2 * SECOND), NOW)
    assert (stale.outcome, stale.codes) == ("VETO", ("STALE", "DEADLINE"))
    assert emitted(gate, stale).record.value is None


def test_the_deployments_fallback_replaces_the_manifests() -> None:
    silent = Answer(None, "DEAD")
    manifests = MANIFEST.changed(fallback="constant:0.5")
    latches = MemoryLatches()
    for fallback, outcome in ((None, "PASS"), ("veto", "VETO")):
        guards = standard_guards(manifests, Limits(), latches)
        gate = Gate(guards, manifest=manifests, latches=latches, pipeline="p", tape="t", fallback=fallback)
        assert gate.judge(silent, Row(), NOW).outcome == outcome


def test_the_last_valid_value_stands_in_for_its_instrument_while_it_is_fresh() -> None:
    gate = new_gate(fallback="last_valid")
    silent = Answer(None, "DEAD")
    assert gate.judge(silent, Row(), NOW).codes == ("MODEL_DOWN",)
    assert gate.judge(silent, Row(), NOW).outcome == "VETO"
    gate.judge(Answer(0.25), Row(), NOW)
    gate.judge(Answer(0.75), Row(age_recv_ns=2 * SECOND), NOW)  # vetoed: not a valid value
    later = Row(ts_recv=NOW + SECOND)
    verdict = gate.judge(silent, later, later.ts_recv)
    assert (verdict.outcome, verdict.codes) == ("PASS", ("MODEL_DOWN",))
    assert emitted(gate, verdict).record.value == 0.25
    assert gate.judge(silent, dataclasses.replace(later, instrument="Y"), later.ts_recv).outcome == "VETO"
    # a stand-in does not renew itself
    too_late = Row(ts_recv=NOW + SECOND + 1)
    assert gate.judge(silent, too_late, too_late.ts_recv).outcome == "VETO"


def test_a_restarted_gate_knows_the_last_values() -> None:
    gate = new_gate(fallback="last_valid")
    gate.judge(Answer(0.1), Row(), NOW)
    again = new_gate(fallback="last_valid")
    again.restore(gate.snapshot())
    verdict = again.judge(Answer(None, "DEAD"), Row(), NOW)
    assert emitted(again, verdict).record.value == 0.1
    assert again.snapshot() == gate.snapshot()
    for wrong in (b"", b"[]", b'{"X": 1}', b'{"X": ["a", 1]}', b"\xff"):
        with pytest.raises(GateError) as caught:
            again.restore(wrong)
        assert caught.value.code == "SNAPSHOT"


def test_a_halt_latches_until_a_person_lifts_it() -> None:
    latches = MemoryLatches()
    findings = [Finding("STALE", "feed went mad", halt=True), None, None]
    gate = new_gate(Objects(lambda: findings.pop(0)), latches=latches)
    verdict = gate.judge(Answer(), Row(), NOW)
    assert (verdict.outcome, verdict.codes) == ("HALT", ("STALE",))
    assert emitted(gate, verdict).record.value is None
    assert latches.kills == {"btc_micro": "killed by gate:p: STALE: feed went mad"}
    assert gate.judge(Answer(), Row(), NOW).codes == ("KILLED",)
    latches.kills.clear()
    assert gate.judge(Answer(), Row(), NOW).outcome == "PASS"


def test_a_halt_holds_although_the_latch_cannot_be_written() -> None:
    latches = MemoryLatches()

    def break_and_halt() -> Finding:
        latches.broken = True
        return Finding("STALE", "x", halt=True)

    answers: list[Callable[[], Finding | None]] = [break_and_halt]
    gate = new_gate(Objects(lambda: answers.pop(0)() if answers else None), latches=latches)
    assert gate.judge(Answer(), Row(), NOW).outcome == "HALT"
    latches.broken = False
    verdict = gate.judge(Answer(), Row(), NOW)
    assert verdict.codes == ("KILLED",)
    assert "could not be written" in verdict.why[0]
    gate = new_gate(latches=MemoryLatches(broken=True))
    with pytest.raises(LatchError):
        gate.halt("the disk is full", now=NOW)


@pytest.mark.parametrize(
    ("received", "happened", "allowed", "code"),
    [(10, 510, 500, None), (10, 511, 500, "STALE"), (0, 501, 500, "STALE"), (10, 510, None, None), (10, None, 1, None)],
)
def test_a_long_way_from_the_venue_is_stale_whatever_the_age(
    received: int, happened: int | None, allowed: int | None, code: str | None
) -> None:
    guard = Staleness(max_age_ns=SECOND, max_venue_delay_ns=allowed)
    row = Row(age_recv_ns=received, age_event_ns=happened)
    found = guard.check(None, row, row.ts_recv)
    assert (None if found is None else found.code) == code
    if found is not None:
        assert "on its way from the venue" in found.why
