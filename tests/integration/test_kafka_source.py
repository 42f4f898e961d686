"""A Kafka topic as a source, on a real broker: nothing lost, nothing twice, and in order."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import random
import re
import signal
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from tests.kafka_broker import Broker
from tests.kafka_topics import fill, messages_of, rows_of
from tests.serving import Market, computed, forked, wait_for

from signal_stream import _core
from signal_stream.emit import KafkaSink
from signal_stream.errors import SettingsError, TapeError
from signal_stream.ingest import read_tape
from signal_stream.ingest.kafka_source import KafkaSource

PAYLOADS = ("frame", "line", "event", "arrow")
SIZES = (1, 2, 7, 100)
"""Messages that are taken at a time."""
CRASHES = int(os.environ.get("SIGNAL_STREAM_CRASHES", "6"))
"""50 were run for what the documentation says; they take minutes."""
SOURCE = {"lateness": "0ms", "late": "drop", "pace": None, "queue_rows": 65_536, "when_full": "block"}


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Market:
    return Market.make(tmp_path_factory.mktemp("short"), seconds=20.0, clock="50ms")


def reading_of(
    broker: Broker, topic: str, payload: str, *, position: bytes | None = None, **more: Any
) -> _core.LiveSource:
    venue = "binance" if payload in ("frame", "line") else None
    feed = _core.kafka(broker.servers, topic, payload=payload, venue=venue, **more)
    return _core.LiveSource(feed, pace="max", position=position)


def read_to_end(reading: _core.LiveSource) -> list[_core.EventBatch]:
    batches = []
    while reading.end is None:
        batch = reading.next(1.0)
        if batch is not None:
            batches.append(batch)
    return batches


def records_of(reading: _core.LiveSource) -> list[dict[str, Any]]:
    return [json.loads(record) for record in reading.counts()["records"]]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_every_payload_gives_the_events_of_the_file(broker: Broker, short: Market, payload: str) -> None:
    fill(broker, f"all-{payload}", short.capture, payload)
    reading = reading_of(broker, f"all-{payload}", payload, to_end=True)
    assert rows_of(read_to_end(reading)).equals(rows_of(read_tape(short.capture)))
    (record,) = records_of(reading)
    assert record["messages"] == sum(batch.messages for batch in read_tape(short.capture))
    assert json.loads(reading.counts()["stats"])["lag_messages"] == 0


def test_a_line_that_is_behind_gets_every_trade_and_diff_and_the_newest_quote(broker: Broker, short: Market) -> None:
    fill(broker, "behind", short.capture, "event")
    whole = rows_of(read_tape(short.capture))
    feed = _core.kafka(broker.servers, "behind", payload="event", to_end=True)
    reading = _core.LiveSource(feed, pace="max", queue_rows=10_000_000, conflate="latest")
    until = time.monotonic() + 60
    while reading.counts()["queue_rows"] < whole.num_rows:
        assert time.monotonic() < until, reading.counts()
    batch = reading.next(1.0)
    assert batch is not None
    found = rows_of([batch])
    names = [name for name in whole.column_names if name in found.column_names]

    def of(table: pa.Table, kind: int) -> list[dict[str, Any]]:
        return [row for row in table.select(names).to_pylist() if row["kind"] == kind]

    trade, quote, diff = 1, 2, 3
    for kind in (trade, diff):
        assert of(found, kind) == of(whole, kind)
    assert of(found, quote) == of(whole, quote)[-2:]
    left_out = len(of(whole, quote)) // 2 - 1
    assert left_out > 100
    assert reading.counts()["conflated_messages"] == left_out
    rest = reading_of(broker, "behind", "event", to_end=True, position=reading.position)
    assert read_to_end(rest) == [], "the position is behind what was left out, too"


@pytest.mark.parametrize("payload", ["line", "event"])
def test_several_partitions_come_in_the_order_of_arrival(broker: Broker, short: Market, payload: str) -> None:
    topic = f"dealt-{payload}"
    fill(broker, topic, short.capture, payload, partitions=5)
    found = rows_of(read_to_end(reading_of(broker, topic, payload, to_end=True)))
    times = found["ts_recv"].cast(pa.int64()).to_pylist()
    assert times == sorted(times), "a partition that is read later is not late"
    key = [
        ("ts_recv", "ascending"),
        ("kind", "ascending"),
        ("sequence", "ascending"),
        ("side", "ascending"),
        ("price", "ascending"),
    ]
    assert found.sort_by(key).equals(rows_of(read_tape(short.capture)).sort_by(key))


def test_a_topic_is_merged_with_other_feeds(broker: Broker, short: Market, tmp_path: Path) -> None:
    with gzip.open(short.capture, "rb") as file:
        lines = file.read().splitlines()
    path, topic = tmp_path / "half.capture", "half"
    path.write_bytes(b"".join(line + b"\n" for line in lines[::2]))
    broker.topic(topic)
    broker.write(topic, ((None, line, [], 0) for line in lines[1::2]))
    of_topic = _core.kafka(broker.servers, topic, payload="line", venue="binance", to_end=True)
    merged = _core.Feed.fan_in([_core.Feed.files([path]), of_topic], 60.0)
    found = rows_of(read_to_end(_core.LiveSource(merged, pace="max")))
    assert found.equals(rows_of(read_tape(short.capture)))


@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize("payload", ["event", "arrow"])
def test_a_reading_goes_on_at_any_position(broker: Broker, short: Market, payload: str, partitions: int) -> None:
    topic = f"positions-{payload}-{partitions}"
    fill(broker, topic, short.capture, payload, partitions=partitions)
    whole = rows_of(read_to_end(reading_of(broker, topic, payload, to_end=True)))
    draw, sizes = random.Random(partitions), SIZES if payload == "event" else SIZES[:2]
    position, batches, readings = None, list[_core.EventBatch](), 0
    while True:
        reading = reading_of(broker, topic, payload, to_end=True, position=position, batch_messages=draw.choice(sizes))
        readings += 1
        for _ in range(draw.randrange(1, 4)):
            batch = reading.next(5.0)
            if batch is not None:
                batches.append(batch)
                position = reading.position
        ended = reading.end is not None
        reading.close()
        if ended:
            break
    assert readings > 5
    assert rows_of(batches).equals(whole)


def test_what_cannot_be_decoded_is_set_aside_with_its_bytes(broker: Broker, short: Market) -> None:
    broker.topic("poisoned")
    broker.topic("set-aside")
    messages = list(messages_of(short.capture, "event"))
    first = messages[0][1]
    poison = [b"\x02" + first[1:], b"\x01\xff" + first[2:], first[:1] + b"\x06" + first[2:], first + first[-20:]]
    at = [10, 11, 500, len(messages) - 1]
    mixed = list(messages)
    for place, bad in sorted(zip(at, poison, strict=True), reverse=True):
        mixed.insert(place, ("key", bad, [], 0))
    broker.write("poisoned", iter(mixed))
    reading = reading_of(broker, "poisoned", "event", to_end=True, dead_letters="set-aside")
    assert rows_of(read_to_end(reading)).equals(rows_of(read_tape(short.capture)))
    counts = reading.counts()
    (record,) = records_of(reading)
    assert record["inputs"] == len(messages) + 4 == record["messages"] + sum(record["rejects"].values())
    assert counts["rejects"]["faults"] == 4
    assert counts["rejects"]["first"][0].startswith("poisoned/0:10 ")
    found = broker.read("set-aside")
    assert [message.value for message in found] == poison
    places = [place + i for i, place in enumerate(at)]
    assert [int(message.headers["offset"]) for message in found] == places
    assert {message.headers["topic"] for message in found} == {b"poisoned"}
    assert [message.headers["reason"].partition(b":")[0] for message in found] == [
        *(b"UNKNOWN_FRAME", b"BAD_VALUE", b"BAD_VALUE", b"BAD_VALUE")
    ]
    assert found[0].key == "key"


def test_more_poison_than_allowed_ends_the_pipeline(broker: Broker, short: Market, tmp_path: Path) -> None:
    url = broker.topic("poison-only")
    broker.write("poison-only", (("AB.X", b"\x02" * 64, [], 0) for _ in range(2_000)))
    served = short.deploy(tmp_path, url=url, payload="event", until="end", **SOURCE)
    said = served.command("serve", "deployment.toml", exit_code=2)
    assert "refused 2,000 of 2,000 lines" in said


def test_messages_that_were_removed_are_no_silence(broker: Broker, short: Market) -> None:
    fill(broker, "removed", short.capture, "event")
    reading = reading_of(broker, "removed", "event", to_end=True, batch_messages=100)
    assert reading.next(5.0) is not None
    position = reading.position
    reading.close()
    broker.remove_before("removed", sum(batch.messages for batch in read_tape(short.capture)) - 10)
    again = reading_of(broker, "removed", "event", to_end=True, position=position)
    with pytest.raises(_core.CoreError, match="what comes next was removed from the topic") as gone:
        read_to_end(again)
    assert gone.value.args[0] == "TRUNCATED"


def test_errors_say_what_to_do(broker: Broker) -> None:
    settings = KafkaSource.Settings(
        url=broker.url("not-there"), payload="event", queue_rows=1, lateness="0s", late="drop"
    )
    source = KafkaSource(settings)
    with pytest.raises(TapeError, match=r"not-there: .*make the topic, or name another") as missing:
        source.open(None)
    assert missing.value.code == "NOT_FOUND"


def test_a_build_without_tls_says_how_to_make_one_with(tmp_path: Path) -> None:
    """Properties that need TLS are refused before anything is connected, or used by a build that has it."""
    properties = tmp_path / "client.properties"
    properties.write_text("security.protocol=SASL_SSL\nsasl.mechanisms=SCRAM-SHA-256\n")
    settings = KafkaSource.Settings(
        url="kafka://127.0.0.1:1/a", payload="event", queue_rows=1, lateness="0s", late="drop", properties=properties
    )
    with pytest.raises((SettingsError, TapeError), match="make build CORE_FEATURES=kafka-tls"):
        KafkaSource(settings).open(None)


def test_a_group_has_no_end_and_no_history_of_its_own() -> None:
    common = {"url": "kafka://b:1/a", "payload": "event", "queue_rows": 1, "lateness": "0s", "late": "drop"}
    said = lambda **more: [problem.key for problem in KafkaSource.Settings(**common, **more).problems()]  # type: ignore[arg-type]  # noqa: E731
    assert said(group="g", member="m") == said(history=("6h",)) == said(history=("2026-11-27T06:00:00Z",)) == []
    assert said(group="g", until="end") == ["until"]
    assert said(group="g", history=("6h",)) == said(history=("6 hours",)) == said(history=("soon",)) == ["history"]
    assert said(member="m") == ["member"]
    assert said(pace="8x") == ["pace"]


@pytest.mark.parametrize("own", [True, False], ids=["topic", "file"])
def test_a_history_is_silent_and_nothing_is_used_twice(
    broker: Broker, short: Market, tmp_path: Path, own: bool
) -> None:
    """Of the topic itself, up to its end at the start; or of a file, of which the topic has a part as well."""
    with gzip.open(short.capture, "rb") as file:
        lines = file.read().splitlines()
    cut, topic = len(lines) // 2, f"history-{own}"
    messages = [(None, line, [], 0) for line in lines]
    url = broker.topic(topic)
    broker.write(topic, iter(messages[:cut] if own else messages[cut - 100 : cut]))
    past = tmp_path / "past.capture"
    past.write_bytes(b"".join(line + b"\n" for line in lines[:cut]))
    history = "1h" if own else f"file://{past}"
    served = short.deploy(tmp_path / "served", url=url, payload="line", venue="binance", history=history, **SOURCE)
    process = served.start()
    used: Callable[[], int] = lambda: served.status().get("counts", {}).get("input", 0)  # noqa: E731
    wait_for(lambda: used() >= cut, "the history to be used")
    assert served.count_signals() == 0, "a history is silent"
    broker.write(topic, iter(messages[cut:]))
    whole = short.deploy(tmp_path / "whole")
    whole.serve()
    behind = [each.value for each in whole.signals() if each.lineage.tape.offset > cut]
    wait_for(lambda: used() == len(lines), f"{len(lines)} messages")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert f"history  {cut:,} messages up to " in out
    assert [each.value for each in served.signals()] == behind
    assert len(behind) > 100
    assert (served.status()["counts"]["duplicate"], served.status()["counts"]["gaps"]) == (0, 0)


@pytest.mark.parametrize("payload", ["frame", "event"])
def test_serving_a_topic_is_serving_the_file(broker: Broker, short: Market, tmp_path: Path, payload: str) -> None:
    """A topic that has the name of the file gives its signals, ids and digests included."""
    of_file = short.deploy(tmp_path / "file")
    of_file.serve()
    topic = f"same-{payload}"
    link = tmp_path / topic
    link.symlink_to(short.capture)
    of_file = short.deploy(tmp_path / "linked", url=f"file://{link}")
    of_file.serve()
    url = fill(broker, topic, short.capture, payload)
    venue = "binance" if payload == "frame" else None
    of_topic = short.deploy(tmp_path / "topic", url=url, payload=payload, venue=venue, until="end", **SOURCE)
    of_topic.serve()
    assert computed(of_topic.signals()) == computed(of_file.signals())
    assert len(of_topic.ids()) > 300
    assert of_topic.status()["counts"] == of_file.status()["counts"]
    assert "SAME BITS" in of_topic.command("replay", "--sample", "20")


def test_crashes_from_topic_to_topic(broker: Broker, short: Market, tmp_path: Path) -> None:
    url = fill(broker, "in", short.capture, "event", partitions=1)
    out = broker.topic("out")
    sink = f'\n[[sink]]\nurl = "{out}"\ntransactional_id = "line"\nwhen_lagging = "wait"\n'
    whole = short.deploy(tmp_path / "whole", url=url, payload="event", until="end", **SOURCE)
    whole.serve()
    expected = computed(whole.signals())
    served = short.deploy(tmp_path / "served", url=url, payload="event", until="end", more=sink, **SOURCE)
    draw = random.Random(17)
    interrupted = 0
    for crash, enough in enumerate(sorted(draw.randrange(len(expected)) for _ in range(CRASHES))):
        process = forked(served)
        until = time.monotonic() + (30 if crash % 5 else draw.uniform(0, 0.6))
        while process.is_alive() and time.monotonic() < until and served.count_signals() <= enough:
            time.sleep(0.0005)
        interrupted += process.is_alive()
        process.kill()
        process.join()
    assert interrupted > CRASHES / 2
    served.serve()
    assert computed(served.signals()) == expected
    assert [json.loads(message.value)["signal_id"] for message in broker.read("out")] == [each[0] for each in expected]
    events = rows_of(list(read_tape(*sorted((served.folder / "state" / "tape").glob("*.arrow")))))
    assert events.equals(rows_of(read_tape(short.capture))), "the tape holds each event once"


def test_what_signals_rest_on_is_committed_with_them(broker: Broker, short: Market, tmp_path: Path) -> None:
    url, out = broker.topic("lost-in"), broker.topic("lost-out")
    events = list(messages_of(short.capture, "event"))
    sink = '\n[[sink]]\nurl = "{}"\ntransactional_id = "{}"\nwhen_lagging = "wait"\n'
    whole = short.deploy(tmp_path / "whole", url=url, payload="event", until="end", **SOURCE)
    whole.serve()
    served = short.deploy(tmp_path / "lost", url=url, payload="event", more=sink.format(out, "lost"), **SOURCE)
    process = served.start()
    for begin in range(0, len(events), len(events) // 10):
        seen = served.count_signals()
        broker.write("lost-in", iter(events[begin : begin + len(events) // 10]))
        wait_for(lambda seen=seen: served.count_signals() > seen, "more signals")  # type: ignore[misc]
    wait_for(lambda: len(broker.read("lost-out")) > 100, "signals in the topic")
    process.kill()
    process.communicate()
    sent = [json.loads(message.value) for message in broker.read("lost-out")]
    (place,) = broker.committed("lost.cursor", "lost-in")
    noted = json.loads(place.metadata or "")
    assert noted["format"] == 1
    assert noted["events"] == 0
    assert 0 < place.offset < sent[-1]["tape"]["offset"], "never ahead of what the signals rest on"
    resting = [each.signal_id for each in served.signals() if each.lineage.tape.offset <= place.offset]
    assert resting
    assert {each["signal_id"] for each in sent} >= set(resting), "all signals of what lies before were sent"
    again = short.deploy(
        tmp_path / "again", url=url, payload="event", group="lost.cursor", more=sink.format(out, "lost-2"), **SOURCE
    )
    process = again.start()
    left = len(events) - place.offset
    wait_for(lambda: again.status().get("source", {}).get("messages") == left, f"{left} messages")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)


def test_a_broker_that_is_stopped_and_started_under_load(broker: Broker, short: Market, tmp_path: Path) -> None:
    all_of_them = list(messages_of(short.capture, "event"))
    url = broker.topic("interrupted")
    served = short.deploy(tmp_path, url=url, payload="event", **SOURCE)
    process = served.start()
    cuts = [0, len(all_of_them) // 3, 2 * len(all_of_them) // 3, len(all_of_them)]
    messages: Callable[[], int] = lambda: served.status().get("source", {}).get("messages", -1)  # noqa: E731
    for begin, end in itertools.pairwise(cuts):
        broker.write("interrupted", iter(all_of_them[begin:end]))
        wait_for(lambda end=end: messages() == end, f"{end} messages")  # type: ignore[misc]
        if end < len(all_of_them):
            broker.stop(signal.SIGKILL if begin == 0 else signal.SIGTERM)
            wait_for(lambda: served.status()["source"]["trouble"], "the status says that the broker is away")
            broker.start()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert rows_of(list(read_tape(*sorted((tmp_path / "state" / "tape").glob("*.arrow"))))).equals(
        rows_of(read_tape(short.capture))
    )


def test_the_compose_file_has_the_topics_of_the_page() -> None:
    root = Path(__file__).parents[2]
    compose = yaml.safe_load((root / "deploy" / "kafka.yaml").read_text())
    kafka = compose["services"]["kafka"]
    assert kafka["image"].partition(":")[2] in (root / "tests" / "broker" / "pom.xml").read_text(), (
        "the version of the tests"
    )
    assert kafka["ports"] == ["127.0.0.1:9092:9092"], "this machine only"
    page = (root / "docs" / "kafka.md").read_text()
    (made,) = compose["services"]["topics"]["command"]
    for topic in re.findall(r"kafka://localhost:9092/([a-z.]+)", page):
        assert topic in made
    for section in re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL):
        tables = tomllib.loads(section)
        for table, settings in [("sink", KafkaSink.Settings), ("source", KafkaSource.Settings)]:
            for keys in [tables[table]] if isinstance(tables.get(table), dict) else tables.get(table, []):
                assert list(settings.read(keys).problems()) == []
