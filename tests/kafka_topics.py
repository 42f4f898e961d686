"""A capture as messages of a topic, in each form that a topic may have."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from tests.kafka_broker import Broker

from signal_stream import _core
from signal_stream.ingest import read_tape

Messages = Iterator[tuple[str | None, bytes, list[tuple[str, bytes]], int]]


def messages_of(capture: Path, payload: str, *, partitions: int = 1) -> Messages:
    """The capture in a form, dealt out to partitions in turn."""
    for number, (key, value, headers) in enumerate(_of(capture, payload)):
        yield key, value, headers, number % partitions


def _of(capture: Path, payload: str) -> Iterator[tuple[str | None, bytes, list[tuple[str, bytes]]]]:
    if payload in ("frame", "line"):
        with gzip.open(capture, "rb") as file:
            for line in file.read().splitlines():
                ts_recv, frame = line.split(b" ", 1)
                yield (None, frame, [("ts_recv", ts_recv)]) if payload == "frame" else (None, line, [])
    elif payload == "event":
        for batch in read_tape(capture):
            for key, value in _core.pack_events(batch):
                yield key, value, []
    else:
        for batch in read_tape(capture):
            for begin in range(0, batch.messages, 100):
                part = pa.record_batch(batch.slice(begin, min(begin + 100, batch.messages)))
                sink = pa.BufferOutputStream()
                with pa.ipc.new_stream(sink, part.schema) as stream:
                    stream.write_batch(part)
                yield None, sink.getvalue().to_pybytes(), []


def fill(broker: Broker, topic: str, capture: Path, payload: str, *, partitions: int = 1) -> str:
    """A topic with a capture in it; returns its URL."""
    url = broker.topic(topic, partitions=partitions)
    broker.write(topic, messages_of(capture, payload, partitions=partitions))
    return url


def rows_of(batches: Iterator[_core.EventBatch] | list[_core.EventBatch]) -> pa.Table:
    """All rows, with the instruments' ids instead of numbers."""
    tables = []
    for batch in batches:
        record = pa.record_batch(batch)
        named = pa.array(
            [batch.instruments[i] if i < len(batch.instruments) else "" for i in record["instrument"].to_pylist()]
        )
        at = record.schema.get_field_index("instrument")
        tables.append(pa.table(record).set_column(at, "instrument", named).replace_schema_metadata(None))
    return pa.concat_tables(tables).combine_chunks()
