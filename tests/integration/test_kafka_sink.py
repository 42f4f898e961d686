"""The Kafka sink on a real broker: a reader of committed messages sees each signal once, whatever dies."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from tests.kafka_broker import Broker
from tests.serving import Market, Served, forked, wait_for

from signal_stream.emit import KafkaSink
from signal_stream.emit.kafka_cursor import Cursor, group_of
from signal_stream.errors import SettingsError, SinkError
from signal_stream.settings import load_deployment
from signal_stream.testing import check_sink, sample_signals

CRASHES = int(os.environ.get("SIGNAL_STREAM_CRASHES", "6"))
"""50 were run for what the documentation says; they take minutes."""


def ids(broker: Broker, topic: str) -> list[str]:
    return [json.loads(message.value)["signal_id"] for message in broker.read(topic)]


def sink_of(url: str, writer: str = "line", **more: Any) -> KafkaSink:
    return KafkaSink(KafkaSink.Settings(url=url, transactional_id=writer, **more))


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Market:
    return Market.make(tmp_path_factory.mktemp("short"), seconds=40.0, clock="50ms")


def deploy(market: Market, folder: Path, url: str, writer: str, **source: Any) -> Served:
    more = f'\n[[sink]]\nurl = "{url}"\ntransactional_id = "{writer}"\nwhen_lagging = "wait"\n'
    return market.deploy(folder, more=more, **source)


def test_a_topic_is_a_sink(broker: Broker) -> None:
    url = broker.topic("conforms")
    assert check_sink(lambda: sink_of(url, "conforms"), read=lambda: ids(broker, "conforms")) == 308


def test_what_a_message_says(broker: Broker) -> None:
    url = broker.topic("messages", partitions=3)
    sink = sink_of(url, "messages")
    assert sink.open(None) == ""
    records = sample_signals(3)
    sink.send(records)
    sink.close()
    found = broker.read("messages")
    assert [message.value.decode() for message in found] == [record.body for record in records]
    assert {message.key for message in found} == {"BTCUSDT.BINANCE"}
    assert len({message.partition for message in found}) == 1, "an instrument's signals are in order"
    assert [message.headers for message in found] == [
        {"signal_stream": b"1", "writer": b"messages", "seq": b"%d" % record.seq} for record in records
    ]


def test_a_topic_takes_amendments(broker: Broker, tmp_path: Path) -> None:
    url = broker.topic("amended", partitions=3)

    def read() -> list[str]:
        return [json.loads(message.value)["amendment_id"] for message in broker.read("amended")]

    assert check_sink(lambda: sink_of(url, "amended", gets="amendments"), read=read, gets="amendments") == 308
    assert {message.key for message in broker.read("amended")} == {"möwe"}, "a graph's amendments are in order"
    market = Market.make(tmp_path / "market", seconds=4.0, axis="event")
    market.delay_frames()
    url = broker.topic("served")
    sink = f'\n[[sink]]\nurl = "{url}"\ntransactional_id = "served"\nwhen_lagging = "wait"\ngets = "amendments"\n'
    served = market.deploy(tmp_path / "served", more=sink, lateness="20ms", late="amend", amend_within="3s")
    for _ in range(2):  # the second run has nothing to add
        served.serve()
        found = [record.body for record in served.state.reader().records(kind="amendment")]
        assert [message.value.decode() for message in broker.read("served")] == found
        assert len(found) >= 5


class Dies:
    """A producer that kills its process around one of its calls."""

    def __init__(self, producer: Any, call: str, *, after: bool) -> None:
        self._producer, self._call, self._after = producer, call, after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._producer, name)

        def called(*words: Any, **more: Any) -> Any:
            if name == self._call and not self._after:
                os.kill(os.getpid(), signal.SIGKILL)
            found = method(*words, **more)
            if name == self._call:
                os.kill(os.getpid(), signal.SIGKILL)
            return found

        return called


def send_and_die(url: str, writer: str, call: str, after: bool) -> None:
    sink = sink_of(url, writer)
    sink.open(None)
    sink.send(sample_signals(5))
    sink._producer = Dies(sink._producer, call, after=after)
    sink.send(sample_signals(5, first=5))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("call", ["begin_transaction", "produce", "send_offsets_to_transaction", "commit_transaction"])
def test_killed_at_every_point_of_a_transaction(broker: Broker, call: str, after: bool) -> None:
    name = f"dies-{call}-{after}".replace("_", "-")
    url = broker.topic(name)
    process = multiprocessing.get_context("spawn").Process(target=send_and_die, args=(url, name, call, after))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    records = sample_signals(12)
    sink = sink_of(url, name)
    held = sink.open(None)
    first = [record.key for record in records].index(str(held)) + 1
    assert first == (10 if call == "commit_transaction" and after else 5)
    sink.send(records[first:])
    sink.close()
    assert ids(broker, name) == [record.key for record in records]


def test_what_another_process_committed_meanwhile_is_not_sent_again(broker: Broker) -> None:
    url = broker.topic("meanwhile")
    early, late = sink_of(url, "meanwhile"), sink_of(url, "meanwhile")
    records = sample_signals(10)
    assert early.open(None) == ""
    assert late.open(None) == ""
    late.send(records[:4])
    with pytest.raises(SinkError, match=r"CHANGED|meanwhile"):
        early.send(records[:2])
    assert early.open(None) == records[3].key
    early.send(records[4:8])
    with pytest.raises(SinkError) as fenced:
        late.send(records[4:])
    assert fenced.value.code == "LOCKED"
    assert "transactional_id" in str(fenced.value)
    early.close()
    late.close()
    assert ids(broker, "meanwhile") == [record.key for record in records[:8]]


def test_the_cursor_is_committed_with_its_signals_and_not_without(broker: Broker) -> None:
    """Without the search through the topic, which would find the signals anyway."""
    url = broker.topic("cursor")
    sink = sink_of(url, "cursor")
    sink.open(None)
    records = sample_signals(4)
    large = records[3].__class__(3, records[3].ts, "signal", records[3].key, records[3].body + " " * 1_100_000)
    sink.send(records[:2])
    with pytest.raises(SinkError):
        sink.send([records[2], large])
    sink.close()
    (place,) = broker.committed(group_of("cursor"), "cursor")
    assert Cursor.of(place.metadata) == Cursor(records[1].key, records[1].seq)
    assert sink.open(None) == records[1].key
    sink.send(records[2:])
    sink.close()
    assert ids(broker, "cursor") == [record.key for record in records]


def test_a_broker_that_forgot_the_cursor(broker: Broker) -> None:
    """As after offsets.retention.minutes: the topic itself says what is there, among the signals of others."""
    url = broker.topic("forgot", partitions=2)
    records = sample_signals(20)
    for writer, sent in (("mine", records[:7]), ("theirs", records[:9]), ("mine", records[7:10])):
        sink = sink_of(url, writer)
        sink.open(None)
        sink.send(sent)
        sink.close()
    broker.forget_group(group_of("mine"))
    sink = sink_of(url, "mine")
    assert sink.open(None) == records[9].key
    assert sink.tail() == [record.body for record in records[:10]]
    sink.send(records[10:])
    sink.close()
    mine = [message for message in broker.read("forgot") if message.headers["writer"] == b"mine"]
    assert sorted(int(message.headers["seq"]) for message in mine) == list(range(20))


def test_a_signal_that_is_too_large_is_refused_by_its_name(broker: Broker) -> None:
    url = broker.topic("large")
    sink = sink_of(url, "large")
    sink.open(None)
    small = sample_signals(2)
    large = small[1].__class__(1, small[1].ts, "signal", small[1].key, small[1].body + " " * 1_100_000)
    with pytest.raises(SinkError) as refused:
        sink.send([small[0], large])
    assert (refused.value.code, refused.value.value) == ("REFUSED", large.key)
    sink.close()
    assert ids(broker, "large") == []
    assert sink.open(None) == ""
    sink.send(small)
    sink.close()
    assert ids(broker, "large") == [record.key for record in small]


def test_no_topic_and_no_broker(broker: Broker, tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="nothing-here"):
        sink_of(broker.url("nothing-here")).open(None)
    with pytest.raises(SinkError, match="is not to be had"):
        sink_of("kafka://127.0.0.1:1/signals").open(None)
    properties = tmp_path / "client.properties"
    properties.write_text("# ours\nclient.id=desk\n\ntransactional.id=other\n")
    with pytest.raises(SettingsError, match=r"client.properties:4.*transactional.id is set by signal-stream"):
        sink_of(broker.url("x"), properties=properties)


def test_a_deployment_without_a_name_for_its_transactions(short: Market, tmp_path: Path) -> None:
    served = short.deploy(tmp_path, more='\n[[sink]]\nurl = "kafka://localhost:9092"\ntransactional_id = "a"\n')
    with pytest.raises(SettingsError, match=r'"kafka://localhost:9092" is not "kafka://HOST:PORT/TOPIC"'):
        load_deployment(served.deployment)
    served = short.deploy(tmp_path, more='\n[[sink]]\nurl = "kafka://localhost:9092/signals"\n')
    with pytest.raises(SettingsError, match="transactional_id"):
        load_deployment(served.deployment)


def test_crashes_of_the_line(short: Market, broker: Broker, tmp_path: Path) -> None:
    url = broker.topic("crashes")
    whole = short.deploy(tmp_path / "whole")
    whole.serve()
    expected = whole.ids()
    served = deploy(short, tmp_path / "served", url, "crashes", pace="20x")
    chance = random.Random(5)
    interrupted = 0
    for enough in sorted(chance.randrange(len(expected)) for _ in range(CRASHES)):
        process = forked(served)
        until = time.monotonic() + 30
        while process.is_alive() and time.monotonic() < until and served.count_signals() < enough:
            time.sleep(0.001)
        interrupted += process.is_alive()
        process.kill()
        process.join()
    assert interrupted > CRASHES / 2
    served.serve()
    assert served.ids() == expected
    assert ids(broker, "crashes") == expected


def test_a_broker_that_is_killed_and_started_under_load(short: Market, broker: Broker, tmp_path: Path) -> None:
    url = broker.topic("outage")
    served = deploy(short, tmp_path / "served", url, "outage", pace="4x")
    process = served.start()
    for seen in (50, 300):
        wait_for(lambda seen=seen: served.count_signals() > seen, "signals")  # type: ignore[misc]
        broker.stop(signal.SIGKILL if seen == 50 else signal.SIGTERM)
        wait_for(lambda: degraded(served), "the sink is called degraded")
        broker.start()
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    wait_for_all(served)
    assert ids(broker, "outage") == served.ids()
    assert len(served.ids()) > 500


def degraded(served: Served) -> bool:
    return any(sink["state"] == "DEGRADED" and sink["sink"].startswith("kafka:") for sink in served.status()["sinks"])


def wait_for_all(served: Served) -> None:
    """The end waits for a sink for 5 s only: another start sends what was left."""
    served.serve()
