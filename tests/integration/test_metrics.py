"""Are the numbers that others scrape those of the pipeline, whatever names are in them, and is what happened told once?"""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from tests.integration.test_gateway import address, get, listening
from tests.serving import Deploy, Market, Served, wait_for

from signal_stream.guards import CODES
from signal_stream.monitor import events
from signal_stream.monitor.changes import changes
from signal_stream.monitor.events import EVENTS
from signal_stream.monitor.exposition import exposition
from signal_stream.monitor.label import OTHER, VALUES_MAX
from signal_stream.monitor.log import EventLog
from signal_stream.monitor.look import look
from signal_stream.monitor.model_metrics import MODEL, STAGE_NAME
from signal_stream.monitor.pipeline_metrics import ALWAYS, PIPELINE


def samples(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Numbers by metric and labels, as another reader of the format finds them; without `pipeline`."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "pipeline"))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


@pytest.fixture(scope="module")
def found(market: Market, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is found of a pipeline that was served to its end, with an observer and a sink."""
    served = market.deploy(tmp_path_factory.mktemp("whole"))
    served.serve()
    return look(served.state.folder, now=time.time_ns())


def test_each_number_is_the_status_s(found: dict[str, Any]) -> None:
    read = samples(exposition(found, pipeline="micro", events={}).decode())
    signals, messages = read["signal_stream_signals_total"], read["signal_stream_messages_total"]
    assert {dict(labels)["verdict"]: n for labels, n in signals.items() if n} == found["signals"]
    assert sum(messages.values()) == found["counts"]["input"]
    for stage, latency in found["latency_ns"].items():
        assert read[f"{STAGE_NAME}_count"][(("stage", stage),)] == latency["count"]
        assert read[f"{STAGE_NAME}_sum"][(("stage", stage),)] == pytest.approx(latency["sum"] / 1e9)
        assert read[f"{STAGE_NAME}_bucket"][(("le", "0.001"), ("stage", stage))] == latency["at_most"]["1000000"]
    states = {dict(labels)["state"]: n for labels, n in read["signal_stream_state"].items()}
    assert [state for state, n in states.items() if n] == ["STOPPED"]


def test_each_metric_is_there_and_named_as_is_usual(found: dict[str, Any]) -> None:
    observers = [{"name": "tape-0", "shown": 3, "waiting": 0, "dropped": 1, "failed": 0, "last_error": ""}]
    servers = [{"name": "metrics", "listen": "127.0.0.1:1", "state": "OK", "error": ""}]
    made = [{"name": "journal", "state": "READY"}], [{"task": "status", "overruns": 0}]
    more = {
        "components": made[0],
        "tasks": made[1],
        "observers": observers,
        "gateway": {"restarts": 0, "servers": servers},
        "refused": {"JSON": 1},
    }
    source = found["source"] | {"silent_ns": 1, "venue_delay_ns": {"least": -5, "p50": 1, "p99": 2}}
    full = found | more | {"source": source}
    read = samples(exposition(full, pipeline="micro", events=dict.fromkeys((each.kind for each in EVENTS), 0)).decode())
    assert {metric.name for metric in (*ALWAYS, *PIPELINE, *MODEL)} <= read.keys()
    for metric in (*ALWAYS, *PIPELINE, *MODEL):
        assert metric.name.startswith("signal_stream_")
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert not metric.name.removesuffix("_total").endswith(("_ns", "_ms", "_count"))
    assert len(read["signal_stream_monitor_events_total"]) == len(EVENTS)


def test_a_pipeline_that_was_never_served_has_a_state(tmp_path: Path) -> None:
    read = samples(exposition(look(tmp_path, now=1), pipeline="micro", events={}).decode())
    assert read["signal_stream_state"][(("state", "NEVER SERVED"),)] == 1


@given(text=st.text(max_size=300), many=st.sets(st.text(max_size=20), min_size=40, max_size=60))
def test_hostile_text_is_a_label_and_nothing_else(found: dict[str, Any], text: str, many: set[str]) -> None:
    model = found["models"][0] | {"name": text, "owner": text, "codes": dict.fromkeys(many, 1)}
    sink = found["sinks"][0] | {"sink": f"redis://me:{'secret'}@{text}"}
    hostile = found | {"models": (model,), "sinks": (sink,), "refused": dict.fromkeys(many, 1)}
    body = exposition(hostile, pipeline=text, events={})
    usual = exposition(found, pipeline="micro", events={})
    read, before = samples(body.decode()), samples(usual.decode())
    assert read.keys() - {"signal_stream_refused_total"} == before.keys()
    assert sum(read["signal_stream_refused_total"].values()) == len(many)
    codes = read["signal_stream_signal_codes_total"]
    assert sum(codes.values()) == len(many)
    assert VALUES_MAX + 1 >= len(codes) >= len(CODES)
    assert all(len(value) <= 120 for family in read.values() for labels in family for _, value in labels)
    assert b"secret" not in body
    assert len(many) <= VALUES_MAX or any(dict(labels)["code"] == OTHER for labels in codes)


class Closed:
    """A stream whose reader is gone."""

    def write(self, _text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


@given(text=st.text(max_size=1000))
def test_an_event_is_one_line(text: str) -> None:
    import io

    event = events.SinkDegraded(sink=text, error=text, model=text)
    stream = io.StringIO()
    EventLog(stream, form="json", pipeline=text).write(event, now=1723161371400000000)
    (line,) = stream.getvalue().splitlines()
    said = json.loads(line)
    assert (said["event"], said["code"], said["level"]) == ("sink_degraded", "SINK_DEGRADED", "error")
    assert said["timestamp"] == "2024-08-08T23:56:11.400Z"
    stream = io.StringIO()
    EventLog(stream, form="console", pipeline=text).write(event, now=1)
    assert stream.getvalue().count("\n") == 1
    EventLog(Closed(), form="json", pipeline=text).write(event, now=1)  # type: ignore[arg-type]


def nothing(found: dict[str, Any]) -> dict[str, Any]:
    return {}


def of_model(**more: Any) -> Any:
    return lambda found: {"models": ({**found["models"][0], **more},)}


def of_sink(**more: Any) -> Any:
    return lambda found: {"sinks": ({**found["sinks"][0], **more},)}


def of(key: str, **more: Any) -> Any:
    return lambda found: {key: {**(found[key] or {}), **more}}


OBSERVER = {"name": "o", "shown": 1, "waiting": 0, "dropped": 0, "failed": 0, "last_error": ""}
HAPPENED: list[tuple[Any, Any, list[events.Event]]] = [
    (nothing, nothing, []),
    (nothing, lambda _: {"state": "DEAD", "reason": "gone"}, [events.StateChanged(before="STOPPED", now="DEAD", reason="gone")]),
    (nothing, lambda _: {"health": {"overall": "CRITICAL", "reasons": ("a", "b")}},
     [events.HealthChanged(before="DEGRADED", now="CRITICAL", reasons="a; b")]),
    (nothing, lambda _: {"started_at": 7, "serving": True, "pid": 9}, [events.PipelineBegan(pid=9)]),
    (nothing, of_model(deaths=2, last_error="x"), [events.WorkerRestarted(model="micro", number=2, error="x")]),
    (nothing, of_model(hangs=1), [events.WorkerRestarted(model="micro", number=1)]),
    (of_model(deaths=5), of_model(deaths=1), [events.WorkerRestarted(model="micro", number=1)]),
    (of_model(state="READY"), lambda f: {"serving": True} | of_model(state="DOWN", last_error="y")(f),
     [events.ModelUnready(model="micro", error="y")]),
    (of_model(state="DOWN"), of_model(state="READY"), [events.ModelReady(model="micro")]),
    (nothing, of_model(deadline_misses=3), [events.DeadlineMissed(model="micro", number=3)]),
    (nothing, of_model(registry="live is b"), [events.ModelMoved(model="micro", registry="live is b")]),
    (nothing, of_sink(sink="s", state="DEGRADED", error="full"), [events.SinkDegraded(sink="s", error="full")]),
    (of_sink(sink="s", state="DEGRADED"), of_sink(sink="s", state="OK"), [events.SinkRecovered(sink="s")]),
    (of_sink(sink="s", skipped=1), of_sink(sink="s", skipped=4), [events.SinkSkipped(sink="s", number=3)]),
    (nothing, of("counts", gaps=2, missing=7), [events.SourceGap(number=2, missing=7)]),
    (nothing, of("source", shed_messages=4), [events.MessagesShed(number=4)]),
    (nothing, of("refused", JSON=4), [events.MessagesRefused(number=4)]),
    (nothing, lambda _: {"latches": ("all killed",)}, [events.LatchSet(latch="all killed")]),
    (lambda _: {"latches": ("all killed",)}, nothing, [events.LatchRearmed(latch="all killed")]),
    (nothing, of("journal", upkeep_failure="disk"), [events.TaskFailed(task="upkeep", error="disk")]),
    (of("journal", snapshot_failure="disk"), nothing, [events.TaskRecovered(task="snapshot")]),
    (lambda _: {"observers": (OBSERVER,)}, lambda _: {"observers": (OBSERVER | {"dropped": 2},)},
     [events.ObserverDropped(observer="o", dropped=2)]),
    (of("gateway", restarts=0), of("gateway", restarts=1), [events.GatewayRestarted(number=1)]),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "told"), HAPPENED, ids=[str(told) for *_, told in HAPPENED])
def test_what_happened_is_told_once(found: dict[str, Any], before: Any, after: Any, told: list[events.Event]) -> None:
    then, now = found | before(found), found | after(found)
    assert list(changes(then, now)) == told
    assert list(changes(now, now)) == []


def test_each_event_is_told_by_some_change() -> None:
    told = {type(event) for *_, made in HAPPENED for event in made}
    assert set(EVENTS) - told == {events.ListenerDegraded, events.Listening}, "those are the gateway's own"
    assert [replace(kind(), model="m").model for kind in EVENTS] == ["m"] * len(EVENTS)


def test_a_served_pipeline_is_scraped_and_what_happens_to_it_is_logged(deploy: Deploy) -> None:
    served: Served = listening(deploy, pace="1x")
    process = served.start()
    at = address(served)
    served.wait_serving()
    before = served.status()["models"][0]
    os.kill(before["pids"][0], signal.SIGKILL)

    def restarted() -> dict[str, Any]:
        read = samples(get(f"{at}/metrics")[1])
        happened = read["signal_stream_monitor_events_total"]
        return read if happened[(("event", "worker_restarted"),)] else {}

    read = wait_for(restarted, "a scrape that tells of the worker's end")
    assert read["signal_stream_model_worker_deaths_total"][(("model", "micro"),)] == 1
    assert read["signal_stream_state"][(("state", "SERVING"),)] == 1
    assert 0 < read["signal_stream_model_data_age_seconds"][(("model", "micro"),)] < 60
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    lines = [json.loads(line) for line in err.splitlines()]
    (line,) = [line for line in lines if line["event"] == "worker_restarted"]
    assert (line["pipeline"], line["model"], line["code"]) == ("micro", "micro", "WORKER_RESTARTED")
    assert "listening" in {line["event"] for line in lines}
