"""Topics among merged feeds: each message once, whatever is cut, killed or moved, and the same bits again."""

from __future__ import annotations

import gzip
import json
import random
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from tests.integration.test_kafka_group import PARTITIONS, QUICK, Member, numbered
from tests.kafka_broker import Broker
from tests.kafka_topics import rows_of
from tests.serving import Market, wait_for

from signal_stream import _core
from signal_stream.errors import TapeError
from signal_stream.ingest import read_tape
from signal_stream.ingest.merged_source import MergedSource
from signal_stream.testing import MarketSimulator

MARK = 6
SHARED: dict[str, Any] = {"kind": "merged", "queue_rows": 65_536, "lateness": "0ms", "late": "drop", "patience": "30s"}


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Market:
    return Market.make(tmp_path_factory.mktemp("short"), seconds=10.0, clock="50ms")


def lines_of(capture: Path) -> list[bytes]:
    with gzip.open(capture, "rb") as file:
        return file.read().splitlines()


def written(folder: Path, lines: list[bytes]) -> Path:
    path = folder / "other.capture"
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


@pytest.mark.parametrize("partitions", [1, 3])
def test_merged_feeds_go_on_behind_any_message(broker: Broker, short: Market, tmp_path: Path, partitions: int) -> None:
    capture, topic = tmp_path / "market.gz", f"any-{partitions}"
    MarketSimulator(seed=3, duration_s=40.0).write_capture(capture)
    lines = lines_of(capture)
    broker.topic(topic, partitions=partitions)
    of_topic = (line for number, line in enumerate(lines) if number % 4)
    broker.write(topic, ((None, line, [], number % partitions) for number, line in enumerate(of_topic)))
    other = written(tmp_path, lines[::4])
    draw = random.Random(partitions)

    def reading(position: bytes | None) -> _core.LiveSource:
        size = draw.choice((7, 100, 4_096))
        of_topic = _core.kafka(broker.servers, topic, payload="line", venue="binance", to_end=True, batch_messages=size)
        merged = _core.Feed.fan_in([of_topic, _core.Feed.files([other])], 60.0)
        return _core.LiveSource(merged, pace="max", queue_rows=1, position=position)

    whole = reading(None)
    batches = []
    while whole.end is None:
        batches += [batch for batch in [whole.next(1.0)] if batch is not None]
    whole.close()
    expected = rows_of(batches)
    assert sorted(expected["ts_recv"].to_pylist()) == sorted(rows_of(read_tape(capture))["ts_recv"].to_pylist())
    found, position, readings, ended = list[_core.EventBatch](), None, 0, False
    while not ended:
        again = reading(position)
        readings += 1
        batch = again.next(5.0)
        if batch is not None:
            found.append(batch)
            position = again.position
        ended = again.end is not None
        again.close()
    assert readings > 2
    assert rows_of(found).equals(expected)


def merged(feeds: list[dict[str, Any]], **more: Any) -> str:
    """`[source]` of merged feeds, as TOML."""
    text = "\n".join(f"{key} = {json.dumps(value)}" for key, value in (SHARED | more).items())
    for feed in feeds:
        text += "\n[[source.feed]]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in feed.items())
    return text


def deployed(market: Market, folder: Path, feeds: list[dict[str, Any]], **more: Any) -> Any:
    served = market.deploy(folder)
    text = served.deployment.read_text()
    begin, end = text.index("[source]\n") + len("[source]\n"), text.index("[[model]]")
    served.deployment.write_text(text[:begin] + merged(feeds, **more) + "\n\n" + text[end:])
    return served


def test_a_topic_and_a_file_that_grows_are_served_killed_and_replayed(
    broker: Broker, short: Market, tmp_path: Path
) -> None:
    """What is on the tape, in whatever order it came, was used once; and what was made of it is made again."""
    lines = lines_of(short.capture)
    url, other = broker.topic("killed", partitions=2), tmp_path / "other.capture"
    other.touch()
    feeds = [
        {"url": url, "payload": "line", "venue": "binance"},
        {"url": f"file://{other}", "follow": True, "venue": "binance"},
    ]
    served = deployed(short, tmp_path / "served", feeds, patience="20ms", pace="max")
    pieces, used = 3, 0
    size = len(lines) // pieces
    try:
        for piece in range(pieces):
            process = served.start()
            part = lines[piece * size : (piece + 1) * size]
            broker.write("killed", ((None, line, [], n % 2) for n, line in enumerate(part) if n % 4))
            with other.open("ab") as file:
                file.write(b"".join(line + b"\n" for line in part[::4]))
            seen = served.count_signals()
            wait_for(lambda seen=seen: served.count_signals() > seen + 3, "more signals")
            process.send_signal(signal.SIGKILL)
            process.communicate()
        (served.state.folder / "status.json").unlink()
        process = served.start()
        used = size * pieces
        wait_for(lambda: on_tape(served) >= used, f"{used} messages on the tape")
        wait_for(lambda: served.status(), "this process serves")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    finally:
        served.end()
    key = [("ts_recv", "ascending"), ("kind", "ascending"), ("sequence", "ascending"), ("price", "ascending")]
    keys = [name for name, _ in key]
    found = rows_of([each for each in tape_of(served) if each.messages]).select(keys)
    marks = pc.not_equal(found["kind"], MARK)
    expected = written(tmp_path, lines[:used])
    assert found.filter(marks).sort_by(key).equals(rows_of(read_tape(expected)).select(keys).sort_by(key))
    assert "SAME BITS" in served.command("replay", "--sample", "30")


def on_tape(served: Any) -> int:
    try:
        return sum(each.messages - rows_of([each])["kind"].to_pylist().count(MARK) for each in tape_of(served))
    except TapeError:
        return 0  # a segment has just been begun


def tape_of(served: Any) -> list[_core.EventBatch]:
    paths = sorted((served.folder / "state" / "tape").glob("*.arrow"))
    return list(read_tape(*paths)) if paths else []


class Desk(Member):
    """A member that merges two topics, in a group each."""

    def feed(self, broker: Broker, topic: str) -> _core.Feed:
        topics = [topic, f"{topic}-more"]
        feeds = [_core.kafka(broker.servers, each, payload="event", group=each, properties=QUICK) for each in topics]
        return _core.Feed.fan_in(feeds, 0.01)

    @property
    def partitions(self) -> list[int]:
        feeds = json.loads(self._reading.counts()["stats"])["feeds"]
        return [
            place
            for number, feed in enumerate(feeds)
            for place in (100 * number + p for p in feed.get("partitions", ()))
        ]


def test_groups_of_merged_topics_read_each_message_once(broker: Broker) -> None:
    topics, size = ("desks", "desks-more"), 1_200
    for topic in topics:
        broker.topic(topic, partitions=PARTITIONS)
    everywhere = sorted(100 * number + p for number in range(2) for p in range(PARTITIONS))
    members: list[Desk] = []
    given = lambda: [each for member in members for each in member.given]  # noqa: E731

    def write(number: int) -> None:
        for place, topic in enumerate(topics):
            broker.write(topic, iter(numbered(size, (2 * number + place) * size)))

    def shared(*desks: Desk) -> bool:
        return sorted(each for desk in desks for each in desk.partitions) == everywhere and all(
            desk.partitions for desk in desks
        )

    try:
        write(0)
        members.append(Desk(broker, "desks"))
        wait_for(lambda: shared(members[0]), "the first has all partitions")
        members.append(Desk(broker, "desks"))
        write(1)
        wait_for(lambda: shared(*members), "both have partitions")
        write(2)
        members[0].leave()
        wait_for(lambda: shared(members[1]), "the second has all partitions")
        write(3)
        wait_for(lambda: len(given()) >= 8 * size, f"{8 * size} messages")
    finally:
        for member in members:
            member.leave()
    assert not [member.failure for member in members if member.failure]
    seen = Counter(given())
    assert (len(seen), set(seen.values())) == (8 * size, {1})


def test_a_topic_among_feeds_has_its_own_history(broker: Broker, short: Market, tmp_path: Path) -> None:
    """Until the end that the topic had at the start there are no signals, of no feed."""
    lines = lines_of(short.capture)
    cut = len(lines) // 2
    url, other = broker.topic("past"), written(tmp_path, lines[:cut:4])
    broker.write("past", ((None, line, [], 0) for n, line in enumerate(lines[:cut]) if n % 4))
    feeds = [
        {"url": url, "payload": "line", "venue": "binance", "history": "1h"},
        {"url": f"file://{other}", "follow": True, "venue": "binance"},
    ]
    served = deployed(short, tmp_path / "served", feeds, patience="20ms", pace="max")
    used = lambda: served.status().get("counts", {}).get("input", 0)  # noqa: E731
    try:
        process = served.start()
        wait_for(lambda: used() >= cut, "the history to be used")
        assert served.count_signals() == 0, "a history is silent"
        wait_for(lambda: served.status()["source"]["feeds"][0]["history"]["ended"], "the topic to be at its end")
        # The topic says no more: that it stands behind its history does not wait for its next message.
        with other.open("ab") as file:
            file.write(b"".join(line + b"\n" for line in lines[cut:]))
        wait_for(lambda: used() >= len(lines), "the rest to be used")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    finally:
        served.end()
    assert "history  " in out
    assert served.count_signals() > 50
    assert all(each.lineage.tape.offset > cut for each in served.signals())


def test_what_signals_rest_on_is_that_of_each_topic(tmp_path: Path) -> None:
    topic = {"url": "kafka://b:1/t", "payload": "event"}
    feeds = [topic, {"url": "file:///x", "follow": True}, topic | {"url": "kafka://b:1/u", "group": "g"}]
    source = MergedSource(MergedSource.Settings.read(SHARED | {"feed": feeds}))
    places = [{"format": 1, "offsets": {"0": [12, 0], "3": [5, 2]}}, {"messages": 3}, {"offsets": {"0": [1, 0]}}]
    position = json.dumps({"feeds": [json.dumps(each) for each in places]}).encode()
    inputs = source.inputs_at(position, "s")
    assert inputs is not None
    assert [tuple(each) for each in inputs.offsets] == [("t", 0, 12, 0), ("t", 3, 5, 2)], "a group's are its own affair"
    assert inputs.snapshot == "s"
    handed = json.dumps({"history_messages": 4, "live": position.decode()}).encode()
    assert source.inputs_at(handed, "s") == inputs
    assert source.inputs_at(b'{"history_messages":4}', "s") is None


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"history": ["file:///past.gz"]}, "feed 1: a history of files is of all feeds"),
        ({"instruments": "x.toml"}, "feed 1: instruments is said once for all feeds"),
        ({"venue": "binance"}, 'feed 1: payload = "event" is of no one venue'),
        ({"lateness": "1s"}, "feed 1: lateness is said once for all feeds"),
    ],
)
def test_what_is_wrong_with_a_topic_among_feeds(more: dict[str, str], words: str) -> None:
    feeds = [{"url": "kafka://b:1/t", "payload": "event"} | more, {"url": "file:///x", "follow": True}]
    settings = MergedSource.Settings.read(SHARED | {"feed": feeds})
    assert words in next(settings.problems()).message
