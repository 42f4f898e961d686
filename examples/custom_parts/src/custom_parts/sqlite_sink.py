"""Signals in a table of SQLite, each once."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from signal_stream.records import JournalRecord
from signal_stream.settings import SinkSettings


class SqliteSink:
    """`kind = "sqlite"`. What it raises is a fault of the database: the pipeline goes on, and comes back to it."""

    class Settings(SinkSettings):
        """`[[sink]]` of a database file."""

        path: Path = Field(strict=False)
        """The file; relative to the deployment file."""

    def __init__(self, settings: Settings) -> None:
        """Opens nothing."""
        self._path = settings.path
        self._base: sqlite3.Connection | None = None

    def open(self, last_id: str | None) -> str | None:
        """Begins; the id of the last signal that the table holds. It knows by itself, whatever the pipeline remembers."""
        self._base = sqlite3.connect(self._path)
        with self._base as base:
            base.execute(
                "CREATE TABLE IF NOT EXISTS signals (n INTEGER PRIMARY KEY, id TEXT UNIQUE, ts INTEGER, body TEXT)"
            )
            found = base.execute("SELECT id FROM signals ORDER BY n DESC LIMIT 1").fetchone()
        return found[0] if found else None

    def send(self, records: Sequence[JournalRecord]) -> None:
        """Adds signals, all of them or none; one that is there already is left."""
        assert self._base is not None
        rows = [(record.key, record.ts, record.body) for record in records]
        with self._base as base:
            base.executemany("INSERT OR IGNORE INTO signals (id, ts, body) VALUES (?, ?, ?)", rows)

    def close(self) -> None:
        """Gives the file back."""
        if self._base is not None:
            self._base.close()
            self._base = None
