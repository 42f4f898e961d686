"""Rows of a table as the messages of a tape: bars, trades, quotes, books.

A message has one row a field, side or level (`crates/event/src/more.rs`). The rows have been checked by `TableRows`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from signal_stream.research.columns import as_numpy
from signal_stream.research.decimals import Decimals, mantissas, rounded
from signal_stream.research.event_checks import check_events
from signal_stream.research.table_moments import MissingBars, Moments
from signal_stream.research.tape_cells import NO_TIME, Instrument, batch_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from signal_stream import _core
    from signal_stream.research.kinds import EventKind
    from signal_stream.research.table_rows import Piece
    from signal_stream.research.table_shape import TableShape

_TRADE, _QUOTE, _SNAPSHOT, _BAR, _MARK = 1, 2, 4, 5, 6
_LAST, _CUT = 1, 4
_BID, _ASK = 1, 2
_NOBODY: Final = 2**32 - 1
_FIELDS: Final = {"open": 1, "high": 2, "low": 3, "close": 4, "volume": 5, "buy_volume": 6, "trades": 7, "vwap": 8}
_LENGTH: Final = 9
_AMOUNTS: Final = ("volume", "buy_volume", "qty")
_EVENTS: Final = 65_536
"""Events that are made into one batch."""


class TableEvents:
    """Makes messages of the rows of one table, piece after piece.

    `see` looks at each piece once before: it finds the decimal places, and refuses rows that are no events. Then `batches` takes
    the same pieces again. Invariant: a mark follows the bars of a moment once no more of them can come.
    """

    def __init__(self, shape: TableShape, kind: EventKind, decimals: int | None = None) -> None:
        self.shape = shape
        self.kind = kind
        self.decimals = decimals
        """Places to which prices and quantities are rounded; None leaves them as they are."""
        named = zip(shape.fields, shape.columns, strict=True)
        self.fields = {field: column for field, column in named if kind.has(field)}
        self.rows = 0
        self.names: list[str] = []
        self.prices: list[Decimals] = []
        self.qtys: list[Decimals] = []
        self.rounded = 0
        """Numbers that rounding has changed."""
        self.made = 0
        """Bars without trades that stand for missing rows."""
        self._missing = MissingBars(kind.bars_ns, shape.wait_ns) if shape.empty_bars and kind.bars_ns else None
        self._open: int | None = None
        self._instruments: list[Instrument] = []

    def see(self, piece: Piece) -> None:
        """Looks at a piece before anything is made of the table. DataError for the first row that can be no event."""
        import numpy as np

        columns = self._numbers(piece, count=True)
        codes = self._codes(piece)
        check_events(self.kind, self.shape, columns, self.rows)
        for name in piece.names[len(self.names) :]:
            self.names.append(name)
            self.prices.append(Decimals())
            self.qtys.append(Decimals())
        for field, name in self.fields.items():
            values = columns[field]
            told = np.flatnonzero(~np.isnan(values))
            if field in ("side", "trades"):
                continue
            scales = self.qtys if _is_qty(field) else self.prices
            whose = codes[told]
            for code in np.unique(whose).tolist():
                rows = told[whose == code]
                scales[code].see(values[rows], name, rows + self.rows)
        self.rows += piece.batch.num_rows

    def begin(self) -> list[Instrument]:
        """All has been seen: the instruments and their decimal places. DataError for numbers that a tape cannot hold."""
        self._instruments = [
            Instrument(name, price.scale(), qty.scale())
            for name, price, qty in zip(self.names, self.prices, self.qtys, strict=True)
        ]
        return self._instruments

    def batches(self, piece: Piece) -> Iterator[_core.EventBatch]:
        """The messages of a piece."""
        import numpy as np

        columns, codes = self._numbers(piece), self._codes(piece)
        happened = as_numpy(piece.batch.column(0))
        known = happened if piece.received is None else as_numpy(piece.batch.column(piece.received))
        rows = Moments(known, happened, codes, np.arange(len(codes)))
        spread = [rows] if self._missing is None else self._missing.fill(rows, len(piece.names))
        for moments in spread:
            self.made += int((moments.rows < 0).sum())
            for start in range(0, len(moments.rows), _EVENTS):
                yield self._batch(Moments(*(each[start : start + _EVENTS] for each in moments)), columns)

    def end(self) -> Iterator[_core.EventBatch]:
        """The table has ended: the mark behind its last bars."""
        if self._open is not None:
            from signal_stream import _core

            yield _core.EventBatch.mark(self._open + 1)

    def _codes(self, piece: Piece) -> np.ndarray:
        import numpy as np

        if piece.which is None:
            return np.zeros(piece.batch.num_rows, np.int64)
        return as_numpy(piece.batch.column(piece.which)).astype(np.int64)

    def _numbers(self, piece: Piece, *, count: bool = False) -> dict[str, np.ndarray]:
        """The columns by field, rounded if that was asked for; NaN where a row has no number."""
        import numpy as np

        found = {}
        for field in self.fields:
            column = piece.batch.column(field)
            values = np.array(as_numpy(column), np.float64)
            values[as_numpy(column.is_null())] = np.nan
            found[field] = values
            if self.decimals is not None and field not in ("side", "trades"):
                found[field] = rounded(values, self.decimals)
                self.rounded += int(((found[field] != values) & ~np.isnan(values)).sum()) if count else 0
        return found

    def _batch(self, moments: Moments, columns: dict[str, np.ndarray]) -> _core.EventBatch:
        """The messages of some events: their rows in order, those that are not there left out."""
        import numpy as np

        makers = {"bars": self._bars, "trades": self._trades, "quotes": self._sides, "book": self._sides}
        cells, there = makers[self.kind.name](moments, columns)
        code = {"bars": _BAR, "trades": _TRADE, "quotes": _QUOTE, "book": _SNAPSHOT}[self.kind.name]
        n, width = there.shape
        wide = {
            "ts_recv": np.repeat(moments.known, width).reshape(n, width),
            "ts_event": np.repeat(moments.happened, width).reshape(n, width),
            "instrument": np.repeat(moments.codes, width).reshape(n, width),
            "kind": np.full((n, width), code),
            **cells,
        }  # fmt: skip
        if self.kind.name == "bars":
            there = self._marked(moments, wide, there)
        return self._made({name: values[there] for name, values in wide.items()})

    def _made(self, cells: dict[str, np.ndarray]) -> _core.EventBatch:
        """A batch of these rows. Marks have no venue time; on receive time, as `compute` has it, no row has one."""
        import numpy as np

        unknown = cells["kind"] == _MARK if self.shape.by_venue else True
        cells["ts_event"] = np.where(unknown, NO_TIME, cells["ts_event"])
        return batch_of(cells, self._instruments)

    def _marked(self, moments: Moments, wide: dict[str, np.ndarray], there: np.ndarray) -> np.ndarray:
        """Puts a mark in front of each event whose moment is another than that of the one before."""
        import numpy as np

        before = np.concatenate([[moments.known[0] if self._open is None else self._open], moments.known[:-1]])
        self._open = int(moments.known[-1])
        mark: dict[str, Any] = {"ts_recv": before + 1, "instrument": _NOBODY, "kind": _MARK, "flags": _LAST}
        none = np.zeros(len(before), np.int64)
        for name, values in wide.items():
            wide[name] = np.column_stack([none + mark.get(name, 0), values])
        return np.column_stack([before != moments.known, there])

    def _whole(self, moments: Moments, values: np.ndarray, field: str) -> np.ndarray:
        """A column's numbers for events, as whole numbers; 0 where there is none."""
        import numpy as np

        found = np.zeros(len(values), np.int64)
        told = ~np.isnan(values)
        if field == "trades":
            found[told] = values[told].astype(np.int64)
            return found
        scales = [each.qty_scale if _is_qty(field) else each.price_scale for each in self._instruments]
        of_row = np.array(scales, np.int64)[moments.codes]
        for scale in np.unique(of_row[told]).tolist():
            rows = told & (of_row == scale)
            found[rows] = mantissas(values[rows], scale)
        return found

    @staticmethod
    def _taken(moments: Moments, values: np.ndarray) -> np.ndarray:
        """A column's number for each event; bars without trades have none."""
        import numpy as np

        return np.where(moments.rows < 0, np.nan, values[np.maximum(moments.rows, 0)])

    def _bars(self, moments: Moments, columns: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], np.ndarray]:
        import numpy as np

        n, made = len(moments.rows), moments.rows < 0
        fields = [
            field
            for field in _FIELDS
            if field in columns or (made.any() and field in ("volume", "buy_volume", "trades"))
        ]
        shape = (n, len(fields) + 1)
        price, qty, count = (np.zeros(shape, np.int64) for _ in range(3))
        there = np.ones(shape, bool)
        for place, field in enumerate(fields):
            held = {"volume": qty, "buy_volume": qty, "trades": count}.get(field, price)
            values = self._taken(moments, columns[field]) if field in columns else np.full(n, np.nan)
            values = np.where(made & (held is not price), 0.0, values)
            there[:, place] = ~np.isnan(values)
            held[:, place] = self._whole(moments, values, field)
        count[:, -1] = self.kind.bars_ns or 0
        code = np.tile(np.array([*(_FIELDS[field] for field in fields), _LENGTH]), (n, 1))
        flags = np.zeros(shape, np.int64)
        flags[:, -1] = _LAST
        cells = {"side": np.zeros(shape, np.int64), "flags": flags, "price": price, "qty": qty}
        return {**cells, "field": code, "count": count}, there

    def _trades(self, moments: Moments, columns: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], np.ndarray]:
        import numpy as np

        n = len(moments.rows)
        sides = self._taken(moments, columns["side"]) if "side" in columns else np.zeros(n)
        side = np.where(sides > 0, _BID, np.where(sides < 0, _ASK, 0))
        price = self._whole(moments, self._taken(moments, columns["price"]), "price")
        qty = self._whole(moments, self._taken(moments, columns["qty"]), "qty")
        one = (n, 1)
        cells = {"side": side, "flags": np.full(n, _LAST), "price": price, "qty": qty}
        return {name: values.reshape(one) for name, values in cells.items()}, np.ones(one, bool)

    def _sides(self, moments: Moments, columns: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Quotes: both sides, whether somebody stands there or not. Books: the levels that are there; of a side that is full to
        the table's last level, nobody knows what lies behind."""
        import numpy as np

        n, quotes = len(moments.rows), self.kind.name == "quotes"
        side, price, qty, cut, there = [], [], [], [], []
        for code, name in ((_BID, "bid"), (_ASK, "ask")):
            count = self.kind.levels(columns, name)
            for level in range(1, count + 1):
                amounts = np.nan_to_num(self._taken(moments, columns[f"{name}_qty_{level}"]))
                prices = self._taken(moments, columns[f"{name}_price_{level}"])
                side.append(np.full(n, code))
                price.append(self._whole(moments, prices, "price"))
                qty.append(self._whole(moments, amounts, "qty"))
                cut.append(np.full(n, 0 if quotes or level < count else _CUT))
                there.append(np.full(n, True) if quotes else amounts > 0)
        # A book without levels is one row without a side.
        side.append(np.zeros(n, np.int64))
        price.append(np.zeros(n, np.int64))
        qty.append(np.zeros(n, np.int64))
        cut.append(np.zeros(n, np.int64))
        there.append(~np.any(there, axis=0))
        shown, flags = np.column_stack(there), np.column_stack(cut)
        last = shown.shape[1] - 1 - shown[:, ::-1].argmax(axis=1)
        flags[np.arange(n), last] |= _LAST
        cells = {"side": np.column_stack(side), "price": np.column_stack(price), "qty": np.column_stack(qty)}
        return {**cells, "flags": flags}, shown


def _is_qty(field: str) -> bool:
    return field in _AMOUNTS or "_qty_" in field
