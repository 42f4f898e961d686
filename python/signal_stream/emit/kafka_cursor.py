"""How far one pipeline's signals are in a topic: what the broker committed together with them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .kafka_client import Remarks, kafka, sink_error

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT: Final = 1
WRITER: Final = "writer"
SEQ: Final = "seq"
TAIL_MESSAGES: Final = 20_000
"""Newest messages of each partition among which the last signals are looked for where the broker forgot the cursor."""
_READ: Final = 1_000
_TRIES: Final = 50
_PAUSE_S: Final = 0.1
_SETTLED_S: Final = 1.0
_MOVING: Final = ("NOT_COORDINATOR", "COORDINATOR_LOAD_IN_PROGRESS", "COORDINATOR_NOT_AVAILABLE")
"""A broker that has just begun, or hands the group over to another: soon one of them knows."""
_QUIET: Final = {"log_level": 0, "log.connection.close": False}


class Cursor(NamedTuple):
    """The last signal that is in the topic, and its record in the journal."""

    last_id: str
    seq: int

    def text(self) -> str:
        """As the broker keeps it."""
        return json.dumps({"format": FORMAT, "last_id": self.last_id, "seq": self.seq})

    @classmethod
    def of(cls, text: str | None) -> Cursor | None:
        """What `text` wrote; None for nothing, or anything else."""
        try:
            fields = json.loads(text or "null")
            return cls(str(fields["last_id"]), int(fields["seq"]))
        except (ValueError, TypeError, KeyError):
            return None


class TopicReader:
    """Reads cursor and signals of one writer, committed ones only. Close it after use."""

    def __init__(
        self, topic: str, writer: str, client: Mapping[str, Any], *, timeout_s: float, where: str = ""
    ) -> None:
        """`client` says which brokers and how. Raises SinkError."""
        self._library = kafka()
        self._topic, self._writer, self._timeout_s, self._where = topic, writer, timeout_s, where
        self._remarks = Remarks()
        made = {
            **client,
            **_QUIET,
            "group.id": group_of(writer),
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "error_cb": self._remarks,
        }
        try:
            self._consumer = self._library.Consumer(made)
        except Exception as error:
            raise sink_error(error, "the client cannot be made", where=where) from error

    def partitions(self) -> list[int]:
        """The topic's partitions. Raises SinkError where it does not exist, or no broker answers."""
        try:
            found = self._consumer.list_topics(self._topic, timeout=self._timeout_s).topics[self._topic]
            if found.error is not None:
                raise self._library.KafkaException(found.error)
        except Exception as error:
            self._consumer.poll(0)
            raise sink_error(
                error, f'topic "{self._topic}" is not to be had', where=self._where, remarks=self._remarks
            ) from error
        return sorted(found.partitions)

    def is_settled(self) -> bool:
        """Whether no transaction is open that holds a cursor, as far as a broker says within a second."""
        place = self._library.TopicPartition(self._topic, 0)
        try:
            self._consumer.committed([place], timeout=_SETTLED_S)
        except Exception as error:  # noqa: BLE001  whatever else is wrong, who reads the cursor is told
            return not _is(error, "_TIMED_OUT")
        return True

    def cursor(self) -> Cursor | None:
        """What was committed last, None if the broker knows nothing. Waits for a transaction that is being ended. Raises
        SinkError."""
        for left in reversed(range(_TRIES)):
            try:
                place = self._library.TopicPartition(self._topic, 0)
                (found,) = self._consumer.committed([place], timeout=self._timeout_s)
                if found.error is not None:
                    raise self._library.KafkaException(found.error)
                return Cursor.of(found.metadata)
            except Exception as error:
                self._consumer.poll(_PAUSE_S)
                if not left or not _is(error, *_MOVING):
                    what = "the cursor cannot be read"
                    raise sink_error(error, what, where=self._where, remarks=self._remarks) from error
        return None

    def group(self) -> Any:
        """For `send_offsets_to_transaction`."""
        return self._consumer.consumer_group_metadata()

    def tail(self) -> tuple[list[tuple[int, str]], bool]:
        """The newest signals of the writer with their records' numbers, oldest first; and whether those are all that the topic
        has. Raises SinkError."""
        try:
            return self._tail()
        except Exception as error:
            raise sink_error(
                error, "the newest signals cannot be read", where=self._where, remarks=self._remarks
            ) from error

    def close(self) -> None:
        """Gives the connection back."""
        self._consumer.close()

    def _tail(self) -> tuple[list[tuple[int, str]], bool]:
        library, whole = self._library, True
        places = []
        for partition in self.partitions():
            place = library.TopicPartition(self._topic, partition)
            low, high = self._consumer.get_watermark_offsets(place, timeout=self._timeout_s)
            place.offset = max(low, high - TAIL_MESSAGES)
            whole &= place.offset == 0
            if high > low:
                places.append(place)
        signals: list[tuple[int, str]] = []
        self._consumer.assign(places)
        left = len(places)
        while left:
            read = self._consumer.consume(_READ, timeout=self._timeout_s)
            if not read:
                raise library.KafkaException(library.KafkaError(library.KafkaError._TIMED_OUT))
            for message in read:
                if message.error() is None:
                    headers = dict(message.headers() or [])
                    if headers.get(WRITER) == self._writer.encode():
                        signals.append((int(headers[SEQ]), message.value().decode()))
                elif message.error().code() == library.KafkaError._PARTITION_EOF:
                    left -= 1
                else:
                    raise library.KafkaException(message.error())
        self._consumer.unassign()
        return sorted(signals), whole


def _is(error: Exception, *names: str) -> bool:
    found: Any = error.args[0] if error.args else None
    return hasattr(found, "name") and found.name() in names


def group_of(writer: str) -> str:
    """The consumer group whose offsets hold a writer's cursor."""
    return f"{writer}.cursor"
