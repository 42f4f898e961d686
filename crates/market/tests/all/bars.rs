//! Bars against a direct evaluation of the same trades.

use proptest::prelude::*;
use signal_event::Side;
use signal_market::{Bar, BarError, BarPrices, Grid, LoadError, Session, TimeBars};

#[derive(Clone, Debug)]
struct Trade {
    ts: i64,
    price: f64,
    qty: f64,
    side: Side,
}

fn reloaded(bars: &TimeBars) -> TimeBars {
    let mut bytes = Vec::new();
    bars.save(&mut bytes);
    let mut rest = bytes.as_slice();
    let loaded = TimeBars::load(bars.grid().clone(), &mut rest).unwrap();
    assert!(rest.is_empty(), "bars take all their bytes");
    loaded
}

/// The bar from `start`, straight from its definition.
fn direct(trades: &[Trade], start: i64, end: i64, observed: i64) -> Bar {
    let inside: Vec<&Trade> = trades
        .iter()
        .filter(|trade| start <= trade.ts && trade.ts < end)
        .collect();
    let prices = || inside.iter().map(|trade| trade.price);
    Bar {
        start,
        end,
        prices: inside.first().map(|first| BarPrices {
            open: first.price,
            high: prices().fold(f64::NEG_INFINITY, f64::max),
            low: prices().fold(f64::INFINITY, f64::min),
            close: inside[inside.len() - 1].price,
        }),
        volume: inside.iter().fold(0.0, |sum, trade| sum + trade.qty),
        buy_volume: inside
            .iter()
            .filter(|trade| trade.side == Side::Buy)
            .fold(0.0, |sum, trade| sum + trade.qty),
        notional: inside
            .iter()
            .fold(0.0, |sum, trade| sum + trade.price * trade.qty),
        trades: inside.len() as u64,
        partial: observed > start,
        gap: false,
    }
}

fn trades() -> impl Strategy<Value = Vec<Trade>> {
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell), Just(Side::None)];
    let wait = prop_oneof![5 => 0..40i64, 1 => 0..1_000i64];
    let trade = (wait, 0.1..1e5f64, 0.0..10f64, side);
    prop::collection::vec(trade, 1..200).prop_map(|trades| {
        let mut ts = -3_000;
        let after = |(wait, price, qty, side)| {
            ts += wait;
            Trade {
                ts,
                price,
                qty,
                side,
            }
        };
        trades.into_iter().map(after).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bars_equal_their_definition(
        trades in trades(), len_ns in 1..200i64, early in prop::option::of(0..300i64), reload in any::<prop::sample::Index>(),
    ) {
        let mut bars = TimeBars::new(Grid::Even(len_ns)).unwrap();
        let observed = trades[0].ts - early.unwrap_or(0);
        if early.is_some() {
            bars.observe(observed);
        }
        let mut closed = Vec::new();
        let reload = reload.index(trades.len());
        for (nth, trade) in trades.iter().enumerate() {
            while let Some(bar) = bars.close(trade.ts) {
                closed.push(bar);
            }
            bars.trade(trade.ts, trade.price, trade.qty, trade.side).unwrap();
            bars.check_invariants();
            if nth == reload {
                let loaded = reloaded(&bars);
                prop_assert_eq!(&loaded, &bars);
                bars = loaded;
            }
        }
        let end = trades[trades.len() - 1].ts + 3 * len_ns;
        while let Some(bar) = bars.close(end) {
            closed.push(bar);
        }
        prop_assert!(bars.close(end).is_none());

        let first = observed.div_euclid(len_ns) * len_ns;
        let expected: Vec<Bar> = (0..)
            .map(|nth| first + nth * len_ns)
            .take_while(|start| start + len_ns <= end)
            .map(|start| direct(&trades, start, start + len_ns, observed))
            .collect();
        prop_assert_eq!(closed, expected);
    }

    #[test]
    fn corrupt_bytes_give_an_error_or_sound_bars(
        trades in trades(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(),
    ) {
        let mut bars = TimeBars::new(Grid::Even(1 << 40)).unwrap();
        for trade in &trades {
            while bars.close(trade.ts).is_some() {}
            bars.trade(trade.ts, trade.price, trade.qty, trade.side).unwrap();
        }
        let mut bytes = Vec::new();
        bars.save(&mut bytes);
        let cut = cut.index(bytes.len());
        prop_assert_eq!(TimeBars::load(Grid::Even(1 << 40), &mut &bytes[..cut]).err(), Some(LoadError::Truncated));
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(bars) = TimeBars::load(Grid::Even(1 << 40), &mut bytes.as_slice()) {
            bars.check_invariants();
        }
    }
}

#[test]
fn a_trade_at_the_close_belongs_to_the_next_bar() {
    let mut bars = TimeBars::new(Grid::Even(60)).unwrap();
    bars.observe(60);
    bars.trade(119, 5.0, 2.0, Side::Sell).unwrap();
    assert_eq!(
        bars.trade(120, 6.0, 1.0, Side::Buy),
        Err(BarError::OutsideBar {
            ts: 120,
            start: 60,
            end: 120
        }),
        "the due bar comes first"
    );
    let bar = bars.close(120).unwrap();
    assert_eq!(
        (bar.end, bar.trades, bar.vwap(), bar.partial),
        (120, 1, Some(5.0), false)
    );
    bars.trade(120, 6.0, 1.0, Side::Buy).unwrap();
    assert_eq!(bars.close(179), None);
    assert_eq!(
        bars.close(180).map(|bar| (bar.volume, bar.buy_volume)),
        Some((1.0, 1.0))
    );
}

#[test]
fn an_empty_bar_says_so() {
    let mut bars = TimeBars::new(Grid::Even(10)).unwrap();
    assert_eq!(
        bars.close(1_000),
        None,
        "nothing is known before observation"
    );
    bars.observe(3);
    let first = bars.close(20).unwrap();
    assert_eq!(
        (first.prices, first.volume, first.vwap(), first.partial),
        (None, 0.0, None, true)
    );
    assert!(!bars.close(20).unwrap().partial);
    assert_eq!(bars.close(20), None);
}

#[test]
fn lost_trades_flag_every_bar_up_to_the_next_trade_and_an_outage_every_bar_it_touches() {
    let mut bars = TimeBars::new(Grid::Even(10)).unwrap();
    bars.observe(0);
    bars.trades_lost();
    let gaps = |bars: &mut TimeBars, at| -> Vec<bool> {
        std::iter::from_fn(|| bars.close(at))
            .map(|bar| bar.gap)
            .collect()
    };
    assert_eq!(gaps(&mut bars, 20), [true, true]);
    bars = reloaded(&bars);
    bars.trade(25, 1.0, 1.0, Side::Buy).unwrap();
    assert_eq!(gaps(&mut bars, 40), [true, false]);
    bars.trade_unknown();
    assert_eq!(gaps(&mut bars, 60), [true, false]);
    bars.disconnected();
    assert_eq!(gaps(&mut bars, 80), [true, true]);
    bars = reloaded(&bars);
    bars.connected();
    assert_eq!(gaps(&mut bars, 100), [true, false]);
}

#[test]
fn bars_at_the_ends_of_time_neither_overflow_nor_spin() {
    let mut bars = TimeBars::new(Grid::Even(7)).unwrap();
    bars.trade(i64::MIN, 1.0, 1.0, Side::Buy).unwrap();
    bars.check_invariants();
    assert_eq!(reloaded(&bars), bars);
    let first = bars.close(i64::MIN + 10).unwrap();
    assert!(first.end > i64::MIN && first.end.rem_euclid(7) == 0);
    bars.check_invariants();

    let mut bars = TimeBars::new(Grid::Even(i64::MAX)).unwrap();
    bars.observe(i64::MAX - 1);
    assert!(
        bars.close(i64::MAX).is_none(),
        "the bar that reaches the end of time stays open"
    );
    bars.trade(i64::MAX, 1.0, 1.0, Side::Buy).unwrap();
    bars.check_invariants();
    assert_eq!(TimeBars::new(Grid::Even(0)), Err(BarError::Length(0)));
}

#[test]
fn bars_in_sessions_leave_out_what_lies_between() {
    // Sessions from 100 to 160 and, a half day, from 300 to 325.
    let sessions = [(100, 160), (300, 325)].map(|(open, close)| Session { open, close });
    let grid = |len_ns| Grid::Sessions(len_ns, sessions.into());
    let mut bars = TimeBars::new(grid(20)).unwrap();
    let ends = |bars: &mut TimeBars, at| -> Vec<_> {
        std::iter::from_fn(|| bars.close(at))
            .map(|bar| (bar.start, bar.end, bar.trades, bar.partial, bar.gap))
            .collect()
    };
    bars.trade(50, 1.0, 1.0, Side::Buy).unwrap();
    assert!(ends(&mut bars, 110).is_empty(), "before the opening");
    bars.trade(110, 1.0, 1.0, Side::Buy).unwrap();
    bars = reloaded(&bars);
    assert_eq!(
        ends(&mut bars, 140),
        [(100, 120, 1, false, false), (120, 140, 0, false, false)]
    );
    bars.trade(159, 1.0, 1.0, Side::Buy).unwrap();
    assert_eq!(ends(&mut bars, 170), [(140, 160, 1, false, false)]);
    // After hours trades are lost, and the feed goes and comes: no bar may have held anything.
    bars.trades_lost();
    bars.trade(170, 9.0, 9.0, Side::Buy).unwrap();
    bars.disconnected();
    bars.connected();
    bars.check_invariants();
    bars = reloaded(&bars);
    assert!(ends(&mut bars, 299).is_empty());
    bars.trade(324, 1.0, 1.0, Side::Buy).unwrap_err();
    assert_eq!(ends(&mut bars, 324), [(300, 320, 0, false, false)]);
    bars.trade(324, 1.0, 1.0, Side::Buy).unwrap();
    assert_eq!(ends(&mut bars, 10_000), [(320, 325, 1, false, false)]);
    bars.trade(10_000, 1.0, 1.0, Side::Buy).unwrap();
    assert!(ends(&mut bars, i64::MAX).is_empty(), "no session is known");

    let mut day = TimeBars::new(grid(1_000)).unwrap();
    day.observe(130);
    assert_eq!(
        ends(&mut day, 1_000),
        [(100, 160, 0, true, false), (300, 325, 0, false, false)]
    );
    let next = |at| grid(20).next_end(at);
    assert_eq!(
        [0, 119, 120, 159, 160, 319, 320].map(next),
        [120, 120, 140, 160, 320, 320, 325]
    );
    assert_eq!(next(325), i64::MAX);
}

#[test]
fn sessions_that_make_no_grid_are_refused() {
    for sessions in [vec![(5, 5)], vec![(0, 10), (9, 20)], vec![(10, 20), (0, 5)]] {
        let sessions = sessions
            .into_iter()
            .map(|(open, close)| Session { open, close });
        let grid = Grid::Sessions(1, sessions.collect());
        assert_eq!(TimeBars::new(grid), Err(BarError::Sessions));
    }
}
