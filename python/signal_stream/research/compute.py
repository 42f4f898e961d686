"""`compute`: a graph over history, in one call."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, Literal, Unpack, overload

from signal_stream.ingest import Intake, RefusedLines
from signal_stream.research.amendments import with_revisions
from signal_stream.research.input import Input
from signal_stream.research.input_options import InputOptions, takes

GRAPH_METADATA: Final = b"signal_stream.graph"

if TYPE_CHECKING:
    import pyarrow as pa

    from signal_stream._core import Vectors
    from signal_stream.features import FeatureGraph
    from signal_stream.research.engine import Engine


@overload
def compute(
    graph: FeatureGraph,
    data: Any,
    *,
    reasons: bool = ...,
    batches: Literal[False] = ...,
    **options: Unpack[InputOptions],
) -> pa.Table: ...
@overload
def compute(
    graph: FeatureGraph, data: Any, *, reasons: bool = ..., batches: Literal[True], **options: Unpack[InputOptions]
) -> Iterator[pa.RecordBatch]: ...


@takes(InputOptions)
def compute(
    graph: FeatureGraph, data: Any, *, reasons: bool = False, batches: bool = False, **options: Unpack[InputOptions]
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
    source = Input.of(data, **options)
    engine = source.engine(graph)
    pieces = _vectors(engine, source, reasons)
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


def _vectors(engine: Engine, source: Input, reasons: bool) -> Iterator[pa.RecordBatch]:
    intake = Intake()
    for vectors in source.vectors(engine, intake):
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
