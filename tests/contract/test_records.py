"""Records: the signal's wire format, the manifest's content address, and what reading them back refuses."""

from __future__ import annotations

import hashlib
import json
import pickle
from dataclasses import FrozenInstanceError, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signal_stream.errors import JournalError, ManifestError
from signal_stream.records import (
    PASS,
    VETO,
    Distribution,
    Golden,
    Latency,
    Manifest,
    Output,
    SignalRecord,
    Verdict,
    canonical_json,
    signal_template,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from signal_stream._core import SignalTemplate

GRAPH, SCHEMA, VECTOR = (f"{n:064x}" for n in (10, 11, 12))
MANIFEST = Manifest(
    name="btc_micro",
    kind="onnx",
    signal="up_10s",
    horizon_ns=10_000_000_000,
    label="forward_return(10s) > 0",
    owner="Ann",
    refit_cadence_ns=7 * 86_400_000_000_000,
    graph_name="btc_micro",
    graph='{"features": {"z": 1, "a": 2}}',
    graph_digest=GRAPH,
    schema_digest=SCHEMA,
    columns=("obi", "flow"),
    dtype="f32",
    output=Output("probabilities", 1, 2),
    deadline_ns=5_000_000,
    fallback="veto",
    golden=Golden(16, GRAPH, SCHEMA, 1.8e-7),
    training_distribution={
        "obi": Distribution(90, 0.1, 0.5, 0.25, -1.0, 1.0, ((0.1, -0.5), (0.9, 0.75))),
        "flow": Distribution(0, 1.0, None, None, None, None),
    },
    defaults={"flow": 0.0},
)
TEMPLATE = signal_template(pipeline="live", tape="spot", manifest=MANIFEST)
INPUTS: dict[str, Any] = {
    "instrument": "BTCUSDT.BINANCE",
    "ts_event": 1723161254000000000,
    "ts_recv": 1723161254000000123,
    "vector_hash": VECTOR,
    "offset": 61022,
}


def write(template: SignalTemplate = TEMPLATE, **changes: Any) -> tuple[str, str]:
    """Id and text."""
    of: dict[str, Any] = {
        **INPUTS,
        "value": 0.618,
        "verdict": Verdict(PASS),
        "data_window_end": 1723161253999999999,
        "age_recv_ns": 8,
        "age_event_ns": 9,
        "latency": Latency(1, 2, 3, 4),
    } | changes
    verdict = of["verdict"]
    vector = SimpleNamespace(**of, digest=bytes.fromhex(of["vector_hash"]))
    signal_id, ts_recv, text = template.write(
        vector, of["value"], verdict.outcome, verdict.codes, verdict.defaults_used, of["latency"]
    )
    assert ts_recv == of["ts_recv"]
    return signal_id, text


def signal_id(template: SignalTemplate = TEMPLATE, **changes: Any) -> str:
    return write(template, **changes)[0]


def render(**changes: Any) -> str:
    return write(**changes)[1]


def test_the_signal_is_what_api_says() -> None:
    expected = {
        "signal_id": signal_id(),
        "signal": "up_10s",
        "instrument": "BTCUSDT.BINANCE",
        "value": 0.618,
        "verdict": "PASS",
        "codes": [],
        "model_id": "btc_micro",
        "model_version": MANIFEST.version,
        "feature_graph_hash": GRAPH,
        "schema_hash": SCHEMA,
        "vector_hash": VECTOR,
        "ts_event": 1723161254000000000,
        "ts_recv": 1723161254000000123,
        "data_window_end": 1723161253999999999,
        "data_age_ns": 9,
        "tape": {"name": "spot", "offset": 61022},
        "defaults_used": [],
        "latency_ns": {"features": 1, "model": 2, "guards": 3, "emit": 4},
    }
    assert render() == json.dumps(expected)
    veto = render(value=None, ts_event=None, verdict=Verdict(VETO, ("STALE", "KILLED"), ("a", "b"), ("flow",)))
    expected |= {
        "signal_id": signal_id(ts_event=None),
        "value": None,
        "ts_event": None,
        "verdict": "VETO",
        "codes": ["STALE", "KILLED"],
    }
    assert veto == json.dumps(expected | {"defaults_used": ["flow"]})


@pytest.mark.parametrize(
    ("recv", "event", "age"), [(8, 9, 9), (9, 8, 9), (8, None, 8), (None, 8, None), (None, None, None)]
)
def test_the_age_is_that_of_the_oldest_input(recv: int | None, event: int | None, age: int | None) -> None:
    text = render(age_recv_ns=recv, age_event_ns=event)
    assert SignalRecord.from_json(text).lineage.data_age_ns == age


@given(
    instrument=st.text(),
    value=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    codes=st.lists(st.text()),
    defaults=st.lists(st.text()),
)
def test_every_signal_is_json_as_json_dumps_writes_it(
    instrument: str, value: float | None, codes: list[str], defaults: list[str]
) -> None:
    verdict = Verdict(PASS, tuple(codes), (), tuple(defaults))
    text = render(instrument=instrument, value=value, verdict=verdict)
    assert json.dumps(json.loads(text)) == text
    record = SignalRecord.from_json(text)
    assert (record.instrument, record.value, record.verdict) == (instrument, value, verdict)
    assert record.lineage.tape.offset == 61022
    assert record.latency == Latency(1, 2, 3, 4)


def test_the_id_can_be_computed_by_anybody() -> None:
    lines = ["signal-stream/1", "live", "btc_micro", MANIFEST.version, *(str(INPUTS[key]) for key in INPUTS)]
    assert signal_id() == hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


@pytest.mark.parametrize(
    "change",
    [
        {"instrument": "X"},
        {"ts_event": None},
        {"ts_event": 1},
        {"ts_recv": 1},
        {"vector_hash": GRAPH},
        {"offset": 0},
    ],
)
def test_the_id_covers_every_input(change: dict[str, Any]) -> None:
    assert signal_id(**change) != signal_id()


def test_the_id_covers_pipeline_and_model_but_not_the_tapes_name() -> None:
    own = signal_id()
    ids = {
        signal_id(signal_template(pipeline=pipeline, tape=tape, manifest=manifest))
        for pipeline, tape, manifest in (
            ("other", "spot", MANIFEST),
            ("live", "spot", replace(MANIFEST, owner="Bob")),
            ("live", "spot", replace(MANIFEST, name="other")),
        )
    }
    assert len(ids | {own}) == 4
    assert signal_id(signal_template(pipeline="live", tape="renamed", manifest=MANIFEST)) == own


def test_a_stage_stands_on_the_signal_and_not_in_its_id() -> None:
    shadow = signal_template(pipeline="live", tape="spot", manifest=MANIFEST, stage="shadow")
    (plain_id, plain), (id_, text) = write(), write(shadow)
    assert id_ == plain_id
    assert text.replace('"stage": "shadow", ', "") == plain
    assert SignalRecord.from_json(text).stage == "shadow"
    assert not SignalRecord.from_json(text).speaks
    assert SignalRecord.from_json(plain).stage is None
    assert SignalRecord.from_json(plain).speaks
    later = json.dumps(json.loads(text) | {"of_a_later_release": 1})
    assert SignalRecord.from_json(later) == SignalRecord.from_json(text)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-1],
        lambda text: text.replace('"signal"', '"sign"'),
        lambda text: text.replace('"offset"', '"place"'),
        lambda text: "[]",
        lambda text: "{}",
    ],
)
def test_reading_a_signal_refuses_anything_else(spoil: Callable[[str], str]) -> None:
    with pytest.raises(JournalError, match="a signal cannot be read"):
        SignalRecord.from_json(spoil(render()))


def test_canonical_json_has_one_text() -> None:
    assert canonical_json({"b": [1, 0.1, None, "é"], "a": {"d": 1, "c": 2}}) == (
        '{"a":{"c":2,"d":1},"b":[1,0.1,null,"é"]}'
    )
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))


def test_a_manifest_is_addressed_by_its_content() -> None:
    again = Manifest.from_json(MANIFEST.to_json())
    assert again == MANIFEST
    assert again.digest == hashlib.sha256(MANIFEST.to_json().encode()).hexdigest()
    assert MANIFEST.version == MANIFEST.digest[:12]
    assert json.loads(MANIFEST.to_json())["graph"] == MANIFEST.graph
    assert pickle.loads(pickle.dumps(MANIFEST)) == MANIFEST
    # the canonical form must never move: stored versions depend on it
    assert MANIFEST.digest == "1c593264e5b576dd976d8df51dc61a6b56d36be395931666d0043c18f3144673"


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
    assert set(changes) == set(Manifest.__dataclass_fields__)
    digests = {replace(MANIFEST, **{name: value}).digest for name, value in changes.items()}
    assert len(digests | {MANIFEST.digest}) == len(changes) + 1


def test_a_manifest_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        MANIFEST.owner = "Bob"  # type: ignore[misc]
    for mapping in (MANIFEST.defaults, MANIFEST.training_distribution, MANIFEST.files):
        with pytest.raises(TypeError):
            mapping["x"] = 1  # type: ignore[index]
    source = {"flow": 1.0}
    manifest = replace(MANIFEST, defaults=source)
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
        ({"golden": Golden(0, GRAPH, GRAPH, 0.0)}, "golden.rows"),
        ({"golden": Golden(1, GRAPH, "x", 0.0)}, "golden.outputs_sha256"),
        ({"defaults": {"flw": 0.0}}, 'Did you mean "flow"?'),
        ({"defaults": {"flow": float("nan")}}, "a finite number"),
        ({"training_distribution": {"flw": Distribution(0, 1.0, None, None, None, None)}}, "flow"),
        ({"training_distribution": {"obi": Distribution(0, 1.0, float("inf"), None, None, None)}}, "finite"),
        ({"files": {"../m": GRAPH}}, "a plain file name"),
        ({"files": {"m": "x"}}, "files.m"),
    ],
)
def test_a_manifest_is_well_formed_or_not_at_all(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        replace(MANIFEST, **change)
    assert message in str(caught.value)
    assert caught.value.code == "BAD_VALUE"


@pytest.mark.parametrize(
    ("spoil", "code", "message"),
    [
        (
            lambda data: data.update(horizn=1),
            "UNKNOWN_KEY",
            'unknown key "horizn". Did you mean "horizon_ns"?',
        ),
        (lambda data: data.pop("owner"), "MISSING_KEY", 'missing key "owner"'),
        (lambda data: data["output"].update(x=1), "UNKNOWN_KEY", "output"),
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
