"""Float64 as the exact decimals of a tape: for each instrument one number of decimal places that holds all its values.

The decimal of a float is the shortest that reads back as the same float, as Python prints it: what the engine makes of it
has the bits that the table had.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from signal_stream.research.columns import bad

if TYPE_CHECKING:
    import numpy as np

USUAL: Final = 9
"""Decimal places of an instrument's prices and quantities, where they hold its values."""
MOST: Final = 18
"""Digits that a tape holds, and decimal places at most."""
_EXACT: Final = 1e15
"""Up to here each decimal has a float of its own, so the one that is near and reads back is the shortest."""
_BOUND: Final = 2**63 - 1


class Decimals:
    """Finds the decimal places for values of one scale, seen piece by piece.

    Invariant: `places` is enough for each value seen; `finest` and `largest` are the value that needs the most places and the
    greatest, each with its column and row.
    """

    def __init__(self) -> None:
        self.places = 0
        self.finest: tuple[float, str, int] = (0.0, "", 0)
        self.largest: tuple[float, str, int] = (0.0, "", 0)

    def see(self, values: np.ndarray, name: str, rows: np.ndarray) -> None:
        """Takes finite values of a column, and the row of each in the whole table."""
        import numpy as np

        if not len(values):
            return
        at = int(np.abs(values).argmax())
        if abs(float(values[at])) > abs(self.largest[0]) or not self.largest[1]:
            self.largest = (float(values[at]), name, int(rows[at]))
        left = np.arange(len(values))
        while True:
            tried = self.places
            scaled, held = _held(values[left], tried)
            wide = ~held & ((np.abs(scaled) > _EXACT) | (tried == MOST))
            for place in left[wide].tolist():
                needs = _places(float(values[place]))
                if needs > self.places:
                    self.finest, self.places = (float(values[place]), name, int(rows[place])), needs
            left = left[~(held | wide)]
            if not len(left) or self.places > MOST:
                return
            if self.places == tried:
                self.finest, self.places = (float(values[left[0]]), name, int(rows[left[0]])), tried + 1

    def scale(self) -> int:
        """The decimal places that a tape gets; DataError if no number of them holds all values."""
        largest = abs(self.largest[0])
        room = MOST if largest == 0 else min(MOST, math.floor(math.log10(_BOUND / largest)))
        if room < 0:
            value, name, row = self.largest
            bad(
                "BAD_VALUE", f"{value!r} is more than a tape can hold: {_BOUND:,}", name, row, value=value,
                advice="Drop such rows, or bring the column to a greater unit.",
            )  # fmt: skip
        if self.places > room:
            value, name, row = self.finest
            other, kept = self.largest, room
            bad(
                "BAD_VALUE", f"{value!r} has {self.places} decimals, which a tape cannot hold beside {other[0]!r} "
                f'(column "{other[1]}", row {other[2] + 1:,}): its numbers have 18 digits', name, row, value=value,
                advice=f"Have numbers rounded to {kept} decimals (--decimals {kept}, decimals={kept}): what lies behind is "
                "mostly noise of their making.",
            )  # fmt: skip
        return min(max(self.places, USUAL), room)


def rounded(values: np.ndarray, places: int) -> np.ndarray:
    """Each value as the float nearest to it among those of so many decimals, halves to the even digit; NaN stays.

    >>> import numpy as np
    >>> rounded(np.array([0.1 + 0.2, 2.675, 92.24]), 2).tolist()
    [0.3, 2.68, 92.24]
    """
    import numpy as np

    unit = float(10**places)
    with np.errstate(over="ignore", invalid="ignore"):
        exact = values * unit
        scaled = np.rint(exact)
        near = np.abs(scaled) <= _EXACT
        found = np.where(near, scaled / unit, values)
        # Where two neighbours are about as near, the shortest decimal decides, which is what a reader of the table sees.
        asked = np.isfinite(values) & (~near | (np.abs(exact - scaled) > 0.5 - 1e-3))
    for place in np.flatnonzero(asked).tolist():
        found[place] = float(round(Decimal(repr(float(values[place]))), places))
    return found


def mantissas(values: np.ndarray, scale: int) -> np.ndarray:
    """Finite values that `Decimals` has seen as whole numbers of 10 ** -scale."""
    import numpy as np

    found = np.zeros(len(values), np.int64)
    left = np.arange(len(values))
    for places in sorted({max(0, scale - fewer) for fewer in (0, 3, 6, 9)}, reverse=True):
        scaled, held = _held(values[left], places)
        found[left[held]] = scaled[held].astype(np.int64) * 10 ** (scale - places)
        left = left[~held]
    for place in left.tolist():
        found[place] = int(Decimal(repr(float(values[place]))).scaleb(scale))
    return found


def _held(values: np.ndarray, places: int) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers near to the values in units of 10 ** -places, and whether each reads back as its value."""
    import numpy as np

    unit = float(10**places)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = np.rint(values * unit)
        held: np.ndarray = (np.abs(scaled) <= _EXACT) & (scaled / unit == values)
    return scaled, held


def _places(value: float) -> int:
    exponent = Decimal(repr(value)).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
