"""`kafka://HOST:PORT/TOPIC`: signals or amendments in a topic, in transactions; a reader of committed messages sees each once."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pydantic import Field

from signal_stream.errors import SinkError
from signal_stream.settings import Problem, SinkSettings
from signal_stream.settings.kafka import KafkaTopic, client_properties
from signal_stream.settings.values import Name

from .kafka_client import Remarks, kafka, sink_error
from .kafka_cursor import FORMAT, SEQ, WRITER, Cursor, TopicReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from signal_stream.records import Inputs, JournalRecord

OURS: Final = frozenset((
    *("bootstrap.servers", "transactional.id", "transaction.timeout.ms", "enable.idempotence", "acks", "retries"),
    *("max.in.flight.requests.per.connection", "isolation.level", "enable.auto.commit", "group.id", "partitioner"),
))  # fmt: skip
"""Properties that the guarantee rests on."""
TIMEOUT_S: Final = 5.0
"""How long a broker may take to answer before the sink is called degraded and tried again."""
COMMIT_S: Final = 10.0
TRANSACTION_MS: Final = 15_000
"""A transaction that a killed process left open is aborted by the broker after so long, if nobody takes over earlier."""
SETTLE_S: Final = 0.003
"""Between two transactions. A broker ends one after it said so: who begins the next before that is told to come back, and the
client does so 20 ms later."""
_INSTRUMENT: Final = '"instrument": "'
_KEYS: Final = {"signals": "signal_id", "amendments": "amendment_id"}


class KafkaSink:
    """Sends signals in transactions, each a piece of the journal together with a cursor: the id of its last signal.

    The key of a message is the instrument, so that one instrument's signals are in order; of an amendment the graph. The value is
    the JSON, the journal's bytes. Headers say who wrote it and which record of the journal it is. The cursor is committed as the
    offset of a consumer group, in the same transaction: after a kill at any point the broker knows which signals are there.

    `open` reads the cursor alone, unless a transaction was left open. The first `send` takes over from an earlier process of this
    `transactional_id` (which can commit nothing from then on) and reads the cursor once more: what that process committed in the
    meantime is not sent again.
    """

    class Settings(SinkSettings):
        """`[[sink]] url = "kafka://HOST:PORT/TOPIC"`: the topic has to exist."""

        transactional_id: Name
        """Under which name the broker knows this pipeline's signals: one for each pipeline and topic, the same at each
        start."""
        properties: Path | None = Field(default=None, strict=False)
        """A file of client properties, for TLS and passwords: `security.protocol=SASL_SSL`, a line each."""

        takes_amendments: ClassVar[bool] = True

        def problems(self) -> Iterator[Problem]:
            """A URL without brokers or topic."""
            try:
                KafkaTopic.of(self.url)
            except ValueError as error:
                yield Problem("url", str(error))
            yield from super().problems()

    def __init__(self, settings: Settings) -> None:
        """Opens nothing. Raises SettingsError for properties that cannot be used."""
        servers, self._topic = KafkaTopic.of(settings.url)
        self._writer = settings.transactional_id
        self._where = settings.url
        self._gets = settings.gets
        self._client = {"bootstrap.servers": servers, **client_properties(settings.properties, ours=OURS)}
        self._remarks = Remarks()
        self._producer: Any = None
        self._is_ours = False
        self._reader: TopicReader | None = None
        self._cursor: Cursor | None = None
        self._inputs: Inputs | None = None
        self._group: Any = None
        self._headers: list[tuple[str, str | bytes | None]] = []
        self._committed_s = 0.0

    def open(self, last_id: str | None) -> str | None:  # noqa: ARG002  what the broker committed counts
        """The last signal that the topic holds of this pipeline; "" if none. Takes nothing over yet. Raises SinkError."""
        self.close()
        self._reader = TopicReader(
            self._topic,
            self._writer,
            self._client,
            timeout_s=TIMEOUT_S,
            where=self._where,
        )
        self._reader.partitions()
        if not self._reader.is_settled():
            self._begin()  # a process of this id died within a transaction: what it left is aborted by who comes after it
        self._cursor = self._reader.cursor()
        if self._cursor is not None:
            return self._cursor.last_id
        # a broker forgets the offsets of a group that was away for long (offsets.retention.minutes): the topic may know
        signals, whole = self._reader.tail()
        if signals:
            return str(json.loads(signals[-1][1])[_KEYS[self._gets]])
        return "" if whole else None

    def tail(self) -> list[str]:
        """The JSON of the last signals in the topic, oldest first. Raises SinkError."""
        return [] if self._reader is None else [text for _, text in self._reader.tail()[0]]

    def rests_on(self, inputs: Inputs) -> None:
        """What the next signals rest on: committed in their transaction, beside the cursor."""
        self._inputs = inputs

    def send(self, records: Sequence[JournalRecord]) -> None:
        """One transaction: these signals, the cursor behind them and what they rest on, all or nothing. Raises SinkError."""
        if not records:
            return
        if not self._is_ours:
            self._take_over()
        cursor = Cursor(records[-1].key, records[-1].seq)
        try:
            self._transact(records, cursor)
        except SinkError:
            raise
        except Exception as error:
            with suppress(Exception):  # a fenced client says so again
                self._producer.poll(0)
            what = f"{len(records)} {self._gets} were not committed"
            raise sink_error(error, what, where=self._where, remarks=self._remarks) from error
        self._cursor, self._inputs = cursor, None

    def close(self) -> None:
        """Gives the connections back; a transaction that is open is aborted. May be called twice."""
        producer, self._producer = self._producer, None
        self._is_ours = False
        if producer is not None:
            producer.purge(blocking=False)
            # A transaction of which the broker saw nothing cannot be ended; whoever takes over ends what it did see.
            with suppress(kafka().KafkaException):
                producer.close()
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def _transact(self, records: Sequence[JournalRecord], cursor: Cursor) -> None:
        library, producer, topic = kafka(), self._producer, self._topic
        settled_s = self._committed_s + SETTLE_S - time.monotonic()
        if settled_s > 0:
            time.sleep(settled_s)
        producer.begin_transaction()
        for record in records:
            headers = [*self._headers, (SEQ, b"%d" % record.seq)]
            key = instrument_of(record.body) if self._gets == "signals" else str(json.loads(record.body)["graph"])
            try:
                producer.produce(topic, record.body, key, headers=headers)
            except library.KafkaException as error:
                if error.args[0].code() == library.KafkaError.MSG_SIZE_TOO_LARGE:
                    raise self._refused(record) from error
                raise
        offsets = [library.TopicPartition(topic, 0, cursor.seq + 1, cursor.text())]
        if self._inputs is not None:
            offsets += _places(self._inputs)
        producer.send_offsets_to_transaction(offsets, self._group, COMMIT_S)
        producer.commit_transaction(COMMIT_S)
        self._committed_s = time.monotonic()

    def _take_over(self) -> None:
        """Becomes the one writer of this id. Raises SinkError CHANGED where another was, after `open`."""
        if self._reader is None:
            raise SinkError("WRITE", "the sink was not opened", where=self._where)
        if self._producer is None:
            self._begin()
        found = self._reader.cursor()
        if found is not None and found != self._cursor:
            raise SinkError(
                "CHANGED",
                f"another process sent up to record {found.seq:,} meanwhile",
                where=self._where,
                value=found.last_id,
                next_step="It is opened again and goes on behind it.",
            )
        self._group = self._reader.group()
        self._headers = [("signal_stream", str(FORMAT)), (WRITER, self._writer)]
        self._is_ours = True

    def _begin(self) -> None:
        """Makes the producer: an earlier one of this id can commit nothing more, and what it had not committed is aborted."""
        made = {
            "linger.ms": 0,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 1_000_000,
            **self._client,
            "transactional.id": self._writer,
            "transaction.timeout.ms": TRANSACTION_MS,
            "partitioner": "murmur2_random",  # as Java's producers place keys
            "log_level": 0,
            "error_cb": self._remarks,
        }
        try:
            self._producer = kafka().Producer(made)
            self._producer.init_transactions(COMMIT_S)
        except Exception as error:
            raise sink_error(error, "no transaction can be begun", where=self._where, remarks=self._remarks) from error

    def _refused(self, record: JournalRecord) -> SinkError:
        size = len(record.body.encode())
        return SinkError(
            "REFUSED",
            f"{self._gets.removesuffix('s')} {record.key} has {size:,} bytes, more than a message may",
            where=self._where,
            value=record.key,
            next_step="Allow more: message.max.bytes in properties, and of the topic.",
        )


def _places(inputs: Inputs) -> list[Any]:
    """Offsets of the source as the broker takes them; beside each stands how many of its message's events were used, and the
    snapshot."""
    make, text = kafka().TopicPartition, {"format": FORMAT, "snapshot": inputs.snapshot}
    return [
        make(topic, partition, offset, json.dumps({**text, "events": events}))
        for topic, partition, offset, events in inputs.offsets
    ]


def instrument_of(text: str) -> str:
    """The instrument in a signal's JSON: quotes within values are escaped, so the first key of the name is the key.

    >>> instrument_of('{"signal_id": "x", "instrument": "BTCUSDT.BINANCE", "value": 1.0}')
    'BTCUSDT.BINANCE'
    """
    found = text.partition(_INSTRUMENT)[2].partition('"')[0]
    return found if "\\" not in found else str(json.loads(text)["instrument"])
