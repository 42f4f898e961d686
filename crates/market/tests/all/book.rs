//! The book against a plain map, under random changes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use signal_event::Side;
use signal_market::{LEVELS_MAX, Level, LevelChange, LoadError, OrderBook};

/// What a book means: one map a side.
#[derive(Default)]
struct Model {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
}

impl Model {
    fn side(&mut self, side: Side) -> &mut BTreeMap<i64, i64> {
        if side == Side::Bid {
            &mut self.bids
        } else {
            &mut self.asks
        }
    }

    fn apply(&mut self, side: Side, price: i64, qty: i64) -> LevelChange {
        let levels = self.side(side);
        if qty > 0 {
            levels.insert(price, qty);
            LevelChange::Set
        } else if levels.remove(&price).is_some() {
            LevelChange::Removed
        } else {
            LevelChange::Unknown
        }
    }

    fn levels(&self, side: Side) -> Vec<Level> {
        let level = |(price, qty): (&i64, &i64)| Level {
            price: *price,
            qty: *qty,
        };
        match side {
            Side::Bid => self.bids.iter().rev().map(level).collect(),
            _ => self.asks.iter().map(level).collect(),
        }
    }
}

fn levels(book: &OrderBook, side: Side) -> Vec<Level> {
    let mut levels = vec![Level::default(); book.depth(side)];
    assert_eq!(book.top(side, &mut levels), levels.len());
    levels
}

fn saved(book: &OrderBook) -> Vec<u8> {
    let mut bytes = Vec::new();
    book.save(&mut bytes);
    bytes
}

fn loaded(bytes: &[u8]) -> Result<OrderBook, LoadError> {
    let mut rest = bytes;
    let book = OrderBook::load(&mut rest)?;
    assert!(rest.is_empty(), "a book takes all its bytes");
    Ok(book)
}

#[derive(Clone, Debug)]
enum Change {
    /// A level some ticks from where the market is.
    Near(Side, i64, i64),
    /// A level anywhere.
    Anywhere(Side, i64, i64),
    /// Removes the nth best level.
    Remove(Side, usize),
    /// Moves the market by some ticks.
    Move(i64),
    /// Divides the tick.
    Finer(i64),
    Clear,
    /// Goes on with the book that its saved bytes give.
    Reload,
}

fn change() -> impl Strategy<Value = Change> {
    let side = prop_oneof![Just(Side::Bid), Just(Side::Ask)];
    let qty = prop_oneof![1 => Just(0), 3 => 1..1_000_000_000i64];
    let price = prop_oneof![
        3 => (-1_000_000i64..1_000_000).prop_map(|ticks| ticks * 10_000_000),
        1 => any::<i64>(),
        1 => prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(0), Just(-1), Just(i64::MAX - 1)],
    ];
    prop_oneof![
        40 => (side.clone(), -300..300i64, qty.clone()).prop_map(|(s, p, q)| Change::Near(s, p, q)),
        6 => (side.clone(), price, qty).prop_map(|(s, p, q)| Change::Anywhere(s, p, q)),
        20 => (side, 0..20usize).prop_map(|(s, n)| Change::Remove(s, n)),
        4 => (-20_000..20_000i64).prop_map(Change::Move),
        1 => (2..6i64).prop_map(Change::Finer),
        1 => Just(Change::Clear),
        1 => Just(Change::Reload),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn book_equals_a_map_of_levels(changes in prop::collection::vec(change(), 1..400)) {
        let (mut book, mut model) = (OrderBook::new(), Model::default());
        let (mut middle, mut tick) = (61_837_630_000_000i64, 10_000_000i64);
        for change in changes {
            let level = match change {
                Change::Near(side, ticks, qty) => Some((side, middle + ticks * tick, qty)),
                Change::Anywhere(side, price, qty) => Some((side, price, qty)),
                Change::Remove(side, nth) => model.levels(side).get(nth).map(|level| (side, level.price, 0)),
                Change::Move(ticks) => { middle += ticks * tick; None }
                Change::Finer(by) => { tick = (tick / by).max(1); None }
                Change::Clear => { book.clear(); model = Model::default(); None }
                Change::Reload => { book = loaded(&saved(&book)).unwrap(); None }
            };
            if let Some((side, price, qty)) = level {
                prop_assert_eq!(book.apply(side, price, qty), model.apply(side, price, qty));
            }
            book.check_invariants();
            let (bids, asks) = (model.levels(Side::Bid), model.levels(Side::Ask));
            prop_assert_eq!(book.best_bid(), bids.first().copied());
            prop_assert_eq!(book.best_ask(), asks.first().copied());
            let crossed = bids.first().zip(asks.first()).is_some_and(|(bid, ask)| bid.price >= ask.price);
            prop_assert_eq!(book.is_crossed(), crossed);
            let mut top = [Level::default(); 10];
            let held = book.top(Side::Bid, &mut top);
            prop_assert_eq!(&top[..held], &bids[..bids.len().min(10)]);
            prop_assert_eq!(levels(&book, Side::Bid), bids);
            prop_assert_eq!(levels(&book, Side::Ask), asks);
        }
        // The same levels, brought in another order, give the same bytes.
        let mut other = OrderBook::new();
        for side in [Side::Ask, Side::Bid] {
            for level in model.levels(side).iter().rev() {
                other.apply(side, level.price, level.qty);
            }
        }
        prop_assert_eq!(saved(&other), saved(&book));
    }

    #[test]
    fn corrupt_bytes_give_an_error_or_a_sound_book(
        changes in prop::collection::vec((any::<bool>(), 0..500i64, 1..9i64), 0..40),
        at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(),
    ) {
        let mut book = OrderBook::new();
        for (bid, price, qty) in changes {
            book.apply(if bid { Side::Bid } else { Side::Ask }, price, qty);
        }
        let mut bytes = saved(&book);
        let cut = cut.index(bytes.len());
        prop_assert_eq!(OrderBook::load(&mut &bytes[..cut]).err(), Some(LoadError::Truncated));
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(book) = OrderBook::load(&mut bytes.as_slice()) {
            book.check_invariants();
        }
    }
}

#[test]
fn an_absurd_count_is_refused_before_room_is_made() {
    let bytes = u64::MAX.to_le_bytes();
    assert!(matches!(
        OrderBook::load(&mut bytes.as_slice()),
        Err(LoadError::Invalid(_))
    ));
    let bytes = (LEVELS_MAX as u64).to_le_bytes();
    assert_eq!(
        OrderBook::load(&mut bytes.as_slice()).err(),
        Some(LoadError::Truncated)
    );
}

#[test]
fn a_full_side_sheds_the_level_farthest_from_the_top() {
    let mut book = OrderBook::new();
    let most = LEVELS_MAX as i64;
    for price in 1..=most {
        assert_eq!(book.apply(Side::Ask, price, 7), LevelChange::Set);
    }
    assert_eq!(
        book.apply(Side::Ask, 5, 8),
        LevelChange::Set,
        "a level it holds"
    );
    assert_eq!(book.apply(Side::Ask, -3, 9), LevelChange::Shed);
    assert_eq!(
        book.apply(Side::Ask, most, 0),
        LevelChange::Unknown,
        "it was shed"
    );
    assert_eq!(
        book.apply(Side::Ask, most, 1),
        LevelChange::Shed,
        "too far itself"
    );
    assert_eq!(book.best_ask(), Some(Level { price: -3, qty: 9 }));
    assert_eq!(book.depth(Side::Ask), LEVELS_MAX);
    book.check_invariants();
    assert_eq!(saved(&loaded(&saved(&book)).unwrap()), saved(&book));
}
