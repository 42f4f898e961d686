"""Amendments as a journal holds them, for trying out sinks."""

from __future__ import annotations

import hashlib

from signal_stream.records import AmendedVector, Amendment, JournalRecord

_START_NS = 1_700_000_000_000_000_000


def sample_amendments(count: int, *, first: int = 0) -> list[JournalRecord]:
    """So many journal records of kind `amendment`, numbered from `first` on: each has one to three vectors, of which each fifth
    is no more. The same number is the same amendment.

    >>> [(record.seq, record.kind) for record in sample_amendments(2, first=5)]
    [(5, 'amendment'), (6, 'amendment')]
    """
    return [_amendment(seq) for seq in range(first, first + count)]


def _amendment(seq: int) -> JournalRecord:
    key, ts = hashlib.sha256(b"amendment %d" % seq).hexdigest()[:32], _START_NS + seq * 1_000_000
    made = Amendment(
        amendment_id=key,
        graph="möwe",
        graph_digest="a" * 64,
        offset=seq,
        ts_recv=ts,
        features=("flow", "mid"),
        vectors=tuple(_vector(seq, i, ts) for i in range(seq % 3 + 1)),
    )
    return JournalRecord(seq, ts, "amendment", key, made.to_json())


def _vector(seq: int, i: int, ts: int) -> AmendedVector:
    is_gone = (seq + i) % 5 == 4
    return AmendedVector(
        instrument=("BTCUSDT.BINANCE", "ETHUSDT.BINANCE")[i % 2],
        ts_event=ts - 1_000_000_000 + i,
        revision=1 + i,
        old=f"{seq + i:064x}",
        new=None if is_gone else f"{seq + i + 1:064x}",
        values=(seq / 8, None),
        reasons=(None, "EMPTY"),
    )
