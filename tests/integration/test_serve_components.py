"""The parts of a pipeline as components: started together where they can be, and seen in the status."""

from __future__ import annotations

import json
import os
import threading
from typing import Any

import pytest
from tests.serving import Deploy, Market, Served, wait_for

from signal_stream.errors import ModelError, StateError
from signal_stream.registry import Registry
from signal_stream.serve import Pipeline, build, served_models, upkeep
from signal_stream.settings import load_deployment
from signal_stream.store.tape_log import seal

PARTS = [
    "state folder",
    "registry",
    "model micro@live",
    "journal",
    "tape",
    "sinks",
    "engines",
    "source",
    "line",
    "snapshots",
    "upkeep",
]
RECORDED = {"pace": "max", "when_full": "shed_oldest", "queue_rows": 10**6}
SMALL = "\n[tape]\nsegment_bytes = 65536\n"


def opened(served: Served) -> Pipeline:
    return Pipeline(build(load_deployment(served.deployment), path=served.deployment))


def with_two_models(deploy: Deploy, market: Market) -> Served:
    registry = Registry(market.registry)
    loaded = registry.load("micro@live")
    other = registry.register(
        loaded.manifest.model_copy(update={"name": "other"}), dict(loaded.files), by="tests", now=4
    )
    return deploy(more=f'\n[[model]]\nref = "{other.ref}"\n')


def test_models_start_at_the_same_time(deploy: Deploy, market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    served = with_two_models(deploy, market)
    both, start = threading.Barrier(2, timeout=60), served_models.start_model

    def waits(*args: Any, **more: Any) -> Any:
        both.wait()
        return start(*args, **more)

    monkeypatch.setattr(served_models, "start_model", waits)
    before = os.sched_getaffinity(0)
    with opened(served) as pipeline:
        assert os.sched_getaffinity(0) == before, "only the first question ties the line's thread to a CPU"
        assert [step.manifest.name for step in pipeline.signal_path.steps] == ["micro", "other"]
        assert pipeline.run().signals["PASS"] > 0


def test_a_model_that_does_not_start_ends_the_other_and_leaves_the_journal_alone(
    deploy: Deploy, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = with_two_models(deploy, market)
    start, made = served_models.start_model, []

    def fails(*args: Any, first: bool) -> Any:
        made.append(start(*args, first=first))
        if not first:
            made[-1].close()
            raise ModelError("WORKER", "no worker")
        return made[-1]

    monkeypatch.setattr(served_models, "start_model", fails)
    with pytest.raises(ModelError, match="no worker"):
        opened(served)
    assert [model.stats()["state"] for model in made] == ["CLOSED", "CLOSED"]
    assert not served.state.journal_folder.exists()
    monkeypatch.undo()
    opened(served).close()  # the folder was given back


def test_the_status_shows_each_part_and_what_the_line_does_now_and_then(deploy: Deploy) -> None:
    served = deploy()
    with opened(served) as pipeline:
        with pytest.raises(StateError, match="serves this state folder already"):
            opened(served)
        status = pipeline.run()
    assert [each["name"] for each in status.components] == PARTS
    assert {each["state"] for each in status.components} == {"READY"}
    assert all(each["uptime_ns"] > 0 and each["start_ns"] >= 0 for each in status.components)
    assert json.loads((served.state.folder / "status.json").read_text())["components"][0]["name"] == "state folder"
    assert {"status", "checkpoint", "sinks", "late rows"} <= {each["task"] for each in status.tasks}


def test_an_index_of_the_tape_that_lied_and_upkeep_that_fails_are_seen(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = deploy(**RECORDED, more=SMALL)
    with opened(served) as pipeline:
        pipeline.run()
    tape = served.state.folder / "tape"
    seal(tape, compress=True)
    index = tape / "index.jsonl"
    index.write_bytes(b"\0" * index.stat().st_size)

    def full(*_: object) -> None:
        raise OSError("no space is left")

    monkeypatch.setattr(upkeep, "LOOK_S", 0.0)
    monkeypatch.setattr(upkeep.Upkeep, "seal", full)
    with opened(served) as pipeline:

        def degraded() -> dict[str, str]:
            pipeline._parts.components.step()
            return {
                each["name"]: each["reason"] for each in pipeline.status().components if each["state"] == "DEGRADED"
            }

        found = wait_for(lambda: len(said := degraded()) == 2 and said, "both to be seen")
        assert found["upkeep"] == "OSError: no space is left"
        assert found["tape"].startswith("its index was made anew at the start: ")
        pipeline.status().write(served.state.folder)
        text = served.command("status")
    assert "DEGRADED" in text
    assert "  tape      its index was made anew at the start: " in text
    assert "  upkeep    OSError: no space is left" in text
