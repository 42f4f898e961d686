"""`compute`: a graph over history, in one call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from signal_stream.errors import DataError
from signal_stream.research.engine import Engine

if TYPE_CHECKING:
    import pyarrow as pa

    from signal_stream.features import FeatureGraph


@overload
def compute(
    graph: FeatureGraph, data: Any, *, columns: Mapping[str, str] | None = ..., instrument: str | None = ...,
    latency: str | None = ..., lateness: str | None = ..., instruments: list[str] | None = ..., reasons: bool = ...,
    batches: Literal[False] = ...,
) -> pa.Table: ...  # fmt: skip
@overload
def compute(
    graph: FeatureGraph, data: Any, *, columns: Mapping[str, str] | None = ..., instrument: str | None = ...,
    latency: str | None = ..., lateness: str | None = ..., instruments: list[str] | None = ..., reasons: bool = ...,
    batches: Literal[True],
) -> Iterator[pa.RecordBatch]: ...  # fmt: skip


def compute(
    graph: FeatureGraph,
    data: Any,
    *,
    columns: Mapping[str, str] | None = None,
    instrument: str | None = None,
    latency: str | None = None,
    lateness: str | None = None,
    instruments: list[str] | None = None,
    reasons: bool = False,
    batches: bool = False,
) -> pa.Table | Iterator[pa.RecordBatch]:
    """The features of a graph over history: the same engine, and so the same bits, as live.

    `data` is a tape or raw capture (a path, or several that are merged in order of arrival), or a table of bars, trades
    or quotes: pyarrow, polars, pandas, anything with the Arrow interface. `columns` maps our fields to the table's
    columns ({"close": "c"}); equal names need no mapping. `instrument` names what a table holds; `instruments` limits
    the vectors of a tape. `latency` declares when a row with only `ts_event` could be known; `lateness`, for a graph with
    axis="event", how long after newer ones an event of a tape may come.

    Returns a table with `instrument`, `ts_event`, `ts_recv` and one float64 column a feature; invalid is null.
    `reasons=True` adds a dictionary column `<feature>.reason` each; `batches=True` gives an iterator of record batches
    in bounded memory. Raises DataError or TapeError for input that cannot be used.

    >>> import pyarrow as pa
    >>> from signal_stream import FeatureGraph, bars, compute
    >>> graph = FeatureGraph(name="g", on=bars("1m"), features={"up": bars("1m").close.diff()})
    >>> day = pa.table({"t": [1700000040, 1700000100], "close": [10.0, 12.5]})
    >>> compute(graph, day, columns={"ts_open": "t"}, instrument="BTC").column("up").to_pylist()
    [None, 2.5]
    """
    engine = Engine(
        graph, columns=columns, instrument=instrument, latency=latency, lateness=lateness, instruments=instruments
    )
    pieces = _vectors(engine, data, reasons)
    if batches:
        return pieces
    import pyarrow as pa

    found = list(pieces)
    if not found:
        return pa.Table.from_batches([pa.record_batch(engine.core.advance(-(2**62)).columns(reasons=reasons))])
    return pa.Table.from_batches(found).unify_dictionaries()


def _vectors(engine: Engine, data: Any, reasons: bool) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    for batch in input_batches(data):
        for vectors in engine.push_vectors(batch):
            if len(vectors):
                yield pa.record_batch(vectors.columns(reasons=reasons))


def input_batches(data: Any) -> Iterator[Any]:
    """What an engine takes, piece by piece: tape batches of files, record batches of a table."""
    if isinstance(data, str | Path):
        yield from file_batches([data])
    elif isinstance(data, Sequence) and data and all(isinstance(path, str | Path) for path in data):
        yield from file_batches(data)
    elif hasattr(data, "__arrow_c_stream__"):
        yield from table_batches(data)
    else:
        yield data


def file_batches(paths: Sequence[str | Path]) -> Iterator[Any]:
    """Batches of tapes, captures, or a Parquet, Feather or CSV table of bars, trades or quotes."""
    from signal_stream.ingest import read_tape, sniff

    if len(paths) == 1 and sniff(paths[0]) == "table":
        yield from parquet_batches(paths[0])
    else:
        yield from read_tape(*paths)


def parquet_batches(path: str | Path) -> Iterator[pa.RecordBatch]:
    """Record batches of a table in a file, in bounded memory."""
    import pyarrow.parquet as pq

    from signal_stream.research.table import ROWS

    # Without pre_buffer and with a small buffer the reader holds one row group's pages, not the whole file.
    with pq.ParquetFile(path, buffer_size=65_536, pre_buffer=False) as file:
        yield from file.iter_batches(batch_size=ROWS)


def table_batches(data: Any) -> Iterator[pa.RecordBatch]:
    """Record batches of an in-memory table, of at most 16,384 rows."""
    import pyarrow as pa

    from signal_stream.research.table import ROWS

    try:
        reader = pa.RecordBatchReader.from_stream(data)
    except pa.ArrowInvalid as error:
        raise DataError("UNKNOWN_TYPE", f"the table cannot be read as Arrow: {error}") from None
    for batch in reader:
        for start in range(0, batch.num_rows, ROWS):
            yield batch.slice(start, ROWS)
