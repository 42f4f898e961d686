"""Signals, or amendments, as Arrow record batches in one growing file.

The file is an Arrow IPC stream, so that it can be read while it grows and gone on with after a crash:

    table = pyarrow.ipc.open_stream("signals.arrow").read_all()
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from .arrow_columns import SignalColumns
from .signal_file import TAIL_MAX, Tail

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa

    from .arrow_columns import Columns


class ArrowStream:
    """A schema message, then one record-batch message for each append. A file that an earlier version began, with fewer
    columns, is gone on with as it is."""

    def __init__(self, columns: Columns | None = None) -> None:
        self._columns = columns or SignalColumns()
        self._schema = self._columns.schema()

    def head(self) -> bytes:
        """The schema message of a new file."""
        self._schema = self._columns.schema()
        head: bytes = self._schema.serialize().to_pybytes()
        return head

    def encode(self, texts: Sequence[str]) -> bytes:
        """One record batch."""
        import pyarrow as pa

        rows = self._columns.rows(texts)
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
                self._schema = self._earlier_schema(file)
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
                raise ValueError(f"a message is no batch of {self._columns.what}") from error
            for at, field in enumerate(batch.schema):
                if pa.types.is_timestamp(field.type):
                    batch = batch.set_column(at, field.name, batch.column(at).cast(pa.int64()))
            found: list[dict[str, Any]] = batch.to_pylist()
            return found

        last_id = rows(messages[-1])[-1][self._columns.key] if messages else None
        return Tail(end, last_id, lambda: self._columns.texts([row for each in messages for row in rows(each)]))

    def _earlier_schema(self, file: pa.MemoryMappedFile) -> pa.Schema:
        """The schema that a file begins with, of columns that are known. Raises ValueError for any other beginning."""
        import pyarrow as pa

        known = self._columns.schema()
        try:
            schema = pa.ipc.read_schema(pa.ipc.read_message(file))
        except (pa.ArrowInvalid, EOFError, OSError, ValueError):
            schema = pa.schema([])
        if self._columns.key not in schema.names or any(
            field.name not in known.names or not known.field(field.name).equals(field) for field in schema
        ):
            raise ValueError(f"the file does not begin with the schema of {self._columns.what}")
        return schema
