"""Signals as a journal holds them, for trying out sinks."""

from __future__ import annotations

import hashlib
import json

from signal_stream.records import JournalRecord

_START_NS = 1_700_000_000_000_000_000


def sample_signals(count: int, *, first: int = 0) -> list[JournalRecord]:
    """So many journal records of kind `signal`, numbered from `first` on: each third is a veto, and texts are not all ASCII. The
    same number is the same signal.

    >>> [record.seq for record in sample_signals(2, first=5)]
    [5, 6]
    """
    return [_signal(seq) for seq in range(first, first + count)]


def _signal(seq: int) -> JournalRecord:
    passes, ts = seq % 3 != 2, _START_NS + seq * 1_000_000
    key = hashlib.sha256(b"sample %d" % seq).hexdigest()[:32]
    body = {
        "signal_id": key, "signal": "up_10s", "instrument": "BTCUSDT.BINANCE", "value": seq / 8 if passes else None,
        "verdict": "PASS" if passes else "VETO", "codes": [] if passes else ["STALE"], "model_id": "möwe",
        "model_version": "0123456789ab", "stage": "live", "feature_graph_hash": "a" * 64, "schema_hash": "b" * 64,
        "vector_hash": f"{seq:064x}", "ts_event": None if seq % 2 else ts - 1_000, "ts_recv": ts,
        "data_window_end": ts, "data_age_ns": 1_000, "tape": {"name": "sample", "offset": seq}, "defaults_used": [],
        "latency_ns": {"features": 1, "model": 2, "guards": 3, "emit": 4},
    }  # fmt: skip
    return JournalRecord(seq, ts, "signal", key, json.dumps(body))
