"""Signals as Arrow record batches in one growing file.

The file is an Arrow IPC stream, so that it can be read while it grows and gone on with after a crash:

    table = pyarrow.ipc.open_stream("signals.arrow").read_all()
"""

from __future__ import annotations

import json
from collections import deque
from typing import TYPE_CHECKING, Any

from .signal_file import TAIL_MAX, Tail

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa


def signal_schema() -> pa.Schema:
    """The columns, named and ordered as a signal's JSON; times are nanoseconds UTC."""
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
            pa.field("stage", pa.string()),
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


class ArrowStream:
    """A schema message, then one record-batch message for each append. A file that an earlier version began, with fewer
    columns, is gone on with as it is."""

    def __init__(self) -> None:
        self._schema = signal_schema()

    def head(self) -> bytes:
        """The schema message of a new file."""
        self._schema = signal_schema()
        head: bytes = self._schema.serialize().to_pybytes()
        return head

    def encode(self, texts: Sequence[str]) -> bytes:
        """One record batch."""
        import pyarrow as pa

        rows = [json.loads(text) for text in texts]
        # column by column, so that the pipeline's thread gets its turn in between
        columns = [pa.array([row.get(field.name) for row in rows], field.type) for field in self._schema]
        batch: bytes = pa.RecordBatch.from_arrays(columns, schema=self._schema).serialize().to_pybytes()
        return batch

    def tail(self, path: Path, size: int) -> Tail:
        """Walks over the messages; the first that is not whole ends the file. Raises ValueError for another schema."""
        import pyarrow as pa

        with pa.memory_map(str(path)) as file:
            head = self.head()
            begun = file.read(len(head))
            if begun != head[: len(begun)]:
                file.seek(0)
                self._schema = _earlier_schema(file)
            elif len(begun) < len(head):
                return Tail(0, None, list)
            end = file.tell()
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


def _earlier_schema(file: pa.MemoryMappedFile) -> pa.Schema:
    """The schema that a file begins with, of columns that signals have. Raises ValueError for any other beginning."""
    import pyarrow as pa

    known = signal_schema()
    try:
        schema = pa.ipc.read_schema(pa.ipc.read_message(file))
    except (pa.ArrowInvalid, EOFError, OSError, ValueError):
        schema = pa.schema([])
    if "signal_id" not in schema.names or any(
        field.name not in known.names or not known.field(field.name).equals(field) for field in schema
    ):
        raise ValueError("the file does not begin with the schema of signals")
    return schema
