"""Functions of the core against mpmath at 50 places: no value is further off than so many units in the last place."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath as mp
import numpy as np
import pytest
from tests.formula_rows import OPERANDS, values

RANDOM = np.random.default_rng(20)
X, Y = OPERANDS[:2]
COUNT = 400


def small(low: float, high: float) -> np.ndarray:
    """Numbers between two bounds, half of them near zero, by powers of ten."""
    wide = RANDOM.uniform(low, high, COUNT)
    near = RANDOM.uniform(-1, 1, COUNT) * 10.0 ** RANDOM.uniform(-15, 0, COUNT)
    return np.where(RANDOM.random(COUNT) < 0.5, wide, np.clip(near, low, high))


def probabilities() -> np.ndarray:
    """Numbers in (0, 1): anywhere, in the lower tail, and near a half and one."""
    powers = 10.0 ** RANDOM.uniform(-15, -1, COUNT)
    tail = 10.0 ** RANDOM.uniform(-300, 0, COUNT)
    return np.choose(RANDOM.integers(0, 4, COUNT), [RANDOM.uniform(0, 1, COUNT), tail, 0.5 + powers, 1 - powers])


FUNCTIONS: dict[str, tuple[np.ndarray, Callable[[mp.mpf], mp.mpf], float]] = {
    "log": (np.exp(RANDOM.uniform(-700, 700, COUNT)), mp.log, 1),
    "log1p": (small(-0.999, 1e6), mp.log1p, 2),
    "exp": (RANDOM.uniform(-700, 700, COUNT), mp.exp, 1),
    "expm1": (small(-40, 700), mp.expm1, 1),
    "tanh": (small(-20, 20), mp.tanh, 2),
    "sigmoid": (small(-40, 40), lambda x: 1 / (1 + mp.exp(-x)), 3),
    "sin": (small(-1e6, 1e6), mp.sin, 1),
    "cos": (small(-1e6, 1e6), mp.cos, 1),
    "erf": (small(-6, 6), mp.erf, 1),
    "erfc": (small(-6, 26), mp.erfc, 4),
    "logit": (probabilities(), lambda p: mp.log(p) - mp.log1p(-p), 3),
    "normal_pdf": (small(-37, 37), mp.npdf, 4),
    "normal_cdf": (small(-37, 9), lambda x: mp.erfc(-x / mp.sqrt(2)) / 2, 4),
}


def units(got: float, wanted: mp.mpf) -> float:
    return float(abs(mp.mpf(got) - wanted) / math.ulp(float(wanted)))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_right_to_the_last_places(name: str) -> None:
    xs, wanted, most = FUNCTIONS[name]
    with mp.workdps(50):
        got = values(getattr(X, name)(), xs)
        assert max(units(y, wanted(mp.mpf(x))) for x, y in zip(xs.tolist(), got.tolist(), strict=True)) <= most


def test_a_power_is_right_to_the_last_place() -> None:
    xs, ys = np.exp(RANDOM.uniform(-5, 5, COUNT)), RANDOM.uniform(-60, 60, COUNT)
    with mp.workdps(50):
        triples = zip(xs.tolist(), ys.tolist(), values(X**Y, xs, ys).tolist(), strict=True)
        assert max(units(z, mp.mpf(x) ** mp.mpf(y)) for x, y, z in triples) <= 1


def test_a_quantile_is_where_the_distribution_has_its_probability() -> None:
    """The error of z by how far its own probability lies from the one that was asked for."""
    ps = probabilities()
    with mp.workdps(50):
        for p, z in zip(ps.tolist(), values(X.normal_quantile(), ps).tolist(), strict=True):
            if z != 0:
                off = (mp.erfc(-mp.mpf(z) / mp.sqrt(2)) / 2 - mp.mpf(p)) / mp.npdf(z)
                assert abs(off) <= 8 * math.ulp(z), (p, z)


@pytest.mark.parametrize(
    ("name", "outside"),
    [
        ("log", [0, -1]),
        ("log1p", [-1, -2]),
        ("exp", [710]),
        ("logit", [0, 1, -0.5, 2]),
        ("normal_quantile", [0, 1, -1, 3]),
    ],
)
def test_outside_of_its_domain_a_function_has_no_value(name: str, outside: list[float]) -> None:
    assert np.isnan(values(getattr(X, name)(), np.array(outside, float))).all()


def test_far_out_the_normal_distribution_has_its_limits() -> None:
    xs = np.array([-1e300, -50.0, 0.0, 50.0, 1e300])
    assert values(X.normal_cdf(), xs).tolist() == [0, 0, 0.5, 1, 1]
    assert values(X.normal_pdf(), xs)[[0, 1, 3, 4]].tolist() == [0, 0, 0, 0]


def test_one_operand_decides_where_it_can() -> None:
    """SQL's table of three values: true, false, missing."""
    a = np.array([1, 1, 1, 0, 0, 0, np.nan, np.nan, np.nan])
    b = np.array([1, 0, np.nan, 1, 0, np.nan, 1, 0, np.nan])
    missing = None
    told = [[None if math.isnan(v) else v for v in values(made, a, b).tolist()] for made in (X & Y, X | Y, ~X)]
    assert told[0] == [1, 0, missing, 0, 0, 0, missing, 0, missing]
    assert told[1] == [1, 1, 1, 1, 0, missing, 1, missing, missing]
    assert told[2] == [0, 0, 0, 1, 1, 1, missing, missing, missing]
