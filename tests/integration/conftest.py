"""A market with a registered model, and pipelines that serve it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.serving import Deploy, Market, Served

if TYPE_CHECKING:
    from tests.kafka_broker import Broker

    from signal_stream.models import OnnxModel


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


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models."""
    from tests.onnx_workers import make_models  # only their tests need the writer of ONNX

    return make_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def slow(models: Path) -> Iterator[Callable[..., OnnxModel]]:
    """Makes the slow model; closes what it made."""
    from signal_stream.models import OnnxModel

    with contextlib.ExitStack() as made:

        def make(**options: Any) -> OnnxModel:
            model = OnnxModel(models / "slow.onnx", columns=("trips", "a", "b", "c"), output="Y", **options)
            return made.enter_context(model)

        yield make
