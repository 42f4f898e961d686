"""Operators that are methods of bars. Made by `make docs` from the core's table: change that, not this file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from signal_stream.features.arguments import Arguments
from signal_stream.features.refusal import checked_class

if TYPE_CHECKING:
    from signal_stream.features.expression import Expression


@checked_class
class BarMethods:
    """What the table has of bars."""

    __slots__ = ()

    if TYPE_CHECKING:

        def _made(self, name: str, given: Arguments) -> Expression: ...

    def stochastic_k(self, n: int = 14) -> Expression:
        """Where the close stands between the lowest low of n bars, 0, and the highest high, 100: Lane's %K (Lane
        1984).

        The result: 0 to 100. `n` is a whole number from 1 to 1,048,576. Warm-up: n events. Missing values: invalid
        where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").stochastic_k(14)
        bars('1m').stochastic_k(14)
        """
        return self._made("stochastic_k", Arguments().whole("n", n, 1, 1048576))

    def stochastic_d(self, n: int = 14, m: int = 3) -> Expression:
        """Mean of `stochastic_k` over m bars: Lane's %D (Lane 1984).

        The result: 0 to 100. `n` is a whole number from 1 to 1,048,576. `m` is a whole number from 1 to 1,048,576.
        Warm-up: n + m - 1 events. Missing values: invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").stochastic_d(14, m=3)
        bars('1m').stochastic_d(14, m=3)
        """
        return self._made("stochastic_d", Arguments().whole("n", n, 1, 1048576).whole("m", m, 1, 1048576))

    def true_range(self) -> Expression:
        """The larger of high and the close before, minus the smaller of low and the close before (Wilder 1978).

        The result: unit of price. Warm-up: 2 events. Missing values: invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").true_range()
        bars('1m').true_range()
        """
        return self._made("true_range", Arguments())

    def atr(self, n: int = 14) -> Expression:
        """Average true range: exponential mean of `true_range` with Wilder's weights 1 / n (Wilder 1978).

        TA-Lib begins with a plain mean of n.

        The result: unit of price. `n` is a whole number from 2 to 524,288. Warm-up: 2 * n events. Missing values:
        invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").atr(14)
        bars('1m').atr(14)
        """
        return self._made("atr", Arguments().whole("n", n, 2, 524288))

    def close_location(self) -> Expression:
        """Where the close stands in its bar: -1 at the low, 1 at the high; invalid where they are equal (Chaikin).

        The result: -1 to 1. Warm-up: 1 event. Missing values: invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").close_location()
        bars('1m').close_location()
        """
        return self._made("close_location", Arguments())

    def gap(self) -> Expression:
        """Natural logarithm of the open over the close of the bar before: overnight, where bars are sessions
        (French & Roll 1986).

        The result is a ratio's logarithm. Warm-up: 2 events. Missing values: invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").gap()
        bars('1m').gap()
        """
        return self._made("gap", Arguments())

    def williams_r(self, n: int = 14) -> Expression:
        """Where the close stands below the highest high of n bars, 0, down to the lowest low, -100: Williams' %R
        (Williams 1973).

        The result: -100 to 0. `n` is a whole number from 1 to 1,048,576. Warm-up: n events. Missing values: invalid
        where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").williams_r(14)
        bars('1m').williams_r(14)
        """
        return self._made("williams_r", Arguments().whole("n", n, 1, 1048576))

    def money_flow_index(self, n: int = 14) -> Expression:
        """100 × money that came in over all that moved, of n bars: typical price × volume counts in where the
        typical price rose and out where it fell (Quong & Soudack 1989).

        The result: 0 to 100. `n` is a whole number from 1 to 1,048,576. Warm-up: n + 1 events. Missing values:
        invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").money_flow_index(14)
        bars('1m').money_flow_index(14)
        """
        return self._made("money_flow_index", Arguments().whole("n", n, 1, 1048576))

    def ultimate_oscillator(self, short: int = 7, middle: int = 14, long: int = 28) -> Expression:
        """Close less the lower of low and close before, over the true range: summed over short, middle and long
        counts of bars, weighing 4, 2 and 1 sevenths, times 100 (Williams 1985).

        The result: 0 to 100. `short` is a whole number from 1 to 1,048,576. `middle` is a whole number from 1 to
        1,048,576. `long` is a whole number from 1 to 1,048,576. Warm-up: max(short, middle, long) + 1 events.
        Missing values: invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").ultimate_oscillator(short=7, middle=14, long=28)
        bars('1m').ultimate_oscillator(short=7, middle=14, long=28)
        """
        return self._made(
            "ultimate_oscillator",
            Arguments()
            .whole("short", short, 1, 1048576)
            .whole("middle", middle, 1, 1048576)
            .whole("long", long, 1, 1048576),
        )

    def natr(self, n: int = 14) -> Expression:
        """`atr` in hundredths of the close (Wilder 1978).

        The result: hundredths of price. `n` is a whole number from 2 to 524,288. Warm-up: 2 * n events. Missing
        values: invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").natr(14)
        bars('1m').natr(14)
        """
        return self._made("natr", Arguments().whole("n", n, 2, 524288))

    def balance_of_power(self) -> Expression:
        """(close - open) / (high - low); invalid where they are equal (Livshin 2001).

        The result: -1 to 1. Warm-up: 1 event. Missing values: invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").balance_of_power()
        bars('1m').balance_of_power()
        """
        return self._made("balance_of_power", Arguments())

    def parkinson_variance(self, window: int | str, *, cap: int | None = None) -> Expression:
        """Mean of ln(high / low)² over 4 ln 2: variance of a bar whose price drifts little and does not jump
        (Parkinson 1980).

        The result: squared log return. `window` is a count of 1 valid values or more, or a length of time in which
        `cap` values may lie, as of `rolling`. Warm-up: window events. Missing values: invalid where what it is made
        of is.

        >>> from signal_stream import bars
        >>> bars("1m").parkinson_variance(20)
        bars('1m').parkinson_variance(20)
        """
        return self._made("parkinson_variance", Arguments().window(window, cap, 1))

    def garman_klass_variance(self, window: int | str, *, cap: int | None = None) -> Expression:
        """Mean of ln(high / low)² / 2 - (2 ln 2 - 1) ln(close / open)² (Garman & Klass 1980).

        The result: squared log return. `window` is a count of 1 valid values or more, or a length of time in which
        `cap` values may lie, as of `rolling`. Warm-up: window events. Missing values: invalid where what it is made
        of is.

        >>> from signal_stream import bars
        >>> bars("1m").garman_klass_variance(20)
        bars('1m').garman_klass_variance(20)
        """
        return self._made("garman_klass_variance", Arguments().window(window, cap, 1))

    def rogers_satchell_variance(self, window: int | str, *, cap: int | None = None) -> Expression:
        """Mean of ln(high / close) ln(high / open) + ln(low / close) ln(low / open): variance free of drift (Rogers
        & Satchell 1991).

        The result: squared log return. `window` is a count of 1 valid values or more, or a length of time in which
        `cap` values may lie, as of `rolling`. Warm-up: window events. Missing values: invalid where what it is made
        of is.

        >>> from signal_stream import bars
        >>> bars("1m").rogers_satchell_variance(20)
        bars('1m').rogers_satchell_variance(20)
        """
        return self._made("rogers_satchell_variance", Arguments().window(window, cap, 1))

    def yang_zhang_variance(self, n: int) -> Expression:
        """Variance of ln(open / close before) + k × variance of ln(close / open) + (1 - k) ×
        `rogers_satchell_variance`, of n bars, with k = 0.34 / (1.34 + (n + 1) / (n - 1)): what happens between bars
        enters (Yang & Zhang 2000).

        The result: squared log return. `n` is a whole number from 2 to 1,048,576. Warm-up: n + 1 events. Missing
        values: invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").yang_zhang_variance(20)
        bars('1m').yang_zhang_variance(20)
        """
        return self._made("yang_zhang_variance", Arguments().whole("n", n, 2, 1048576))

    def signed_volume(self) -> Expression:
        """Quantity that buyers took minus what sellers did, of a bar (Chordia, Roll & Subrahmanyam 2002).

        The result: unit of quantity. Warm-up: 1 event. Missing values: invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").signed_volume()
        bars('1m').signed_volume()
        """
        return self._made("signed_volume", Arguments())

    def bulk_signed_volume(self, n: int) -> Expression:
        """Bulk volume classification: the volume times 2 N(z) - 1, z the change of the close over its standard
        deviation in n bars and N the normal distribution (Easley, Lopez de Prado & O'Hara 2012).

        For bars whose trades do not say who came to whom.

        The result: unit of quantity. `n` is a whole number from 2 to 524,288. Warm-up: n + 1 events. Missing
        values: invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").bulk_signed_volume(20)
        bars('1m').bulk_signed_volume(20)
        """
        return self._made("bulk_signed_volume", Arguments().whole("n", n, 2, 524288))

    def volume_imbalance(self, window: int | str, *, cap: int | None = None) -> Expression:
        """The sum of `signed_volume` over the sum of volumes, in the window (Chordia, Roll & Subrahmanyam 2002).

        The result: -1 to 1. `window` is a count of 1 valid values or more, or a length of time in which `cap`
        values may lie, as of `rolling`. Warm-up: window events. Missing values: invalid where what it is made of
        is.

        >>> from signal_stream import bars
        >>> bars("1m").volume_imbalance(20)
        bars('1m').volume_imbalance(20)
        """
        return self._made("volume_imbalance", Arguments().window(window, cap, 1))

    def flow_toxicity(self, n: int = 50) -> Expression:
        """Mean size of `signed_volume` over mean volume, of n bars: the share of informed trading that the
        imbalance of volume bars of one size lets expect (VPIN) (Easley, Lopez de Prado & O'Hara 2012).

        The result: 0 to 1. `n` is a whole number from 1 to 1,048,576. Warm-up: n events. Missing values: invalid
        where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").flow_toxicity(50)
        bars('1m').flow_toxicity(50)
        """
        return self._made("flow_toxicity", Arguments().whole("n", n, 1, 1048576))

    def amihud(self, window: int | str, *, cap: int | None = None) -> Expression:
        """Mean of |return| over notional (vwap × volume), in the window: how far a unit of money moves the price
        (Amihud 2002).

        The result: return per quote currency. `window` is a count of 1 valid values or more, or a length of time in
        which `cap` values may lie, as of `rolling`. Warm-up: window + 1 events. Missing values: invalid where what
        it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").amihud(20)
        bars('1m').amihud(20)
        """
        return self._made("amihud", Arguments().window(window, cap, 1))

    def corwin_schultz(self) -> Expression:
        """Relative spread that the highs and lows of two bars imply, from ranges that grow with time where the
        spread does not (Corwin & Schultz 2012).

        It may fall below 0; practice takes 0 then.

        The result is a ratio. Warm-up: 2 events. Missing values: invalid where what it is made of is.

        >>> from signal_stream import bars
        >>> bars("1m").corwin_schultz()
        bars('1m').corwin_schultz()
        """
        return self._made("corwin_schultz", Arguments())
