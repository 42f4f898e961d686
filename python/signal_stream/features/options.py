"""Options on a forward, by Black's formula (1976): what a quant needs of contracts that expire within days.

Forward, strike and price are in one currency, `years` is the time to expiry by the clock of the user's choice, `vol` a year's
standard deviation of the logarithm (0.2 is 20 %), `discount` what one unit at expiry is worth now. Each argument is an
expression or a number. `right` is "call" or "put", or an expression that is above 0 for a call and below 0 for a put.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from signal_stream.features.expression import Expression, expression
from signal_stream.features.refusal import checked, raise_graph_error, shown

if TYPE_CHECKING:
    from signal_stream.features.expression import Scalar

_RIGHTS = {"call": 1.0, "put": -1.0}


@checked
def black_price(
    forward: Expression | Scalar,
    strike: Expression | Scalar,
    years: Expression | Scalar,
    vol: Expression | Scalar,
    *,
    right: Expression | Scalar | str,
    discount: Expression | Scalar = 1.0,
) -> Expression:
    """Price of a European option on a forward, in the currency of the strike.

    Without time or volatility it is what the option is worth at once. Invalid (`DOMAIN`) for a forward, strike or discount
    factor of 0 or below, for time or volatility below 0, and for a `right` of 0.

    >>> from signal_stream import quotes
    >>> black_price(quotes.mid(), 100.0, 0.004, 0.2, right="call")
    black_price(quotes.mid(), 100.0, 0.004, 0.2, discount=1.0, right='call')
    """
    return _black("black_price", forward, strike, years, vol, right, discount)


@checked
def implied_vol(
    price: Expression | Scalar,
    forward: Expression | Scalar,
    strike: Expression | Scalar,
    years: Expression | Scalar,
    *,
    right: Expression | Scalar | str,
    discount: Expression | Scalar = 1.0,
    above: Expression | Scalar | None = None,
) -> Expression:
    """Volatility a year that a price implies, as exact as the numbers are (Jäckel 2015).

    0 where the price is what the option is worth at once. Invalid (`DOMAIN`) below that, from the discounted forward (call)
    or strike (put) on, and at expiry. In the last minutes most of a price is what the option is worth at once, and the rest
    is rounded to ticks: `above` is the least that a price must have above that, in its own currency; with less the
    volatility is invalid (`DOMAIN`).

    >>> from signal_stream import instrument, quotes
    >>> implied_vol(instrument("SPY-C600").quotes.mid(), quotes.mid(), 600.0, 0.002, right="call", above=0.02)
    implied_vol(instrument('SPY-C600').quotes.mid(), quotes.mid(), 600.0, 0.002, discount=1.0, right='call', above=0.02)
    """
    sign = _RIGHTS.get(right, right) if isinstance(right, str) else right
    given = {"price": price, "forward": forward, "strike": strike, "years": years, "discount": discount, "right": sign}
    made = _formula("implied_vol", given, right)
    if above is None:
        return made
    at_once = _black("black_price", forward, strike, years, 0.0, right, discount)
    # A volatility over 0 is none.
    enough = made / (expression(price) - at_once >= above)
    code = f"{made.code[:-1]}, above={expression(above).code})"
    return Expression(enough.node, enough.operands, code)


@checked
def black_delta(
    forward: Expression | Scalar,
    strike: Expression | Scalar,
    years: Expression | Scalar,
    vol: Expression | Scalar,
    *,
    right: Expression | Scalar | str,
    discount: Expression | Scalar = 1.0,
) -> Expression:
    """Change of the price with the forward, in [-1, 1]. Invalid (`DOMAIN`) without time or volatility, as all greeks."""
    return _black("black_delta", forward, strike, years, vol, right, discount)


@checked
def black_gamma(
    forward: Expression | Scalar,
    strike: Expression | Scalar,
    years: Expression | Scalar,
    vol: Expression | Scalar,
    *,
    right: Expression | Scalar | str = "call",
    discount: Expression | Scalar = 1.0,
) -> Expression:
    """Change of delta with the forward; a call's is a put's."""
    return _black("black_gamma", forward, strike, years, vol, right, discount)


@checked
def black_vega(
    forward: Expression | Scalar,
    strike: Expression | Scalar,
    years: Expression | Scalar,
    vol: Expression | Scalar,
    *,
    right: Expression | Scalar | str = "call",
    discount: Expression | Scalar = 1.0,
) -> Expression:
    """Change of the price with the volatility, for a change of 1 (a point of 1 % is a hundredth of it); a call's is a put's."""
    return _black("black_vega", forward, strike, years, vol, right, discount)


@checked
def black_theta(
    forward: Expression | Scalar,
    strike: Expression | Scalar,
    years: Expression | Scalar,
    vol: Expression | Scalar,
    *,
    right: Expression | Scalar | str,
    discount: Expression | Scalar = 1.0,
) -> Expression:
    """Change of the price as time passes, a year of the clock that `years` counts, with the forward and the rate unchanged."""
    return _black("black_theta", forward, strike, years, vol, right, discount)


@checked
def black_vanna(
    forward: Expression | Scalar,
    strike: Expression | Scalar,
    years: Expression | Scalar,
    vol: Expression | Scalar,
    *,
    right: Expression | Scalar | str = "call",
    discount: Expression | Scalar = 1.0,
) -> Expression:
    """Change of delta with the volatility, for a change of 1; a call's is a put's."""
    return _black("black_vanna", forward, strike, years, vol, right, discount)


@checked
def black_charm(
    forward: Expression | Scalar,
    strike: Expression | Scalar,
    years: Expression | Scalar,
    vol: Expression | Scalar,
    *,
    right: Expression | Scalar | str,
    discount: Expression | Scalar = 1.0,
) -> Expression:
    """Change of delta as time passes, a year of the clock that `years` counts, with the forward and the rate unchanged."""
    return _black("black_charm", forward, strike, years, vol, right, discount)


@checked
def log_moneyness(forward: Expression | Scalar, strike: Expression | Scalar) -> Expression:
    """Natural logarithm of strike over forward (Gatheral 2006)."""
    return _formula("log_moneyness", {"forward": forward, "strike": strike})


@checked
def std_moneyness(
    forward: Expression | Scalar,
    strike: Expression | Scalar,
    years: Expression | Scalar,
    vol: Expression | Scalar,
) -> Expression:
    """Log-moneyness in standard deviations: over vol sqrt(years), the volatility at the money as a rule."""
    return _formula("std_moneyness", {"forward": forward, "strike": strike, "years": years, "vol": vol})


@checked
def straddle_move(
    call: Expression | Scalar,
    put: Expression | Scalar,
    forward: Expression | Scalar,
) -> Expression:
    """The move that a straddle at the money pays for: call and put price over the forward, a fraction."""
    return _formula("straddle_move", {"call": call, "put": put, "forward": forward})


def _black(
    op: str, forward: object, strike: object, years: object, vol: object, right: object, discount: object
) -> Expression:
    given = {"forward": forward, "strike": strike, "years": years, "vol": vol, "discount": discount}
    return _formula(op, {**given, "right": _RIGHTS.get(right, right) if isinstance(right, str) else right}, right)


def _formula(op: str, given: Mapping[str, object], right: object = None) -> Expression:
    if isinstance(given.get("right"), str):
        raise_graph_error("BAD_ARGUMENT", f"right={shown(right)}", value=right, next_step='Give "call" or "put".')
    operands = {name: expression(value) for name, value in given.items()}
    code = ", ".join(
        f"{name}={right!r}" if name == "right" and isinstance(right, str)
        else f"{name}={each.code}" if name in ("discount", "right")
        else each.code
        for name, each in operands.items()
    )  # fmt: skip
    return Expression({"op": op}, tuple(operands.items()), f"{op}({code})")
