"""A model's manifest: what it refuses, and that every format of it reads as it was written."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError
from tests.manifests import GRAPH, MANIFEST, SCHEMA, VECTOR

from signal_stream.errors import ManifestError
from signal_stream.registry import Golden, Manifest, Output

if TYPE_CHECKING:
    from collections.abc import Callable

FORMATS = Path(__file__).parents[1] / "data" / "formats" / "manifest"
GOLDEN = {"rows": 1, "inputs_sha256": GRAPH, "outputs_sha256": GRAPH, "difference_max": 0.0}
EMPTY = {"count": 0, "null_share": 1.0, "mean": None, "std": None, "min": None, "max": None}


@pytest.mark.parametrize("path", sorted(FORMATS.glob("*.json")), ids=lambda path: path.stem)
def test_a_manifest_of_every_format_reads_as_it_was_written(path: Path) -> None:
    text = path.read_text()
    manifest = Manifest.from_json(text)
    assert manifest.format == int(path.stem.partition("-")[2])
    assert manifest.to_json() == text
    assert manifest.digest == hashlib.sha256(text.encode()).hexdigest()
    assert Manifest.from_json(manifest.changed().to_json()) == manifest


@pytest.mark.parametrize("path", sorted(FORMATS.glob("*.json")), ids=lambda path: path.stem)
def test_fields_of_a_later_release_are_kept(path: Path) -> None:
    data = json.loads(path.read_text())
    for record in (data, data["output"], data["golden"], *data["training_distribution"].values()):
        record["of_a_later_release"] = [1, {"a": None}]
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    manifest = Manifest.from_json(text)
    assert manifest.to_json() == text
    assert manifest.changed(owner="Bob").changed(owner=manifest.owner) == manifest
    known = Manifest.from_json(path.read_text())
    assert (manifest.columns, manifest.output.index, manifest.files) == (known.columns, known.output.index, known.files)


def test_there_is_a_manifest_of_each_format() -> None:
    assert {path.stem for path in FORMATS.glob("*.json")} == {"format-0", "format-1", "format-2"}


def test_a_manifest_is_addressed_by_its_content() -> None:
    again = Manifest.from_json(MANIFEST.to_json())
    assert again == MANIFEST
    assert again.digest == hashlib.sha256(MANIFEST.to_json().encode()).hexdigest()
    assert MANIFEST.version == MANIFEST.digest[:12]
    assert json.loads(MANIFEST.to_json())["graph"] == MANIFEST.graph
    assert pickle.loads(pickle.dumps(MANIFEST)) == MANIFEST
    # the canonical form must never move: stored versions depend on it
    assert MANIFEST.changed(format=0).digest == "1c593264e5b576dd976d8df51dc61a6b56d36be395931666d0043c18f3144673"


def test_a_manifest_without_guards_is_of_the_format_that_earlier_releases_read() -> None:
    """The digest is the version: a model that is registered again by this release is the same version."""
    assert json.loads(MANIFEST.to_json())["format"] == 1
    assert "guards" not in json.loads(MANIFEST.to_json())


def test_every_field_is_in_the_digest() -> None:
    changes: dict[str, Any] = {
        **dict.fromkeys(("name", "kind", "signal", "graph_name", "label", "owner", "graph"), "other"),
        **dict.fromkeys(("horizon_ns", "refit_cadence_ns", "deadline_ns"), 1),
        **dict.fromkeys(("graph_digest", "schema_digest"), VECTOR),
        "columns": ("flow", "obi"),
        "dtype": "f64",
        "output": Output("probabilities", 0, 2),
        "fallback": "last_valid",
        "golden": Golden(17, GRAPH, SCHEMA, 1.8e-7),
        "training_distribution": {},
        "defaults": {},
        "files": {"model.onnx": GRAPH},
    }
    changes |= {"format": 0, "instruments": ("BTCUSDT.BINANCE",), "requirements": ("numpy>=1.26",), "stateful": True}
    changes |= {"guards": ({"kind": "band", "lowest": 1.5},)}
    assert set(changes) == set(Manifest.model_fields)
    needs = {"guards": {"format": 2}}
    digests = {MANIFEST.changed(**{name: value, **needs.get(name, {})}).digest for name, value in changes.items()}
    assert len(digests | {MANIFEST.digest}) == len(changes) + 1


def test_a_manifest_does_not_change() -> None:
    with pytest.raises(ValidationError):
        MANIFEST.owner = "Bob"  # type: ignore[misc]
    for mapping in (MANIFEST.defaults, MANIFEST.training_distribution, MANIFEST.files):
        with pytest.raises(TypeError):
            mapping["x"] = 1  # type: ignore[index]
    source = {"flow": 1.0}
    manifest = MANIFEST.changed(defaults=source)
    source["flow"] = 2.0
    assert manifest.defaults["flow"] == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "a@b"}, 'name = "a@b" is not a name'),
        ({"name": "../x"}, "is not a name"),
        ({"owner": " "}, "owner"),
        ({"horizon_ns": 0}, "horizon_ns = 0 is not a positive number"),
        ({"deadline_ns": 1.5}, "deadline_ns"),
        ({"deadline_ns": True}, "deadline_ns"),
        ({"graph_digest": "AB"}, "64 hex digits"),
        ({"dtype": "f16"}, "one of f32, f64"),
        ({"columns": ()}, "columns"),
        ({"columns": ("obi", "obi")}, "without repeats"),
        ({"output": Output("p", 2, 2)}, "an index below its size"),
        ({"fallback": "zero"}, "last_valid"),
        ({"golden": {**GOLDEN, "rows": 0}}, "golden.rows"),
        ({"golden": {**GOLDEN, "outputs_sha256": "x"}}, "golden.outputs_sha256"),
        ({"defaults": {"flw": 0.0}}, 'Did you mean "flow"?'),
        ({"defaults": {"flow": float("nan")}}, "a finite number"),
        ({"training_distribution": {"flw": EMPTY}}, "flow"),
        ({"training_distribution": {"obi": dict(EMPTY, mean=float("inf"))}}, "finite"),
        ({"files": {"../m": GRAPH}}, "a plain file name"),
        ({"files": {"m": "x"}}, "files.m"),
        ({"guards": ({"kind": "band"},)}, "format = 1 is not 2, which a manifest with guards has"),
        ({"guards": ({"lowest": 1},), "format": 2}, "a list of objects, each with a kind"),
        ({"guards": "band", "format": 2}, "a list of objects, each with a kind"),
    ],
)
def test_a_manifest_is_well_formed_or_not_at_all(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        MANIFEST.changed(**change)
    assert message in str(caught.value)
    assert caught.value.code == "BAD_VALUE"


@pytest.mark.parametrize(
    ("spoil", "code", "message"),
    [
        (lambda data: data.pop("owner"), "MISSING_KEY", 'missing key "owner"'),
        (lambda data: data["output"].pop("index"), "MISSING_KEY", 'missing key "output.index"'),
        (lambda data: data.update(format=3), "BAD_VALUE", "format = 3 is not one that this release reads"),
        (lambda data: data.update(instruments="BTC"), "BAD_VALUE", "a list of names"),
        (lambda data: data.update(columns="ab"), "BAD_VALUE", "a list"),
        (lambda data: data.update(defaults=[]), "BAD_VALUE", "an object"),
        (lambda data: data.update(golden=3), "UNREADABLE", "not a JSON object"),
        (lambda data: data["training_distribution"]["obi"].update(quantiles=[1]), "BAD_VALUE", "pairs"),
    ],
)
def test_reading_a_manifest_names_the_mistake(
    spoil: Callable[[dict[str, Any]], object], code: str, message: str
) -> None:
    data = json.loads(MANIFEST.to_json())
    spoil(data)
    with pytest.raises(ManifestError) as caught:
        Manifest.from_json(json.dumps(data), where="m.json")
    assert caught.value.code == code
    assert message in str(caught.value)
    assert "m.json" in str(caught.value) or code == "BAD_VALUE"
    with pytest.raises(ManifestError, match="not JSON"):
        Manifest.from_json("{")
