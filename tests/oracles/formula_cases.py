"""Cases of `test_operators.py` for formulas of mathematics, logic and options: what each is compared with, and how closely."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import vollib.black as black_76
from scipy import special, stats
from vollib.black.greeks import analytical
from vollib.black.implied_volatility import implied_volatility

import signal_stream as ss

Case = tuple[ss.Expression, Callable[[], object], float]


def mathematics(close: ss.Expression, volume: ss.Expression, c: pd.Series, v: pd.Series) -> dict[str, Case]:
    """Against numpy, scipy and pandas' logic of three values. The tolerance is relative: 2e-16 is one unit in the last place."""
    centred, share = close - 75_750, volume / (volume + 20)
    x, p = (c - 75_750).to_numpy(), (v / (v + 20)).to_numpy()
    before = close.shift(3)
    above = pd.Series(c.shift(3) > 75_750).astype("boolean").where(c.shift(3).notna())
    busy = pd.Series(v > 10).astype("boolean")

    def logic(values: pd.Series) -> np.ndarray:
        return values.astype("Float64").to_numpy(dtype=float, na_value=np.nan)

    return {
        "and": ((before > 75_750) & (volume > 10), lambda: logic(above & busy), 0),
        "or": ((before > 75_750) | (volume > 10), lambda: logic(above | busy), 0),
        "not": (~(before > 75_750), lambda: logic(~above), 0),
        "between": (close.between(75_700, 75_800), lambda: c.between(75_700, 75_800).astype(float), 0),
        "floor": ((centred / 7).floor(), lambda: np.floor(x / 7), 0),
        "ceil": ((centred / 7).ceil(), lambda: np.ceil(x / 7), 0),
        "expm1": ((centred / 1e4).expm1(), lambda: np.expm1(x / 1e4), 4e-16),
        "sin": (centred.sin(), lambda: np.sin(x), 3e-16),
        "cos": (centred.cos(), lambda: np.cos(x), 3e-16),
        "erf": ((centred / 50).erf(), lambda: special.erf(x / 50), 4e-16),
        "erfc": ((centred / 50).erfc(), lambda: special.erfc(x / 50), 1e-15),
        "logit": (share.logit(), lambda: special.logit(p), 5e-16),
        "normal_pdf": ((centred / 20).normal_pdf(), lambda: stats.norm.pdf(x / 20), 1e-14),
        "normal_cdf": ((centred / 20).normal_cdf(), lambda: special.ndtr(x / 20), 1e-14),
        "normal_quantile": (share.normal_quantile(), lambda: special.ndtri(p), 2e-15),
    }


def options(close: ss.Expression, volume: ss.Expression, c: pd.Series, v: pd.Series) -> dict[str, Case]:
    """Against vollib, which has P. Jäckel's own program in Python. Its rate is r, where the discount factor is exp(-r t)."""
    strike, years, vol, discount = 75_800.0, 0.004, 0.1 + volume / 1e3, 0.99
    f, sigma, r = c.to_numpy(), (0.1 + v / 1e3).to_numpy(), -np.log(0.99) / 0.004
    terms = (close, strike, years, vol)

    def each(function: Callable[..., float], flag: str = "c") -> Callable[[], np.ndarray]:
        return lambda: np.array([function(flag, fi, strike, years, r, si) for fi, si in zip(f, sigma, strict=True)])

    def call(flag: str, fi: float, k: float, t: float, rate: float, si: float) -> float:
        return float(black_76.black(flag, fi, k, t, rate, si))

    def inverted(flag: str, fi: float, k: float, t: float, rate: float, si: float) -> float:
        return float(implied_volatility(call(flag, fi, k, t, rate, si), fi, k, rate, t, flag))

    def vanna(flag: str, fi: float, k: float, t: float, rate: float, si: float) -> float:
        step = 1e-4
        up, down = (analytical.delta(flag, fi, k, t, rate, si + sign * step) for sign in (1, -1))
        return float(up - down) / (2 * step)

    def charm(flag: str, fi: float, k: float, t: float, rate: float, si: float) -> float:
        step = 1e-7
        up, down = (analytical.delta(flag, fi, k, t - sign * step, rate, si) for sign in (1, -1))
        return float(up - down) / (2 * step)

    # vollib gives theta a day and vega a point.
    def theta(*terms: object) -> float:
        return 365 * float(analytical.theta(*terms))

    def vega(*terms: object) -> float:
        return 100 * float(analytical.vega(*terms))

    price = ss.black_price(*terms, right="put", discount=discount)
    return {
        "black_call": (ss.black_price(*terms, right="call", discount=discount), each(call), 1e-11),
        "black_put": (price, each(call, "p"), 1e-11),
        "implied_vol": (
            ss.implied_vol(price, close, strike, years, right="put", discount=discount), each(inverted, "p"), 1e-11
        ),
        "black_delta": (ss.black_delta(*terms, right="put", discount=discount), each(analytical.delta, "p"), 1e-11),
        "black_gamma": (ss.black_gamma(*terms, discount=discount), each(analytical.gamma), 1e-11),
        "black_vega": (ss.black_vega(*terms, discount=discount), each(vega), 1e-11),
        "black_theta": (ss.black_theta(*terms, right="put", discount=discount), each(theta, "p"), 1e-10),
        "black_vanna": (ss.black_vanna(*terms, discount=discount), each(vanna), 1e-5),
        "black_charm": (ss.black_charm(*terms, right="put", discount=discount), each(charm, "p"), 1e-5),
        "log_moneyness": (ss.log_moneyness(close, strike), lambda: np.log(strike / f), 1e-12),
        "std_moneyness": (
            ss.std_moneyness(close, strike, years, vol), lambda: np.log(strike / f) / sigma / np.sqrt(years), 1e-12
        ),
        "straddle_move": (
            ss.straddle_move(ss.black_price(*terms, right="call", discount=discount), price, close),
            lambda: (each(call)() + each(call, "p")()) / f, 1e-11,
        ),
    }  # fmt: skip
