"""Entries of the journal."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """One entry of the journal: its position, receive time, kind, key (a signal's id) and JSON body."""

    seq: int
    ts: int
    kind: str
    key: str
    body: str
