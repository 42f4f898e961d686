"""Records: the signal's wire format, the manifest's content address, and what reading them back refuses."""

from __future__ import annotations

import hashlib
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.manifests import GRAPH, MANIFEST, SCHEMA, VECTOR

from signal_stream.errors import JournalError
from signal_stream.records import PASS, VETO, Latency, SignalRecord, Verdict, canonical_json, signal_template

if TYPE_CHECKING:
    from collections.abc import Callable

    from signal_stream._core import SignalTemplate

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
            ("live", "spot", MANIFEST.changed(owner="Bob")),
            ("live", "spot", MANIFEST.changed(name="other")),
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
