"""Which models a pipeline serves, and what it says of them while it does."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.serving import Market

from signal_stream.commands.status import lines, look
from signal_stream.errors import ModelError, RegistryError
from signal_stream.registry import Registry
from signal_stream.serve import Pipeline, build
from signal_stream.settings import load_deployment


@pytest.fixture
def market(tmp_path: Path) -> Market:
    return Market.make(tmp_path / "market", seconds=3.0, trees=2)


@pytest.mark.parametrize("stage", ["shadow", "retired"])
def test_a_version_that_may_not_speak_is_not_served_and_the_way_out_is_named(
    market: Market, tmp_path: Path, stage: str
) -> None:
    registry = Registry(market.registry)
    ref = registry.promote("micro@live", stage, by="tests", reason="tests", now=3).ref
    path = market.deploy(tmp_path / "served").deployment
    path.write_text(path.read_text().replace("micro@live", ref))
    with pytest.raises(RegistryError, match=f"models promote {ref} live") as caught:
        Pipeline(build(load_deployment(path), path=path))
    assert caught.value.code == "STAGE"


def test_status_tells_that_the_served_version_is_no_longer_live(market: Market, tmp_path: Path) -> None:
    registry = Registry(market.registry)
    path = market.deploy(tmp_path / "served").deployment
    with Pipeline(build(load_deployment(path), path=path)) as pipeline:
        assert [model["stage"] for model in pipeline.status().models] == [""]
        ref = registry.promote("micro@live", "retired", by="tests", reason="tests", now=3).ref
        said = f"{ref} is retired, no longer live: none is live"
        assert [model["stage"] for model in pipeline.status().models] == [said]
        folder = pipeline.deployment.pipeline.state
        pipeline.status().write(folder)
        assert any(said in line for line in lines(folder, look(folder, now=time.time_ns())))


def served_with(market: Market, folder: Path, **files: Any) -> Path:
    """A deployment of the live version with files of its own: what somebody else's registration may have left."""
    registry = Registry(market.registry)
    live = registry.load("micro@live")
    kept: dict[str, Any] = dict(live.files) | {
        name.replace("_", "."): json.dumps(change(json.loads(live.files[name.replace("_", ".")].read_bytes()))).encode()
        for name, change in files.items()
    }
    entry = registry.register(replace(live.manifest, files={}), kept, by="tests", now=5)
    registry.promote(entry.ref, "live", by="tests", reason="tests", now=6)
    return market.deploy(folder).deployment


def test_a_model_that_answers_otherwise_than_at_registration_is_not_served(market: Market, tmp_path: Path) -> None:
    path = served_with(
        market, tmp_path / "s", golden_json=lambda golden: golden | {"outputs": [x + 1e-3 for x in golden["outputs"]]}
    )
    with pytest.raises(ModelError, match=r"answers golden row \d+ with") as caught:
        Pipeline(build(load_deployment(path), path=path))
    assert caught.value.code == "GOLDEN"


def test_a_model_of_another_graphs_table_is_not_served(market: Market, tmp_path: Path) -> None:
    path = served_with(market, tmp_path / "s", training_json=lambda training: training | {"graph_digest": "0" * 64})
    with pytest.raises(ModelError, match=r"fitted on a table of graph 000000000000…"):
        Pipeline(build(load_deployment(path), path=path))


def test_golden_rows_are_not_counted_as_answers(market: Market, tmp_path: Path) -> None:
    path = market.deploy(tmp_path / "served").deployment
    with Pipeline(build(load_deployment(path), path=path)) as pipeline:
        assert [model["answers"] for model in pipeline.status().models] == [0]
        status = pipeline.run()
        assert [model["answers"] for model in status.models] == [
            sum(status.signals.values()) - status.codes.get("INCOMPLETE", 0)
        ]
