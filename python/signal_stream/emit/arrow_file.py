"""Signals as Arrow record batches in one growing file.

The file is an Arrow IPC stream, so that it can be read while it grows and gone on with after a crash:

    table = pyarrow.ipc.open_stream("signals.arrow").read_all()
"""

from __future__ import annotations

import json
from collections import deque
from typing import TYPE_CHECKING, Any

from .signal_file import TAIL_MAX, SignalFile, Tail

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa


def signal_schema(*, stage: bool = True) -> pa.Schema:
    """The columns, named and ordered as a signal's JSON; times are nanoseconds UTC. Files of before stages were noted go on
    without that column."""
    import pyarrow as pa

    time = pa.timestamp("ns", tz="UTC")
    whole = pa.int64()

    def required(name: str, kind: pa.DataType) -> pa.Field:
        return pa.field(name, kind, nullable=False)

    stages = [required(stage, whole) for stage in ("features", "model", "guards", "emit")]
    return pa.schema(
        [
            *(required(name, pa.string()) for name in ("signal_id", "signal", "instrument")),
            pa.field("value", pa.float64()),
            required("verdict", pa.string()),
            required("codes", pa.list_(pa.string())),
            *(required(name, pa.string()) for name in ("model_id", "model_version")),
            *([pa.field("stage", pa.string())] if stage else []),
            *(required(name, pa.string()) for name in ("feature_graph_hash", "schema_hash", "vector_hash")),
            pa.field("ts_event", time),
            required("ts_recv", time),
            required("data_window_end", time),
            pa.field("data_age_ns", whole),
            required("tape", pa.struct([required("name", pa.string()), required("offset", whole)])),
            required("defaults_used", pa.list_(pa.string())),
            required("latency_ns", pa.struct(stages)),
        ]
    )


def head_of(schema: pa.Schema) -> bytes:
    """The schema message."""
    head: bytes = schema.serialize().to_pybytes()
    return head


class ArrowStream:
    """A schema message, then one record-batch message for each append."""

    def __init__(self) -> None:
        self._schema = signal_schema()

    def head(self) -> bytes:
        """The schema message."""
        return head_of(self._schema)

    def encode(self, texts: Sequence[str]) -> bytes:
        """One record batch."""
        import pyarrow as pa

        rows = [json.loads(text) for text in texts]
        batch: bytes = pa.RecordBatch.from_pylist(rows, self._schema).serialize().to_pybytes()
        return batch

    def tail(self, path: Path, size: int) -> Tail:
        """Walks over the messages; the first that is not whole ends the file. Raises ValueError for another schema."""
        import pyarrow as pa

        with pa.memory_map(str(path)) as file:
            head = self.head()
            old = signal_schema(stage=False)
            if file.read(len(head_of(old))) == head_of(old):
                self._schema, head = old, head_of(old)
            file.seek(0)
            begun = file.read(len(head))
            if begun != head[: len(begun)]:
                raise ValueError("the file does not begin with the schema of signals")
            if len(begun) < len(head):
                return Tail(0, None, list)
            end = len(head)
            messages: deque[pa.ipc.Message] = deque(maxlen=TAIL_MAX)
            while end < size:
                try:
                    message = pa.ipc.read_message(file)
                except (pa.ArrowInvalid, EOFError, OSError):
                    break
                messages.append(message)
                end = file.tell()

        def rows(message: pa.ipc.Message) -> list[dict[str, Any]]:
            try:
                batch = pa.ipc.read_record_batch(message, self._schema)
            except pa.ArrowInvalid as error:
                raise ValueError("a message is no batch of signals") from error
            for name in ("ts_event", "ts_recv", "data_window_end"):
                at = batch.schema.get_field_index(name)
                batch = batch.set_column(at, name, batch.column(at).cast(pa.int64()))
            found: list[dict[str, Any]] = batch.to_pylist()
            return [{name: x for name, x in row.items() if name != "stage" or x is not None} for row in found]

        last_id = rows(messages[-1])[-1]["signal_id"] if messages else None
        return Tail(end, last_id, lambda: [json.dumps(row) for message in messages for row in rows(message)])


class ArrowFileSink(SignalFile):
    """Appends signals to an Arrow IPC stream in a file."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, ArrowStream())
