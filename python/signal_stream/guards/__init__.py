"""Guards: what may stop a signal, and the Gate, the only place where one is made.

    gate = Gate(standard_guards(manifest, limits, latches), manifest=manifest, latches=latches, pipeline=…, tape=…)
    verdict = gate.judge(prediction, vector, now)
    signal = gate.signal(verdict, latency)        # a PASS or a veto: both are signals, both are journaled

Four guards stand in every Gate, in this order: `SchemaDigest`, `Completeness`, `Staleness`, `KillSwitch`. All of
them are asked each time and all their codes are kept; the first three in one question to the core, which tells whether
any of them has something to say. A guard that raises vetoes (GUARD_ERROR).
"""

from signal_stream.records import Finding, Prediction, VectorRow
from signal_stream.roles import Guard

from .completeness import Completeness
from .gate import Gate, standard_guards
from .guard import CODES, GuardLimits, KillLatches
from .kill_switch import KillSwitch
from .schema_digest import SchemaDigest
from .staleness import Staleness

__all__ = [
    "CODES",
    "Completeness",
    "Finding",
    "Gate",
    "Guard",
    "GuardLimits",
    "KillLatches",
    "KillSwitch",
    "Prediction",
    "SchemaDigest",
    "Staleness",
    "VectorRow",
    "standard_guards",
]
