"""Options by Black's formula: against mpmath at 50 places, against P. Jäckel's program, and against themselves.

An error is measured by what the rounding of the numbers themselves does: of a price, one unit in its last place and in the
last place of the volatility; of a volatility, one unit of its own and of the price. Closer than that no double can be.
"""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from lets_be_rational import implied_volatility_from_a_transformed_rational_guess as jaeckel
from tests.formula_rows import OPERANDS, values

import signal_stream as ss
from signal_stream.errors import GraphError

RANDOM = np.random.default_rng(1976)
EPSILON = 2.0**-52
F, K, YEARS, VOL, DISCOUNT, RIGHT, PRICE = OPERANDS
TERMS = (F, K, YEARS, VOL)
OPTION = ss.black_price(*TERMS, right=RIGHT, discount=DISCOUNT)
IMPLIED = ss.implied_vol(PRICE, F, K, YEARS, right=RIGHT, discount=DISCOUNT)


def contracts(count: int) -> np.ndarray:
    """Forward, strike, years, volatility, discount, right: minutes and years, at the money and far away from it."""
    away = [
        RANDOM.uniform(-0.2, 0.2, count), RANDOM.uniform(-3, 3, count),
        RANDOM.uniform(-1, 1, count) * 10.0 ** RANDOM.uniform(-15, -2, count), np.zeros(count),
    ]  # fmt: skip
    strikes = 100 * np.exp(np.choose(RANDOM.integers(0, 4, count), away))
    years = np.where(RANDOM.random(count) < 0.5, 10.0 ** RANDOM.uniform(-8, 0, count), RANDOM.uniform(1e-4, 3, count))
    vols = 10.0 ** RANDOM.uniform(-2, 0.5, count)
    return np.array(
        [np.full(count, 100.0), strikes, years, vols, RANDOM.uniform(0.9, 1, count), RANDOM.choice([-1.0, 1.0], count)]
    )


def exact(f: float, k: float, t: float, vol: float, discount: float, right: float) -> tuple[mp.mpf, mp.mpf]:
    """Price, and what it changes if the volatility changes by its own size."""
    f, k, t, vol = (mp.mpf(x) for x in (f, k, t, vol))
    s = vol * mp.sqrt(t)
    d1, d2 = mp.log(f / k) / s + s / 2, mp.log(f / k) / s - s / 2
    price = right * (f * mp.ncdf(right * d1) - k * mp.ncdf(right * d2))
    return discount * price, discount * f * mp.npdf(d1) * s


def test_prices_are_right_to_the_last_places() -> None:
    rows = contracts(800)
    with mp.workdps(50):
        for row, got in zip(rows.T.tolist(), values(OPTION, *rows).tolist(), strict=True):
            price, change = exact(*row)
            assert abs(got - price) <= 4 * EPSILON * (price + change) + 1e-300, row


def test_volatilities_come_back() -> None:
    """price → volatility → price, wherever the volatility leaves a trace in the price."""
    rows = contracts(2000)
    prices = values(OPTION, *rows)
    vols = values(IMPLIED, *rows, prices)
    again = values(OPTION, rows[0], rows[1], rows[2], vols, rows[4], rows[5])
    assert not np.isnan(vols).any()
    with mp.workdps(30):
        for i, row in enumerate(rows.T.tolist()):
            price, change = (float(x) for x in exact(*row))
            assert abs(again[i] - prices[i]) <= 4 * EPSILON * (price + change) + 1e-300, row
            discount, right = row[4], row[5]
            least, most = discount * max(0.0, right * (row[0] - row[1])), discount * row[0 if right > 0 else 1]
            if min(prices[i] - least, most - prices[i]) > 64 * EPSILON * prices[i] and change > 1e-290:
                assert abs(vols[i] / row[3] - 1) <= 4 * EPSILON * (1 + price / change), (row, vols[i])
    assert (np.abs(vols / rows[3] - 1) < 1e-14).mean() > 0.5


def test_volatilities_are_those_of_jaeckels_program() -> None:
    rows = contracts(300)
    rows[4] = 1.0
    prices = values(OPTION, *rows)
    vols = values(IMPLIED, *rows, prices)
    for (f, k, t, _, _, right), price, vol in zip(rows.T.tolist(), prices.tolist(), vols.tolist(), strict=True):
        at_once = max(0.0, right * (f - k))
        if price - at_once > 1e-9 * price and price > 1e-290 and price < 0.999 * (f if right > 0 else k):
            assert vol == pytest.approx(jaeckel(price, f, k, t, right), rel=1e-9), (f, k, t, right, price)


def test_a_call_less_a_put_is_the_forward() -> None:
    rows = contracts(500)
    call = ss.black_price(*TERMS, right="call", discount=DISCOUNT)
    put = ss.black_price(*TERMS, right="put", discount=DISCOUNT)
    forward = rows[4] * (rows[0] - rows[1])
    assert np.abs(values(call - put, *rows) - forward).max() <= 4 * EPSILON * np.abs(rows[:2]).max()
    deltas = [ss.black_delta(*TERMS, right=right, discount=DISCOUNT) for right in ("call", "put")]
    assert values(deltas[0] - deltas[1], *rows) == pytest.approx(rows[4], rel=1e-14)


GREEKS = {
    "delta": (ss.black_delta, lambda price, f, k, t, v: mp.diff(lambda x: price(x, k, t, v), f)),
    "gamma": (ss.black_gamma, lambda price, f, k, t, v: mp.diff(lambda x: price(x, k, t, v), f, 2)),
    "vega": (ss.black_vega, lambda price, f, k, t, v: mp.diff(lambda x: price(f, k, t, x), v)),
    "theta": (ss.black_theta, lambda price, f, k, t, v: -mp.diff(lambda x: price(f, k, x, v), t)),
    "vanna": (ss.black_vanna, lambda price, f, k, t, v: mp.diff(lambda x, y: price(x, k, t, y), (f, v), (1, 1))),
    "charm": (ss.black_charm, lambda price, f, k, t, v: -mp.diff(lambda x, y: price(x, k, y, v), (f, t), (1, 1))),
}


@pytest.mark.parametrize("name", GREEKS)
def test_a_greek_is_the_derivative_of_the_price(name: str) -> None:
    """At a constant rate, by mpmath's differences."""
    function, derivative = GREEKS[name]
    count, rate = 30, 0.04
    rows = np.array(
        [
            np.full(count, 100.0),
            RANDOM.uniform(90, 110, count),
            RANDOM.uniform(0.01, 1, count),
            RANDOM.uniform(0.1, 0.6, count),
        ]
    )
    rows = np.vstack([rows, np.exp(-rate * rows[2]), RANDOM.choice([-1.0, 1.0], count)])
    got = values(function(*TERMS, right=RIGHT, discount=DISCOUNT), *rows)
    with mp.workdps(60):
        for (f, k, t, vol, _, right), value in zip(rows.T.tolist(), got.tolist(), strict=True):

            def price(f: mp.mpf, k: mp.mpf, t: mp.mpf, vol: mp.mpf, right: float = right) -> mp.mpf:
                return exact(f, k, t, vol, mp.exp(-rate * t), right)[0]

            wanted = derivative(price, *(mp.mpf(x) for x in (f, k, t, vol)))
            assert value == pytest.approx(float(wanted), rel=1e-11, abs=1e-13)


def test_what_a_price_cannot_be_has_no_volatility() -> None:
    #                call below, at and above what it is worth at once; at its bound; a put's bound; at expiry; no right
    price = np.array([9.99, 10.0, 10.01, 99.9999999, 100.0, 90.0, 10.5, 10.5])
    strike = np.array([90.0] * 8)
    years = np.array([0.01] * 6 + [0.0, 0.01])
    right = np.array([1, 1, 1, 1, 1, -1, 1, 0])
    ones = np.ones(8)
    vols = values(IMPLIED, 100 * ones, strike, years, ones, ones, right, price)
    assert np.isnan(vols).tolist() == [True, False, False, False, True, True, True, True]
    assert vols[1] == 0 and 0 < vols[2] < 2 < vols[3]


def test_at_expiry_an_option_is_what_it_is_worth_at_once() -> None:
    ones = np.ones(3)
    strikes = np.array([90.0, 100.0, 110.0])
    for years, vol in ((0.0, 0.2), (0.1, 0.0)):
        rows = (100 * ones, strikes, years * ones, vol * ones, ones, ones)
        assert values(OPTION, *rows).tolist() == [10, 0, 0]
        assert values(OPTION, *rows[:5], -ones).tolist() == [0, 0, 10]
        assert np.isnan(values(ss.black_vega(*TERMS), *rows)).all()


@pytest.mark.parametrize("column", range(6))
@pytest.mark.parametrize("value", [-1.0, 0.0])
def test_terms_that_make_no_option_have_no_price(column: int, value: float) -> None:
    row = np.array([[100.0], [90.0], [0.1], [0.2], [0.99], [1.0]])
    row[column] = value
    valid = (column == 5 and value == -1) or (column in (2, 3) and value == 0)
    assert np.isnan(values(OPTION, *row)[0]) == (not valid)


def test_in_the_last_minutes_a_price_must_be_worth_something_above_intrinsic_value() -> None:
    vol = ss.implied_vol(PRICE, F, K, YEARS, right="call", above=0.02)
    ones = np.ones(3)
    got = values(vol, 100 * ones, 99 * ones, 1e-6 * ones, ones, ones, ones, np.array([1.01, 1.02, 1.5]))
    # 1.02 - 1 is below 0.02 in doubles; what is just enough is for the user to say with a margin.
    assert np.isnan(got).tolist() == [True, (1.02 - 1.0) < 0.02, False]


def test_a_right_is_a_call_or_a_put() -> None:
    with pytest.raises(GraphError, match=r'right="?.?calls') as raised:
        ss.black_price(*TERMS, right="calls")
    assert '"call" or "put"' in raised.value.next_step
    same = values(ss.black_price(*TERMS, right="put"), *contracts(50)[:4])
    assert same.shape == (50,)
