"""LOBSTER's files: what happened to the orders of one Nasdaq stock on one day, and the book's levels after each message.

The format is that of lobsterdata.com: `AAPL_2012-06-21_34200000_57600000_message_10.csv` and `…_orderbook_10.csv`, without
headers, each row of the second beside one of the first. Times are seconds after midnight in New York, prices dollars times
10,000.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn
from zoneinfo import ZoneInfo

from signal_stream.errors import DataError
from signal_stream.research.columns import as_numpy
from signal_stream.research.table_options import check_instrument, stated_ns
from signal_stream.research.table_source import TableTape
from signal_stream.research.tape_cells import Cells, Instrument, batch_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    import pyarrow as pa

    from signal_stream import _core

BOOKS: Final = ("levels", "orders")
_NAME: Final = re.compile(r"(?P<ticker>[^_]+)_(?P<day>\d{4}-\d\d-\d\d)_\d+_\d+_message_(?P<levels>\d+)\.csv(\.gz)?")
_COLUMNS: Final = ("time", "type", "order", "size", "price", "direction")
_ZONE: Final = ZoneInfo("America/New_York")
_NO_PRICE: Final = 9_999_999_999
"""Price of a level on which nobody stands; of bids below zero."""
_PRICE: Final = 100_000
"""LOBSTER's prices have 4 decimals, ours 9, as those of other feeds of Nasdaq."""
_PRICE_SCALE: Final = 9
_BLOCK: Final = 1 << 20
_NEW, _CANCELLED, _DELETED, _EXECUTED, _HIDDEN, _CROSS, _HALT = range(1, 8)
_TRADE, _SNAPSHOT, _STATUS, _ORDER = 1, 4, 7, 8
_ADD, _CANCEL, _FILL, _CLEAR = 1, 3, 4, 5
_AUCTION: Final = 6
_HALTED, _RESUMED = 3, 4
_OF_INSTRUMENT: Final = 1
_LAST, _CUT = 1, 4


class _Rows(NamedTuple):
    """Some messages; `levels` are the book's after each: ask price, ask size, bid price, bid size, level by level."""

    first: int
    columns: dict[str, np.ndarray]
    levels: np.ndarray | None


class LobsterTape(TableTape):
    """A day of LOBSTER.

    With `book="levels"` the book is that of the book file, which has to lie beside; with `book="orders"` the orders
    themselves are on the tape, and those that stood before the first message are not known.
    """

    made = rounded = 0

    def __init__(
        self, paths: Sequence[str | Path], *, instrument: str | None, latency: str | None, book: str | None = None
    ) -> None:
        if len(paths) != 1 or (name := _NAME.fullmatch(Path(paths[0]).name)) is None:
            raise DataError(
                "BAD_VALUE", "no message file of LOBSTER", where=", ".join(map(str, paths)),
                next_step="Name one as LOBSTER does: TICKER_2012-06-21_34200000_57600000_message_10.csv.",
            )  # fmt: skip
        if book not in (None, *BOOKS):
            raise DataError("BAD_VALUE", f'book is "{book}"', value=book, next_step='Say "levels" or "orders".')
        wait = stated_ns("latency", latency)
        if wait is None:
            raise DataError(
                "MISSING_COLUMN", "LOBSTER tells when Nasdaq sent each message, and nobody when it could be known here",
                where=str(paths[0]), next_step='Declare the feed\'s latency: --latency 20ms (or 0ms), latency="20ms".',
            )  # fmt: skip
        self._latency = wait
        self.path = Path(paths[0])
        if instrument is not None:
            check_instrument(instrument)
        self.instruments = [instrument or f"{name['ticker']}.XNAS"]
        self.depth = int(name["levels"])
        midnight = datetime.fromisoformat(name["day"]).replace(tzinfo=_ZONE)
        self._midnight = int(midnight.timestamp()) * 10**9
        self._book = book or "levels"
        self.rows = 0
        self._checked = False

    @property
    def book_path(self) -> Path:
        """The file of the book's levels, as LOBSTER names it."""
        return self.path.with_name(self.path.name.replace("_message_", "_orderbook_"))

    def check(self, tell: Callable[[int], None] | None = None) -> None:
        """Reads all rows; DataError for the first that cannot be believed. `tell` is told the rows read."""
        if self._book == "levels" and not self.book_path.is_file():
            raise DataError(
                "MISSING_COLUMN", "the file of the book's levels is not there", where=str(self.book_path),
                next_step='Put it beside the messages, or say --book orders (book="orders"): the book is then made of the '
                "orders, of which those that stood before the first message are not known.",
            )  # fmt: skip
        newest = -1
        for rows in self._pieces():
            newest = self._check(rows, newest)
            self.rows += len(rows.columns["time"])
            if tell is not None:
                tell(self.rows)
        if not self.rows:
            raise DataError("BAD_VALUE", "the file has no rows", where=str(self.path), next_step="Give one that has.")
        self._checked = True

    def batches(self) -> Iterator[_core.EventBatch]:
        """The messages, after `check`."""
        if not self._checked:
            raise AssertionError("the files were not checked")
        instruments = [Instrument(self.instruments[0], _PRICE_SCALE, 0)]
        before: np.ndarray | None = None
        for rows in self._pieces():
            cells = self._told(rows)
            if rows.levels is None:
                cells += self._orders(rows)
            else:
                cells += self._books(rows, before)
                before = rows.levels[-1]
            yield batch_of(Cells.beside(cells), instruments)

    def _refuse(self, rows: _Rows, at: int, column: str, what: str, path: Path | None = None) -> NoReturn:
        raise DataError(
            "BAD_VALUE", what, where=f'{path or self.path}, column "{column}", line {rows.first + at + 1:,}',
            next_step="Get the file again: LOBSTER's are not so.",
        )  # fmt: skip

    def _check(self, rows: _Rows, newest: int) -> int:
        """Checks some rows; gives their last time."""
        import numpy as np

        c = rows.columns
        kind, halt = c["type"], c["type"] == _HALT
        for column, bad, what in [
            ("time", np.diff(c["time"], prepend=newest) < 0, "the time goes back"),
            ("type", (kind < _NEW) | (kind > _HALT), "no type of message from 1 to 7"),
            ("size", ~halt & (c["size"] <= 0), "a size that is not above 0"),
            ("price", ~halt & (c["price"] <= 0), "a price that is not above 0"),
            ("price", halt & (np.abs(c["price"]) > 1), "a halt that says neither -1, 0 nor 1"),
            ("direction", ~halt & (np.abs(c["direction"]) != 1), "a direction that is neither 1 nor -1"),
        ]:
            if bad.any():
                at = int(bad.argmax())
                self._refuse(rows, at, column, f"{what}: {c[column][at]}")
        if rows.levels is not None:
            self._check_levels(rows, rows.levels)
        return int(c["time"][-1])

    def _check_levels(self, rows: _Rows, levels: np.ndarray) -> None:
        import numpy as np

        for place, side, sign in ((0, "ask", 1), (2, "bid", -1)):
            prices, sizes = levels[:, place::4] * sign, levels[:, place + 1 :: 4]
            empty = levels[:, place::4] == sign * _NO_PRICE
            wrong = np.column_stack([
                (np.diff(prices, axis=1) <= 0) & ~empty[:, 1:],
                empty[:, :-1] & ~empty[:, 1:],
                empty != (sizes == 0),
                sizes < 0,
            ])  # fmt: skip
            if wrong.any():
                at = int(wrong.any(axis=1).argmax())
                self._refuse(rows, at, f"{side} levels", "levels out of order, or half of one", self.book_path)

    def _told(self, rows: _Rows) -> list[Cells]:
        """Trades, and halts."""
        import numpy as np

        c, n = rows.columns, len(rows.columns["time"])
        kind = c["type"]
        traded, halt = np.isin(kind, (_EXECUTED, _HIDDEN, _CROSS)), kind == _HALT
        # Who stood in the book bought with direction 1: so whoever came to trade with him sold.
        side = np.where(c["direction"] == 1, 2, 1)
        return [
            self._cells(
                rows, traded, kind=np.full(n, _TRADE), side=np.where(kind == _CROSS, 0, side), price=c["price"] * _PRICE,
                qty=c["size"], condition=np.where(kind == _CROSS, _AUCTION, 0), flags=np.full(n, _LAST),
            ),
            self._cells(
                rows, halt & (c["price"] != 0), kind=np.full(n, _STATUS), code=np.where(c["price"] < 0, _HALTED, _RESUMED),
                scope=np.full(n, _OF_INSTRUMENT), flags=np.full(n, _LAST),
            ),
        ]  # fmt: skip

    def _orders(self, rows: _Rows) -> list[Cells]:
        """What became of orders. Before the first of them the book is empty, as far as the file knows."""
        import numpy as np

        c, n = rows.columns, len(rows.columns["time"])
        action = np.array([0, _ADD, _CANCEL, _CANCEL, _FILL, 0, 0, 0])[c["type"]]
        first = np.zeros(n, bool)
        first[0] = rows.first == 0
        return [
            self._cells(
                rows, first, kind=np.full(n, _ORDER), action=np.full(n, _CLEAR), flags=np.full(n, _LAST),
            ),
            self._cells(
                rows, action > 0, kind=np.full(n, _ORDER), action=action, order_id=c["order"],
                side=np.where(c["direction"] == 1, 1, 2), price=c["price"] * _PRICE,
                qty=np.where(c["type"] == _DELETED, 0, c["size"]), flags=np.full(n, _LAST),
            ),
        ]  # fmt: skip

    def _books(self, rows: _Rows, before: np.ndarray | None) -> list[Cells]:
        """The book's levels after each message that changed them; behind a side's last one nobody knows what stands."""
        import numpy as np

        levels = rows.levels
        assert levels is not None
        same = np.zeros(len(levels), bool)
        same[1:] = (levels[1:] == levels[:-1]).all(axis=1)
        same[0] = before is not None and bool((levels[0] == before).all())
        shown: list[np.ndarray] = []
        cells: list[dict[str, np.ndarray]] = []
        whole = len(levels)
        for code, place, sign in ((1, 2, -1), (2, 0, 1)):
            for level in range(self.depth):
                price, size = levels[:, 4 * level + place], levels[:, 4 * level + place + 1]
                there = ~same & (price != sign * _NO_PRICE)
                shown.append(there)
                cut = np.full(whole, _CUT if level == self.depth - 1 else 0)
                cells.append({"side": np.full(whole, code), "price": price * _PRICE, "qty": size, "flags": cut})
        shown.append(~same & ~np.any(shown, axis=0))
        cells.append({"flags": np.zeros(whole, np.int64)})
        stacked = np.column_stack(shown)
        last = stacked.shape[1] - 1 - stacked[:, ::-1].argmax(axis=1)
        for at, told in enumerate(cells):
            told["kind"] = np.full(whole, _SNAPSHOT)
            told["flags"] = told["flags"] | np.where(last == at, _LAST, 0)
        return [self._cells(rows, there, **told) for there, told in zip(shown, cells, strict=True)]

    def _cells(self, rows: _Rows, there: np.ndarray, **told: np.ndarray) -> Cells:
        happened = self._midnight + rows.columns["time"]
        return Cells(there, {"ts_recv": happened + self._latency, "ts_event": happened, **told})

    def _pieces(self) -> Iterator[_Rows]:
        """Both files, piece by piece of the first."""
        books = _Columns(self.book_path, 4 * self.depth) if self._book == "levels" else None
        first = 0
        for batch in _batches(self.path, list(_COLUMNS), time="time"):
            columns = {name: as_numpy(batch.column(name)) for name in _COLUMNS[1:]}
            columns["time"] = _nanoseconds(batch.column("time"))
            levels = None if books is None else books.take(batch.num_rows)
            if levels is not None and len(levels) < batch.num_rows:
                break
            yield _Rows(first, columns, levels)
            first += batch.num_rows
        else:
            if books is None or not len(books.take(1)):
                return
        raise DataError(
            "BAD_VALUE", "the files of messages and of the book have not the same number of rows", where=str(self.book_path),
            next_step="Get both again, from one request.",
        )  # fmt: skip


class _Columns:
    """Rows of a file of whole numbers, as many at a time as are asked for."""

    def __init__(self, path: Path, columns: int) -> None:
        self._batches = _batches(path, [str(n) for n in range(columns)])
        self._left: np.ndarray | None = None

    def take(self, rows: int) -> np.ndarray:
        """So many rows; fewer at the end."""
        import numpy as np

        found = [] if self._left is None else [self._left]
        while sum(map(len, found)) < rows and (batch := next(self._batches, None)) is not None:
            found.append(np.column_stack([as_numpy(column) for column in batch.columns]))
        whole = np.concatenate(found) if found else np.empty((0, 0), np.int64)
        self._left = whole[rows:]
        return whole[:rows]


def _batches(path: Path, names: list[str], *, time: str | None = None) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    from pyarrow import csv

    types = {name: pa.decimal128(18, 9) if name == time else pa.int64() for name in names}
    try:
        reader = csv.open_csv(
            path, read_options=csv.ReadOptions(column_names=names, block_size=_BLOCK, use_threads=False),
            convert_options=csv.ConvertOptions(column_types=types),
        )  # fmt: skip
        yield from (batch for batch in reader if batch.num_rows)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            "UNKNOWN_TYPE", f"the file cannot be read: {' '.join(str(error).split())}", where=str(path)
        ) from None


def _nanoseconds(seconds: pa.Decimal128Array) -> np.ndarray:
    """Seconds with nine decimals as whole nanoseconds: their digits, which are below 2^63."""
    import numpy as np

    digits = np.frombuffer(seconds.buffers()[1], np.int64)[::2]
    whole: np.ndarray = digits[seconds.offset : seconds.offset + len(seconds)]
    return whole
