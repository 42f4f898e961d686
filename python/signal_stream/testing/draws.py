"""Seeded randomness that gives the same numbers on every machine.

`random.Random(int).random()` is the one generator whose sequence Python promises to keep. Everything else
here is a table and the exactly rounded operations `+ - * /` and `sqrt`: no logarithm, power or exponential of
the platform's libm, whose last bit differs between machines.
"""

import hashlib
import random
from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from functools import lru_cache
from itertools import pairwise
from math import sqrt

CELLS = 4096  # a power of two: `int(uniform() * CELLS)` is exact


class Draws:
    """One independent stream of random numbers, named by its key.

    Equal keys give equal streams; streams with different keys do not disturb each other, so a fault that
    draws a random moment leaves the market as it was.

    >>> Draws(7, "market").uniform() == Draws(7, "market").uniform()
    True
    """

    __slots__ = ("_exponential", "uniform")

    def __init__(self, *key: object) -> None:
        digest = hashlib.sha256("/".join(str(part) for part in key).encode()).digest()
        self.uniform: Callable[[], float] = random.Random(int.from_bytes(digest)).random
        self._exponential = exponential_quantiles()

    def wait(self, mean_ns: float) -> int:
        """A waiting time in ns, exponential with mean `mean_ns`, at least 1."""
        return int(self._exponential[int(self.uniform() * CELLS)] * mean_ns) + 1

    def of(self, quantiles: Sequence[int]) -> int:
        """One of `CELLS` equally likely values."""
        return quantiles[int(self.uniform() * CELLS)]

    def normal(self) -> float:
        """Mean 0, variance 1, near to normal and within 3.5: the sum of four uniforms."""
        u = self.uniform
        return (u() + u() + u() + u() - 2.0) * _ROOT_3


_ROOT_3 = sqrt(3.0)


@lru_cache(maxsize=1)
def exponential_quantiles() -> tuple[float, ...]:
    """`CELLS` equally likely values of the exponential distribution with mean 1.

    The logarithm is `decimal`'s, which is correctly rounded everywhere.
    """
    with localcontext() as context:
        context.prec = 20
        return tuple(float((Decimal(2 * CELLS) / (2 * i + 1)).ln()) for i in range(CELLS))


def reach_quantiles(knee: int, reach: int) -> tuple[int, ...]:
    """`CELLS` equally likely distances in 1..reach with density proportional to 1 / (knee + distance).

    Half of all orders then lie within the geometric middle of `knee` and `reach`: the slow power law by which
    traders place limit orders.
    """
    step = 1.0 + reach / knee
    for _ in range(CELLS.bit_length() - 1):
        step = sqrt(step)
    values, ratio = [], sqrt(step)
    for _ in range(CELLS):
        values.append(1 + int(knee * (ratio - 1.0)))
        ratio *= step
    return tuple(values)


def line_quantiles(*anchors: tuple[float, float]) -> tuple[int, ...]:
    """`CELLS` equally likely integers from the inverse distribution through (probability, value) anchors.

    The anchors rise from probability 0.0 to 1.0; between them the value runs in a straight line.

    >>> line_quantiles((0.0, 0), (0.5, 10), (1.0, 1000))[2048 - 1 : 2048 + 1]
    (9, 10)
    """
    values: list[int] = []
    for (p0, v0), (p1, v1) in pairwise(anchors):
        while len(values) < CELLS and (p := (len(values) + 0.5) / CELLS) < p1:
            values.append(int(v0 + (v1 - v0) * (p - p0) / (p1 - p0)))
    assert len(values) == CELLS, "the anchors end at probability 1.0"
    return tuple(values)
