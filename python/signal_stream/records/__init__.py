"""The records that cross stage boundaries: vectors, predictions, verdicts, signals and their lineage, manifests, journal
entries. All are frozen. Times are nanoseconds UTC, latencies nanoseconds, digests lower-case hex of SHA-256.
"""

from .decision import Decision, Finding, ModelRow, Prediction, Status, VectorRow
from .journal import JournalRecord
from .manifest import Distribution, Fallback, Golden, Manifest, Output
from .signal import SPEAKING, Latency, Lineage, Signal, SignalRecord, TapeRef, signal_template, speaks
from .text import canonical_json
from .verdict import HALT, PASS, VETO, Verdict

__all__ = [
    "HALT",
    "PASS",
    "SPEAKING",
    "VETO",
    "Decision",
    "Distribution",
    "Fallback",
    "Finding",
    "Golden",
    "JournalRecord",
    "Latency",
    "Lineage",
    "Manifest",
    "ModelRow",
    "Output",
    "Prediction",
    "Signal",
    "SignalRecord",
    "Status",
    "TapeRef",
    "VectorRow",
    "Verdict",
    "canonical_json",
    "signal_template",
    "speaks",
]
