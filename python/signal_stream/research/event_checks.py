"""Whether each row of a table can be an event: a trade has a price and a quantity, a level of a book is there or is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from signal_stream.research.columns import bad

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from signal_stream.research.kinds import EventKind
    from signal_stream.research.table_shape import TableShape


def check_events(kind: EventKind, shape: TableShape, columns: Mapping[str, np.ndarray], first: int) -> None:
    """DataError for the first row that can be no event of the kind. `columns` are numbers by field, NaN where there is none;
    `first` is the number of the first row in the whole table."""
    checks = _Checks(shape, columns, first)
    checks.finite()
    if kind.name == "trades":
        checks.traded()
    elif kind.name == "bars":
        checks.counted()
    else:
        for side in ("bid", "ask"):
            checks.levels(side, kind.levels(columns, side))


class _Checks:
    def __init__(self, shape: TableShape, columns: Mapping[str, np.ndarray], first: int) -> None:
        self._names = dict(zip(shape.fields, shape.columns, strict=True))
        self._columns = columns
        self._first = first

    def finite(self) -> None:
        """No number is infinite."""
        import numpy as np

        for field, values in self._columns.items():
            endless = np.isinf(values)
            if endless.any():
                row = int(endless.argmax())
                advice = "Drop such rows, or make them null."
                self._refuse(row, field, float(values[row]), "is no number that a tape can hold", advice)

    def traded(self) -> None:
        """Each trade has a price and a quantity."""
        import numpy as np

        for field in ("price", "qty"):
            values = self._columns[field]
            none = np.isnan(values) | (values == 0.0)
            if none.any():
                row = int(none.argmax())
                shown = None if np.isnan(values[row]) else float(values[row])
                what = "it has none" if shown is None else "it is 0"
                self._refuse(
                    row, field, shown, f"{field}: {what}, so the row is no trade", "Drop such rows first.", bare=True
                )

    def counted(self) -> None:
        """Numbers of trades are whole."""
        import numpy as np

        counts = self._columns.get("trades")
        if counts is None:
            return
        odd = (counts != np.floor(counts)) & ~np.isnan(counts)
        if odd.any():
            row = int(odd.argmax())
            advice = "Give whole numbers, or another name to a column that is something else."
            self._refuse(row, "trades", float(counts[row]), "is no number of trades", advice)

    def levels(self, side: str, count: int) -> None:
        """The levels of a side that are there come first, the best of them in front."""
        import numpy as np

        above, best = None, None
        for level in range(1, count + 1):
            field = f"{side}_price_{level}"
            price, qty = self._columns[field], self._columns[f"{side}_qty_{level}"]
            halves = np.isnan(price) & (qty > 0) | ~np.isnan(price) & np.isnan(qty)
            if halves.any():
                row = int(halves.argmax())
                what = "has a quantity without a price" if np.isnan(price[row]) else "has a price without a quantity"
                self._refuse(row, field, f"level {level}", what, "Give both, or neither where nobody stands.")
            there = qty > 0
            if above is not None and (there & ~above).any():
                row = int((there & ~above).argmax())
                self._refuse(
                    row, field, f"level {level}", "stands behind an empty one", "Move the levels up: none is left out."
                )
            if best is not None:
                wrong = there & ((price >= best) if side == "bid" else (price <= best))
                if wrong.any():
                    row = int(wrong.argmax())
                    what = f"does not lie behind {float(best[row])!r}"
                    advice = "Sort the levels: level 1 is the best of its side."
                    self._refuse(row, field, f"level {level} at {float(price[row])!r}", what, advice)
            above, best = there, price

    def _refuse(self, row: int, field: str, value: object, what: str, advice: str, *, bare: bool = False) -> NoReturn:
        message = what if bare else f"{value} {what}"
        bad("BAD_VALUE", message, self._names[field], self._first + row, value=value, advice=advice)
