"""A market with a registered model, and pipelines that serve it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.serving import Deploy, Market, Served

if TYPE_CHECKING:
    from tests.kafka_broker import Broker


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


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A Kafka broker that runs, one a module: other tests look for processes left behind. Who stops it starts it again."""
    from tests.kafka_broker import Broker  # only its tests need the client

    broker = Broker(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.close()
