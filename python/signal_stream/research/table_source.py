"""Where the rows of a table come from that is being made a tape, and what all such readings have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from signal_stream.errors import DataError, did_you_mean
from signal_stream.ingest import Intake
from signal_stream.research.frames import is_table, record_batches
from signal_stream.research.table_files import batches_of_file, row_names, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from contextlib import AbstractContextManager

    import pyarrow as pa

    from signal_stream import _core


class Place(NamedTuple):
    """A file whose rows follow those of other files; None for a table in memory."""

    path: str | Path | None = None
    before: int = 0
    """Rows in the files before it."""

    def errors(self) -> AbstractContextManager[None]:
        """Within, an error about a row or column says in which file it is."""
        return rows_of(*self)

    def name(self, row: int) -> str:
        """How people find a row, counted from 0 over all files."""
        name = row_names(*self)(row)
        return name if self.path is None else f"{self.path}, {name}"


@dataclass(frozen=True, slots=True)
class TableSource:
    """Files whose rows follow each other, or a table in memory; it can be read more than once."""

    paths: tuple[str | Path, ...]
    table: Any = None

    @classmethod
    def of(cls, data: Any) -> TableSource:
        """Where data come from. Raises DataError for what is no table and no path of one."""
        import pyarrow as pa

        if isinstance(data, str | Path):
            return cls((data,))
        if isinstance(data, Sequence) and data and all(isinstance(path, str | Path) for path in data):
            return cls(tuple(data))
        if isinstance(data, pa.RecordBatchReader):
            return cls((), data.read_all())
        if is_table(data):
            return cls((), data)
        raise DataError(
            "UNKNOWN_TYPE", f"{type(data).__name__} is no table and no path of one",
            next_step="Give a path, or a pyarrow, polars or pandas table.",
        )  # fmt: skip

    def __str__(self) -> str:
        return ", ".join(str(path) for path in self.paths)

    def batches(
        self, columns: Mapping[str, str], numbers: Collection[str] = ()
    ) -> Iterator[tuple[Place, pa.RecordBatch]]:
        """Its rows, with the place where they stand; options as in `batches_of_file`."""
        if not self.paths:
            yield from ((Place(), batch) for batch in record_batches(self.table))
            return
        rows = 0
        for path in self.paths:
            place = Place(path, rows)
            with place.errors():
                for batch in batches_of_file(path, columns, numbers):
                    yield place, batch
                    rows += batch.num_rows

    def check_rows(self, rows: int) -> None:
        """DataError where there are none."""
        if rows == 0:
            raise DataError("BAD_VALUE", "the table has no rows", where=str(self), next_step="Give one that has.")

    def errors(self) -> AbstractContextManager[None]:
        """Within, an error that is about no single row says which file it is about, if there is one alone."""
        return rows_of(self.paths[0] if len(self.paths) == 1 else None)


class TableTape(ABC):
    """A table that is being made a tape: first it is checked to its end, then read again.

    Invariant: both readings see the same rows, as far as the files stay as they are.
    """

    rows: int
    """Rows of the table, once it was checked."""
    made: int
    """Bars without trades that were made for missing rows so far."""
    rounded: int
    """Numbers that rounding has changed, once the table was checked."""
    instruments: list[str]
    """The instruments, once the table was checked, in the order of their first rows."""

    @abstractmethod
    def check(self, tell: Callable[[int], None] | None = None) -> None:
        """Reads all rows; DataError for the first that cannot be believed. `tell` is told the rows read."""

    @abstractmethod
    def batches(self) -> Iterator[_core.EventBatch]:
        """The messages, after `check`."""

    @property
    def intake(self) -> Intake:
        """What became of the rows, once the table was checked. Here none is refused alone."""
        return Intake(lines=self.rows, what="rows")


def check_columns(given: Mapping[str, str], known: Collection[str], names: Sequence[str], noun: str) -> None:
    """DataError where `columns` names a field (the noun) that is none, or a column that the table does not have."""
    for name, column in given.items():
        if name not in known:
            raise DataError(
                "MISSING_COLUMN", f'columns names an unknown {noun} "{name}"', value=name,
                next_step=did_you_mean(name, list(known)) or f"Known are {', '.join(known)}.",
            )  # fmt: skip
        if column not in names:
            raise DataError(
                "MISSING_COLUMN", f'columns says {name} is "{column}", but the table has no such column', value=column,
                next_step=did_you_mean(column, list(names)),
            )  # fmt: skip
