"""A market with a registered model, and pipelines that serve it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.kafka_broker import Broker
from tests.serving import Deploy, Market, Served


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    return Market.make(tmp_path_factory.mktemp("market"))


@pytest.fixture
def deploy(market: Market, tmp_path: Path) -> Iterator[Deploy]:
    """Makes deployments; ends their processes after the test."""
    made: list[Served] = []

    def make(name: str = "served", **settings: Any) -> Served:
        made.append(market.deploy(tmp_path / name, **settings))
        return made[-1]

    yield make
    for served in made:
        served.end()


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A Kafka broker that runs. A test that stops it starts it again."""
    broker = Broker(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.close()
