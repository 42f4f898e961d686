//! Indicators of prices and bars.

use super::row::{Composite, Kind, Parameter, Subject, composites};
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
}
