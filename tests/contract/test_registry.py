"""The registry: what was registered never changes, labels move one way at a time, and everything leaves a trace."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.manifests import plain_manifest

from signal_stream.errors import RegistryError
from signal_stream.registry import STAGES, Distribution, Manifest, Registry, StageWatch

ONNX = b"\x08\x07 a model"


def manifest(name: str = "btc_micro", owner: str = "Ann") -> Manifest:
    distribution = Distribution(9, 0.1, 0.5, 0.25, 0.0, 1.0, ((0.5, 0.4),))
    return plain_manifest(name=name, owner=owner, training_distribution={"a": distribution})


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


def test_what_is_registered_is_loaded(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(ONNX)
    entry = registry.register(manifest(), {"model.onnx": tmp_path / "m.onnx", "notes.txt": b"x"}, by="ann", now=5)
    assert (entry.name, entry.stage, entry.created_at, entry.created_by) == ("btc_micro", "shadow", 5, "ann")
    for ref in (entry.ref, "btc_micro@latest", "btc_micro@shadow"):
        model = registry.load(ref)
        assert model.entry == entry
        assert model.manifest.version == entry.version
        assert model.manifest.digest == entry.digest
        assert model.manifest.files["model.onnx"] == hashlib.sha256(ONNX).hexdigest()
        assert model.files["model.onnx"].read_bytes() == ONNX
        assert model.manifest.changed(files={}) == manifest()
    stored = (registry.folder / "files" / entry.digest[:2] / entry.digest).read_bytes()
    assert hashlib.sha256(stored).hexdigest() == entry.digest
    assert stored == model.manifest.to_json().encode()


def test_the_time_of_registration_is_not_in_the_digest(registry: Registry) -> None:
    first = registry.register(manifest(), {"model.onnx": ONNX}, by="ann", now=5)
    again = registry.register(manifest(), {"model.onnx": ONNX}, by="bob", now=9)
    assert again == first
    assert len(registry.history()) == 1
    other = registry.register(manifest(), {"model.onnx": ONNX + b"2"}, by="bob", now=9)
    assert other.version != first.version
    assert [entry.version for entry in registry.list()] == [first.version, other.version]
    assert registry.load("btc_micro@latest").entry == other


def test_files_that_the_manifest_names_must_be_these(registry: Registry) -> None:
    named = manifest().changed(files={"model.onnx": hashlib.sha256(ONNX).hexdigest()})
    assert registry.register(named, {"model.onnx": ONNX}, by="ann", now=1).digest == named.digest
    with pytest.raises(RegistryError) as caught:
        registry.register(named, {"model.onnx": b"another"}, by="ann", now=1)
    assert caught.value.code == "DIGEST"


def test_labels_move_and_leave_a_trace(registry: Registry) -> None:
    one, two = (
        registry.register(manifest(owner=owner), {"model.onnx": ONNX}, by="ann", now=now)
        for now, owner in enumerate("AB")
    )
    assert registry.promote(one.ref, "live", by="bob", reason="good", now=10).stage == "live"
    assert registry.entry("btc_micro@live").version == one.version
    registry.promote(two.ref, "canary", by="bob", reason="try", now=11)
    registry.promote("btc_micro@canary", "live", by="eve", reason="better", now=12)
    assert registry.entry("btc_micro@live").version == two.version
    assert registry.entry(one.ref).stage == "retired"
    with pytest.raises(RegistryError, match=r"has no canary version. Versions are: \w+ \(retired\), \w+ \(live\)."):
        registry.load("btc_micro@canary")
    assert [(row.by, row.version, row.stage_from, row.stage_to, row.reason) for row in registry.history()] == [
        ("ann", one.version, None, "shadow", ""),
        ("ann", two.version, None, "shadow", ""),
        ("bob", one.version, "shadow", "live", "good"),
        ("bob", two.version, "shadow", "canary", "try"),
        ("eve", one.version, "live", "retired", f"replaced by {two.version}"),
        ("eve", two.version, "canary", "live", "better"),
    ]
    assert registry.load(one.ref).manifest.owner == "A", "a label changes no manifest"
    assert registry.history("other") == ()


def test_names_do_not_disturb_each_other(registry: Registry) -> None:
    one = registry.register(manifest("one"), {"model.onnx": ONNX}, by="ann", now=1)
    two = registry.register(manifest("two"), {"model.onnx": ONNX}, by="ann", now=1)
    for entry in (one, two):
        registry.promote(entry.ref, "live", by="ann", reason="x", now=2)
    assert {entry.stage for entry in registry.list()} == {"live"}
    assert len(registry.history("two")) == 2


@pytest.mark.parametrize(
    ("ref", "code", "message"),
    [
        ("btc_micro", "BAD_REF", "Write name@version, name@latest, or name@live"),
        ("@live", "BAD_REF", "is no reference"),
        ("btc_micro@", "BAD_REF", "is no reference"),
        ("btc_mico@live", "NOT_FOUND", 'no model "btc_mico". Did you mean "btc_micro"?'),
        ("btc_micro@live", "NOT_FOUND", "has no live version. Versions are: "),
        ("btc_micro@0123", "NOT_FOUND", 'has no version "0123". Versions are: '),
    ],
)
def test_a_reference_that_means_nothing(registry: Registry, ref: str, code: str, message: str) -> None:
    registry.register(manifest(), {"model.onnx": ONNX}, by="ann", now=1)
    with pytest.raises(RegistryError) as caught:
        registry.load(ref)
    assert caught.value.code == code
    assert message in str(caught.value)


def test_nobody_acts_without_a_name(registry: Registry) -> None:
    with pytest.raises(RegistryError) as caught:
        registry.register(manifest(), {}, by=" ", now=1)
    assert caught.value.code == "ANONYMOUS"
    entry = registry.register(manifest(), {}, by="ann", now=1)
    for by, reason in (("", "x"), ("ann", " ")):
        with pytest.raises(RegistryError) as caught:
            registry.promote(entry.ref, "live", by=by, reason=reason, now=1)
        assert caught.value.code == "ANONYMOUS"
    with pytest.raises(RegistryError, match='Did you mean "live"'):
        registry.promote(entry.ref, "lives", by="ann", reason="x", now=1)
    assert registry.entry(entry.ref).stage == "shadow"


@pytest.mark.parametrize("what", ["model.onnx", "manifest"])
def test_a_changed_file_is_named_with_both_digests(registry: Registry, what: str) -> None:
    entry = registry.register(manifest(), {"model.onnx": ONNX}, by="ann", now=1)
    digest = hashlib.sha256(ONNX).hexdigest() if what == "model.onnx" else entry.digest
    path = registry.folder / "files" / digest[:2] / digest
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b" ")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(RegistryError) as caught:
        registry.load(entry.ref)
    assert caught.value.code == "DIGEST"
    for part in (what, str(path), digest, found):
        assert part in str(caught.value)
    with pytest.raises(RegistryError):
        registry.register(manifest(), {"model.onnx": ONNX}, by="ann", now=1)
    path.unlink()
    with pytest.raises(RegistryError) as caught:
        registry.load(entry.ref)
    assert caught.value.code == "NOT_FOUND"
    assert registry.register(manifest(), {"model.onnx": ONNX}, by="ann", now=1) == entry
    registry.load(entry.ref)


def test_stored_files_are_read_only(registry: Registry) -> None:
    entry = registry.register(manifest(), {"model.onnx": ONNX}, by="ann", now=1)
    for path in (registry.folder / "files").rglob("*"):
        assert path.is_dir() or path.stat().st_mode & 0o222 == 0
    assert registry.load(entry.ref).files["model.onnx"].name == hashlib.sha256(ONNX).hexdigest()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE versions SET digest = 'x'",
        "DELETE FROM versions",
        "UPDATE audit SET by = 'x'",
        "DELETE FROM audit",
        "UPDATE stages SET stage = 'live'",
        "UPDATE stages SET stage = 'odd'",
        "INSERT INTO stages VALUES ('ghost', 'v', 'live')",
    ],
)
def test_the_tables_defend_themselves(registry: Registry, statement: str) -> None:
    for owner in "AB":
        registry.register(manifest(owner=owner), {}, by="ann", now=1)
    tables = sqlite3.connect(registry.folder / "registry.sqlite")
    tables.execute("PRAGMA foreign_keys = ON")
    with pytest.raises(sqlite3.IntegrityError):
        tables.execute(statement)
    tables.close()


def test_no_registry_or_a_broken_one(registry: Registry) -> None:
    with pytest.raises(RegistryError) as caught:
        registry.load("a@live")
    assert caught.value.code == "NOT_FOUND"
    assert not registry.folder.exists()
    registry.register(manifest(), {}, by="ann", now=1)
    for log in registry.folder.glob("registry.sqlite-*"):
        log.unlink()
    (registry.folder / "registry.sqlite").write_bytes(b"no database" * 999)
    with pytest.raises(RegistryError) as caught:
        registry.list()
    assert caught.value.code == "UNREADABLE"


def test_a_crash_between_file_and_row_leaves_nothing_half(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("signal_stream.registry.catalogue.Catalogue._note", dies)
        with pytest.raises(KeyboardInterrupt):
            registry.register(manifest(), {"model.onnx": ONNX}, by="ann", now=1)
    with pytest.raises(RegistryError, match="there is no registry"):
        registry.list()
    entry = registry.register(manifest(), {"model.onnx": ONNX}, by="ann", now=1)
    assert registry.list() == (entry,)
    assert len(registry.history()) == 1


_WRITER = """
import sys
sys.path.insert(0, sys.argv[3])
from pathlib import Path
from signal_stream.registry import Registry
from test_registry import ONNX, manifest
registry = Registry(Path(sys.argv[1]))
for i in range(12):
    entry = registry.register(manifest(owner=str(i)), {"model.onnx": ONNX}, by=sys.argv[2], now=i)
    registry.promote(entry.ref, "live", by=sys.argv[2], reason=str(i), now=i)
"""


def test_writers_wait_for_each_other(registry: Registry) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(registry.folder), name, str(Path(__file__).parent)])
        for name in "abc"
    ]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert len(registry.list()) == 12
    assert sum(entry.stage == "live" for entry in registry.list()) == 1
    registered = [row for row in registry.history() if row.action == "register"]
    assert len(registered) == 12
    stage: dict[str, str | None] = {}
    for row in registry.history():
        assert row.stage_from == stage.get(row.version), "each step begins where the one before ended"
        stage[row.version] = row.stage_to
        assert row.stage_to in STAGES


# Which version a reference means


def owners(registry: Registry, *names: str) -> list[str]:
    """Registers a version for each owner; gives their references."""
    return [registry.register(manifest(owner=name), {}, by="ann", now=1).ref for name in names]


def test_what_was_registered_again_is_the_latest(registry: Registry) -> None:
    one, two, again = owners(registry, "A", "B", "A")
    assert (again, registry.entry("btc_micro@latest").ref) == (one, one)
    assert [entry.ref for entry in registry.list()] == [two, one]
    last = registry.history()[-1]
    assert (last.action, last.stage_from, last.stage_to) == ("again", "shadow", "shadow")


def test_a_retired_version_is_not_the_latest_not_even_registered_again(registry: Registry) -> None:
    one, two = owners(registry, "A", "B")
    registry.promote(two, "retired", by="ann", reason="bad", now=2)
    assert registry.entry("btc_micro@latest").ref == one
    assert registry.register(manifest(owner="B"), {}, by="ann", now=3).stage == "retired"
    assert registry.entry("btc_micro@latest").ref == one
    registry.promote(one, "retired", by="ann", reason="bad too", now=4)
    with pytest.raises(RegistryError, match=r"every version of model .* is retired"):
        registry.entry("btc_micro@latest")
    registry.promote(two, "shadow", by="ann", reason="not so bad", now=5)
    assert registry.entry("btc_micro@latest").ref == two


STEPS = st.lists(st.tuples(st.sampled_from(("register", *STAGES)), st.sampled_from("ABC")), max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_any_history_agrees_with_two_dictionaries(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str]]
) -> None:
    registry = Registry(tmp_path_factory.mktemp("registry"))
    stages: dict[str, str] = {}
    brought: list[str] = []
    refs = {}
    for now, (what, owner) in enumerate(steps):
        if what == "register":
            refs[owner] = registry.register(manifest(owner=owner), {}, by="ann", now=now).ref
            if stages.setdefault(owner, "shadow") != "retired":
                brought = [each for each in brought if each != owner] + [owner]
        elif owner in stages:
            registry.promote(refs[owner], what, by="ann", reason="x", now=now)
            for other, stage in stages.items():
                if stage == what and what in ("live", "canary"):
                    stages[other] = "retired"
            stages[owner] = what
    usable = [owner for owner in brought if stages[owner] != "retired"]
    means = {"latest": usable[-1:], "live": [owner for owner, stage in stages.items() if stage == "live"]}
    for word, expected in means.items():
        if expected:
            assert registry.entry(f"btc_micro@{word}").ref == refs[expected[0]]
        else:
            with pytest.raises(RegistryError):
                registry.entry(f"btc_micro@{word}")
    for owner, ref in refs.items():
        entry = registry.entry(ref)
        assert (entry.stage, entry.stage_audited) == (stages[owner], stages[owner])


def test_the_beginning_of_a_version_is_enough_where_only_one_begins_so(registry: Registry) -> None:
    (one,) = owners(registry, "A")
    name, version = one.split("@")
    for digits in (4, 8, 12):
        assert registry.entry(f"{name}@{version[:digits]}").ref == one
    for short in ("", version[:3], version[:7] + "x"):
        with pytest.raises(RegistryError):
            registry.entry(f"{name}@{short}")


# Changes that nobody answers for


def tamper(registry: Registry, statement: str, *values: str) -> None:
    with contextlib.closing(sqlite3.connect(registry.folder / "registry.sqlite")) as tables, tables:
        tables.execute(statement, values)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE stages SET stage = 'live' WHERE version = ?",
        "UPDATE stages SET stage = 'retired' WHERE version = ?",
        "DELETE FROM stages WHERE version = ?",
    ],
)
def test_a_stage_that_no_history_tells_is_named_whatever_is_asked(registry: Registry, statement: str) -> None:
    one, two = owners(registry, "A", "B")
    tamper(registry, statement, two.split("@")[1])
    for ref in (one, two, "btc_micro@latest", "btc_micro@shadow"):
        with pytest.raises(RegistryError, match="without an audit row") as caught:
            registry.load(ref)
        assert (caught.value.code, two in str(caught.value)) == ("AUDIT", True)
    assert [entry.ref for entry in registry.list() if entry.stage != entry.stage_audited] == [two]
    registry.promote(two, "live", by="ann", reason="as it was meant", now=2)
    assert registry.load("btc_micro@live").entry.ref == two
    assert registry.history()[-1].stage_from == "shadow", "the history goes on from what it said"


def test_a_row_that_names_another_models_manifest_is_refused(registry: Registry) -> None:
    (one,) = owners(registry, "A")
    digest = registry.entry(one).digest
    tamper(registry, "INSERT INTO versions VALUES (9, 'other', 'abcdef', ?, 1, 'eve')", digest)
    tamper(registry, "INSERT INTO stages VALUES ('other', 'abcdef', 'live')")
    tamper(
        registry,
        "INSERT INTO audit VALUES (9, 1, 'eve', 'register', 'other', 'abcdef', NULL, 'live', '')",
    )
    with pytest.raises(RegistryError, match=f"names the manifest of {one}"):
        registry.load("other@live")


# Who is served


@pytest.mark.parametrize("stage", ["shadow", "canary", "live", "retired"])
def test_all_but_retired_versions_may_be_served(registry: Registry, stage: str) -> None:
    (one,) = owners(registry, "A")
    registry.promote(one, stage, by="ann", reason="x", now=2)
    if stage != "retired":
        assert registry.may_be_served(registry.entry(one)).ref == one
    else:
        with pytest.raises(RegistryError, match=f"models promote {one} live") as caught:
            registry.may_be_served(registry.entry(one))
        assert caught.value.code == "STAGE"


def test_what_becomes_of_a_served_version_is_told_to_who_serves_it(registry: Registry) -> None:
    one, two = owners(registry, "A", "B")
    registry.promote(one, "live", by="ann", reason="x", now=2)
    entry = registry.entry(one)
    watches = [StageWatch(registry, {ref: entry}) for ref in ("btc_micro@live", one)]
    assert [dict(watch.look()) for watch in watches] == [{}, {}]
    registry.promote(two, "live", by="ann", reason="x", now=3)
    retired = f"{one} is retired now, and serves as live until a restart"
    assert [watch.look() for watch in watches] == [{one: f"live is {two}, serving {one}; {retired}"}, {one: retired}]
    registry.promote(two, "retired", by="ann", reason="x", now=4)
    assert watches[0].look() == {one: f"live is none, serving {one}; {retired}"}
    registry.promote(one, "live", by="ann", reason="x", now=6)
    assert not any(watch.look() for watch in watches)
    (registry.folder / "registry.sqlite").unlink()
    assert all(watch.look()[one].startswith(f"{one} serves on as it was loaded: ") for watch in watches)


def test_a_newer_registration_is_told_to_who_serves_the_latest(registry: Registry) -> None:
    (one,) = owners(registry, "A")
    watch = StageWatch(registry, {"btc_micro@latest": registry.entry(one)})
    assert not watch.look()
    (two,) = owners(registry, "B")
    assert watch.look() == {one: f"latest is {two}, serving {one}"}


# Places that are read-only, or full


def without_privileges() -> None:
    """The superuser's right to pass over permissions goes; everybody else has none."""
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


_READER = """
import sys
from pathlib import Path
from signal_stream.errors import RegistryError
from signal_stream.registry import Registry
registry = Registry(Path(sys.argv[1]))
print(registry.load("btc_micro@latest").entry.ref, len(registry.list()), len(registry.history()))
try:
    registry.promote("btc_micro@latest", "live", by="ann", reason="x", now=2)
except RegistryError as error:
    print(error.code)
"""


@pytest.mark.parametrize("wal", [False, True])
def test_reading_needs_no_right_to_write(registry: Registry, wal: bool) -> None:
    (one,) = owners(registry, "A")
    if wal:  # as earlier releases left it
        with contextlib.closing(sqlite3.connect(registry.folder / "registry.sqlite")) as tables:
            tables.execute("PRAGMA journal_mode = WAL")
    folders = [registry.folder, *(path for path in registry.folder.rglob("*") if path.is_dir())]
    (registry.folder / "registry.sqlite").chmod(0o444)
    for folder in folders:
        folder.chmod(0o555)
    try:
        done = subprocess.run(
            [sys.executable, "-c", _READER, str(registry.folder)],
            capture_output=True, text=True, preexec_fn=without_privileges,
        )  # fmt: skip
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert (done.stdout.split(), done.stderr) == ([one, "1", "1", "WRITE"], "")


def test_a_registry_where_none_can_be_is_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "registry"):
        with pytest.raises(RegistryError) as caught:
            Registry(folder).register(manifest(), {}, by="ann", now=1)
        assert caught.value.code == "WRITE"
        with pytest.raises(RegistryError) as caught:
            Registry(folder).list()
        assert caught.value.code == "NOT_FOUND"


class Full:
    """A connection on a disk that is full from some statement on; SQLite takes the transaction back by itself."""

    def __init__(self, tables: sqlite3.Connection, statements: int) -> None:
        self._tables, self._left = tables, statements

    def execute(self, statement: str, *values: Any) -> Any:
        self._left -= statement.startswith(("INSERT", "CREATE", "COMMIT"))
        if self._left < 0 and statement != "ROLLBACK":
            if self._tables.in_transaction:
                self._tables.execute("ROLLBACK")
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        return self._tables.execute(statement, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tables, name)


@pytest.mark.parametrize("statements", range(4))
def test_a_full_disk_is_named_and_nothing_is_lost(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, statements: int
) -> None:
    (one,) = owners(registry, "A")
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", lambda *a, **k: Full(connect(*a, **k), statements))
        with pytest.raises(RegistryError, match="no space is left"):
            registry.register(manifest(owner="B"), {}, by="ann", now=2)
    assert [entry.ref for entry in registry.list()] == [one]
    assert not list(registry.folder.glob("registry.sqlite-*"))
    owners(registry, "B")
    assert len(registry.list()) == 2
