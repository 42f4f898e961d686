"""A real Kafka broker: one node, on free ports, in a folder of its own. `make broker` brings its jars."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import confluent_kafka
from confluent_kafka.admin import AdminClient
from tests.watchers import free_port

JARS = Path(__file__).parents[1] / ".broker"
PATIENCE_S = 90.0
PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={folder}/logs
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
"""


class Message(NamedTuple):
    """What a reader of committed messages is given."""

    partition: int
    offset: int
    key: str
    value: bytes
    headers: dict[str, bytes]


class Broker:
    """Runs the broker. Ends its process by its id."""

    def __init__(self, folder: Path) -> None:
        assert any(JARS.glob("kafka_2.13-*.jar")), "the broker's jars are not there: run `make broker`"
        self.folder = folder
        self.port, controller_port = free_port(), free_port()
        self.servers = f"127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        text = PROPERTIES.format(port=self.port, controller_port=controller_port, folder=folder)
        (folder / "server.properties").write_text(text)
        cluster = base64.urlsafe_b64encode(uuid.UUID(int=1).bytes).decode().rstrip("=")
        self._java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(folder / "server.properties")).wait()

    def url(self, topic: str) -> str:
        """For `[source]` and `[[sink]]`."""
        return f"kafka://{self.servers}/{topic}"

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        self._process = self._java("kafka.Kafka", str(self.folder / "server.properties"))
        until = time.monotonic() + PATIENCE_S
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "broker.log").read_text()[-3_000:]
            assert time.monotonic() < until, "the broker does not answer"

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stops it; SIGKILL is the power cut of a broker."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def topic(self, name: str, *, partitions: int = 1) -> str:
        """Makes a topic; returns its URL."""
        from confluent_kafka.admin import NewTopic

        admin = self._admin()  # alive until its answer has come
        admin.create_topics([NewTopic(name, partitions, 1)], operation_timeout=30)[name].result()
        return self.url(name)

    def read(self, topic: str, *, committed: bool = True) -> list[Message]:
        """All messages of a topic, by partition and offset: what a reader of committed ones sees now."""
        consumer = confluent_kafka.Consumer({
            "bootstrap.servers": self.servers,
            "group.id": f"reader-{uuid.uuid4()}",
            "isolation.level": "read_committed" if committed else "read_uncommitted",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "log_level": 0,
        })  # fmt: skip
        found = []
        partitions = sorted(consumer.list_topics(topic, timeout=30).topics[topic].partitions)
        consumer.assign([confluent_kafka.TopicPartition(topic, each, 0) for each in partitions])
        ended: set[int] = set()
        until = time.monotonic() + PATIENCE_S
        while len(ended) < len(partitions):
            assert time.monotonic() < until, "the topic has no end"
            for message in consumer.consume(1_000, timeout=1.0):
                error = message.error()
                if error is None:
                    found.append(_message(message))
                elif error.code() == confluent_kafka.KafkaError._PARTITION_EOF:
                    ended.add(message.partition() or 0)
        consumer.close()
        return sorted(found)

    def write(self, topic: str, messages: Iterator[tuple[str | None, bytes, list[tuple[str, bytes]], int]]) -> int:
        """Produces (key, value, headers, partition; -1 by key); returns how many."""
        producer = confluent_kafka.Producer(
            {"bootstrap.servers": self.servers, "linger.ms": 5, "enable.idempotence": True, "log_level": 0}
        )
        count = 0
        for key, value, headers, partition in messages:
            while True:
                try:
                    producer.produce(topic, value, key, partition, headers=list(headers))
                    break
                except BufferError:
                    producer.poll(0.1)
            count += 1
        assert producer.flush(PATIENCE_S) == 0
        return count

    def forget_group(self, group: str) -> None:
        """Removes what a group committed, as the broker does with one that was away for long."""
        admin = self._admin()
        admin.delete_consumer_groups([group])[group].result()

    def committed(self, group: str, topic: str) -> list[confluent_kafka.TopicPartition]:
        """What a group committed of a topic's partitions."""
        consumer = confluent_kafka.Consumer(
            {"bootstrap.servers": self.servers, "group.id": group, "isolation.level": "read_committed", "log_level": 0}
        )
        partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        found = consumer.committed([confluent_kafka.TopicPartition(topic, each) for each in partitions], timeout=30)
        consumer.close()
        return found

    def remove_before(self, topic: str, offset: int) -> None:
        """Removes the messages of partition 0 before an offset, as retention does."""
        place = confluent_kafka.TopicPartition(topic, 0, offset)
        admin = self._admin()
        admin.delete_records([place])[place].result()

    def close(self) -> None:
        """Ends it and removes what it wrote."""
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.servers, "log_level": 0})

    def _answers(self) -> bool:
        with contextlib.suppress(confluent_kafka.KafkaException):
            return bool(self._admin().list_topics(timeout=1.0).brokers)
        return False

    def _java(self, *words: str) -> subprocess.Popen[bytes]:
        options = ["-Xmx512m", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
        with (self.folder / "broker.log").open("ab") as log:
            return subprocess.Popen(
                ["java", *options, "-cp", f"{JARS}/*", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"LOG_DIR": str(self.folder)},
            )


def _message(message: Any) -> Message:
    key = message.key()
    headers = {name: value or b"" for name, value in message.headers() or []}
    return Message(
        message.partition(), message.offset(), key.decode() if key is not None else "", message.value() or b"", headers
    )
