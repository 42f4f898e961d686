"""Imports between the crates point one way: the table of ARCHITECTURE.md."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAY_USE = {
    "event": set(),
    "kernels": set(),
    "ring": set(),
    "journal": set(),
    "kafka": set(),
    "ingest": {"event"},
    "market": {"event"},
    "runtime": {"kernels"},
    "wasm": {"runtime"},
    "features": {"kernels", "runtime"},
    "engine": {"event", "ingest", "market", "features", "runtime", "kernels"},
    "feeds": {"event", "ingest", "kafka"},
    "py": {"event", "ingest", "features", "engine", "feeds", "ring", "journal"},
}  # fmt: skip


@pytest.mark.parametrize("crate", sorted(path.parent.name for path in ROOT.glob("crates/*/Cargo.toml")))
def test_a_crate_uses_only_what_its_layer_may(crate: str) -> None:
    manifest = tomllib.loads((ROOT / "crates" / crate / "Cargo.toml").read_text())
    used = {name.removeprefix("signal-") for name in manifest.get("dependencies", {}) if name.startswith("signal-")}
    assert used <= MAY_USE[crate]


def test_only_one_crate_knows_python() -> None:
    with_python = [
        path.parent.name
        for path in ROOT.glob("crates/*/Cargo.toml")
        if "pyo3" in tomllib.loads(path.read_text()).get("dependencies", {})
    ]
    assert with_python == ["py"]
