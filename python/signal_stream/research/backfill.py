"""Backfill: a graph's feature table on disk, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Unpack

from signal_stream.errors import DataError
from signal_stream.features import FeatureGraph
from signal_stream.ingest import Intake
from signal_stream.research.compute import arrow_of, nothing_of, table_metadata
from signal_stream.research.input import Input
from signal_stream.research.input_options import InputOptions, takes

if TYPE_CHECKING:
    import pyarrow as pa

_GROUP_ROWS: Final = 32_768


@dataclass(frozen=True, slots=True)
class Backfilled:
    """What a backfill wrote."""

    path: Path
    events: int
    vectors: int
    counts: Mapping[str, Any]
    intake: Intake
    """What became of the lines of raw captures."""
    null_features: tuple[str, ...]
    """Features without a value in any vector, though there are vectors."""


@takes(InputOptions)
def backfill(
    graph: FeatureGraph,
    data: Any,
    out: str | Path,
    *,
    progress: Callable[[int], None] | None = None,
    **options: Unpack[InputOptions],
) -> Backfilled:
    """Writes the table that `compute` would give to a Parquet file, row group by row group.

    Same bits as `compute` and as live. The file appears under its name only when it is whole; its metadata holds the
    graph's digest and JSON. `progress` is told the messages done. Options as in `compute`.
    """
    import pyarrow.parquet as pq

    path = Path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    source = Input.of(data, **options)
    engine = source.engine(graph)
    waiting: list[pa.RecordBatch] = []
    intake, null = Intake(), set(graph.features)
    held = vectors = 0
    writer: pq.ParquetWriter | None = None
    try:
        for piece in source.vectors(engine, intake):
            for batch in arrow_of(engine, piece):
                waiting.append(batch)
                null -= {name for name in null if batch[name].null_count < batch.num_rows}
                held += batch.num_rows
                vectors += batch.num_rows
            if held >= _GROUP_ROWS:
                writer = _write(writer, part, waiting, graph)
                waiting, held = [], 0
            if progress:
                progress(engine.messages)
        if waiting or writer is None:
            writer = _write(writer, part, waiting or [nothing_of(engine)], graph)
        writer.close()
        part.replace(path)
    except OSError as error:
        raise DataError("WRITE", f"the table cannot be written: {error.strerror or error}", where=str(path)) from error
    finally:
        part.unlink(missing_ok=True)
    named = tuple(name for name in graph.features if vectors and name in null)
    return Backfilled(path, engine.messages, vectors, engine.counts(), intake, named)


def _write(writer: Any, part: Path, pieces: list[pa.RecordBatch], graph: FeatureGraph) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_batches(pieces).unify_dictionaries()
    if writer is None:
        # A dictionary of floats that hardly repeat costs memory and saves nothing.
        writer = pq.ParquetWriter(
            part,
            table.schema.with_metadata(table_metadata(graph)),
            compression="zstd",
            compression_level=1,
            use_dictionary=["instrument"],
        )
    writer.write_table(table.replace_schema_metadata(writer.schema.metadata))
    return writer
