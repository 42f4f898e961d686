//! What the levels of a book say.
//!
//! A level that a book does not have is invalid, and with it what needs all levels. Sums over levels up to a price or a
//! quantity take it as empty.

use super::row::{Composite, Kind, Parameter, Subject, composites};
use super::series::{Of, Series};
use crate::stream::LEVELS_MAX;
use signal_runtime::{Formula, OPERANDS_MAX};

const LEVELS: usize = LEVELS_MAX as usize;

/// A side's price and quantity of a level.
type Side<'a> = (fn(Of<'a>, u8) -> Series<'a>, fn(Of<'a>, u8) -> Series<'a>);

fn bids<'a>() -> Side<'a> {
    (Of::bid, Of::bid_qty)
}

fn asks<'a>() -> Side<'a> {
    (Of::ask, Of::ask_qty)
}

/// The sum of something of each of so many levels.
fn over_levels<'a>(levels: usize, of_level: impl Fn(u8) -> Series<'a>) -> Series<'a> {
    Series::total(of_level(1), (2..=levels as u8).map(of_level))
}

/// Cont, Kukanov and Stoikov's imbalance, of one level.
fn level_flow(of: Of<'_>, level: u8) -> Series<'_> {
    let (bid, ask) = (of.bid(level), of.ask(level));
    let (bid_qty, ask_qty) = (of.bid_qty(level), of.ask_qty(level));
    let (bid_before, ask_before) = (bid.shift(1), ask.shift(1));
    let bids = bid_before.at_most(bid) * bid_qty - bid.at_most(bid_before) * bid_qty.shift(1);
    let asks = ask.at_most(ask_before) * ask_qty - ask_before.at_most(ask) * ask_qty.shift(1);
    bids - asks
}

/// Næs and Skjeltorp's slope of one side: how much the logarithm of quantity grows with the price's way.
fn side_slope<'a>(of: Of<'a>, levels: usize, (price, qty): Side<'a>) -> Series<'a> {
    let way = |to: Series<'a>, from: Series<'a>| ((to - from) / from).abs();
    let mut quantity = qty(of, 1);
    let mut log = quantity.log();
    let mut sum = log / way(price(of, 1), of.mid());
    for level in 2..=levels as u8 {
        quantity = quantity + qty(of, level);
        let next = quantity.log();
        sum = sum + (next / log - 1.0) / way(price(of, level), price(of, level - 1));
        log = next;
    }
    sum / levels as f64
}

/// Mean price of so much quantity, taken from the best level on; invalid where the levels hold less.
fn sweep_price<'a>(of: Of<'a>, quantity: f64, levels: usize, (price, qty): Side<'a>) -> Series<'a> {
    // While the book is invalid, so is this, for the book's reason.
    let all = 0.0 * of.mid() + quantity;
    let (mut left, mut paid) = (all, None::<Series<'a>>);
    for level in 1..=levels as u8 {
        let taken = left.minimum(qty(of, level).or_0());
        let cost = taken * price(of, level).or_0();
        paid = Some(paid.map_or(cost, |paid| paid + cost));
        left = left - taken;
    }
    // Over 0 where something is left.
    paid.unwrap_or(all) / (all * left.at_most(all.constant(0.0)))
}

/// Quantity of the levels whose prices lie within so many basis points of mid.
fn depth_within<'a>(of: Of<'a>, bps: f64, levels: usize, (price, qty): Side<'a>) -> Series<'a> {
    let reach = of.mid() * (bps / 1e4);
    over_levels(levels, |level| {
        let near = (price(of, level) - of.mid()).abs().at_most(reach);
        (qty(of, level) * near).or_0()
    }) + 0.0 * of.mid()
}

composites! {
    DEPTH "depth"

    /// Best ask minus best bid, over mid.
    relative_spread(Quoted: of) "a ratio", "1", "Hasbrouck 2007" => of.spread() / of.mid();

    /// Mid weighted by the quantity of the other side over the best levels: I × best ask + (1 - I) × best bid, with I the bids'
    /// share of the quantity. Of one level it is `microprice`.
    weighted_mid(Book: of; levels: Whole(1, LEVELS) = 5) "unit of price", "1", "Gatheral & Oomen 2010" => {
        let bid = over_levels(levels, |level| of.bid_qty(level));
        let ask = over_levels(levels, |level| of.ask_qty(level));
        (of.ask(1) * bid + of.bid(1) * ask) / (bid + ask)
    };

    /// Bid quantity minus ask quantity over their sum, level l weighing e^(-decay × (l - 1)).
    weighted_imbalance(Book: of; levels: Whole(1, LEVELS) = 5, decay: Number(0.0, 100.0) = 0.5) "-1 to 1", "1", "Cao, Hansch & Wang 2009" => {
        let weight = |level: u8| Formula::Exp.value([-decay * f64::from(level - 1); OPERANDS_MAX]);
        let bid = over_levels(levels, |level| weight(level) * of.bid_qty(level));
        let ask = over_levels(levels, |level| weight(level) * of.ask_qty(level));
        (bid - ask) / (bid + ask)
    };

    /// Order-flow imbalance of one level: what bids gained less what asks did since the event before. Of level 1 it is `ofi`.
    level_ofi(Book: of; level: Whole(1, LEVELS)) "unit of quantity", "2", "Xu, Gould & Howison 2018" =>
        level_flow(of, level as u8);

    /// Sum of `level_ofi` over the window, over the mean quantity of a level and side within it.
    scaled_ofi(Book: of; window: Window(1), level: Whole(1, LEVELS), levels: Whole(1, LEVELS) = 10) "a ratio", "window + 1", "Cont, Cucuringu & Zhang 2023" => {
        let quantity = over_levels(levels, |level| of.bid_qty(level) + of.ask_qty(level));
        level_flow(of, level as u8).sum(window) / (quantity / (2.0 * levels as f64)).mean(window)
    };

    /// Mean over both sides of the slope of the logarithm of quantity against price: the first level's against its way from
    /// mid, each further one's growth against the way from the level before.
    slope(Book: of; levels: Whole(1, LEVELS) = 5) "a ratio", "1", "Naes & Skjeltorp 2006" =>
        (side_slope(of, levels, bids()) + side_slope(of, levels, asks())) / 2.0;

    /// Mean price of a market order that buys so much, minus mid; invalid where the levels hold less.
    buy_cost(Book: of; quantity: Number(0.0, 1e18), levels: Whole(1, LEVELS) = 10) "unit of price", "1", "Irvine, Benston & Kandel 2000" =>
        sweep_price(of, quantity, levels, asks()) - of.mid();

    /// Mid minus the mean price of a market order that sells so much; invalid where the levels hold less.
    sell_cost(Book: of; quantity: Number(0.0, 1e18), levels: Whole(1, LEVELS) = 10) "unit of price", "1", "Irvine, Benston & Kandel 2000" =>
        of.mid() - sweep_price(of, quantity, levels, bids());

    /// Bid quantity within so many basis points of mid, over so many levels at most.
    bid_depth(Book: of; bps: Number(0.0, 1e4), levels: Whole(1, LEVELS) = 10) "unit of quantity", "1", "-" =>
        depth_within(of, bps, levels, bids());

    /// Ask quantity within so many basis points of mid, over so many levels at most.
    ask_depth(Book: of; bps: Number(0.0, 1e4), levels: Whole(1, LEVELS) = 10) "unit of quantity", "1", "-" =>
        depth_within(of, bps, levels, asks());

    /// Mean price of both sides' levels, weighted by their quantities.
    depth_centre(Book: of; levels: Whole(1, LEVELS) = 5) "unit of price", "1", "-" => {
        let worth = over_levels(levels, |level| of.bid(level) * of.bid_qty(level) + of.ask(level) * of.ask_qty(level));
        worth / over_levels(levels, |level| of.bid_qty(level) + of.ask_qty(level))
    };
}
