"""What a graph is run over: tapes, captures or a table, and how they are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from signal_stream.ingest import Intake, share_of
from signal_stream.research.engine import Engine
from signal_stream.research.frames import as_table, is_table, record_batches
from signal_stream.research.input_options import EngineOptions, InputOptions, filled, part
from signal_stream.research.table_files import batches_of_file, row_names, rows_of
from signal_stream.research.table_rows import ROWS, ROWS_MANY

if TYPE_CHECKING:
    import pyarrow as pa

    from signal_stream._core import Vectors
    from signal_stream.features import FeatureGraph


@dataclass(frozen=True, slots=True)
class Input:
    """Data, and all options by which they are read, as in `compute`."""

    data: Any
    options: InputOptions

    @classmethod
    def of(cls, data: Any, **options: Unpack[InputOptions]) -> Input:
        """Data and what is said of them. Raises DataError for a share that is none, TypeError for an unknown option."""
        found = filled(InputOptions, options)
        share_of(found["max_rejected"])
        return cls(data, found)

    def held(self) -> Input:
        """The same, which can be read several times: what flows once is held, and what Arrow has to be made of is made once."""
        return replace(self, data=as_table(self.data)) if is_table(self.data) else self

    def engine(self, graph: FeatureGraph) -> Engine:
        """A fresh engine for it."""
        return Engine(graph, **part(EngineOptions, self.options))

    def batches(self, intake: Intake | None = None) -> Iterator[Any]:
        """What an engine takes, piece by piece: tape batches of files, record batches of a table. `intake` counts a capture's
        lines."""
        paths = self._paths()
        if paths:
            yield from self._batches_of(paths, intake)
        elif is_table(self.data):
            yield from self._pieces(record_batches(self.data))
        else:
            yield self.data

    def vectors(self, engine: Engine, intake: Intake) -> Iterator[Vectors]:
        """The vectors of the whole input, and what became of its lines or rows: DataError or TapeError REJECTED, behind the last
        vector, where more of them are broken than allowed. The engine is of no use after an error."""
        paths = self._paths()
        file = paths[0] if len(paths) == 1 else None
        with rows_of(file):
            yield from vectors_of(engine, self.batches(intake))
        if (rows := engine.rows) is not None:
            name = row_names(file)
            intake.take_rows(rows.refused, rows.rows, lambda row: name(row) if file is None else f"{file}, {name(row)}")
            intake.check(self.options["max_rejected"])

    def tapes(self) -> list[str]:
        """The files, where the input is tapes or captures."""
        from signal_stream.ingest import sniff

        paths = self._paths()
        return [] if any(sniff(path) == "table" for path in paths) else [str(path) for path in paths]

    def _paths(self) -> list[str | Path]:
        given = [self.data] if isinstance(self.data, str | Path) else self.data
        if isinstance(given, Sequence) and all(isinstance(path, str | Path) for path in given):
            return list(given)
        return []

    def _batches_of(self, paths: Sequence[str | Path], intake: Intake | None) -> Iterator[Any]:
        """Batches of tapes, captures, or a table of bars, trades or quotes in a CSV, Parquet or Feather file."""
        from signal_stream.ingest import read_tape, sniff

        if len(paths) == 1 and sniff(paths[0]) == "table":
            yield from self._pieces(batches_of_file(paths[0], self.options["columns"]))
        else:
            yield from read_tape(*paths, max_rejected=self.options["max_rejected"], intake=intake)

    def _pieces(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """A table's record batches in the pieces that are computed in one go; `columns` may say which names instruments."""
        columns: Mapping[str, str] = self.options["columns"] or {}
        names = columns.get("instrument", "instrument")
        for batch in batches:
            rows = ROWS_MANY if names in batch.schema.names else ROWS
            yield batch.slice(0, rows)
            for start in range(rows, batch.num_rows, rows):
                yield batch.slice(start, rows)


def vectors_of(engine: Engine, batches: Iterable[Any], *, chunk: int | None = None) -> Iterator[Vectors]:
    """The vectors of a whole input, piece by piece. The engine is of no use after an error."""
    for batch in batches:
        yield from engine.stream(batch, chunk=chunk, whole=False)
    yield from engine.end()
