//! Variances of returns and of bars, and what is made of them.
//!
//! All are variances per event, so that they add up: their square roots are volatilities.

use super::row::{Composite, Kind, Parameter, Subject, composites};
use super::series::Series;
use crate::graph::WINDOW_MAX;
use crate::operator::Window;
use std::f64::consts::{LN_2, PI};

/// Rogers and Satchell's variance of one bar.
fn rogers_satchell<'a>(
    high: Series<'a>,
    low: Series<'a>,
    open: Series<'a>,
    close: Series<'a>,
) -> Series<'a> {
    high.log_over(close) * high.log_over(open) + low.log_over(close) * low.log_over(open)
}

/// Yang and Zhang's weight of the variance from open to close, over n bars.
fn weight(n: usize) -> f64 {
    let n = n as f64;
    0.34 / (1.34 + (n + 1.0) / (n - 1.0))
}

composites! {
    VOLATILITY "volatility"

    /// Sum of squared logarithmic returns: realised variance.
    realised_variance(Series: x; window: Window(1)) "squared log return", "window + 1", "Andersen & Bollerslev 1998" =>
        x.log_return(1).squared().sum(window);

    /// Sum of squared logarithmic returns above 0.
    upside_semivariance(Series: x; window: Window(1))
        "squared log return", "window + 1", "Barndorff-Nielsen, Kinnebrock & Shephard 2010" =>
        x.log_return(1).positive().squared().sum(window);

    /// Sum of squared logarithmic returns below 0.
    downside_semivariance(Series: x; window: Window(1))
        "squared log return", "window + 1", "Barndorff-Nielsen, Kinnebrock & Shephard 2010" =>
        (-x.log_return(1)).positive().squared().sum(window);

    /// pi / 2 × n / (n - 1) × the sum of |return| × |return before| over n logarithmic returns: variance that jumps hardly enter.
    bipower_variation(Series: x; n: Whole(2, WINDOW_MAX)) "squared log return", "n + 1", "Barndorff-Nielsen & Shephard 2004" => {
        let size = x.log_return(1).abs();
        let factor = PI / 2.0 * n as f64 / (n as f64 - 1.0);
        factor * (size * size.shift(1)).sum(Window::Count(n - 1))
    };

    /// pi / (6 - 4 sqrt(3) + pi) × n / (n - 2) × the sum of squared medians of three neighbours of n logarithmic returns'
    /// sizes: variance that jumps and zero returns hardly enter.
    med_realised_variance(Series: x; n: Whole(3, WINDOW_MAX)) "squared log return", "n + 1", "Andersen, Dobrev & Schaumburg 2012" => {
        let newest = x.log_return(1).abs();
        let (middle, oldest) = (newest.shift(1), newest.shift(2));
        let (low, high) = (newest.minimum(middle), newest.maximum(middle));
        let median = low.maximum(high.minimum(oldest));
        let factor = PI / (6.0 - 4.0 * 3.0f64.sqrt() + PI) * n as f64 / (n as f64 - 2.0);
        factor * median.squared().sum(Window::Count(n - 2))
    };

    /// Lee and Mykland's statistic of a jump: the newest logarithmic return over the root of the mean of |return| × |return
    /// before| of the n - 2 returns before it. Without a jump it is normal with standard deviation sqrt(pi / 2).
    jump_statistic(Series: x; n: Whole(3, WINDOW_MAX) = 270) "a ratio", "n + 1", "Lee & Mykland 2008" => {
        let change = x.log_return(1);
        let size = change.abs();
        let before = (size * size.shift(1)).shift(1).mean(Window::Count(n - 2));
        change / before.sqrt()
    };

    /// Exponentially weighted root mean square of logarithmic returns, with weight decay^i i events ago.
    ewma_volatility(Series: x; decay: Number(0.0, 0.999999) = 0.94) "log return", "ceil(2 / (1 - decay) - 1) + 1", "RiskMetrics 1996" =>
        x.log_return(1).squared().ewm(1.0 - decay).sqrt();

    /// Standard deviation over m events of the standard deviation of n logarithmic returns.
    vol_of_vol(Series: x; n: Whole(2, WINDOW_MAX), m: Whole(2, WINDOW_MAX)) "log return", "n + m", "-" =>
        x.log_return(1).std(Window::Count(n)).std(Window::Count(m));

    /// Standard deviation of the newest short logarithmic returns over that of the newest long ones.
    vol_ratio(Series: x; short: Whole(2, WINDOW_MAX), long: Whole(2, WINDOW_MAX)) "a ratio", "long + 1", "-"
        where short < long, "short must be below long" =>
        x.log_return(1).std(Window::Count(short)) / x.log_return(1).std(Window::Count(long));

    /// Variance of q-step logarithmic returns over q times that of single ones, within n single returns: both unbiased, the
    /// former over overlapping steps. 1 for a random walk, above where it trends, below where it returns.
    variance_ratio(Series: x; q: Whole(2, WINDOW_MAX), n: Whole(3, WINDOW_MAX)) "a ratio", "n + 1", "Lo & MacKinlay 1988"
        where q < n, "q must be below n" => {
        let (steps, count) = (q as f64, (n - q + 1) as f64);
        let (one, many) = (x.log_return(1), x.log_return(q));
        let window = Window::Count(n - q + 1);
        let beyond = many.mean(window) - steps * one.mean(Window::Count(n));
        // The sum of squares about q times the mean of single returns, over their number less what the means take.
        let spread = (many.var_of_all(window) + beyond.squared()) * count;
        let divisor = steps * count * (1.0 - steps / n as f64);
        spread / divisor / one.var(Window::Count(n))
    };

    /// Mean of ln(high / low)² over 4 ln 2: variance of a bar whose price drifts little and does not jump.
    parkinson_variance(Bars: of; window: Window(1)) "squared log return", "window", "Parkinson 1980" =>
        of.high().log_over(of.low()).squared().mean(window) / (4.0 * LN_2);

    /// Mean of ln(high / low)² / 2 - (2 ln 2 - 1) ln(close / open)².
    garman_klass_variance(Bars: of; window: Window(1)) "squared log return", "window", "Garman & Klass 1980" => {
        let (range, change) = (of.high().log_over(of.low()), of.close().log_over(of.open()));
        (0.5 * range.squared() - (2.0 * LN_2 - 1.0) * change.squared()).mean(window)
    };

    /// Mean of ln(high / close) ln(high / open) + ln(low / close) ln(low / open): variance free of drift.
    rogers_satchell_variance(Bars: of; window: Window(1)) "squared log return", "window", "Rogers & Satchell 1991" =>
        rogers_satchell(of.high(), of.low(), of.open(), of.close()).mean(window);

    /// Variance of ln(open / close before) + k × variance of ln(close / open) + (1 - k) × `rogers_satchell_variance`, of n
    /// bars, with k = 0.34 / (1.34 + (n + 1) / (n - 1)): what happens between bars enters.
    yang_zhang_variance(Bars: of; n: Whole(2, WINDOW_MAX)) "squared log return", "n + 1", "Yang & Zhang 2000" => {
        let (window, k) = (Window::Count(n), weight(n));
        let (open, close) = (of.open(), of.close());
        let between = open.log_over(close.shift(1)).var(window);
        let within = close.log_over(open).var(window);
        let free = rogers_satchell(of.high(), of.low(), open, close).mean(window);
        between + k * within + (1.0 - k) * free
    };
}
