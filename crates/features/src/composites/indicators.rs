//! Indicators of prices and bars.

use super::row::{Composite, Kind, Parameter, Subject, composites};
use super::series::Series;
use crate::graph::WINDOW_MAX;
use crate::operator::Window;

composites! {
    INDICATORS "indicator"

    /// Relative strength index: 100 × mean gain / (mean gain + mean loss), with Wilder's weights 1 / n from the first change
    /// on. TA-Lib begins with a plain mean of n changes; both agree once that is forgotten.
    rsi(Series: x; n: Whole(2, WINDOW_MAX / 2) = 14) "0 to 100", "2 * n", "Wilder 1978" => {
        let change = x.diff(1);
        let gain = change.positive().ewm(1.0 / n as f64);
        let loss = (-change).positive().ewm(1.0 / n as f64);
        100.0 * gain / (gain + loss)
    };

    /// Difference of two exponential means. TA-Lib begins each with a plain mean.
    macd(Series: x; fast: Whole(1, WINDOW_MAX) = 12, slow: Whole(1, WINDOW_MAX) = 26) "unit of x", "max(fast, slow)", "Appel 1979" =>
        x.ewm_span(fast) - x.ewm_span(slow);

    /// Exponential mean of `macd`.
    macd_signal(
        Series: x;
        fast: Whole(1, WINDOW_MAX) = 12, slow: Whole(1, WINDOW_MAX) = 26, signal: Whole(1, WINDOW_MAX) = 9
    ) "unit of x", "max(fast, slow) + signal - 1", "Appel 1979" =>
        (x.ewm_span(fast) - x.ewm_span(slow)).ewm_span(signal);

    /// `macd` minus `macd_signal`.
    macd_histogram(
        Series: x;
        fast: Whole(1, WINDOW_MAX) = 12, slow: Whole(1, WINDOW_MAX) = 26, signal: Whole(1, WINDOW_MAX) = 9
    ) "unit of x", "max(fast, slow) + signal - 1", "Appel 1979, Aspray 1986" => {
        let macd = x.ewm_span(fast) - x.ewm_span(slow);
        macd - macd.ewm_span(signal)
    };

    /// Mean of the window plus k standard deviations (divisor n).
    bollinger_upper(Series: x; window: Window(1), k: Number(0.0, 100.0) = 2) "unit of x", "window", "Bollinger 2001" =>
        x.mean(window) + k * x.std_of_all(window);

    /// Mean of the window minus k standard deviations (divisor n).
    bollinger_lower(Series: x; window: Window(1), k: Number(0.0, 100.0) = 2) "unit of x", "window", "Bollinger 2001" =>
        x.mean(window) - k * x.std_of_all(window);

    /// (upper - lower) / mean of the window: 2 k standard deviations (divisor n) over the mean.
    bollinger_width(Series: x; window: Window(1), k: Number(0.0, 100.0) = 2) "a ratio", "window", "Bollinger 2001" =>
        2.0 * k * x.std_of_all(window) / x.mean(window);

    /// Where x stands between the lower band, 0, and the upper band, 1; invalid where all values of the window are equal.
    percent_b(Series: x; window: Window(2), k: Number(0.0, 100.0) = 2) "a ratio, mostly 0 to 1", "window", "Bollinger 2001" => {
        let reach = k * x.std_of_all(window);
        (x - x.mean(window) + reach) / (2.0 * reach)
    };

    /// Correlation of x with its value n events before.
    autocorr(Series: x; window: Window(2), n: Whole(1, WINDOW_MAX) = 1) "-1 to 1", "window + n", "Box & Jenkins 1970" =>
        x.corr(x.shift(n), window);

    /// Where x stands between the smallest value of the window, 0, and the largest, 1; invalid where they are equal.
    stochastic(Series: x; window: Window(2)) "0 to 1", "window", "Lane 1984" => {
        let lowest = x.min(window);
        (x - lowest) / (x.max(window) - lowest)
    };

    /// Where the close stands between the lowest low of n bars, 0, and the highest high, 100: Lane's %K.
    stochastic_k(Bars: of; n: Whole(1, WINDOW_MAX) = 14) "0 to 100", "n", "Lane 1984" => {
        let (highest, lowest) = (of.high().max(Window::Count(n)), of.low().min(Window::Count(n)));
        100.0 * (of.close() - lowest) / (highest - lowest)
    };

    /// Mean of `stochastic_k` over m bars: Lane's %D.
    stochastic_d(Bars: of; n: Whole(1, WINDOW_MAX) = 14, m: Whole(1, WINDOW_MAX) = 3) "0 to 100", "n + m - 1", "Lane 1984" => {
        let (highest, lowest) = (of.high().max(Window::Count(n)), of.low().min(Window::Count(n)));
        (100.0 * (of.close() - lowest) / (highest - lowest)).mean(Window::Count(m))
    };

    /// The larger of high and the close before, minus the smaller of low and the close before.
    true_range(Bars: of) "unit of price", "2", "Wilder 1978" => {
        let before = of.close().shift(1);
        of.high().maximum(before) - of.low().minimum(before)
    };

    /// Average true range: exponential mean of `true_range` with Wilder's weights 1 / n. TA-Lib begins with a plain mean of n.
    atr(Bars: of; n: Whole(2, WINDOW_MAX / 2) = 14) "unit of price", "2 * n", "Wilder 1978" => {
        let before = of.close().shift(1);
        (of.high().maximum(before) - of.low().minimum(before)).ewm(1.0 / n as f64)
    };

    /// Where the close stands in its bar: -1 at the low, 1 at the high; invalid where they are equal.
    close_location(Bars: of) "-1 to 1", "1", "Chaikin" => {
        let (high, low, close) = (of.high(), of.low(), of.close());
        ((close - low) - (high - close)) / (high - low)
    };

    /// Natural logarithm of the open over the close of the bar before: overnight, where bars are sessions.
    gap(Bars: of) "a ratio's logarithm", "2", "French & Roll 1986" =>
        of.open().log_over(of.close().shift(1));

    /// Twice the exponential mean minus the exponential mean of it.
    dema(Series: x; span: Whole(1, WINDOW_MAX / 2)) "unit of x", "2 * span - 1", "Mulloy 1994" => {
        let mean = x.ewm_span(span);
        2.0 * mean - mean.ewm_span(span)
    };

    /// Three times the exponential mean, minus three times the exponential mean of it, plus that of that.
    tema(Series: x; span: Whole(1, WINDOW_MAX / 3)) "unit of x", "3 * span - 2", "Mulloy 1994" => {
        let one = x.ewm_span(span);
        let two = one.ewm_span(span);
        3.0 * one - 3.0 * two + two.ewm_span(span)
    };

    /// Fractional difference of order d: the sum of w_k × x k events ago over n values, w_0 = 1, w_k = -w_(k-1) (d - k + 1) / k.
    fracdiff(Series: x; d: Number(0.0, 2.0), n: Whole(2, 512) = 64) "unit of x", "n", "Hosking 1981" => {
        let mut weight = 1.0;
        let others = (1..n).map(|k| {
            weight *= (k as f64 - 1.0 - d) / k as f64;
            weight * x.shift(k)
        });
        Series::total(x, others)
    };

    /// Where the close stands below the highest high of n bars, 0, down to the lowest low, -100: Williams' %R.
    williams_r(Bars: of; n: Whole(1, WINDOW_MAX) = 14) "-100 to 0", "n", "Williams 1973" => {
        let (highest, lowest) = (of.high().max(Window::Count(n)), of.low().min(Window::Count(n)));
        -100.0 * (highest - of.close()) / (highest - lowest)
    };

    /// 100 × money that came in over all that moved, of n bars: typical price × volume counts in where the typical price rose
    /// and out where it fell.
    money_flow_index(Bars: of; n: Whole(1, WINDOW_MAX) = 14) "0 to 100", "n + 1", "Quong & Soudack 1989" => {
        let typical = (of.high() + of.low() + of.close()) / 3.0;
        let (money, way) = (typical * of.volume(), typical.diff(1).sign());
        let came = (money * way.positive()).sum(Window::Count(n));
        let went = (money * (-way).positive()).sum(Window::Count(n));
        100.0 * came / (came + went)
    };

    /// Close less the lower of low and close before, over the true range: summed over short, middle and long counts of bars,
    /// weighing 4, 2 and 1 sevenths, times 100.
    ultimate_oscillator(
        Bars: of; short: Whole(1, WINDOW_MAX) = 7, middle: Whole(1, WINDOW_MAX) = 14, long: Whole(1, WINDOW_MAX) = 28
    ) "0 to 100", "max(short, middle, long) + 1", "Williams 1985" => {
        let before = of.close().shift(1);
        let floor = of.low().minimum(before);
        let (pressure, range) = (of.close() - floor, of.high().maximum(before) - floor);
        let part = |n: usize| pressure.sum(Window::Count(n)) / range.sum(Window::Count(n));
        100.0 * (4.0 * part(short) + 2.0 * part(middle) + part(long)) / 7.0
    };

    /// `atr` in hundredths of the close.
    natr(Bars: of; n: Whole(2, WINDOW_MAX / 2) = 14) "hundredths of price", "2 * n", "Wilder 1978" => {
        let before = of.close().shift(1);
        100.0 * (of.high().maximum(before) - of.low().minimum(before)).ewm(1.0 / n as f64) / of.close()
    };

    /// Mean of x, each value weighing its y: of prices by volume, a moving vwap.
    weighted_mean(Series: x, y; window: Window(1)) "unit of x", "window", "pandas" =>
        (x * y).sum(window) / y.sum(window);

    /// (close - open) / (high - low); invalid where they are equal.
    balance_of_power(Bars: of) "-1 to 1", "1", "Livshin 2001" =>
        (of.close() - of.open()) / (of.high() - of.low());

    /// How far x has come in n events, over the way that it took: 1 where it went straight, near 0 where it came and went.
    efficiency_ratio(Series: x; n: Whole(1, WINDOW_MAX) = 10) "0 to 1", "n + 1", "Kaufman 1995" =>
        x.diff(n).abs() / x.diff(1).abs().sum(Window::Count(n));
}
