//! Bars that trades fill, against a direct evaluation of the same trades.

use proptest::prelude::*;
use signal_event::Side;
use signal_market::{Bar, BarError, ENDED_MAX, Ending, FilledBars, Filling, LoadError, Measure};

#[derive(Clone, Debug)]
struct Trade {
    price: f64,
    qty: f64,
    side: Side,
}

fn trades() -> impl Strategy<Value = Vec<Trade>> {
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell), Just(Side::None)];
    // Tenths: sums of them as doubles are not what they are as decimals.
    let trade = (900..1_100i64, 0..60i64, side).prop_map(|(price, qty, side)| Trade {
        price: price as f64 / 10.0,
        qty: qty as f64 / 10.0,
        side,
    });
    prop::collection::vec(trade, 1..300)
}

fn fillings() -> impl Strategy<Value = Filling> {
    let measure = prop_oneof![
        (1..40u32).prop_map(|n| (Measure::Trades, f64::from(n))),
        (1..200u32).prop_map(|n| (Measure::Volume, f64::from(n) / 10.0)),
        (1..400u32).prop_map(|n| (Measure::Notional, f64::from(n) * 10.0)),
    ];
    let ending = prop_oneof![
        2 => Just(Ending::Whole),
        1 => Just(Ending::Divided),
        1 => (1..20u32).prop_map(|span| Ending::Imbalance { span }),
        1 => (1..20u32).prop_map(|span| Ending::Run { span }),
    ];
    (measure, ending).prop_map(|((measure, amount), ending)| Filling {
        measure,
        amount,
        ending,
    })
}

fn run(bars: &mut FilledBars, trades: &[Trade], from: usize) -> Vec<Bar> {
    let mut ended = Vec::new();
    for (trade, ts) in trades.iter().zip(from as i64..) {
        bars.trade(ts, trade.price, trade.qty, trade.side, |bar| {
            ended.push(bar);
        });
        bars.check_invariants();
    }
    ended
}

fn reloaded(filling: Filling, bars: &FilledBars) -> FilledBars {
    let mut bytes = Vec::new();
    bars.save(&mut bytes);
    let mut rest = bytes.as_slice();
    let loaded = FilledBars::load(filling, &mut rest).unwrap();
    assert!(rest.is_empty(), "bars take all their bytes");
    loaded
}

fn filling(measure: Measure, amount: f64, ending: Ending) -> Filling {
    Filling {
        measure,
        amount,
        ending,
    }
}

/// Tenths or hundredths as whole numbers.
fn amount(measure: Measure, trade: &Trade) -> i64 {
    match measure {
        Measure::Trades => 1,
        Measure::Volume => (trade.qty * 10.0).round() as i64,
        Measure::Notional => (trade.qty * trade.price * 100.0).round() as i64,
    }
}

fn full(filling: &Filling) -> i64 {
    match filling.measure {
        Measure::Trades => filling.amount as i64,
        Measure::Volume => (filling.amount * 10.0).round() as i64,
        Measure::Notional => (filling.amount * 100.0).round() as i64,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whole_trades_fill_bars_by_decimal_sums(trades in trades(), given in fillings()) {
        let given = filling(given.measure, given.amount, Ending::Whole);
        let ended = run(&mut FilledBars::new(given).unwrap(), &trades, 0);
        let (mut expected, mut begin, mut sum) = (Vec::new(), 0, 0);
        for (nth, trade) in trades.iter().enumerate() {
            sum += amount(given.measure, trade);
            if sum >= full(&given) {
                expected.push((begin as i64, nth as i64));
                (begin, sum) = (nth + 1, 0);
            }
        }
        let found: Vec<_> = ended.iter().map(|bar| (bar.start, bar.end)).collect();
        prop_assert_eq!(&found, &expected);
        for (bar, (begin, end)) in ended.iter().zip(expected) {
            let held = &trades[begin as usize..=end as usize];
            let volume = held.iter().fold(0.0, |sum, trade| sum + trade.qty);
            let prices = bar.prices.unwrap();
            prop_assert_eq!((bar.volume, bar.trades), (volume, held.len() as u64));
            prop_assert_eq!((prices.open, prices.close), (held[0].price, held[held.len() - 1].price));
            prop_assert!(!bar.gap && !bar.partial);
        }
    }

    #[test]
    fn divided_bars_hold_the_measure_and_lose_nothing(trades in trades(), tenths in 1..200i64) {
        let given = filling(Measure::Volume, tenths as f64 / 10.0, Ending::Divided);
        let ended = run(&mut FilledBars::new(given).unwrap(), &trades, 0);
        let total: i64 = trades.iter().map(|trade| amount(Measure::Volume, trade)).sum();
        prop_assert_eq!(ended.len() as i64, total / tenths);
        // The k-th bar ends with the trade that brings the sum of all to k times the measure.
        let mut sums = trades.iter().scan(0, |sum, trade| { *sum += amount(Measure::Volume, trade); Some(*sum) });
        let (mut nth, mut sum) = (-1, 0);
        for (bar, k) in ended.iter().zip(1..) {
            while sum < k * tenths {
                sum = sums.next().unwrap();
                nth += 1;
            }
            prop_assert_eq!(bar.end, nth);
            prop_assert!((bar.volume - given.amount).abs() < 1e-9, "{}", bar.volume);
        }
    }

    #[test]
    fn bars_go_on_after_a_reload(trades in trades(), given in fillings(), cut in any::<prop::sample::Index>()) {
        let mut whole = FilledBars::new(given).unwrap();
        let expected = run(&mut whole, &trades, 0);
        let cut = cut.index(trades.len());
        let mut bars = FilledBars::new(given).unwrap();
        let mut found = run(&mut bars, &trades[..cut], 0);
        let mut loaded = reloaded(given, &bars);
        prop_assert_eq!(&loaded, &bars);
        found.extend(run(&mut loaded, &trades[cut..], cut));
        prop_assert_eq!(found, expected);
        prop_assert_eq!(loaded, whole);
    }

    #[test]
    fn expected_bars_keep_their_bounds(trades in trades(), given in fillings()) {
        prop_assume!(!matches!(given.ending, Ending::Divided));
        let ended = run(&mut FilledBars::new(given).unwrap(), &trades, 0);
        let (expects, full) = (given.ending != Ending::Whole, full(&given));
        for (nth, bar) in ended.iter().enumerate() {
            let held = &trades[bar.start as usize..=bar.end as usize];
            let sum: i64 = held.iter().map(|trade| amount(given.measure, trade)).sum();
            let before = sum - amount(given.measure, &held[held.len() - 1]);
            prop_assert_eq!(bar.partial, expects && nth == 0);
            if expects && nth > 0 {
                prop_assert!(8 * sum >= full && before < 8 * full);
            } else {
                prop_assert!(sum >= full && before < full);
            }
        }
    }

    #[test]
    fn corrupt_bytes_give_an_error_or_sound_bars(
        trades in trades(), given in fillings(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bars = FilledBars::new(given).unwrap();
        run(&mut bars, &trades, 0);
        let mut bytes = Vec::new();
        bars.save(&mut bytes);
        let cut = cut.index(bytes.len());
        prop_assert_eq!(FilledBars::load(given, &mut &bytes[..cut]).err(), Some(LoadError::Truncated));
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(bars) = FilledBars::load(given, &mut bytes.as_slice()) {
            bars.check_invariants();
        }
    }
}

#[test]
fn a_trade_of_many_bars_ends_a_bounded_number_of_them() {
    let mut bars = FilledBars::new(filling(Measure::Volume, 0.001, Ending::Divided)).unwrap();
    let mut ended = Vec::new();
    bars.trade(0, 10.0, 1e12, Side::Buy, |bar| ended.push(bar));
    assert_eq!(ended.len(), ENDED_MAX);
    assert_eq!(ended[0].volume, 0.001);
    let total: f64 = ended.iter().map(|bar| bar.volume).sum();
    assert!((total - 1e12).abs() < 1.0, "{total}");
    bars.check_invariants();
}

#[test]
fn lost_trades_mark_the_open_bar_or_the_next_and_an_outage_every_bar_it_touches() {
    let mut bars = FilledBars::new(filling(Measure::Trades, 2.0, Ending::Whole)).unwrap();
    let trade = |bars: &mut FilledBars| -> Vec<bool> {
        let mut gaps = Vec::new();
        bars.trade(0, 1.0, 1.0, Side::Buy, |bar| gaps.push(bar.gap));
        gaps
    };
    assert_eq!([trade(&mut bars), trade(&mut bars)].concat(), [false]);
    bars.trades_lost();
    assert_eq!([trade(&mut bars), trade(&mut bars)].concat(), [true]);
    assert!(trade(&mut bars).is_empty());
    bars.trades_lost();
    bars = reloaded(filling(Measure::Trades, 2.0, Ending::Whole), &bars);
    assert_eq!(trade(&mut bars), [true]);
    bars.disconnected();
    assert!(trade(&mut bars).is_empty());
    bars.connected();
    assert_eq!(trade(&mut bars), [true], "it was open without a feed");
    assert_eq!([trade(&mut bars), trade(&mut bars)].concat(), [false]);
}

#[test]
fn a_first_bar_that_lost_trades_sets_no_expectation() {
    let given = filling(Measure::Trades, 3.0, Ending::Imbalance { span: 5 });
    let mut bars = FilledBars::new(given).unwrap();
    bars.trades_lost();
    let mut ended = Vec::new();
    for ts in 0..7 {
        bars.trade(ts, 1.0, 1.0, Side::Buy, |bar| ended.push(bar));
    }
    let seen: Vec<_> = ended
        .iter()
        .map(|bar| (bar.end, bar.gap, bar.partial))
        .collect();
    assert_eq!(seen, [(2, true, true), (5, false, true)]);
}

#[test]
fn what_fills_no_bar_is_refused() {
    for amount in [0.0, -1.0, 1e-10, 1e19, f64::NAN, f64::INFINITY] {
        let refused = FilledBars::new(filling(Measure::Volume, amount, Ending::Whole));
        assert!(matches!(refused, Err(BarError::Amount(_))), "{amount}");
    }
    let none = filling(Measure::Trades, 0.5, Ending::Whole);
    assert!(FilledBars::new(none).is_err(), "less than one trade");
    let none = filling(Measure::Trades, 5.0, Ending::Run { span: 0 });
    assert_eq!(FilledBars::new(none), Err(BarError::Span));
}
