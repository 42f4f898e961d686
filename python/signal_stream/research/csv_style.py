"""How a CSV file separates its cells and writes its numbers, recognised from its first block."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from signal_stream.errors import DataError
from signal_stream.research.columns import bad, is_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pyarrow as pa
    from pyarrow import csv

_BLOCK: Final = 4 << 20
"""Bytes that are read at once; the columns' types follow from the first of them."""
_HEADER_BYTES: Final = 1 << 16
_SHOWN: Final = 80
_OTHERS: Final = (";", "\t", "|")
"""What separates cells where no comma does."""
_QUOTED: Final = re.compile(r'"[^"]*"')
_COMMA: Final = re.compile(r"[+-]?\d+,\d+")
_THOUSANDS: Final = re.compile(r"[+-]?\d{1,3},\d{3}")


@dataclass(frozen=True, slots=True)
class CsvStyle:
    """What stands between cells, and between a number's units and its tenths."""

    separator: str
    decimal: str

    @classmethod
    def of(cls, file: Path, is_number: Callable[[str], bool]) -> CsvStyle:
        """The style of a file. The marks of its header say what separates; of several, the one that stands as often in each row.
        Where none of the commas of the columns of numbers can stand for thousands, they are decimal ones. DataError where it may
        be either."""
        separator = _separator(file)
        if separator == ",":
            return cls(",", ".")
        style = cls(separator, ".")
        return cls(separator, style._decimal(file, is_number))

    def open(self, file: Path, converting: csv.ConvertOptions) -> csv.CSVStreamingReader:
        """A reader of the file."""
        from pyarrow import csv

        reading = csv.ReadOptions(block_size=_BLOCK, use_threads=False)
        parsing = csv.ParseOptions(delimiter=self.separator)
        return csv.open_csv(file, read_options=reading, parse_options=parsing, convert_options=converting)

    def _decimal(self, file: Path, is_number: Callable[[str], bool]) -> str:
        from pyarrow import csv

        with self.open(file, csv.ConvertOptions()) as opened:
            texts = [field.name for field in opened.schema if is_number(field.name) and is_text(field.type)]
            batch = opened.read_next_batch() if texts else None
        if batch is None:
            return "."
        doubtful: tuple[str, int, str] | None = None
        for name in texts:
            for row, text in enumerate(_cells(batch, name)):
                if _THOUSANDS.fullmatch(text):
                    doubtful = doubtful or (name, row, text)
                elif _COMMA.fullmatch(text):
                    return ","
        if doubtful is not None:
            name, row, text = doubtful
            bad(
                "WRONG_TYPE", f"{text!r} may be {text.replace(',', '')} or {text.replace(',', '.')}", name, row, value=text,
                advice="Write its numbers with a decimal point, and without a mark for thousands.",
            )  # fmt: skip
        return "."


def _separator(file: Path) -> str:
    import pyarrow as pa

    with pa.input_stream(str(file), compression="detect") as opened:
        block = opened.read(_HEADER_BYTES)
    header, *rows = [_QUOTED.sub("", line) for line in block.decode("utf-8", "replace").split("\n")]
    if len(block) == _HEADER_BYTES and rows:
        rows.pop()  # it may be cut off
    found = [mark for mark in (",", *_OTHERS) if mark in header]
    rows = [row for row in rows if row.strip()]
    if len(found) < 2 or not rows:
        return found[0] if found else ","
    fitting = [mark for mark in found if all(row.count(mark) == header.count(mark) for row in rows)]
    if len(fitting) > 1:
        marks = " and ".join(repr(mark) for mark in fitting)
        raise DataError(
            "WRONG_TYPE", f"its cells may be separated by {marks}: header and rows have as many of each", where=str(file),
            value=header[:_SHOWN], next_step="Write it with one of them, or put names and texts that hold the other in quotes.",
        )  # fmt: skip
    return (fitting or found)[0]


def _cells(batch: pa.RecordBatch, name: str) -> list[str]:
    return [(text or "").strip() for text in batch.column(batch.schema.names.index(name)).to_pylist()]
