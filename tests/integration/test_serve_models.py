"""Which models a pipeline serves, and what it says of them while it does."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.serving import Market

from signal_stream.commands.status import lines, look
from signal_stream.errors import RegistryError
from signal_stream.registry import Registry
from signal_stream.serve import Pipeline
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
        Pipeline(load_deployment(path), path=path)
    assert caught.value.code == "STAGE"


def test_status_tells_that_the_served_version_is_no_longer_live(market: Market, tmp_path: Path) -> None:
    registry = Registry(market.registry)
    path = market.deploy(tmp_path / "served").deployment
    with Pipeline(load_deployment(path), path=path) as pipeline:
        assert [model["stage"] for model in pipeline.status().models] == [""]
        ref = registry.promote("micro@live", "retired", by="tests", reason="tests", now=3).ref
        said = f"{ref} is retired, no longer live: none is live"
        assert [model["stage"] for model in pipeline.status().models] == [said]
        folder = pipeline.deployment.pipeline.state
        pipeline.status().write(folder)
        assert any(said in line for line in lines(folder, look(folder, now=time.time_ns())))
