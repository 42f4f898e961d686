"""The Gate: the only place where a signal is made."""

from __future__ import annotations

import base64
import json
import math
from typing import TYPE_CHECKING, Any, Final

from signal_stream._core import Clean, PassingSignals, Row
from signal_stream.errors import GateError
from signal_stream.records import (
    HALT,
    PASS,
    VETO,
    Fallback,
    Finding,
    Latency,
    ModelTerms,
    Signal,
    VectorRow,
    Verdict,
    signal_template,
)
from signal_stream.records.signal import _seal_signal

from .completeness import Completeness
from .guard import CODES, GuardLimits, KillLatches
from .kill_switch import KillSwitch
from .schema_digest import SchemaDigest
from .staleness import Staleness

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from signal_stream.records import Decision, Prediction
    from signal_stream.roles import Guard, StatefulGuard

_ROW_GUARDS: Final = (SchemaDigest, Completeness, Staleness)
"""The guards that look at the vector alone. A row of the core says in one call whether they would all be silent."""
_STANDARD: Final = (*_ROW_GUARDS, KillSwitch)
PASSED: Final = Verdict(PASS)
"""The one verdict of the usual case."""
_NOT_ASKED: Final = Finding("MODEL_ERROR", "the model was not asked")
"""Said only where no guard says why it was not."""
_STATUS_CODES: Final = {
    "DEADLINE": "DEADLINE",
    "BUSY": "DEADLINE",
    "DEAD": "MODEL_DOWN",
    "ERROR": "MODEL_ERROR",
}


def standard_guards(
    manifest: ModelTerms, limits: GuardLimits, latches: KillLatches
) -> tuple[SchemaDigest, Completeness, Staleness, KillSwitch]:
    """The four guards that every Gate has, in their order."""
    return (
        SchemaDigest(
            graph_digest=manifest.graph_digest,
            schema_digest=manifest.schema_digest,
            columns=len(manifest.columns),
        ),
        Completeness(columns=manifest.columns, defaults=manifest.defaults, completeness=limits.completeness),
        Staleness(max_age_ns=limits.max_age_ns, max_venue_delay_ns=limits.max_venue_delay_ns),
        KillSwitch(model=manifest.name, latches=latches),
    )


class Gate:
    """Judges one model's predictions and makes its signals. One thread, one model, one pipeline.

    `guards` begins with the four of `standard_guards`; more may follow. `fallback` replaces the manifest's. A
    prediction that did not come is replaced by the fallback if one is declared, and the signal then carries the code
    although it passes; `last_valid` is the model's last own answer for that instrument, and it may be as old as the
    staleness guard allows for inputs.

    Where nothing is unusual, `passing` does all of this in one call of the core, with the same rules: the vector's `is_clean`,
    a finite value, no change of the latches' file since the last judgement passed.

    A guard of one's own that has `observe` is told each decision, and its `snapshot` is part of the Gate's. Where that fails
    nobody knows its state: from then on it vetoes GUARD_ERROR.

    A guard's Halt is latched through `latches`, and this Gate stays halted even if the latch cannot be written.
    """

    def __init__(
        self,
        guards: Sequence[Guard],
        *,
        manifest: ModelTerms,
        latches: KillLatches,
        pipeline: str,
        tape: str,
        fallback: str | None = None,
        stage: str | None = None,
    ) -> None:
        """`stage` is the version's, and stands on every signal. Raises GateError GUARDS."""
        if tuple(type(guard) for guard in guards[: len(_STANDARD)]) != _STANDARD:
            names = ", ".join(kind.__name__ for kind in _STANDARD)
            raise GateError("GUARDS", f"a Gate's first guards are {names}, in this order")
        schema, completeness, staleness = guards[0], guards[1], guards[2]
        assert isinstance(schema, SchemaDigest)
        assert isinstance(completeness, Completeness)
        assert isinstance(staleness, Staleness)
        self._checks = tuple((guard.check, type(guard).__name__) for guard in guards)
        self._checks_of_clean = self._checks[len(_ROW_GUARDS) :]
        self._own = tuple(guards[len(_STANDARD) :])
        own: list[tuple[int, Any]] = list(enumerate(self._own))
        self._stateful: tuple[tuple[int, StatefulGuard], ...] = tuple(
            (number, guard) for number, guard in own if hasattr(guard, "observe")
        )
        self._unknown: str | None = None
        self._clean = Clean(
            graph_digest=schema.graph_digest,
            schema_digest=schema.schema_digest,
            columns=schema.columns,
            max_age_ns=staleness.max_age_ns,
            max_venue_delay_ns=staleness.max_venue_delay_ns,
        )
        self._completeness = completeness
        self._no_defaults = not manifest.defaults or completeness.allows_none
        self._model = manifest.name
        self._pipeline = pipeline
        self._latches = latches
        template = signal_template(pipeline=pipeline, tape=tape, manifest=manifest, stage=stage)
        self._write = template.write
        self._fallback = Fallback.parse(fallback or manifest.fallback)
        self.passing: PassingSignals | None = None
        """Writes the signals about which nothing is unusual; None where each has to be judged here."""
        if latches.path is not None and len(guards) == len(_STANDARD) and self._fallback.kind != "last_valid":
            self.passing = PassingSignals(template, self._clean, latches.path)
        self._last_valid: dict[str, tuple[float, int]] = {}
        self._last_valid_age_ns = staleness.max_age_ns
        self._halted: str | None = None
        self._judged: tuple[Verdict, VectorRow, float | None] | None = None
        self.value: float | None = None
        """What the newest signal carries."""

    @property
    def own_guards(self) -> tuple[Guard, ...]:
        """The guards behind the built-in four."""
        return self._own

    def take_over(self, before: Gate) -> None:
        """Goes on where another Gate of the same model and guards of its own stood: with other limits."""
        self._last_valid = before._last_valid
        self._halted, self._unknown = before._halted, before._unknown

    def complete(self, vector: VectorRow) -> bool:
        """Whether the model can be asked: False means that the verdict will be INCOMPLETE whatever it answers."""
        return self._completeness.check(None, vector, vector.ts_recv) is None

    def judge(self, prediction: Prediction | None, vector: VectorRow, now: int) -> Verdict:
        """The verdict on one prediction, at `now` (nanoseconds on the axis of `ts_recv`).

        `prediction` is None where the model was not asked: a veto, with a code of its own where no guard says why.
        What guards, model or vector do wrong is a veto, never an exception.
        """
        findings: list[Finding] = []
        if self.passing is not None:
            self.passing.look()  # before the latches are asked: a kill after this is noticed
        try:
            clean = type(vector) is Row and vector.is_clean(self._clean, now)
        except (TypeError, OverflowError):  # a time that is none: the guards say so
            clean = False
        for check, name in self._checks_of_clean if clean else self._checks:
            try:
                found = check(prediction, vector, now)
                if found is not None:
                    findings.append(_known(found))
            except Exception as error:  # noqa: BLE001  whatever a guard does wrong is a veto
                findings.append(Finding("GUARD_ERROR", f"{name} failed: {error!r}"))
        if self._unknown is not None:
            findings.append(Finding("GUARD_ERROR", self._unknown))
        if self._halted is not None:
            findings.append(Finding("KILLED", self._halted))
        value, absent = _answer(prediction)
        if absent is None and not findings and self._no_defaults:
            verdict = PASSED
        else:
            verdict, value = self._decide(findings, absent, value, vector, now)
        killed = verdict.outcome == HALT or "KILLED" in verdict.codes
        if self.passing is not None and not killed and self._latches.is_settled:
            self.passing.arm()
        if value is not None and absent is None and self._fallback.kind == "last_valid":
            self._last_valid[vector.instrument] = (value, vector.ts_recv)
        self._judged = (verdict, vector, value)
        return verdict

    def signal(self, verdict: Verdict, latency: Latency) -> Signal:
        """The one signal for what `judge` judged last, `verdict` being what it gave. Raises GateError for any other."""
        judged = self._judged
        if judged is None or judged[0] is not verdict:
            raise GateError(
                "VERDICT",
                "the verdict is not the last one that this Gate gave",
                value=verdict,
                next_step="Call judge, then signal, once for each prediction.",
            )
        self._judged = None
        _, vector, value = judged
        self.value = value
        return _seal_signal(*self._write(vector, value, verdict.outcome, verdict.codes, verdict.defaults_used, latency))

    def halt(self, reason: str, *, now: int) -> None:
        """Silences the model until a named person re-arms it.

        Raises LatchError if the latch cannot be written: then this Gate is silent until the process ends.
        """
        if self.passing is not None:
            self.passing.look()  # whether or not the latch can be written: the next signal is judged here
        try:
            self._latches.kill(self._model, by=f"gate:{self._pipeline}", reason=reason, now=now)
        except Exception:
            self._halted = f"halted, and the latch could not be written: {reason}"
            raise

    @property
    def observes(self) -> bool:
        """Whether a guard wants to be told decisions."""
        return bool(self._stateful)

    def observe(self, decision: Decision) -> None:
        """Tells the guards of one's own what was decided."""
        for _, guard in self._stateful:
            try:
                guard.observe(decision)
            except Exception as error:  # noqa: BLE001  whatever a guard does wrong is a veto
                self._unknown = f"{type(guard).__name__} failed to observe {decision.signal_id}: {error!r}"

    def snapshot(self) -> bytes:
        """What a restarted Gate has to know: the last valid values, and the state of guards of one's own."""
        state: dict[str, Any] = {"format": 1, "last_valid": self._last_valid, "guards": {}, "kinds": {}}
        if self._unknown is not None:
            state["unknown"] = self._unknown
        for number, guard in self._stateful:
            try:
                state["guards"][str(number)] = base64.b64encode(guard.snapshot()).decode()
                state["kinds"][str(number)] = _kind(guard)
            except Exception as error:  # noqa: BLE001  as above
                self._unknown = state["unknown"] = f"{type(guard).__name__} gave no snapshot: {error!r}"
        return json.dumps(state, separators=(",", ":")).encode()

    def restore(self, snapshot: bytes) -> None:
        """Takes over what `snapshot` gave; a guard that was added since begins anew, also where it stands before others.
        Raises GateError if it is anything else."""
        try:
            data = json.loads(snapshot)
            if "format" not in data:
                data = {"last_valid": data, "guards": {}}
            self._last_valid = {str(key): (float(value), int(ts)) for key, (value, ts) in data["last_valid"].items()}
            kinds: Mapping[str, str] = data.get("kinds", {})  # absent: of a release that went by the number alone
            states = [(number, kinds.get(number), base64.b64decode(state)) for number, state in data["guards"].items()]
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise GateError("SNAPSHOT", f"not a Gate's snapshot: {error}") from error
        self._unknown = data.get("unknown")
        for number, guard in self._stateful:
            mine = next((each for each in states if each[1] == _kind(guard) or each[:2] == (str(number), None)), None)
            if mine is not None:
                states.remove(mine)
                try:
                    guard.restore(mine[2])
                except Exception as error:
                    what = f"{type(guard).__name__} cannot restore its state: {error!r}"
                    raise GateError("SNAPSHOT", what) from error

    def _decide(
        self,
        findings: list[Finding],
        absent: Finding | None,
        value: float | None,
        vector: VectorRow,
        now: int,
    ) -> tuple[Verdict, float | None]:
        """The verdict where something is not as usual, and the value that it lets pass."""
        if absent is not None and not findings:
            value = self._fallback_value(vector)
        if absent is not None and value is None and not (absent is _NOT_ASKED and findings):
            findings.append(absent)
        codes = tuple(finding.code for finding in findings)
        why = tuple(finding.why for finding in findings)
        defaults_used: tuple[str, ...] = ()
        if not any(code in ("INCOMPLETE", "SCHEMA_MISMATCH", "GUARD_ERROR") for code in codes):
            defaults_used = self._completeness.defaults_used(vector)
        if not findings:
            if absent is not None:
                codes, why = (absent.code,), (f"{absent.why}; the fallback is {self._fallback.kind}",)
            return Verdict(PASS, codes, why, defaults_used), value
        halting = next((finding for finding in findings if finding.halt), None)
        if halting is None:
            return Verdict(VETO, codes, why, defaults_used), None
        try:
            self.halt(f"{halting.code}: {halting.why}", now=now)
        except Exception as error:  # noqa: BLE001  halted in memory by now; the verdict has to come out
            why = (*why[:-1], f"{why[-1]} (the latch could not be written: {error})")
        return Verdict(HALT, codes, why, defaults_used), None

    def _fallback_value(self, vector: VectorRow) -> float | None:
        """The declared fallback's value, None if it has none now."""
        if self._fallback.kind != "last_valid":
            return self._fallback.value
        value, ts_recv = self._last_valid.get(vector.instrument, (None, 0))
        return None if vector.ts_recv - ts_recv > self._last_valid_age_ns else value


def _answer(prediction: Prediction | None) -> tuple[float | None, Finding | None]:
    """The model's own value, or the finding why there is none."""
    if prediction is None:
        return None, _NOT_ASKED
    try:
        status = prediction.status
        if status == "OK":
            value = prediction.value
            if value is not None and math.isfinite(value):
                return float(value), None
            return None, Finding("MODEL_ERROR", f"the model gave {value}")
        code = _STATUS_CODES.get(status, "MODEL_ERROR")
    except Exception as error:  # noqa: BLE001  whatever a prediction does wrong is a veto
        return None, Finding("MODEL_ERROR", f"the prediction cannot be read: {error!r}")
    return None, Finding(code, f"the model's answer is {status}")


def _kind(guard: Guard) -> str:
    """By which a state in a snapshot finds its guard again."""
    return f"{type(guard).__module__}.{type(guard).__qualname__}"


def _known(found: Finding) -> Finding:
    if type(found) is not Finding or found.code not in CODES:
        raise TypeError(f"not a finding with a known code: {found!r}")
    return found
