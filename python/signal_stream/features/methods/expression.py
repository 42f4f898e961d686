"""Operators that are methods of an expression. Made by `make docs` from the core's table: change that, not this file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from signal_stream.features.arguments import Arguments
from signal_stream.features.refusal import checked_class

if TYPE_CHECKING:
    from signal_stream.features.expression import Expression, Scalar


@checked_class
class ExpressionMethods:
    """What the table has of an expression."""

    __slots__ = ()

    if TYPE_CHECKING:

        def _made(self, name: str, given: Arguments) -> Expression: ...

    def neg(self) -> Expression:
        """`-x` (IEEE 754-2019).

        Missing values: invalid where an operand is.

        >>> from signal_stream import bars
        >>> bars("1m").close.neg()
        bars('1m').close.neg()
        """
        return self._made("neg", Arguments())

    def abs(self) -> Expression:
        """`|x|` (IEEE 754-2019).

        Missing values: invalid where an operand is.

        >>> from signal_stream import bars
        >>> bars("1m").close.abs()
        bars('1m').close.abs()
        """
        return self._made("abs", Arguments())

    def sign(self) -> Expression:
        """-1, 0 or 1 (numpy.sign).

        Missing values: invalid where an operand is.

        >>> from signal_stream import bars
        >>> bars("1m").close.sign()
        bars('1m').close.sign()
        """
        return self._made("sign", Arguments())

    def log(self) -> Expression:
        """Natural logarithm; domain `x > 0` (IEEE 754-2019).

        Missing values: invalid where an operand is.

        >>> from signal_stream import bars
        >>> bars("1m").close.log()
        bars('1m').close.log()
        """
        return self._made("log", Arguments())

    def log1p(self) -> Expression:
        """`ln(1 + x)`; domain `x > -1` (IEEE 754-2019).

        Missing values: invalid where an operand is.

        >>> from signal_stream import bars
        >>> bars("1m").close.log1p()
        bars('1m').close.log1p()
        """
        return self._made("log1p", Arguments())

    def exp(self) -> Expression:
        """`e^x` (IEEE 754-2019).

        Missing values: invalid where an operand is.

        >>> from signal_stream import bars
        >>> bars("1m").close.exp()
        bars('1m').close.exp()
        """
        return self._made("exp", Arguments())

    def sqrt(self) -> Expression:
        """Square root; domain `x >= 0` (IEEE 754-2019).

        Missing values: invalid where an operand is.

        >>> from signal_stream import bars
        >>> bars("1m").close.sqrt()
        bars('1m').close.sqrt()
        """
        return self._made("sqrt", Arguments())

    def tanh(self) -> Expression:
        """Hyperbolic tangent (numpy.tanh).

        Missing values: invalid where an operand is.

        >>> from signal_stream import bars
        >>> bars("1m").close.tanh()
        bars('1m').close.tanh()
        """
        return self._made("tanh", Arguments())

    def sigmoid(self) -> Expression:
        """`1 / (1 + e^-x)`, in (0, 1) (scipy.special.expit).

        Missing values: invalid where an operand is.

        >>> from signal_stream import bars
        >>> bars("1m").close.sigmoid()
        bars('1m').close.sigmoid()
        """
        return self._made("sigmoid", Arguments())

    def round(self) -> Expression:
        """The nearest whole number; of two as near, the even one (IEEE 754-2019 roundToIntegralTiesToEven).

        Missing values: invalid where an operand is.

        >>> from signal_stream import bars
        >>> bars("1m").close.round()
        bars('1m').close.round()
        """
        return self._made("round", Arguments())

    def signed_power(self, y: Expression | Scalar) -> Expression:
        """`|x|` to the power of `y`, with the sign of `x` (Kakushadze 2016).

        Missing values: invalid where an operand is.

        >>> from signal_stream import bars
        >>> bars("1m").close.signed_power(2.0)
        bars('1m').close.signed_power(2.0)
        """
        return self._made("signed_power", Arguments().operand("y", y))

    def is_valid(self) -> Expression:
        """1 where `x` is valid, else 0 (polars is_not_null).

        Missing values: always valid.

        >>> from signal_stream import bars
        >>> bars("1m").close.is_valid()
        bars('1m').close.is_valid()
        """
        return self._made("is_valid", Arguments())

    def between(self, low: Expression | Scalar, high: Expression | Scalar) -> Expression:
        """1 where `low <= x <= high` (SQL BETWEEN).

        Missing values: invalid where an operand is.

        >>> from signal_stream import bars
        >>> bars("1m").close.between(2.0, 2.0)
        bars('1m').close.between(2.0, 2.0)
        """
        return self._made("between", Arguments().operand("low", low).operand("high", high))

    def floor(self) -> Expression:
        """The largest whole number not above `x` (IEEE 754-2019 roundToIntegralTowardNegative).

        Missing values: invalid where an operand is.

        >>> from signal_stream import bars
        >>> bars("1m").close.floor()
        bars('1m').close.floor()
        """
        return self._made("floor", Arguments())

    def ceil(self) -> Expression:
        """The smallest whole number not below `x` (IEEE 754-2019 roundToIntegralTowardPositive).

        Missing values: invalid where an operand is.

        >>> from signal_stream import bars
        >>> bars("1m").close.ceil()
        bars('1m').close.ceil()
        """
        return self._made("ceil", Arguments())

    def expm1(self) -> Expression:
        """`e^x - 1`, accurate for small `x` (IEEE 754-2019).

        Missing values: invalid where an operand is.

        >>> from signal_stream import bars
        >>> bars("1m").close.expm1()
        bars('1m').close.expm1()
        """
        return self._made("expm1", Arguments())

    def sin(self) -> Expression:
        """Sine of an angle in radians (IEEE 754-2019).

        Missing values: invalid where an operand is.

        >>> from signal_stream import bars
        >>> bars("1m").close.sin()
        bars('1m').close.sin()
        """
        return self._made("sin", Arguments())

    def cos(self) -> Expression:
        """Cosine of an angle in radians (IEEE 754-2019).

        Missing values: invalid where an operand is.

        >>> from signal_stream import bars
        >>> bars("1m").close.cos()
        bars('1m').close.cos()
        """
        return self._made("cos", Arguments())

    def erf(self) -> Expression:
        """Error function, `2 / sqrt(pi)` times the integral of `e^(-t^2)` from 0 to `x` (Abramowitz & Stegun
        7.1.1).

        Missing values: invalid where an operand is.

        >>> from signal_stream import bars
        >>> bars("1m").close.erf()
        bars('1m').close.erf()
        """
        return self._made("erf", Arguments())

    def erfc(self) -> Expression:
        """`1 - erf(x)`, accurate for large `x` (Abramowitz & Stegun 7.1.2).

        Missing values: invalid where an operand is.

        >>> from signal_stream import bars
        >>> bars("1m").close.erfc()
        bars('1m').close.erfc()
        """
        return self._made("erfc", Arguments())

    def logit(self) -> Expression:
        """`ln(x / (1 - x))`; domain (0, 1) (scipy.special.logit).

        Missing values: invalid where an operand is.

        >>> from signal_stream import bars
        >>> bars("1m").close.logit()
        bars('1m').close.logit()
        """
        return self._made("logit", Arguments())

    def normal_pdf(self) -> Expression:
        """Density of the standard normal distribution (Abramowitz & Stegun 26.2.1).

        Missing values: invalid where an operand is.

        >>> from signal_stream import bars
        >>> bars("1m").close.normal_pdf()
        bars('1m').close.normal_pdf()
        """
        return self._made("normal_pdf", Arguments())

    def normal_cdf(self) -> Expression:
        """Distribution function of the standard normal distribution (Abramowitz & Stegun 26.2.2).

        Missing values: invalid where an operand is.

        >>> from signal_stream import bars
        >>> bars("1m").close.normal_cdf()
        bars('1m').close.normal_cdf()
        """
        return self._made("normal_cdf", Arguments())

    def normal_quantile(self) -> Expression:
        """The `z` at which the standard normal distribution function is `x`; domain (0, 1) (Wichura 1988, AS 241).

        Missing values: invalid where an operand is.

        >>> from signal_stream import bars
        >>> bars("1m").close.normal_quantile()
        bars('1m').close.normal_quantile()
        """
        return self._made("normal_quantile", Arguments())

    def shift(self, n: int = 1) -> Expression:
        """The value n events earlier (pandas).

        `n` is a whole number from 1 to 1,048,576. Warm-up: n events. Missing values: in its place: invalid where x
        or the earlier value is.

        >>> from signal_stream import bars
        >>> bars("1m").close.shift(1)
        bars('1m').close.shift(1)
        """
        return self._made("shift", Arguments().earlier(n))

    def diff(self, n: int = 1) -> Expression:
        """x minus its value n events earlier (pandas).

        `n` is a whole number from 1 to 1,048,576. Warm-up: n events. Missing values: in its place: invalid where x
        or the earlier value is.

        >>> from signal_stream import bars
        >>> bars("1m").close.diff(1)
        bars('1m').close.diff(1)
        """
        return self._made("diff", Arguments().earlier(n))

    def pct_change(self, n: int = 1) -> Expression:
        """x over its value n events earlier, minus 1 (pandas).

        `n` is a whole number from 1 to 1,048,576. Warm-up: n events. Missing values: in its place: invalid where x
        or the earlier value is.

        >>> from signal_stream import bars
        >>> bars("1m").close.pct_change(1)
        bars('1m').close.pct_change(1)
        """
        return self._made("pct_change", Arguments().earlier(n))

    def log_return(self, n: int = 1) -> Expression:
        """ln(x / its value n events earlier) (Campbell, Lo & MacKinlay 1997).

        `n` is a whole number from 1 to 1,048,576. Warm-up: n events. Missing values: in its place: invalid where x
        or the earlier value is.

        >>> from signal_stream import bars
        >>> bars("1m").close.log_return(1)
        bars('1m').close.log_return(1)
        """
        return self._made("log_return", Arguments().earlier(n))

    def cusum_events(self, h: float) -> Expression:
        """Events of the symmetric CUSUM filter: 1 where the sum of changes above 0 passes h, -1 where the one below
        0 passes -h, else 0 (Page 1954, Lopez de Prado 2018).

        The sum that passed begins anew at 0.

        The result: -1, 0 or 1. `h` is above 0, at most 1e+300. Warm-up: 2 events. Missing values: does not enter;
        invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.cusum_events(h=0.5)
        bars('1m').close.cusum_events(h=0.5)
        """
        return self._made("cusum_events", Arguments().number("h", h, 0.0, 1e300))

    def garch_variance(self, omega: float, alpha: float, beta: float) -> Expression:
        """Variance of the next return by GARCH(1,1): omega + alpha x^2 + beta times the variance before, which at
        first is omega / (1 - alpha - beta) (Bollerslev 1986).

        x is a return less its mean.

        The result: the unit of x, squared. `omega` is above 0, at most 1e+300. `alpha` is a number from 0 to 1.
        `beta` is a number from 0 to 1. Warm-up: 1 event. Missing values: does not enter; invalid where the newest
        is.

        >>> from signal_stream import bars
        >>> bars("1m").close.garch_variance(omega=1e-06, alpha=0.1, beta=0.8)
        bars('1m').close.garch_variance(omega=1e-06, alpha=0.1, beta=0.8)
        """
        return self._made(
            "garch_variance",
            Arguments().number("omega", omega, 0.0, 1e300).real("alpha", alpha, 0.0, 1.0).real("beta", beta, 0.0, 1.0),
        )

    def hawkes_intensity(self, mu: float, alpha: float, beta: float) -> Expression:
        """Intensity of a Hawkes process with an exponential kernel, just before the event: mu + alpha times the sum
        of x e^(-beta age) over the values before it, ages in seconds (Hawkes 1971, Ogata 1981).

        x is 1 an event, or its mark.

        The result: events a second. `mu` is a number from 0 to 1e+300. `alpha` is a number from 0 to 1e+300. `beta`
        is above 0, at most 1e+300. Warm-up: 1 event. Missing values: does not enter; invalid where the newest is.

        >>> from signal_stream import bars
        >>> bars("1m").close.hawkes_intensity(mu=0.1, alpha=0.1, beta=20)
        bars('1m').close.hawkes_intensity(mu=0.1, alpha=0.1, beta=20)
        """
        return self._made(
            "hawkes_intensity",
            Arguments().real("mu", mu, 0.0, 1e300).real("alpha", alpha, 0.0, 1e300).number("beta", beta, 0.0, 1e300),
        )

    def rsi(self, n: int = 14) -> Expression:
        """Relative strength index: 100 × mean gain / (mean gain + mean loss), with Wilder's weights 1 / n from the
        first change on (Wilder 1978).

        TA-Lib begins with a plain mean of n changes; both agree once that is forgotten.

        The result: 0 to 100. `n` is a whole number from 2 to 524,288. Warm-up: 2 * n events. Missing values:
        invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").close.rsi(14)
        bars('1m').close.rsi(14)
        """
        return self._made("rsi", Arguments().whole("n", n, 2, 524288))

    def macd(self, fast: int = 12, slow: int = 26) -> Expression:
        """Difference of two exponential means (Appel 1979).

        TA-Lib begins each with a plain mean.

        The result: unit of x. `fast` is a whole number from 1 to 1,048,576. `slow` is a whole number from 1 to
        1,048,576. Warm-up: max(fast, slow) events. Missing values: invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").close.macd(fast=12, slow=26)
        bars('1m').close.macd(fast=12, slow=26)
        """
        return self._made("macd", Arguments().whole("fast", fast, 1, 1048576).whole("slow", slow, 1, 1048576))

    def macd_signal(self, fast: int = 12, slow: int = 26, signal: int = 9) -> Expression:
        """Exponential mean of `macd` (Appel 1979).

        The result: unit of x. `fast` is a whole number from 1 to 1,048,576. `slow` is a whole number from 1 to
        1,048,576. `signal` is a whole number from 1 to 1,048,576. Warm-up: max(fast, slow) + signal - 1 events.
        Missing values: invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").close.macd_signal(fast=12, slow=26, signal=9)
        bars('1m').close.macd_signal(fast=12, slow=26, signal=9)
        """
        return self._made(
            "macd_signal",
            Arguments()
            .whole("fast", fast, 1, 1048576)
            .whole("slow", slow, 1, 1048576)
            .whole("signal", signal, 1, 1048576),
        )

    def macd_histogram(self, fast: int = 12, slow: int = 26, signal: int = 9) -> Expression:
        """`macd` minus `macd_signal` (Appel 1979, Aspray 1986).

        The result: unit of x. `fast` is a whole number from 1 to 1,048,576. `slow` is a whole number from 1 to
        1,048,576. `signal` is a whole number from 1 to 1,048,576. Warm-up: max(fast, slow) + signal - 1 events.
        Missing values: invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").close.macd_histogram(fast=12, slow=26, signal=9)
        bars('1m').close.macd_histogram(fast=12, slow=26, signal=9)
        """
        return self._made(
            "macd_histogram",
            Arguments()
            .whole("fast", fast, 1, 1048576)
            .whole("slow", slow, 1, 1048576)
            .whole("signal", signal, 1, 1048576),
        )

    def bollinger_upper(self, window: int | str, k: float = 2.0, *, cap: int | None = None) -> Expression:
        """Mean of the window plus k standard deviations (divisor n) (Bollinger 2001).

        The result: unit of x. `window` is a count of 1 valid values or more, or a length of time in which `cap`
        values may lie, as of `rolling`. `k` is above 0, at most 100. Warm-up: window events. Missing values:
        invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").close.bollinger_upper(20, k=2.0)
        bars('1m').close.bollinger_upper(20, k=2.0)
        """
        return self._made("bollinger_upper", Arguments().window(window, cap, 1).number("k", k, 0.0, 100.0))

    def bollinger_lower(self, window: int | str, k: float = 2.0, *, cap: int | None = None) -> Expression:
        """Mean of the window minus k standard deviations (divisor n) (Bollinger 2001).

        The result: unit of x. `window` is a count of 1 valid values or more, or a length of time in which `cap`
        values may lie, as of `rolling`. `k` is above 0, at most 100. Warm-up: window events. Missing values:
        invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").close.bollinger_lower(20, k=2.0)
        bars('1m').close.bollinger_lower(20, k=2.0)
        """
        return self._made("bollinger_lower", Arguments().window(window, cap, 1).number("k", k, 0.0, 100.0))

    def bollinger_width(self, window: int | str, k: float = 2.0, *, cap: int | None = None) -> Expression:
        """(upper - lower) / mean of the window: 2 k standard deviations (divisor n) over the mean (Bollinger 2001).

        The result is a ratio. `window` is a count of 1 valid values or more, or a length of time in which `cap`
        values may lie, as of `rolling`. `k` is above 0, at most 100. Warm-up: window events. Missing values:
        invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").close.bollinger_width(20, k=2.0)
        bars('1m').close.bollinger_width(20, k=2.0)
        """
        return self._made("bollinger_width", Arguments().window(window, cap, 1).number("k", k, 0.0, 100.0))

    def percent_b(self, window: int | str, k: float = 2.0, *, cap: int | None = None) -> Expression:
        """Where x stands between the lower band, 0, and the upper band, 1; invalid where all values of the window
        are equal (Bollinger 2001).

        The result is a ratio, mostly 0 to 1. `window` is a count of 2 valid values or more, or a length of time in
        which `cap` values may lie, as of `rolling`. `k` is above 0, at most 100. Warm-up: window events. Missing
        values: invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").close.percent_b(20, k=2.0)
        bars('1m').close.percent_b(20, k=2.0)
        """
        return self._made("percent_b", Arguments().window(window, cap, 2).number("k", k, 0.0, 100.0))

    def autocorr(self, window: int | str, n: int = 1, *, cap: int | None = None) -> Expression:
        """Correlation of x with its value n events before (Box & Jenkins 1970).

        The result: -1 to 1. `window` is a count of 2 valid values or more, or a length of time in which `cap`
        values may lie, as of `rolling`. `n` is a whole number from 1 to 1,048,576. Warm-up: window + n events.
        Missing values: invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").close.autocorr(20, n=1)
        bars('1m').close.autocorr(20, n=1)
        """
        return self._made("autocorr", Arguments().window(window, cap, 2).whole("n", n, 1, 1048576))

    def stochastic(self, window: int | str, *, cap: int | None = None) -> Expression:
        """Where x stands between the smallest value of the window, 0, and the largest, 1; invalid where they are
        equal (Lane 1984).

        The result: 0 to 1. `window` is a count of 2 valid values or more, or a length of time in which `cap` values
        may lie, as of `rolling`. Warm-up: window events. Missing values: invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").close.stochastic(20)
        bars('1m').close.stochastic(20)
        """
        return self._made("stochastic", Arguments().window(window, cap, 2))

    def dema(self, span: int) -> Expression:
        """Twice the exponential mean minus the exponential mean of it (Mulloy 1994).

        The result: unit of x. `span` is a whole number from 1 to 524,288. Warm-up: 2 * span - 1 events. Missing
        values: invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").close.dema(span=20)
        bars('1m').close.dema(span=20)
        """
        return self._made("dema", Arguments().whole("span", span, 1, 524288))

    def tema(self, span: int) -> Expression:
        """Three times the exponential mean, minus three times the exponential mean of it, plus that of that (Mulloy
        1994).

        The result: unit of x. `span` is a whole number from 1 to 349,525. Warm-up: 3 * span - 2 events. Missing
        values: invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").close.tema(span=20)
        bars('1m').close.tema(span=20)
        """
        return self._made("tema", Arguments().whole("span", span, 1, 349525))

    def fracdiff(self, d: float, n: int = 64) -> Expression:
        """Fractional difference of order d: the sum of w_k × x k events ago over n values, w_0 = 1, w_k = -w_(k-1)
        (d - k + 1) / k (Hosking 1981).

        The result: unit of x. `d` is above 0, at most 2. `n` is a whole number from 2 to 512. Warm-up: n events.
        Missing values: invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").close.fracdiff(d=0.4, n=64)
        bars('1m').close.fracdiff(d=0.4, n=64)
        """
        return self._made("fracdiff", Arguments().number("d", d, 0.0, 2.0).whole("n", n, 2, 512))

    def weighted_mean(self, y: Expression | Scalar, window: int | str, *, cap: int | None = None) -> Expression:
        """Mean of x, each value weighing its y: of prices by volume, a moving vwap (pandas).

        The result: unit of x. `window` is a count of 1 valid values or more, or a length of time in which `cap`
        values may lie, as of `rolling`. Warm-up: window events. Missing values: invalid where what it is made of
        is.

        >>> from signal_stream import bars
        >>> bars("1m").close.weighted_mean(bars('1m').volume, 20)
        bars('1m').close.weighted_mean(bars('1m').volume, 20)
        """
        return self._made("weighted_mean", Arguments().operand("y", y).window(window, cap, 1))

    def efficiency_ratio(self, n: int = 10) -> Expression:
        """How far x has come in n events, over the way that it took: 1 where it went straight, near 0 where it came
        and went (Kaufman 1995).

        The result: 0 to 1. `n` is a whole number from 1 to 1,048,576. Warm-up: n + 1 events. Missing values:
        invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").close.efficiency_ratio(10)
        bars('1m').close.efficiency_ratio(10)
        """
        return self._made("efficiency_ratio", Arguments().whole("n", n, 1, 1048576))

    def realised_variance(self, window: int | str, *, cap: int | None = None) -> Expression:
        """Sum of squared logarithmic returns: realised variance (Andersen & Bollerslev 1998).

        The result: squared log return. `window` is a count of 1 valid values or more, or a length of time in which
        `cap` values may lie, as of `rolling`. Warm-up: window + 1 events. Missing values: invalid where what it is
        made of is.

        >>> from signal_stream import bars
        >>> bars("1m").close.realised_variance(20)
        bars('1m').close.realised_variance(20)
        """
        return self._made("realised_variance", Arguments().window(window, cap, 1))

    def upside_semivariance(self, window: int | str, *, cap: int | None = None) -> Expression:
        """Sum of squared logarithmic returns above 0 (Barndorff-Nielsen, Kinnebrock & Shephard 2010).

        The result: squared log return. `window` is a count of 1 valid values or more, or a length of time in which
        `cap` values may lie, as of `rolling`. Warm-up: window + 1 events. Missing values: invalid where what it is
        made of is.

        >>> from signal_stream import bars
        >>> bars("1m").close.upside_semivariance(20)
        bars('1m').close.upside_semivariance(20)
        """
        return self._made("upside_semivariance", Arguments().window(window, cap, 1))

    def downside_semivariance(self, window: int | str, *, cap: int | None = None) -> Expression:
        """Sum of squared logarithmic returns below 0 (Barndorff-Nielsen, Kinnebrock & Shephard 2010).

        The result: squared log return. `window` is a count of 1 valid values or more, or a length of time in which
        `cap` values may lie, as of `rolling`. Warm-up: window + 1 events. Missing values: invalid where what it is
        made of is.

        >>> from signal_stream import bars
        >>> bars("1m").close.downside_semivariance(20)
        bars('1m').close.downside_semivariance(20)
        """
        return self._made("downside_semivariance", Arguments().window(window, cap, 1))

    def bipower_variation(self, n: int) -> Expression:
        """pi / 2 × n / (n - 1) × the sum of |return| × |return before| over n logarithmic returns: variance that
        jumps hardly enter (Barndorff-Nielsen & Shephard 2004).

        The result: squared log return. `n` is a whole number from 2 to 1,048,576. Warm-up: n + 1 events. Missing
        values: invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").close.bipower_variation(20)
        bars('1m').close.bipower_variation(20)
        """
        return self._made("bipower_variation", Arguments().whole("n", n, 2, 1048576))

    def med_realised_variance(self, n: int) -> Expression:
        """pi / (6 - 4 sqrt(3) + pi) × n / (n - 2) × the sum of squared medians of three neighbours of n logarithmic
        returns' sizes: variance that jumps and zero returns hardly enter (Andersen, Dobrev & Schaumburg 2012).

        The result: squared log return. `n` is a whole number from 3 to 1,048,576. Warm-up: n + 1 events. Missing
        values: invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").close.med_realised_variance(20)
        bars('1m').close.med_realised_variance(20)
        """
        return self._made("med_realised_variance", Arguments().whole("n", n, 3, 1048576))

    def jump_statistic(self, n: int = 270) -> Expression:
        """Lee and Mykland's statistic of a jump: the newest logarithmic return over the root of the mean of
        |return| × |return before| of the n - 2 returns before it (Lee & Mykland 2008).

        Without a jump it is normal with standard deviation sqrt(pi / 2).

        The result is a ratio. `n` is a whole number from 3 to 1,048,576. Warm-up: n + 1 events. Missing values:
        invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").close.jump_statistic(270)
        bars('1m').close.jump_statistic(270)
        """
        return self._made("jump_statistic", Arguments().whole("n", n, 3, 1048576))

    def ewma_volatility(self, decay: float = 0.94) -> Expression:
        """Exponentially weighted root mean square of logarithmic returns, with weight decay^i i events ago
        (RiskMetrics 1996).

        The result: log return. `decay` is above 0, at most 0.999999. Warm-up: ceil(2 / (1 - decay) - 1) + 1 events.
        Missing values: invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").close.ewma_volatility(decay=0.94)
        bars('1m').close.ewma_volatility(decay=0.94)
        """
        return self._made("ewma_volatility", Arguments().number("decay", decay, 0.0, 0.999999))

    def vol_of_vol(self, n: int, m: int) -> Expression:
        """Standard deviation over m events of the standard deviation of n logarithmic returns.

        The result: log return. `n` is a whole number from 2 to 1,048,576. `m` is a whole number from 2 to
        1,048,576. Warm-up: n + m events. Missing values: invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").close.vol_of_vol(20, m=20)
        bars('1m').close.vol_of_vol(20, m=20)
        """
        return self._made("vol_of_vol", Arguments().whole("n", n, 2, 1048576).whole("m", m, 2, 1048576))

    def vol_ratio(self, short: int, long: int) -> Expression:
        """Standard deviation of the newest short logarithmic returns over that of the newest long ones.

        The result is a ratio. `short` is a whole number from 2 to 1,048,576. `long` is a whole number from 2 to
        1,048,576. Warm-up: long + 1 events. Missing values: invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").close.vol_ratio(short=20, long=100)
        bars('1m').close.vol_ratio(short=20, long=100)
        """
        return self._made("vol_ratio", Arguments().whole("short", short, 2, 1048576).whole("long", long, 2, 1048576))

    def variance_ratio(self, q: int, n: int) -> Expression:
        """Variance of q-step logarithmic returns over q times that of single ones, within n single returns: both
        unbiased, the former over overlapping steps (Lo & MacKinlay 1988).

        1 for a random walk, above where it trends, below where it returns.

        The result is a ratio. `q` is a whole number from 2 to 1,048,576. `n` is a whole number from 3 to 1,048,576.
        Warm-up: n + 1 events. Missing values: invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").close.variance_ratio(q=2, n=20)
        bars('1m').close.variance_ratio(q=2, n=20)
        """
        return self._made("variance_ratio", Arguments().whole("q", q, 2, 1048576).whole("n", n, 3, 1048576))

    def tick_rule(self, n: int = 1024) -> Expression:
        """Sign of the newest change of x that is not 0, among the newest n: 1 for an uptick, -1 for a downtick, 0
        where all n changes are 0 (Lee & Ready 1991).

        Lee and Ready look back without a bound.

        The result: -1, 0 or 1. `n` is a whole number from 1 to 65,536. Warm-up: 2 events. Missing values: invalid
        where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").close.tick_rule(1024)
        bars('1m').close.tick_rule(1024)
        """
        return self._made("tick_rule", Arguments().whole("n", n, 1, 65536))

    def lee_ready(self, mid: Expression | Scalar, n: int = 1024) -> Expression:
        """1 for a trade above mid, -1 below it, and at mid `tick_rule`: x is the price, mid is as known at the
        trade (Lee & Ready 1991).

        The result: -1, 0 or 1. `n` is a whole number from 1 to 65,536. Warm-up: 1 event. Missing values: invalid
        where what it is made of is.

        >>> from signal_stream import bars, quotes
        >>> bars("1m").close.lee_ready(quotes.mid(), 1024)
        bars('1m').close.lee_ready(quotes.mid(), 1024)
        """
        return self._made("lee_ready", Arguments().operand("mid", mid).whole("n", n, 1, 65536))

    def ellis_michaely_ohara(self, bid: Expression | Scalar, ask: Expression | Scalar, n: int = 1024) -> Expression:
        """1 for a trade at the best ask, -1 at the best bid, and elsewhere `tick_rule`: x is the price, bid and ask
        are as known at the trade (Ellis, Michaely & O'Hara 2000).

        The result: -1, 0 or 1. `n` is a whole number from 1 to 65,536. Warm-up: 1 event. Missing values: invalid
        where what it is made of is.

        >>> from signal_stream import bars, quotes
        >>> bars("1m").close.ellis_michaely_ohara(quotes.bid.price, quotes.ask.price, 1024)
        bars('1m').close.ellis_michaely_ohara(quotes.bid.price, quotes.ask.price, 1024)
        """
        return self._made(
            "ellis_michaely_ohara", Arguments().operand("bid", bid).operand("ask", ask).whole("n", n, 1, 65536)
        )

    def kyle_lambda(self, y: Expression | Scalar, window: int | str, *, cap: int | None = None) -> Expression:
        """Slope of the change of x, a price, on the signed quantity y traded since the event before, in the window
        (Kyle 1985).

        The result: price per quantity. `window` is a count of 2 valid values or more, or a length of time in which
        `cap` values may lie, as of `rolling`. Warm-up: window + 1 events. Missing values: invalid where what it is
        made of is.

        >>> from signal_stream import bars, trades
        >>> bars("1m").close.kyle_lambda(trades.signed_qty(), 20)
        bars('1m').close.kyle_lambda(trades.signed_qty(), 20)
        """
        return self._made("kyle_lambda", Arguments().operand("y", y).window(window, cap, 2))

    def roll_spread(self, window: int | str, *, cap: int | None = None) -> Expression:
        """2 sqrt(-cov(change of x, change before)), in the window: the spread that bouncing between bid and ask
        implies; invalid where the covariance is above 0 (Roll 1984).

        The result: unit of x. `window` is a count of 2 valid values or more, or a length of time in which `cap`
        values may lie, as of `rolling`. Warm-up: window + 2 events. Missing values: invalid where what it is made
        of is.

        >>> from signal_stream import bars
        >>> bars("1m").close.roll_spread(20)
        bars('1m').close.roll_spread(20)
        """
        return self._made("roll_spread", Arguments().window(window, cap, 2))

    def effective_spread(self, mid: Expression | Scalar, side: Expression | Scalar) -> Expression:
        """Twice the side times what the trade paid beyond mid: x is the price, mid and side are as known at the
        trade (Huang & Stoll 1996).

        The result: unit of x. Warm-up: 1 event. Missing values: invalid where what it is made of is.

        >>> from signal_stream import bars, quotes, trades
        >>> bars("1m").close.effective_spread(quotes.mid(), trades.side)
        bars('1m').close.effective_spread(quotes.mid(), trades.side)
        """
        return self._made("effective_spread", Arguments().operand("mid", mid).operand("side", side))

    def realised_spread(self, mid: Expression | Scalar, side: Expression | Scalar, n: int) -> Expression:
        """`effective_spread` of the trade n events ago against the mid of now: what its other side kept (Huang &
        Stoll 1996).

        The result: unit of x. `n` is a whole number from 1 to 1,048,576. Warm-up: n + 1 events. Missing values:
        invalid where what it is made of is.

        >>> from signal_stream import bars, quotes, trades
        >>> bars("1m").close.realised_spread(quotes.mid(), trades.side, 20)
        bars('1m').close.realised_spread(quotes.mid(), trades.side, 20)
        """
        return self._made(
            "realised_spread", Arguments().operand("mid", mid).operand("side", side).whole("n", n, 1, 1048576)
        )

    def price_impact(self, side: Expression | Scalar, n: int) -> Expression:
        """Twice the side of the trade n events ago times what mid has moved since: `effective_spread` less
        `realised_spread` (Huang & Stoll 1996).

        The result: unit of x. `n` is a whole number from 1 to 1,048,576. Warm-up: n + 1 events. Missing values:
        invalid where what it is made of is.

        >>> from signal_stream import bars, trades
        >>> bars("1m").close.price_impact(trades.side, 20)
        bars('1m').close.price_impact(trades.side, 20)
        """
        return self._made("price_impact", Arguments().operand("side", side).whole("n", n, 1, 1048576))
