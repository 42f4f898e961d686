"""The registry: what was registered never changes, labels move one way at a time, and everything leaves a trace."""

from __future__ import annotations

import dataclasses
import hashlib
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from signal_stream.errors import RegistryError
from signal_stream.records import Distribution, Golden, Manifest, Output
from signal_stream.registry import STAGES, Registry

DIGEST = f"{10:064x}"
FIELDS: dict[str, Any] = {
    **dict.fromkeys(("kind", "signal", "graph_name", "label", "graph"), "m"),
    **dict.fromkeys(("horizon_ns", "refit_cadence_ns", "deadline_ns"), 1),
    **dict.fromkeys(("graph_digest", "schema_digest"), DIGEST),
    "golden": Golden(1, DIGEST, DIGEST, 0.0),
    "training_distribution": {"a": Distribution(9, 0.1, 0.5, 0.25, 0.0, 1.0, ((0.5, 0.4),))},
}
ONNX = b"\x08\x07 a model"


def manifest(name: str = "btc_micro", owner: str = "Ann") -> Manifest:
    return Manifest(
        **FIELDS, name=name, owner=owner, columns=("a",), dtype="f32", output=Output("p", 0, 1), fallback="veto"
    )


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
        assert dataclasses.replace(model.manifest, files={}) == manifest()
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
    named = manifest().with_files({"model.onnx": hashlib.sha256(ONNX).hexdigest()})
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
