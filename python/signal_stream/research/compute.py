"""`compute`: a graph over history, in one call."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, overload

from signal_stream.ingest import MAX_REJECTED, Intake, RefusedLines
from signal_stream.research.amendments import with_revisions
from signal_stream.research.engine import Engine
from signal_stream.research.frames import is_table, record_batches
from signal_stream.research.table_files import batches_of_file, row_names, rows_of
from signal_stream.research.table_rows import ROWS, ROWS_MANY

GRAPH_METADATA: Final = b"signal_stream.graph"

if TYPE_CHECKING:
    import pyarrow as pa

    from signal_stream._core import Vectors
    from signal_stream.features import FeatureGraph


@overload
def compute(
    graph: FeatureGraph, data: Any, *, columns: Mapping[str, str] | None = ..., instrument: str | None = ...,
    latency: str | None = ..., lateness: str | None = ..., amend_within: str | None = ..., instruments: list[str] | None = ...,
    time_unit: str | None = ..., missing_bars: str | None = ..., length: str | None = ..., reasons: bool = ...,
    batches: Literal[False] = ..., max_rejected: float | str = ...,
) -> pa.Table: ...  # fmt: skip
@overload
def compute(
    graph: FeatureGraph, data: Any, *, columns: Mapping[str, str] | None = ..., instrument: str | None = ...,
    latency: str | None = ..., lateness: str | None = ..., amend_within: str | None = ..., instruments: list[str] | None = ...,
    time_unit: str | None = ..., missing_bars: str | None = ..., length: str | None = ..., reasons: bool = ...,
    batches: Literal[True], max_rejected: float | str = ...,
) -> Iterator[pa.RecordBatch]: ...  # fmt: skip


def compute(
    graph: FeatureGraph,
    data: Any,
    *,
    columns: Mapping[str, str] | None = None,
    instrument: str | None = None,
    latency: str | None = None,
    lateness: str | None = None,
    amend_within: str | None = None,
    instruments: list[str] | None = None,
    time_unit: str | None = None,
    missing_bars: str | None = None,
    length: str | None = None,
    reasons: bool = False,
    batches: bool = False,
    max_rejected: float | str = MAX_REJECTED,
) -> pa.Table | Iterator[pa.RecordBatch]:
    """The features of a graph over history: the same engine, and so the same bits, as live.

    `data` is a tape or raw capture (a path, or several that are merged in order of arrival), or a table of bars, trades
    or quotes: the path of a CSV, Parquet or Feather file, pyarrow, polars, pandas, anything with the Arrow interface.
    `columns` maps our fields to the table's columns ({"close": "c"}); equal names need no mapping. `instrument` names what
    a table holds; `instruments` limits the vectors of a tape. `latency` declares when a row with only `ts_event` could be
    known; `lateness`, for a graph with axis="event", how long after newer ones an event of a tape may come, and
    `amend_within` how late it may be to change what was given: the changed vectors follow where that was found out.
    `time_unit` (s, ms, us, ns) is of times that are whole numbers; if it is not given it follows from the first and has to
    hold for all. `missing_bars` says what it means where a table has no row for a bar: "empty", a bar without trades, as live
    (the default below a day), or "skip", no bar (the default for days). Where bars without trades, or ticks, stand for rows that
    are missing, a million in a row are the most (or 31 days), else a row's time is refused; "90d" allows more.
    `length` ("1m") is that of a table's bars, if it is not
    the shortest that the graph reads: longer bars are made of them.

    A table is checked row by row and nothing in it is repaired: rows out of order, a bar twice, rows that are no bars of
    the graph's length, negative quantities, sides other than 1, -1 and 0 are DataErrors that name column and row. A bar that
    contradicts itself (its high below its low, its open or close outside of them) is refused: its numbers are null.
    specs/trades_and_bars.md says what a row of bars is, specs/book.md when a side of a quote or book is empty.

    Returns a table with `instrument`, `ts_event`, `ts_recv` and one float64 column a feature; invalid is null. Its metadata
    names the graph.
    With `amend_within` there are two columns more: `revision`, 0 for what was given in time, and `withdrawn`, for a vector that
    is no more; the last revision of each is what a run in which every event came in time would give.
    `reasons=True` adds a dictionary column `<feature>.reason` each; `batches=True` gives an iterator of record batches
    in bounded memory. Raises DataError or TapeError for input that cannot be used, and TapeError or DataError REJECTED at the
    end where more of a capture's lines, or of a table's rows, than the share `max_rejected` ("0.1%", or 0.001) are refused;
    fewer bring a warning (`RefusedLines`) that says how many and why.

    >>> import pyarrow as pa
    >>> from signal_stream import FeatureGraph, bars, compute
    >>> graph = FeatureGraph(name="g", on=bars("1m"), features={"up": bars("1m").close.diff()})
    >>> day = pa.table({"t": [1700000040, 1700000100], "close": [10.0, 12.5]})
    >>> compute(graph, day, columns={"ts_open": "t"}, instrument="BTC").column("up").to_pylist()
    [None, 2.5]
    """
    engine = Engine(
        graph, columns=columns, instrument=instrument, latency=latency, lateness=lateness, amend_within=amend_within,
        instruments=instruments, time_unit=time_unit, missing_bars=missing_bars, length=length,
    )  # fmt: skip
    pieces = _vectors(engine, data, columns, reasons, max_rejected)
    if batches:
        return pieces
    import pyarrow as pa

    found = list(pieces)
    if not found:
        found = [nothing_of(engine, reasons=reasons)]
    return pa.Table.from_batches(found).unify_dictionaries().replace_schema_metadata(table_metadata(graph))


def table_metadata(graph: FeatureGraph) -> dict[bytes, bytes]:
    """What a table says of the graph that made it, for `register` to compare: its JSON and its digest."""
    return {GRAPH_METADATA: graph.to_json().encode(), GRAPH_METADATA + b".digest": graph.digest.encode()}


def _vectors(
    engine: Engine, data: Any, columns: Mapping[str, str] | None, reasons: bool, max_rejected: float | str
) -> Iterator[pa.RecordBatch]:
    intake = Intake()
    for vectors in counted_vectors(engine, data, columns, max_rejected, intake):
        yield from arrow_of(engine, vectors, reasons=reasons)
    if intake.faults:
        warnings.warn(f"{intake.text()}. The first: {intake.first[0]}", RefusedLines, stacklevel=3)
    if engine.rows is not None and (late := engine.counts()["late"]):
        rows, were = ("1 row", "was") if late == 1 else (f"{late:,} rows", "were")
        advice = "a tape of the table (tape import) can have what they change amended"
        warnings.warn(
            f"{rows} came later than lateness allows, and {were} left out; {advice}", RefusedLines, stacklevel=3
        )


def arrow_of(engine: Engine, vectors: Vectors, *, reasons: bool = False) -> list[pa.RecordBatch]:
    """Vectors that an engine has just given as Arrow, and where it amends, what it found to be changed."""
    import pyarrow as pa

    found = [pa.record_batch(vectors.columns(reasons=reasons))] if len(vectors) else []
    if not engine.amends:
        return found
    amended = [each.batch(reasons=reasons) for each in engine.take_amendments()]
    return [*map(with_revisions, found), *amended]


def nothing_of(engine: Engine, *, reasons: bool = False) -> pa.RecordBatch:
    """The columns of an engine's vectors, without a row."""
    import pyarrow as pa

    nothing = pa.record_batch(engine.core.advance(-(2**62)).columns(reasons=reasons))
    return with_revisions(nothing) if engine.amends else nothing


def counted_vectors(
    engine: Engine, data: Any, columns: Mapping[str, str] | None, max_rejected: float | str, intake: Intake
) -> Iterator[Vectors]:
    """The vectors of a whole input, and what became of its lines or rows: DataError or TapeError REJECTED, behind the last
    vector, where more of them are broken than allowed."""
    file = _table_file(data)
    with rows_of(file):
        yield from vectors_of(engine, input_batches(data, columns=columns, max_rejected=max_rejected, intake=intake))
    if (rows := engine.rows) is not None:
        name = row_names(file)
        intake.take_rows(rows.refused, rows.rows, lambda row: name(row) if file is None else f"{file}, {name(row)}")
        intake.check(max_rejected)


def _table_file(data: Any) -> str | Path | None:
    """The file of a table that is given by its path."""
    paths = [data] if isinstance(data, str | Path) else data
    if isinstance(paths, Sequence) and len(paths) == 1 and isinstance(paths[0], str | Path):
        return paths[0]
    return None


def vectors_of(engine: Engine, batches: Iterable[Any], *, chunk: int | None = None) -> Iterator[Vectors]:
    """The vectors of a whole input, piece by piece. The engine is of no use after an error."""
    for batch in batches:
        yield from engine.stream(batch, chunk=chunk, whole=False)
    yield from engine.end()


def input_batches(
    data: Any,
    *,
    columns: Mapping[str, str] | None = None,
    max_rejected: float | str = MAX_REJECTED,
    intake: Intake | None = None,
) -> Iterator[Any]:
    """What an engine takes, piece by piece: tape batches of files, record batches of a table."""
    if isinstance(data, str | Path):
        data = [data]
    if isinstance(data, Sequence) and data and all(isinstance(path, str | Path) for path in data):
        yield from file_batches(data, max_rejected, intake, columns=columns)
    elif is_table(data):
        yield from table_batches(record_batches(data), columns)
    else:
        yield data


def file_batches(
    paths: Sequence[str | Path],
    max_rejected: float | str = MAX_REJECTED,
    intake: Intake | None = None,
    *,
    columns: Mapping[str, str] | None = None,
) -> Iterator[Any]:
    """Batches of tapes, captures, or a table of bars, trades or quotes in a CSV, Parquet or Feather file."""
    from signal_stream.ingest import read_tape, sniff

    if len(paths) == 1 and sniff(paths[0]) == "table":
        yield from table_batches(batches_of_file(paths[0], columns), columns)
    else:
        yield from read_tape(*paths, max_rejected=max_rejected, intake=intake)


def table_batches(batches: Iterable[pa.RecordBatch], columns: Mapping[str, str] | None) -> Iterator[pa.RecordBatch]:
    """A table's record batches in the pieces that are computed in one go; `columns` may say which column names instruments."""
    names = (columns or {}).get("instrument", "instrument")
    for batch in batches:
        rows = ROWS_MANY if names in batch.schema.names else ROWS
        yield batch.slice(0, rows)
        for start in range(rows, batch.num_rows, rows):
            yield batch.slice(start, rows)
