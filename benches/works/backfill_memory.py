"""Peak memory of a backfill of 10 M rows, above the interpreter with its imports: of a table of bars in Parquet, and of
a tape. Each runs in a process of its own, which tells its VmHWM; inputs are made once, in `benches/out`.

The table has pyarrow's own row groups (1,048,576 rows) and numbers that do not compress: as large as such a file gets.
The tape repeats captures, each time later and with later ids.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benches.captures import captures
from benches.figure import Figure, Goal, Measured
from benches.folders import ROOT, out
from benches.minutes import Minutes

if TYPE_CHECKING:
    import pyarrow as pa

GOAL = Goal("value", "<=", 150.0)
MEBIBYTE_KB = 1024.0
DISK_BYTES = 6 << 30
BLOCK = 1 << 20
ID_STEP = 100_000_000_000
"""What ids grow by from one repetition of a capture to the next: more than they do within one."""
NO_RULE = (1 << 64) - 1
SECOND_NS = 1_000_000_000


def measure(*, quick: bool) -> Iterator[Figure]:
    """A figure for the table, one for the tape."""
    rows, rounds = (1_000_000, 1) if quick else (10_000_000, 2)
    if shutil.disk_usage(out()).free < DISK_BYTES:
        yield Figure(
            "backfill, peak memory", "MB", None, goal=GOAL, note="not measured: less than 6 GB of disk are free"
        )
        return
    for what, graph, source in (("table", "graph23", table(rows)), ("tape", "book", tape(rows))):
        runs = [backfilled(graph, source) for _ in range(rounds)]
        above = [(run["peak_kb"] - run["base_kb"]) / MEBIBYTE_KB for run in runs]
        seconds = min(run["seconds"] for run in runs)
        note = (
            f"VmHWM above {runs[0]['base_kb'] / MEBIBYTE_KB:.0f} MB with imports; {runs[0]['vectors']:,} vectors to "
            f"Parquet; {rows / seconds / 1e6:.2f} M rows/s; {source.stat().st_size / 1e6:,.0f} MB in the file"
        )
        work = f"backfill of a {rows / 1e6:g} M row {what}, peak memory"
        yield Figure(work, "MB", Measured(max(above), min(above), max(above), rounds), goal=GOAL, note=note)


def backfilled(graph: str, source: Path) -> dict[str, Any]:
    """One backfill by `benches.peak`; what it wrote is thrown away."""
    target = out() / "backfilled.parquet"
    command = [sys.executable, "-m", "benches.peak", graph, str(source), str(target)]
    try:
        printed = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    finally:
        target.unlink(missing_ok=True)
    found: dict[str, Any] = json.loads(printed)
    return found


def table(rows: int) -> Path:
    """Bars and books in Parquet."""
    import pyarrow.parquet as pq

    path = out() / f"minutes-{rows}.parquet"
    if path.exists():
        return path
    unfinished = path.with_suffix(".unfinished")
    minutes = Minutes.made(rows)
    with pq.ParquetWriter(unfinished, minutes.batch(0, 1).schema) as writer:
        for start in range(0, rows, BLOCK):
            writer.write_batch(minutes.batch(start, min(start + BLOCK, rows)), row_group_size=BLOCK)
    unfinished.replace(path)
    return path


def tape(rows: int) -> Path:
    """A tape of at least so many rows, from captures that follow one another."""
    from signal_stream import _core

    files, _ = captures()
    path = out() / f"tape-{rows}-{len(files)}.parquet"
    if path.exists():
        return path
    reader, batches = _core.Reader([str(file) for file in files]), []
    while (batch := reader.next()) is not None:
        batches.append(pa_batch(batch))
    span_ns = _recv(batches[-1], -1) - _recv(batches[0], 0) + SECOND_NS
    held = sum(batch.num_rows for batch in batches)
    with tempfile.TemporaryDirectory(dir=out()) as folder:
        parts = [
            _written(Path(folder) / f"{number:04}.arrow", batches, number * span_ns, number * ID_STEP)
            for number in range(-(-rows // held))
        ]
        writer = _core.TapeWriter(str(unfinished := path.with_name(f"unfinished-{path.name}")))
        for part in parts:
            reader = _core.Reader([str(part)])
            while (batch := reader.next()) is not None:
                writer.write(batch)
        writer.finish()
    unfinished.replace(path)
    return path


def pa_batch(batch: Any) -> pa.RecordBatch:
    """Events as Arrow."""
    import pyarrow as pa

    return pa.record_batch(batch)


def _recv(batch: pa.RecordBatch, row: int) -> int:
    import pyarrow as pa

    return int(batch.column("ts_recv").cast(pa.int64())[row % batch.num_rows].as_py())


def _written(path: Path, batches: list[pa.RecordBatch], later_ns: int, ids: int) -> Path:
    """The batches as a tape of their own, so much later and with ids so much higher."""
    import pyarrow as pa

    with pa.ipc.new_file(path, batches[0].schema) as file:
        for batch in batches:
            file.write_batch(_moved(batch, later_ns, ids))
    return path


def _moved(rows: pa.RecordBatch, later_ns: int, ids: int) -> pa.RecordBatch:
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = dict(zip(rows.schema.names, rows.columns, strict=True))
    for name in ("ts_recv", "ts_event"):
        moved = pc.add(columns[name].cast(pa.int64()), later_ns)
        columns[name] = moved.cast(rows.schema.field(name).type)
    zero, no_rule = (pa.scalar(plain, pa.uint64()) for plain in (0, NO_RULE))
    for name in ("sequence", "sequence_prev"):
        column = columns[name]
        plain = pc.or_(pc.equal(column, zero), pc.equal(column, no_rule))
        moved = pc.add(pc.if_else(plain, zero, column), pa.scalar(ids, pa.uint64()))
        columns[name] = pc.if_else(plain, column, moved)
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=rows.schema)
