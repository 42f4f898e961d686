"""The records that cross stage boundaries: vectors, predictions, verdicts, signals and their lineage, manifests, journal
entries. All are frozen. Times are nanoseconds UTC, latencies nanoseconds, digests lower-case hex of SHA-256.
"""

from .decision import Decision, Finding, Prediction, Status, VectorRow
from .journal import JournalRecord
from .manifest import Distribution, Fallback, Golden, Manifest, Output
from .signal import Latency, Lineage, Signal, SignalRecord, TapeRef, signal_template
from .text import canonical_json
from .verdict import HALT, PASS, VETO, Verdict

__all__ = [
    "HALT",
    "PASS",
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
]
