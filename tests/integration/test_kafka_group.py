"""Several pipelines share a Kafka topic: partitions move between them, and no message is lost or used twice."""

from __future__ import annotations

import itertools
import json
import signal
import threading
from collections import Counter
from collections.abc import Iterator

import pyarrow as pa
import pytest
from tests.kafka_broker import Broker
from tests.serving import wait_for

from signal_stream import _core
from signal_stream.ingest import Trade, trades_batch

PARTITIONS = 6
QUICK = [("heartbeat.interval.ms", "100"), ("reconnect.backoff.max.ms", "200")]
"""Members hear of a change at the next heartbeat: by default after up to three seconds."""
Messages = list[tuple[str | None, bytes, list[tuple[str, bytes]], int]]


def numbered(count: int, begin: int = 0) -> Messages:
    """Trades with a number of their own, an instrument a partition."""
    made: dict[int, tuple[str | None, bytes, list[tuple[str, bytes]], int]] = {}
    for partition in range(PARTITIONS):
        numbers = [number for number in range(begin, begin + count) if number % PARTITIONS == partition]
        times = [1_700_000_000_000_000_000 + number * 1_000 for number in numbers]
        rows = [Trade(ts, "100", "1", "buy", id=number + 1) for ts, number in zip(times, numbers, strict=True)]
        packed = _core.pack_events(trades_batch(f"P{partition}.X", rows)) if rows else []
        made |= {number: (key, value, [], partition) for number, (key, value) in zip(numbers, packed, strict=True)}
    return [made[number] for number in sorted(made)]


class Member:
    """One member of a group: reads on a thread, and keeps what it was given as a pipeline's log does."""

    def __init__(self, broker: Broker, topic: str) -> None:
        self.given: list[tuple[str, int]] = []
        self.failure: Exception | None = None
        self._reading = _core.LiveSource(self.feed(broker, topic), pace="max")
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def feed(self, broker: Broker, topic: str) -> _core.Feed:
        return _core.kafka(broker.servers, topic, payload="event", group=topic, properties=QUICK)

    @property
    def partitions(self) -> list[int]:
        found: list[int] = json.loads(self._reading.counts()["stats"])["partitions"]
        return found

    @property
    def trouble(self) -> str | None:
        found: str | None = json.loads(self._reading.counts()["stats"])["trouble"]
        return found

    def _run(self) -> None:
        try:
            while self._reading.end is None:
                batch = self._reading.next(0.02)
                if batch is not None:
                    rows = pa.record_batch(batch)
                    names = [batch.instruments[i] for i in rows["instrument"].to_pylist()]
                    self.given += zip(names, rows["sequence"].to_pylist(), strict=True)
        except Exception as error:  # noqa: BLE001  for the test to show
            self.failure = error

    def leave(self) -> None:
        """Takes what is in its queue, and gives its partitions to the others."""
        self._reading.stop()
        self._thread.join()
        self._reading.close()


class Group:
    """Members that come and go."""

    def __init__(self, broker: Broker, topic: str) -> None:
        self._broker, self._topic = broker, topic
        broker.topic(topic, partitions=PARTITIONS)
        self.members: list[Member] = []
        self.gone: list[Member] = []

    def join(self) -> None:
        self.members.append(Member(self._broker, self._topic))
        wait_for(lambda: self.is_shared() or self.failures(), "the partitions are shared")
        assert not self.failures()

    def leave(self) -> None:
        self.gone.append(self.members.pop(0))
        self.gone[-1].leave()

    def is_shared(self) -> bool:
        held = [each for member in self.members for each in member.partitions]
        return sorted(held) == list(range(PARTITIONS)) and all(member.partitions for member in self.members)

    def failures(self) -> list[Exception]:
        return [member.failure for member in [*self.members, *self.gone] if member.failure is not None]

    def given(self) -> list[tuple[str, int]]:
        return list(itertools.chain.from_iterable(member.given for member in [*self.members, *self.gone]))

    def expect(self, messages: int) -> None:
        """Each message was given once, to some member; an instrument's in their order."""
        wait_for(lambda: len(self.given()) >= messages or self.failures(), f"{messages} messages")
        assert not self.failures()
        while self.members:
            self.leave()
        seen = Counter(self.given())
        assert len(seen) == messages, "none is lost"
        assert set(seen.values()) == {1}, "none is given twice"
        for member in self.gone:
            for name in {name for name, _ in member.given}:
                ids = [number for of, number in member.given if of == name]
                assert ids == sorted(ids), "an instrument's messages are in order"


@pytest.fixture
def group(broker: Broker, request: pytest.FixtureRequest) -> Iterator[Group]:
    made = Group(broker, request.node.name.replace("[", "-").replace("]", "")[:80])
    yield made
    while made.members:
        made.leave()


def test_two_members_rebalanced_under_load_read_each_message_once(broker: Broker, group: Group) -> None:
    rounds, size = 12, 3_000
    group.join()
    for number in range(rounds):
        broker.write(group._topic, iter(numbered(size, number * size)))
        if number % 4 == 1:
            group.join()
        elif number % 4 == 3:
            group.leave()
    group.expect(rounds * size)
    assert len(group.gone) > 2
    assert all(member.given for member in group.gone)


def test_kept_partitions_continue_where_they_were_at_their_end(broker: Broker, group: Group) -> None:
    """The mark of a partition's end is no message: who keeps the partition while others come and go reads what follows it."""
    group.join()
    broker.write(group._topic, iter(numbered(60)))
    wait_for(lambda: len(group.given()) == 60, "all are given, and the ends are reached")
    for number in (1, 2, 3):
        group.join()
        broker.write(group._topic, iter(numbered(60, number * 60)))
        wait_for(lambda number=number: len(group.given()) == (number + 1) * 60 or group.failures(), "more")  # type: ignore[misc]
    group.expect(240)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_a_broker_that_goes_away_under_a_group(broker: Broker, group: Group, how: signal.Signals) -> None:
    size = 3_000
    group.join()
    group.join()
    broker.write(group._topic, iter(numbered(size)))
    broker.stop(how)
    wait_for(lambda: all(member.trouble for member in group.members), "every member says that the broker is away")
    broker.start()
    broker.write(group._topic, iter(numbered(size, size)))
    group.join()
    broker.write(group._topic, iter(numbered(size, 2 * size)))
    group.leave()
    group.expect(3 * size)
