"""The registry's tables: which versions exist, which label each has, and who changed what."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from signal_stream.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STAGES: Final = ("shadow", "canary", "live", "retired")
"""Labels of a version. Of each name at most one version is live and one canary."""

_VERSION: Final = 1
_NEVER_CHANGE: Final = [
    f"CREATE TRIGGER {table}_{change.lower()} BEFORE {change} ON {table} "
    f"BEGIN SELECT RAISE(ABORT, '{table} never change'); END"
    for table in ("versions", "audit")
    for change in ("UPDATE", "DELETE")
]
_TABLES: Final = (
    """CREATE TABLE versions (
         id INTEGER PRIMARY KEY, name TEXT NOT NULL, version TEXT NOT NULL, digest TEXT NOT NULL,
         created_at INTEGER NOT NULL, created_by TEXT NOT NULL, UNIQUE (name, version)
       ) STRICT""",
    """CREATE TABLE stages (
         name TEXT NOT NULL, version TEXT NOT NULL,
         stage TEXT NOT NULL CHECK (stage IN ('shadow', 'canary', 'live', 'retired')),
         PRIMARY KEY (name, version), FOREIGN KEY (name, version) REFERENCES versions (name, version)
       ) STRICT""",
    "CREATE UNIQUE INDEX one_live ON stages (name) WHERE stage = 'live'",
    "CREATE UNIQUE INDEX one_canary ON stages (name) WHERE stage = 'canary'",
    """CREATE TABLE audit (
         id INTEGER PRIMARY KEY, at INTEGER NOT NULL, by TEXT NOT NULL, action TEXT NOT NULL, name TEXT NOT NULL,
         version TEXT NOT NULL, stage_from TEXT, stage_to TEXT, reason TEXT NOT NULL
       ) STRICT""",
    *_NEVER_CHANGE,
)
_ENTRY: Final = (
    "SELECT v.name, v.version, v.digest, s.stage, v.created_at, v.created_by "
    "FROM versions v JOIN stages s USING (name, version) "
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A registered version: `digest` is its manifest's, `created_at` nanoseconds UTC."""

    name: str
    version: str
    digest: str
    stage: str
    created_at: int
    created_by: str

    @property
    def ref(self) -> str:
        """`name@version`, which always means this version."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A change: who (`by`), when (`at`, nanoseconds UTC), `register` or `stage`, of which version, and why."""

    at: int
    by: str
    action: str
    name: str
    version: str
    stage_from: str | None
    stage_to: str | None
    reason: str


class Catalogue:
    """The tables, in one SQLite file with a write-ahead log. Any number of processes read and write."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def entries(self) -> list[Entry]:
        """Every version, oldest first."""
        with self._reading() as tables:
            return [Entry(*row) for row in tables.execute(_ENTRY + "ORDER BY v.id")]

    def audit(self, name: str | None) -> list[AuditRow]:
        """Every change, oldest first; of one model or all."""
        with self._reading() as tables:
            rows = tables.execute(
                "SELECT at, by, action, name, version, stage_from, stage_to, reason FROM audit "
                "WHERE ?1 IS NULL OR name = ?1 ORDER BY id",
                (name,),
            )
            return [AuditRow(*row) for row in rows]

    def add(self, name: str, version: str, digest: str, *, by: str, now: int) -> Entry:
        """Adds a version in stage shadow; one that exists with the same digest is returned as it is."""
        with self._writing() as tables:
            row = tables.execute(_ENTRY + "WHERE name = ? AND version = ?", (name, version)).fetchone()
            if row is not None:
                entry = Entry(*row)
                if entry.digest != digest:
                    message = f"{entry.ref} exists with digest {entry.digest}, this one has {digest}"
                    raise RegistryError("CONFLICT", message, where=str(self._path))
                return entry
            tables.execute(
                "INSERT INTO versions (name, version, digest, created_at, created_by) VALUES (?, ?, ?, ?, ?)",
                (name, version, digest, now, by),
            )
            tables.execute("INSERT INTO stages VALUES (?, ?, 'shadow')", (name, version))
            self._note(tables, AuditRow(now, by, "register", name, version, None, "shadow", ""))
            return Entry(name, version, digest, "shadow", now, by)

    def move(self, entry: Entry, stage: str, *, by: str, reason: str, now: int) -> Entry:
        """Gives a version a label; the version that has it, where only one may, is retired."""
        with self._writing() as tables:

            def label(version: str, before: str, after: str, why: str) -> None:
                tables.execute(
                    "UPDATE stages SET stage = ? WHERE name = ? AND version = ?", (after, entry.name, version)
                )
                self._note(tables, AuditRow(now, by, "stage", entry.name, version, before, after, why))

            query = "SELECT version, stage FROM stages WHERE name = ?"
            stages = dict(tables.execute(query, (entry.name,)).fetchall())
            for version, held in stages.items():
                if held == stage and stage in ("live", "canary") and version != entry.version:
                    label(version, held, "retired", f"replaced by {entry.version}")
            label(entry.version, stages[entry.version], stage, reason)
        return Entry(entry.name, entry.version, entry.digest, stage, entry.created_at, entry.created_by)

    @staticmethod
    def _note(tables: sqlite3.Connection, row: AuditRow) -> None:
        tables.execute(
            "INSERT INTO audit (at, by, action, name, version, stage_from, stage_to, reason) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (row.at, row.by, row.action, row.name, row.version, row.stage_from, row.stage_to, row.reason),
        )

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        missing = RegistryError(
            "NOT_FOUND",
            "there is no registry",
            where=str(self._path.parent),
            next_step="It is made by the first `signal-stream register`.",
        )
        if not self._path.exists():
            raise missing
        with self._open() as tables:
            if _tables_version(tables) == 0:  # the first registration did not end
                raise missing
            yield tables

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that nobody else writes beside."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as tables:
            tables.execute("BEGIN IMMEDIATE")
            try:
                if _tables_version(tables) == 0:
                    for statement in _TABLES:
                        tables.execute(statement)
                    tables.execute(f"PRAGMA user_version = {_VERSION}")
                yield tables
                tables.execute("COMMIT")
            except BaseException:
                tables.execute("ROLLBACK")
                raise

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            tables = sqlite3.connect(self._path, timeout=10, isolation_level=None)
            try:
                tables.execute("PRAGMA journal_mode = WAL")
                tables.execute("PRAGMA foreign_keys = ON")
                if _tables_version(tables) > _VERSION:
                    raise RegistryError("UNREADABLE", "made by a later release", where=str(self._path))
                yield tables
            finally:
                tables.close()
        except sqlite3.OperationalError as error:
            raise RegistryError("WRITE", f"the registry failed: {error}", where=str(self._path)) from error
        except sqlite3.DatabaseError as error:
            raise RegistryError(
                "UNREADABLE",
                f"the registry cannot be read: {error}",
                where=str(self._path),
                next_step="Restore the file from a copy; the manifests and models beside it are whole.",
            ) from error


def _tables_version(tables: sqlite3.Connection) -> int:
    version: int = tables.execute("PRAGMA user_version").fetchone()[0]
    return version
