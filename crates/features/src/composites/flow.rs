//! What trades say: their signs, their sizes, and what prices do after them.

use super::row::{Composite, Kind, Parameter, Subject, composites};
use super::series::Series;
use crate::graph::WINDOW_MAX;
use crate::operator::Window;

/// Bought less sold, of a bar.
fn net<'a>(bought: Series<'a>, volume: Series<'a>) -> Series<'a> {
    2.0 * bought - volume
}

/// Sign of the newest change that is not 0, among the newest n.
fn tick(x: Series<'_>, n: usize) -> Series<'_> {
    let mut tick = x.diff(1).sign();
    let mut known = 1;
    // Each step looks where the one before it ends: twice as far.
    while known < n {
        let step = known.min(n - known);
        tick = Series::where_not_0(tick, tick, tick.shift(step));
        known += step;
    }
    tick
}

composites! {
    FLOW "flow"

    /// Sign of the newest change of x that is not 0, among the newest n: 1 for an uptick, -1 for a downtick, 0 where all n
    /// changes are 0. Lee and Ready look back without a bound.
    tick_rule(Series: x; n: Whole(1, 65_536) = 1_024) "-1, 0 or 1", "2", "Lee & Ready 1991" => {
        tick(x, n)
    };

    /// 1 for a trade above mid, -1 below it, and at mid `tick_rule`: x is the price, mid is as known at the trade.
    lee_ready(Series: x, mid; n: Whole(1, 65_536) = 1_024) "-1, 0 or 1", "1", "Lee & Ready 1991" => {
        let side = (x - mid).sign();
        Series::where_not_0(side, side, tick(x, n))
    };

    /// 1 for a trade at the best ask, -1 at the best bid, and elsewhere `tick_rule`: x is the price, bid and ask are as known at the
    /// trade.
    ellis_michaely_ohara(Series: x, bid, ask; n: Whole(1, 65_536) = 1_024) "-1, 0 or 1", "1", "Ellis, Michaely & O'Hara 2000" => {
        let sold = Series::where_not_0(x.equals(bid), x.constant(-1.0), tick(x, n));
        Series::where_not_0(x.equals(ask), x.constant(1.0), sold)
    };

    /// Quantity that buyers took minus what sellers did, in the window: the cumulative volume delta since its begin.
    volume_delta(Trades: of; window: Window(1)) "unit of quantity", "window", "Chordia, Roll & Subrahmanyam 2002" =>
        (of.qty() * of.side()).sum(window);

    /// Quantity that buyers took minus what sellers did, over their sum, in the window. Trades without a side count in neither.
    trade_imbalance(Trades: of; window: Window(1)) "-1 to 1", "window", "Chordia, Roll & Subrahmanyam 2002" =>
        (of.qty() * of.side()).sum(window) / (of.qty() * of.side().abs()).sum(window);

    /// Correlation of a trade's side with the side n trades before, in the window; invalid where all sides are equal.
    sign_autocorrelation(Trades: of; window: Window(2), n: Whole(1, WINDOW_MAX) = 1) "-1 to 1", "window + n", "Lillo & Farmer 2004" =>
        of.side().corr(of.side().shift(n), window);

    /// Quantity that buyers took minus what sellers did, of a bar.
    signed_volume(Bars: of) "unit of quantity", "1", "Chordia, Roll & Subrahmanyam 2002" =>
        net(of.buy_volume(), of.volume());

    /// Bulk volume classification: the volume times 2 N(z) - 1, z the change of the close over its standard deviation in n bars and
    /// N the normal distribution. For bars whose trades do not say who came to whom.
    bulk_signed_volume(Bars: of; n: Whole(2, WINDOW_MAX / 2)) "unit of quantity", "n + 1", "Easley, Lopez de Prado & O'Hara 2012" => {
        let change = of.close().diff(1);
        of.volume() * (change / (2.0f64.sqrt() * change.std(Window::Count(n)))).erf()
    };

    /// The sum of `signed_volume` over the sum of volumes, in the window.
    volume_imbalance(Bars: of; window: Window(1)) "-1 to 1", "window", "Chordia, Roll & Subrahmanyam 2002" =>
        net(of.buy_volume(), of.volume()).sum(window) / of.volume().sum(window);

    /// Mean size of `signed_volume` over mean volume, of n bars: the share of informed trading that the imbalance of volume
    /// bars of one size lets expect (VPIN).
    flow_toxicity(Bars: of; n: Whole(1, WINDOW_MAX) = 50) "0 to 1", "n", "Easley, Lopez de Prado & O'Hara 2012" =>
        net(of.buy_volume(), of.volume()).abs().sum(Window::Count(n)) / of.volume().sum(Window::Count(n));

    /// Mean of |return| over notional (vwap × volume), in the window: how far a unit of money moves the price.
    amihud(Bars: of; window: Window(1)) "return per quote currency", "window + 1", "Amihud 2002" =>
        (of.close().pct_change(1).abs() / (of.vwap() * of.volume())).mean(window);

    /// Slope of the change of x, a price, on the signed quantity y traded since the event before, in the window.
    kyle_lambda(Series: x, y; window: Window(2)) "price per quantity", "window + 1", "Kyle 1985" =>
        x.diff(1).beta(y, window);

    /// 2 sqrt(-cov(change of x, change before)), in the window: the spread that bouncing between bid and ask implies; invalid
    /// where the covariance is above 0.
    roll_spread(Series: x; window: Window(2)) "unit of x", "window + 2", "Roll 1984" => {
        let change = x.diff(1);
        2.0 * (0.0 - change.cov(change.shift(1), window)).sqrt()
    };

    /// Relative spread that the highs and lows of two bars imply, from ranges that grow with time where the spread does not.
    /// It may fall below 0; practice takes 0 then.
    corwin_schultz(Bars: of) "a ratio", "2", "Corwin & Schultz 2012" => {
        let (high, low) = (of.high(), of.low());
        let one = high.log_over(low).squared();
        let beta = one + one.shift(1);
        let gamma = high.maximum(high.shift(1)).log_over(low.minimum(low.shift(1))).squared();
        let root = 3.0 - 2.0 * 2.0f64.sqrt();
        let alpha = ((2.0 * beta).sqrt() - beta.sqrt()) / root - (gamma / root).sqrt();
        // 2 (e^alpha - 1) / (e^alpha + 1)
        2.0 * (alpha / 2.0).tanh()
    };

    /// Twice the side times what the trade paid beyond mid: x is the price, mid and side are as known at the trade.
    effective_spread(Series: x, mid, side) "unit of x", "1", "Huang & Stoll 1996" => 2.0 * side * (x - mid);

    /// `effective_spread` of the trade n events ago against the mid of now: what its other side kept.
    realised_spread(Series: x, mid, side; n: Whole(1, WINDOW_MAX)) "unit of x", "n + 1", "Huang & Stoll 1996" =>
        2.0 * side.shift(n) * (x.shift(n) - mid);

    /// Twice the side of the trade n events ago times what mid has moved since: `effective_spread` less `realised_spread`.
    price_impact(Series: x, side; n: Whole(1, WINDOW_MAX)) "unit of x", "n + 1", "Huang & Stoll 1996" =>
        2.0 * side.shift(n) * x.diff(n);
}
