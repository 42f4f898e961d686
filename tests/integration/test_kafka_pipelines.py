"""Two pipelines share a topic in a group, from topic to topic: whatever moves or dies, each trade has one signal."""

from __future__ import annotations

import json
import signal
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LinearRegression
from tests.integration.test_kafka_group import PARTITIONS, numbered
from tests.kafka_broker import Broker
from tests.serving import Market, Served, wait_for

import signal_stream as ss
from signal_stream.ingest import Trade, read_tape, trades_batch
from signal_stream.registry import Registry
from signal_stream.research.onnx_file import save_onnx
from signal_stream.research.registration import Declaration, register
from signal_stream.testing import MarketSimulator

SIZE = 1_200
TRADE = 1
SOURCE = {"payload": "event", "lateness": "1h", "pace": None}


@pytest.fixture(scope="module")
def each_trade(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """A model that answers each trade once."""
    folder = tmp_path_factory.mktemp("each")
    graph = ss.FeatureGraph(name="micro", on=ss.trades, features={"price": ss.trades.price, "qty": ss.trades.qty})
    rows = [Trade(1_700_000_000_000_000_000 + n * 1_000, str(100 + n % 7), "1", "buy", id=n + 1) for n in range(100)]
    tape, batch = folder / "tape.arrow", pa.record_batch(trades_batch("P0.X", rows))
    with pa.ipc.new_file(tape, batch.schema) as file:
        file.write_batch(batch)
    table = ss.compute(graph, tape)
    pq.write_table(table, folder / "train.parquet")
    numbers = np.column_stack([table[name].to_numpy() for name in graph.features]).astype(np.float32)
    model = LinearRegression().fit(numbers, numbers[:, 0])
    onnx = save_onnx(model, folder / "model.onnx", columns=graph.features, rows=numbers, signal="up", horizon="1s")
    registry = folder / "registry"
    entry = register(graph, onnx, folder / "train.parquet", registry, Declaration("micro", "tests"), now=1)
    Registry(registry).promote(entry.ref, "live", by="tests", reason="tests", now=2)
    return Market(folder, tape, registry, graph, MarketSimulator(seed=1, duration_s=1.0))


def deploy(market: Market, folder: Path, url: str, out: str, name: str) -> Served:
    properties = folder / "client.properties"
    folder.mkdir(parents=True)
    properties.write_text("heartbeat.interval.ms=100\nreconnect.backoff.max.ms=200\n")
    sink = f'\n[[sink]]\nurl = "{out}"\ntransactional_id = "{name}"\nwhen_lagging = "wait"\n'
    served = market.deploy(folder, url=url, group="desk", properties="client.properties", more=sink, **SOURCE)
    text = served.deployment.read_text().replace('name = "micro"', f'name = "{name}"')
    served.deployment.write_text(text.replace('ref = "micro@live"', 'ref = "micro@live"\ninstruments = "any"'))
    return served


def partitions(served: Served) -> list[int]:
    found: list[int] = served.status().get("source", {}).get("partitions", [])
    return found


def test_pipelines_that_share_a_topic_give_each_trade_one_signal(
    broker: Broker, each_trade: Market, tmp_path: Path
) -> None:
    url, out = broker.topic("desk-in", partitions=PARTITIONS), broker.topic("desk-out", partitions=2)
    left = deploy(each_trade, tmp_path / "left", url, out, "left")
    right = deploy(each_trade, tmp_path / "right", url, out, "right")
    rounds = 0

    def load() -> None:
        nonlocal rounds
        broker.write("desk-in", iter(numbered(SIZE, rounds * SIZE)))
        rounds += 1

    def shared() -> bool:
        return sorted(partitions(left) + partitions(right)) == list(range(PARTITIONS)) and bool(partitions(right))

    try:
        load()
        first = left.start()
        wait_for(lambda: len(partitions(left)) == PARTITIONS, "the first has all partitions")
        load()
        right.start()
        load()
        wait_for(shared, "both have partitions")
        load()
        broker.stop(signal.SIGKILL)
        wait_for(lambda: left.status()["source"]["trouble"], "the status says that the broker is away")
        broker.start()
        load()
        first.send_signal(signal.SIGTERM)
        load()
        first.communicate(timeout=120)
        wait_for(lambda: len(partitions(right)) == PARTITIONS, "the second has all partitions")
        load()
        left.start()
        load()
        count = rounds * SIZE
        wait_for(lambda: left.count_signals() + right.count_signals() >= count, f"{count} signals", patience_s=120)
        sent = lambda: [json.loads(message.value)["signal_id"] for message in broker.read("desk-out")]  # noqa: E731
        wait_for(lambda: len(sent()) >= count, "all of them in the topic", patience_s=120)
        for process in (left.processes[-1], right.processes[-1]):
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=120)
        assert Counter(sent()) == Counter([*left.ids(), *right.ids()])
        assert set(Counter(sent()).values()) == {1}, "the topic has each signal once"
        assert len(sent()) == count
        trades = Counter(each for served in (left, right) for each in taped(served))
        assert len(trades) == count, "none is lost"
        assert set(trades.values()) == {1}, "none is on two tapes, or twice on one"
        assert min(len(left.ids()), len(right.ids())) > SIZE
    finally:
        left.end()
        right.end()


def taped(served: Served) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for batch in read_tape(*sorted((served.folder / "state" / "tape").glob("*.arrow"))):
        rows = pa.record_batch(batch)
        pairs = zip(rows["kind"].to_pylist(), rows["instrument"].to_pylist(), rows["sequence"].to_pylist(), strict=True)
        found += [(batch.instruments[i], sequence) for kind, i, sequence in pairs if kind == TRADE]
    return found
