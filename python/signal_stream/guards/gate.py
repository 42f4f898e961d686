"""The Gate: the only place where a signal is made."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Final

from signal_stream._core import Row
from signal_stream.errors import GateError
from signal_stream.records import (
    HALT,
    PASS,
    VETO,
    Fallback,
    Finding,
    Latency,
    Manifest,
    Signal,
    VectorRow,
    Verdict,
    signal_template,
)
from signal_stream.records.signal import _seal_signal

from .completeness import Completeness
from .guard import CODES, Guard, GuardLimits, KillLatches, Predicted
from .kill_switch import KillSwitch
from .schema_digest import SchemaDigest
from .staleness import Staleness

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROW_GUARDS: Final = (SchemaDigest, Completeness, Staleness)
"""The guards that look at the vector alone. A row of the core says in one call whether they would all be silent."""
_STANDARD: Final = (*_ROW_GUARDS, KillSwitch)
_PASSED: Final = Verdict(PASS)
_NOT_ASKED: Final = Finding("MODEL_ERROR", "the model was not asked")
"""Said only where no guard says why it was not."""
_STATUS_CODES: Final = {
    "DEADLINE": "DEADLINE",
    "BUSY": "DEADLINE",
    "DEAD": "MODEL_DOWN",
    "ERROR": "MODEL_ERROR",
}


def standard_guards(
    manifest: Manifest, limits: GuardLimits, latches: KillLatches
) -> tuple[SchemaDigest, Completeness, Staleness, KillSwitch]:
    """The four guards that every Gate has, in their order."""
    return (
        SchemaDigest(
            graph_digest=manifest.graph_digest,
            schema_digest=manifest.schema_digest,
            columns=len(manifest.columns),
        ),
        Completeness(columns=manifest.columns, defaults=manifest.defaults, completeness=limits.completeness),
        Staleness(max_age_ns=limits.max_age_ns),
        KillSwitch(model=manifest.name, latches=latches),
    )


class Gate:
    """Judges one model's predictions and makes its signals. One thread, one model, one pipeline.

    `guards` begins with the four of `standard_guards`; more may follow. `fallback` replaces the manifest's. A
    prediction that did not come is replaced by the fallback if one is declared, and the signal then carries the code
    although it passes; `last_valid` is the model's last own answer for that instrument, and it may be as old as the
    staleness guard allows for inputs.

    A guard's Halt is latched through `latches`, and this Gate stays halted even if the latch cannot be written.
    """

    def __init__(
        self,
        guards: Sequence[Guard],
        *,
        manifest: Manifest,
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
        self._clean = (schema.graph_digest, schema.schema_digest, schema.columns, staleness.max_age_ns)
        self._completeness = completeness
        self._no_defaults = not manifest.defaults or completeness.allows_none
        self._model = manifest.name
        self._pipeline = pipeline
        self._latches = latches
        self._write = signal_template(pipeline=pipeline, tape=tape, manifest=manifest, stage=stage).write
        self._fallback = Fallback.parse(fallback or manifest.fallback)
        self._last_valid: dict[str, tuple[float, int]] = {}
        self._last_valid_age_ns = staleness.max_age_ns
        self._halted: str | None = None
        self._judged: tuple[Verdict, VectorRow, float | None] | None = None

    def complete(self, vector: VectorRow) -> bool:
        """Whether the model can be asked: False means that the verdict will be INCOMPLETE whatever it answers."""
        return self._completeness.check(None, vector, vector.ts_recv) is None

    def judge(self, prediction: Predicted | None, vector: VectorRow, now: int) -> Verdict:
        """The verdict on one prediction, at `now` (nanoseconds on the axis of `ts_recv`).

        `prediction` is None where the model was not asked: a veto, with a code of its own where no guard says why.
        What guards, model or vector do wrong is a veto, never an exception.
        """
        findings: list[Finding] = []
        try:
            clean = type(vector) is Row and vector.is_clean(*self._clean, now)
        except (TypeError, OverflowError):  # a time that is none: the guards say so
            clean = False
        for check, name in self._checks_of_clean if clean else self._checks:
            try:
                found = check(prediction, vector, now)
                if found is not None:
                    findings.append(_known(found))
            except Exception as error:  # noqa: BLE001  whatever a guard does wrong is a veto
                findings.append(Finding("GUARD_ERROR", f"{name} failed: {error!r}"))
        if self._halted is not None:
            findings.append(Finding("KILLED", self._halted))
        value, absent = _answer(prediction)
        if absent is None and not findings and self._no_defaults:
            verdict = _PASSED
        else:
            verdict, value = self._decide(findings, absent, value, vector, now)
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
        return _seal_signal(*self._write(vector, value, verdict.outcome, verdict.codes, verdict.defaults_used, latency))

    def halt(self, reason: str, *, now: int) -> None:
        """Silences the model until a named person re-arms it.

        Raises LatchError if the latch cannot be written: then this Gate is silent until the process ends.
        """
        try:
            self._latches.kill(self._model, by=f"gate:{self._pipeline}", reason=reason, now=now)
        except Exception:
            self._halted = f"halted, and the latch could not be written: {reason}"
            raise

    def snapshot(self) -> bytes:
        """What a restarted Gate has to know: the last valid values."""
        return json.dumps(self._last_valid, separators=(",", ":")).encode()

    def restore(self, snapshot: bytes) -> None:
        """Takes over what `snapshot` gave. Raises GateError if it is anything else."""
        try:
            data = json.loads(snapshot)
            self._last_valid = {str(key): (float(value), int(ts)) for key, (value, ts) in data.items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise GateError("SNAPSHOT", f"not a Gate's snapshot: {error}") from error

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


def _answer(prediction: Predicted | None) -> tuple[float | None, Finding | None]:
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


def _known(found: Finding) -> Finding:
    if type(found) is not Finding or found.code not in CODES:
        raise TypeError(f"not a finding with a known code: {found!r}")
    return found
