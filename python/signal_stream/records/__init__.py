"""The records that cross stage boundaries: vectors, predictions, verdicts, signals and their lineage, journal entries.

All are frozen. Times are nanoseconds UTC, latencies nanoseconds, digests lower-case hex of SHA-256.
"""

from .amendment import AmendedVector, Amendment
from .decision import Decision, Finding, ModelRow, Prediction, Status, VectorRow
from .fallback import Fallback
from .inputs import InputOffset, Inputs
from .journal import JournalRecord
from .model_card import ModelCard
from .model_terms import ModelTerms
from .signal import SPEAKING, Latency, Lineage, Signal, SignalRecord, TapeRef, signal_template, speaks
from .skipped import SkippedRange
from .text import FORMAT, canonical_json, known_fields
from .verdict import HALT, PASS, VETO, Verdict

__all__ = [
    "FORMAT",
    "HALT",
    "PASS",
    "SPEAKING",
    "VETO",
    "AmendedVector",
    "Amendment",
    "Decision",
    "Fallback",
    "Finding",
    "InputOffset",
    "Inputs",
    "JournalRecord",
    "Latency",
    "Lineage",
    "ModelCard",
    "ModelRow",
    "ModelTerms",
    "Prediction",
    "Signal",
    "SignalRecord",
    "SkippedRange",
    "Status",
    "TapeRef",
    "VectorRow",
    "Verdict",
    "canonical_json",
    "known_fields",
    "signal_template",
    "speaks",
]
