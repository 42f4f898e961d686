"""The registry's tables: which versions exist, which label each has, and who changed what."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from signal_stream.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STAGES: Final = ("shadow", "canary", "live", "retired")
"""Labels of a version. Of each name at most one version is live and one canary."""

_RESTORE: Final = "Restore the file from a copy; the manifests and models beside it are whole."
_ACTIONS: Final = ("register", "again", "stage")
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
    "SELECT v.name, v.version, v.digest, coalesce(s.stage, 'none'), v.created_at, v.created_by, "
    "coalesce((SELECT stage_to FROM audit a WHERE a.name = v.name AND a.version = v.version ORDER BY a.id DESC LIMIT 1), "
    "'none') "
    "FROM versions v LEFT JOIN stages s USING (name, version) "
)
# A version's newest registration: the rows that say that it was brought, again or for the first time.
_BROUGHT: Final = (
    "(SELECT max(a.id) FROM audit a WHERE a.name = v.name AND a.version = v.version "
    "AND a.action IN ('register', 'again'))"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A registered version: `digest` is its manifest's, `created_at` nanoseconds UTC.

    `stage_audited` is the stage that the history says; it is `stage`, unless somebody changed the database by hand.
    """

    name: str
    version: str
    digest: str
    stage: str
    created_at: int
    created_by: str
    stage_audited: str

    @property
    def ref(self) -> str:
        """`name@version`, which always means this version."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A change: who (`by`), when (`at`, nanoseconds UTC), of which version, and why.

    `action` is `register`, `again` (the same was registered once more, and is the newest since) or `stage`.
    """

    at: int
    by: str
    action: str
    name: str
    version: str
    stage_from: str | None
    stage_to: str | None
    reason: str


class Catalogue:
    """The tables, in one SQLite file. Any number of processes read and write; reading needs no right to write."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def entries(self) -> list[Entry]:
        """Every version, in the order of their newest registration."""
        with self._reading() as tables:
            return [Entry(*row) for row in tables.execute(f"{_ENTRY} ORDER BY {_BROUGHT}, v.id")]

    def is_there(self) -> bool:
        """Whether there are tables: not in a file that is missing or empty, nor where the first registration did not end."""
        try:
            with self._reading():
                return True
        except RegistryError as error:
            if error.code == "NOT_FOUND":
                return False
            raise

    def changed(self) -> tuple[int, int]:
        """Something that differs after each change of the tables: for who looks often. Zeros while there are none."""
        with suppress(OSError):
            found = self._path.stat()
            return found.st_mtime_ns, found.st_size
        return 0, 0

    def audit(self, name: str | None) -> list[AuditRow]:
        """Every change, oldest first; of one model or all."""
        with self._reading() as tables:
            rows = tables.execute(
                "SELECT at, by, action, name, version, stage_from, stage_to, reason FROM audit "
                "WHERE ?1 IS NULL OR name = ?1 ORDER BY id",
                (name,),
            )
            return [AuditRow(*row) for row in rows]

    def _check_rows(self, tables: sqlite3.Connection) -> None:
        """RegistryError for a row that no registration can have written: SQLite does not notice where a letter of its file is
        another one."""
        for entry in (Entry(*row) for row in tables.execute(_ENTRY)):
            if entry.stage not in (*STAGES, "none"):
                raise self._damaged(f"the row of {entry.ref}")
        for action, name, version, before, after in tables.execute(
            "SELECT action, name, version, stage_from, stage_to FROM audit"
        ):
            if action not in _ACTIONS or after not in STAGES or before not in (*STAGES, "none", None):
                raise self._damaged(f"a row of the history of {name}@{version}")

    def _damaged(self, what: str) -> RegistryError:
        what = f"{what} is not as it was written"
        return RegistryError("UNREADABLE", what, where=str(self._path), next_step=_RESTORE)

    def add(self, name: str, version: str, digest: str, *, by: str, now: int) -> Entry:
        """Adds a version in stage shadow; one that exists with the same digest becomes the newest, unless it is retired."""
        with self._writing() as tables:
            of_name = [Entry(*row) for row in tables.execute(f"{_ENTRY} WHERE name = ? ORDER BY {_BROUGHT}", (name,))]
            entry = next((each for each in of_name if each.version == version), None)
            if entry is None:
                tables.execute(
                    "INSERT INTO versions (name, version, digest, created_at, created_by) VALUES (?, ?, ?, ?, ?)",
                    (name, version, digest, now, by),
                )
                tables.execute("INSERT INTO stages VALUES (?, ?, 'shadow')", (name, version))
                self._note(tables, AuditRow(now, by, "register", name, version, None, "shadow", ""))
                return Entry(name, version, digest, "shadow", now, by, "shadow")
            if entry.digest != digest:
                message = f"{entry.ref} exists with digest {entry.digest}, this one has {digest}"
                raise RegistryError("CONFLICT", message, where=str(self._path))
            newest = [each for each in of_name if each.stage_audited != "retired"][-1:]
            if entry.stage_audited != "retired" and newest != [entry]:
                stage = entry.stage_audited
                self._note(tables, AuditRow(now, by, "again", name, version, stage, stage, "registered once more"))
            return entry

    def move(self, entry: Entry, stage: str, *, by: str, reason: str, now: int) -> Entry:
        """Gives a version a label; the version that has it, where only one may, is retired."""
        with self._writing() as tables:
            rows = tables.execute(_ENTRY + "WHERE name = ?", (entry.name,)).fetchall()
            of_name = {each.version: each for each in (Entry(*row) for row in rows)}

            def label(version: str, after: str, why: str) -> None:
                tables.execute(
                    "INSERT INTO stages VALUES (?, ?, ?) ON CONFLICT (name, version) DO UPDATE SET stage = excluded.stage",
                    (entry.name, version, after),
                )
                before = of_name[version].stage_audited
                self._note(tables, AuditRow(now, by, "stage", entry.name, version, before, after, why))

            if stage in ("live", "canary"):
                for version, held in of_name.items():
                    if stage in (held.stage, held.stage_audited) and version != entry.version:
                        label(version, "retired", f"replaced by {entry.version}")
            label(entry.version, stage, reason)
        return replace(entry, stage=stage, stage_audited=stage)

    @staticmethod
    def _note(tables: sqlite3.Connection, row: AuditRow) -> None:
        tables.execute(
            "INSERT INTO audit (at, by, action, name, version, stage_from, stage_to, reason) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (row.at, row.by, row.action, row.name, row.version, row.stage_from, row.stage_to, row.reason),
        )

    def _missing(self) -> RegistryError:
        if next(self._path.parent.glob("files/??/*"), None) is None:
            advice = "It is made by the first `signal-stream register`."
            return RegistryError("NOT_FOUND", "there is no registry", where=str(self._path.parent), next_step=advice)
        return RegistryError(
            "NOT_FOUND", "there is no registry: its tables hold nothing, though files of models lie beside them",
            where=str(self._path),
            next_step="If versions were registered, restore it from a copy; if the first was never whole, register it again.",
        )  # fmt: skip

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        missing = self._missing()
        try:
            self._path.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise missing from None
        except OSError as error:
            message = f"the registry cannot be read: {error.strerror}"
            raise RegistryError("UNREADABLE", message, where=str(self._path)) from None
        with self._translated(reading=True), closing(self._open_to_read()) as tables:
            if _tables_version(tables) == 0:  # the first registration did not end
                raise missing
            self._check_rows(tables)
            yield tables

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that nobody else writes beside."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"the registry's folder cannot be made: {error.strerror}"
            raise RegistryError("WRITE", message, where=str(self._path.parent)) from None
        with self._translated(reading=False), closing(self._open("rwc")) as tables:
            with suppress(sqlite3.OperationalError):  # where somebody reads just now, the next writer does it
                tables.execute("PRAGMA journal_mode = DELETE")  # a write-ahead log is not for read-only places
            tables.execute("PRAGMA foreign_keys = ON")
            tables.execute("BEGIN IMMEDIATE")
            try:
                if _tables_version(tables) == 0:
                    for statement in _TABLES:
                        tables.execute(statement)
                    tables.execute(f"PRAGMA user_version = {_VERSION}")
                self._check_rows(tables)
                yield tables
                tables.execute("COMMIT")
            except BaseException:
                if tables.in_transaction:  # SQLite has taken it back itself where the disk was full
                    tables.execute("ROLLBACK")
                raise

    def _open_to_read(self) -> sqlite3.Connection:
        """As whoever may only read; with the right to write where a writer's crash left something to put right.

        The write-ahead log that an earlier release kept is not needed once it is empty.
        """
        try:
            return self._open("ro")
        except sqlite3.OperationalError:
            if os.access(self._path.parent, os.W_OK) and os.access(self._path, os.W_OK):
                return self._open("rw")
            if any(_has_content(self._path, end) for end in ("-wal", "-journal")):
                raise
            return self._open("ro&immutable=1")

    def _open(self, mode: str) -> sqlite3.Connection:
        uri = f"{self._path.absolute().as_uri()}?mode={mode}"
        tables = sqlite3.connect(uri, uri=True, timeout=10, isolation_level=None)
        try:
            if _tables_version(tables) > _VERSION:
                raise RegistryError("UNREADABLE", "made by a later release", where=str(self._path))
        except BaseException:
            tables.close()
            raise
        return tables

    @contextmanager
    def _translated(self, *, reading: bool) -> Iterator[None]:
        """Makes SQLite's errors those of the tree."""
        where = str(self._path)
        try:
            yield
        except sqlite3.OperationalError as error:
            code = error.sqlite_errorcode & 0xFF
            if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _is_full(self._path.parent)):
                advice = "Make room and do it again: nothing was changed."
                raise RegistryError("WRITE", "no space is left on the disk", where=where, next_step=advice) from error
            if reading:
                raise RegistryError("UNREADABLE", f"the registry cannot be read: {error}", where=where) from error
            advice = "Only reading is allowed there." if code == sqlite3.SQLITE_READONLY else ""
            message = f"the registry cannot be written: {error}"
            raise RegistryError("WRITE", message, where=where, next_step=advice) from error
        except sqlite3.DatabaseError as error:
            message = f"the registry cannot be read: {error}"
            raise RegistryError("UNREADABLE", message, where=where, next_step=_RESTORE) from error


def _has_content(path: Path, end: str) -> bool:
    beside = path.with_name(path.name + end)
    return beside.exists() and beside.stat().st_size > 0


def _is_full(folder: Path) -> bool:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize < 1 << 20


def _tables_version(tables: sqlite3.Connection) -> int:
    version: int = tables.execute("PRAGMA user_version").fetchone()[0]
    return version
