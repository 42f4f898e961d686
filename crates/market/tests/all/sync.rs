//! The join of snapshots and diffs: against a venue that knows the truth, against a plain reference, and case by case.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use signal_event::{
    BookRule, EventBatch, EventBatchBuilder, Header, InstrumentId, Instruments, Kind, NO_RULE,
    NO_SEQUENCE, NO_TIME, Side, StatusCode, TapeFormat,
};
use signal_market::{
    BookChange, BookState, BookSync, Level, LoadError, PENDING_DIFFS_MAX, PENDING_LEVELS_MAX,
    SequenceGap,
};

/// Quantity by side and price.
type Levels = BTreeMap<(Side, i64), i64>;

#[derive(Clone, Debug, PartialEq)]
struct Event {
    kind: Kind,
    sequence: u64,
    sequence_prev: u64,
    levels: Vec<(Side, i64, i64)>,
    ts_event: i64,
}

fn diff(sequence_prev: u64, sequence: u64, levels: &[(Side, i64, i64)]) -> Event {
    Event {
        kind: Kind::BookDiff,
        sequence,
        sequence_prev,
        levels: levels.to_vec(),
        ts_event: NO_TIME,
    }
}

fn snapshot(sequence: u64, levels: &[(Side, i64, i64)]) -> Event {
    Event {
        kind: Kind::BookSnapshot,
        sequence,
        sequence_prev: NO_RULE,
        levels: levels.to_vec(),
        ts_event: NO_TIME,
    }
}

fn disconnected(concerns: i64) -> Event {
    let levels = vec![(Side::None, concerns, 0)];
    Event {
        kind: Kind::Status,
        sequence: NO_SEQUENCE,
        sequence_prev: NO_RULE,
        levels,
        ts_event: NO_TIME,
    }
}

fn batch(events: &[Event]) -> EventBatch {
    let mut builder = EventBatchBuilder::new();
    for event in events {
        let header = Header {
            kind: event.kind,
            instrument: InstrumentId(0),
            ts_recv: 0,
            ts_event: event.ts_event,
            sequence: event.sequence,
            sequence_prev: event.sequence_prev,
        };
        if let (Kind::Status, [(_, concerns, _)]) = (event.kind, event.levels.as_slice()) {
            let concerns = Kind::from_code(*concerns as u8);
            builder.status(header, StatusCode::Disconnected, concerns);
            continue;
        }
        for (side, price, qty) in &event.levels {
            builder.push_row(side.code(), *price, *qty);
        }
        builder.close(header);
    }
    builder.finish(&Arc::new(Instruments::default()))
}

fn apply(book: &mut BookSync, event: Event) -> BookChange {
    let batch = batch(&[event]);
    let change = book.apply(&batch.messages().next().expect("a message"));
    book.check_invariants();
    assert_eq!(change.state, book.state());
    change
}

fn levels(book: &BookSync) -> Levels {
    let mut levels = Levels::new();
    for side in [Side::Bid, Side::Ask] {
        let mut top = vec![Level::default(); book.book().depth(side)];
        book.book().top(side, &mut top);
        levels.extend(top.iter().map(|level| ((side, level.price), level.qty)));
    }
    levels
}

fn set(levels: &mut Levels, changes: &[(Side, i64, i64)]) {
    for (side, price, qty) in changes {
        match qty {
            0 => levels.remove(&(*side, *price)),
            _ => levels.insert((*side, *price), *qty),
        };
    }
}

fn crossed(levels: &Levels) -> bool {
    let prices = |of: Side| {
        levels
            .keys()
            .filter(move |(side, _)| *side == of)
            .map(|(_, price)| *price)
    };
    prices(Side::Bid)
        .max()
        .zip(prices(Side::Ask).min())
        .is_some_and(|(bid, ask)| bid >= ask)
}

fn reloaded(book: &BookSync) -> BookSync {
    let mut bytes = Vec::new();
    book.save(&mut bytes);
    let mut rest = bytes.as_slice();
    let loaded = BookSync::load(&mut rest, BookRule::RANGE, [9; 2], TapeFormat::NEWEST)
        .expect("loads what it saved");
    assert!(rest.is_empty(), "a book takes all its bytes");
    let mut again = Vec::new();
    loaded.save(&mut again);
    assert_eq!(again, bytes, "the same book, the same bytes");
    loaded
}

/// The rules again, with maps and without thrift.
#[derive(Default)]
struct Reference {
    waiting: Vec<Event>,
    /// Levels and sequence number.
    joined: Option<(Levels, u64)>,
    broken: bool,
}

impl Reference {
    fn state(&self) -> BookState {
        match &self.joined {
            Some((levels, ..)) if crossed(levels) => BookState::Crossed,
            Some(_) => BookState::Valid,
            None if self.broken => BookState::Gap,
            None => BookState::Building,
        }
    }

    fn apply(&mut self, event: &Event) {
        match event.kind {
            Kind::Status => *self = Reference::default(),
            Kind::BookDiff if self.joined.is_some() => self.follow(event),
            Kind::BookDiff => self.waiting.push(event.clone()),
            _ if self
                .joined
                .as_ref()
                .is_some_and(|(_, last)| event.sequence <= *last) => {}
            _ => {
                let mut levels = Levels::new();
                set(&mut levels, &event.levels);
                self.joined = Some((levels, event.sequence));
                let waiting = std::mem::take(&mut self.waiting);
                waiting.iter().for_each(|diff| {
                    if self.joined.is_some() {
                        self.follow(diff)
                    }
                });
                self.waiting = if self.joined.is_some() {
                    Vec::new()
                } else {
                    waiting
                };
            }
        }
    }

    fn follow(&mut self, diff: &Event) {
        let Some((levels, last)) = &mut self.joined else {
            return;
        };
        if diff.sequence <= *last {
            return;
        }
        if diff.sequence_prev <= *last {
            set(levels, &diff.levels);
            *last = diff.sequence;
        } else {
            (self.joined, self.broken) = (None, true);
            self.waiting = vec![diff.clone()];
        }
    }
}

/// What a venue does, and what its feed then does to the messages.
#[derive(Clone, Debug)]
struct Step {
    /// Changes of the venue's book between two diffs: side, price, quantity, and by how much the id rises.
    changes: Vec<(bool, i64, i64, u64)>,
    fault: Fault,
    /// A snapshot of the venue's book that many changes ago.
    snapshot: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    Lose,
    Repeat,
    /// Hold the diff back until the next one has gone.
    Swap,
    Disconnect,
    Reload,
}

fn step() -> impl Strategy<Value = Step> {
    let quantity = prop_oneof![1 => Just(0i64), 2 => 1..100i64];
    let change = (any::<bool>(), 0..12i64, quantity, 1..4u64);
    let fault = prop_oneof![
        30 => Just(Fault::None), 1 => Just(Fault::Lose), 1 => Just(Fault::Repeat), 1 => Just(Fault::Swap),
        1 => Just(Fault::Disconnect), 2 => Just(Fault::Reload),
    ];
    let snapshot = prop_oneof![6 => Just(None), 1 => (0..12usize).prop_map(Some)];
    (prop::collection::vec(change, 1..6), fault, snapshot).prop_map(|(changes, fault, snapshot)| {
        Step {
            changes,
            fault,
            snapshot,
        }
    })
}

/// The messages that arrive, and the venue's book at every id.
fn feed(steps: &[Step]) -> (Vec<(Event, bool)>, BTreeMap<u64, Levels>) {
    let (mut arrived, mut truth) = (Vec::new(), BTreeMap::from([(100, Levels::new())]));
    let (mut book, mut id, mut held) = (Levels::new(), 100, None);
    for step in steps {
        let (sequence_prev, mut net) = (id, Levels::new());
        for (bid, price, qty, rise) in &step.changes {
            // Bids stand from 0, asks from 9: now and then they cross.
            let (side, price) = if *bid {
                (Side::Bid, *price)
            } else {
                (Side::Ask, *price + 9)
            };
            id += rise;
            set(&mut book, &[(side, price, *qty)]);
            net.insert((side, price), *qty);
            truth.insert(id, book.clone());
        }
        let net: Vec<_> = net
            .iter()
            .map(|((side, price), qty)| (*side, *price, *qty))
            .collect();
        let event = diff(sequence_prev, id, &net);
        let reload = step.fault == Fault::Reload;
        match step.fault {
            Fault::Lose => {}
            Fault::Swap if held.is_none() => held = Some(event),
            Fault::Repeat => arrived.extend([(event.clone(), false), (event, false)]),
            Fault::Disconnect => arrived.extend([(disconnected(0), false), (event, false)]),
            Fault::None | Fault::Reload | Fault::Swap => {
                arrived.push((event, reload));
                arrived.extend(held.take().map(|late| (late, false)));
            }
        }
        if let Some(ago) = step.snapshot {
            let (id, levels) = truth
                .iter()
                .rev()
                .nth(ago.min(truth.len() - 1))
                .expect("an id");
            let levels: Vec<_> = levels
                .iter()
                .map(|((side, price), qty)| (*side, *price, *qty))
                .collect();
            arrived.push((snapshot(*id, &levels), false));
        }
    }
    (arrived, truth)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_joined_book_is_the_venues(steps in prop::collection::vec(step(), 1..80)) {
        let (arrived, truth) = feed(&steps);
        let (mut book, mut reference, mut newest) = (BookSync::new(), Reference::default(), 0);
        for (event, reload) in arrived {
            reference.apply(&event);
            newest = if event.kind == Kind::Status { 0 } else { newest.max(event.sequence) };
            let change = apply(&mut book, event);
            if reload {
                book = reloaded(&book);
            }
            prop_assert_eq!(book.state(), reference.state());
            prop_assert_eq!(book.pending(), reference.waiting.len());
            if let Some((levels, last)) = &reference.joined {
                prop_assert_eq!(*last, newest, "a joined book is at the newest id that came");
                prop_assert_eq!(levels, &truth[last]);
            }
            prop_assert_eq!(levels(&book), reference.joined.as_ref().map(|j| j.0.clone()).unwrap_or_default());
            prop_assert!(!(change.applied && change.superseded), "a message is applied or superseded");
            prop_assert!(change.gap().is_none() || change.state == BookState::Gap);
        }
    }

    #[test]
    fn corrupt_bytes_give_an_error_or_a_sound_book(
        steps in prop::collection::vec(step(), 1..20),
        at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(),
    ) {
        let mut book = BookSync::new();
        for (event, _) in feed(&steps).0 {
            apply(&mut book, event);
        }
        let mut bytes = Vec::new();
        book.save(&mut bytes);
        let cut = cut.index(bytes.len());
        prop_assert_eq!(BookSync::load(&mut &bytes[..cut], BookRule::RANGE, [9; 2], TapeFormat::NEWEST).err(), Some(LoadError::Truncated));
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(book) = BookSync::load(&mut bytes.as_slice(), BookRule::RANGE, [9; 2], TapeFormat::NEWEST) {
            book.check_invariants();
        }
    }
}

const BID: (Side, i64, i64) = (Side::Bid, 10, 1);
const ASK: (Side, i64, i64) = (Side::Ask, 12, 1);

/// A book joined at 100.
fn joined() -> BookSync {
    let mut book = BookSync::new();
    assert!(apply(&mut book, snapshot(100, &[BID, ASK])).applied);
    book
}

#[test]
fn the_snapshot_skips_what_it_holds_and_takes_what_follows() {
    let mut book = BookSync::new();
    for waiting in [
        diff(80, 90, &[(Side::Bid, 1, 1)]),
        diff(90, 103, &[(Side::Bid, 11, 2)]),
        diff(103, 105, &[]),
    ] {
        let change = apply(&mut book, waiting);
        assert_eq!((change.state, change.applied), (BookState::Building, false));
    }
    let change = apply(&mut book, snapshot(100, &[BID, ASK]));
    assert_eq!(
        (change.state, change.applied, change.superseded),
        (BookState::Valid, true, false)
    );
    assert_eq!(
        levels(&book),
        Levels::from([
            ((Side::Bid, 10), 1),
            ((Side::Bid, 11), 2),
            ((Side::Ask, 12), 1)
        ])
    );
    let counts = book.counts();
    assert_eq!(
        (
            counts.input,
            counts.applied,
            counts.superseded,
            counts.joins
        ),
        (4, 3, 1, 1)
    );
    assert!(apply(&mut book, diff(105, 106, &[])).applied);
}

#[test]
fn a_missing_diff_empties_the_book_until_a_snapshot_joins() {
    let mut book = joined();
    assert!(apply(&mut book, diff(100, 101, &[])).applied);
    let gap = SequenceGap {
        last: 101,
        sequence_prev: 118,
        sequence: 120,
    };
    let change = apply(&mut book, diff(118, 120, &[(Side::Bid, 11, 5)]));
    assert_eq!(
        (change.state, change.gap(), gap.missing()),
        (BookState::Gap, Some(gap), 17)
    );
    assert!(book.book().is_empty());
    // Too old: the diff that waits does not follow it.
    assert_eq!(
        apply(&mut book, snapshot(110, &[BID]))
            .gap()
            .map(|gap| gap.last),
        Some(110)
    );
    assert_eq!(book.pending(), 1);
    assert_eq!(
        apply(&mut book, snapshot(119, &[BID, ASK])).state,
        BookState::Valid
    );
    assert_eq!(book.book().best_bid(), Some(Level { price: 11, qty: 5 }));
    assert_eq!((book.counts().gaps, book.counts().dropped), (2, 1));
}

#[test]
fn a_diff_that_overlaps_follows_and_one_that_begins_behind_does_not() {
    for (first, last, follows) in [
        (96, 101, true),
        (101, 103, true),
        (102, 103, true),
        (103, 104, false),
    ] {
        let mut book = joined();
        assert!(apply(&mut book, diff(100, 101, &[(Side::Bid, 10, 5)])).applied);
        let change = apply(
            &mut book,
            diff(first - 1, last.max(102), &[(Side::Bid, 10, 6)]),
        );
        assert_eq!(change.applied, follows, "{first}");
        let expected = if follows {
            BookState::Valid
        } else {
            BookState::Gap
        };
        assert_eq!(book.state(), expected, "{first}");
        if follows {
            assert_eq!(book.book().best_bid(), Some(Level { price: 10, qty: 6 }));
        }
    }
}

const SECOND: i64 = 1_000_000_000;

fn at(ts_event: i64, event: Event) -> Event {
    Event { ts_event, ..event }
}

#[test]
fn ids_that_begin_anew_begin_a_new_book() {
    let start = || {
        let mut book = joined();
        assert!(apply(&mut book, at(9 * SECOND, diff(100, 101, &[]))).applied);
        book
    };
    // A lower snapshot, and a diff that follows it, newer by venue time.
    let mut book = start();
    assert!(
        apply(
            &mut book,
            snapshot(3, &[(Side::Bid, 20, 1), (Side::Ask, 21, 1)])
        )
        .superseded
    );
    assert_eq!(book.book().best_bid().map(|best| best.price), Some(10));
    let mut loaded = reloaded(&book);
    for book in [&mut book, &mut loaded] {
        let change = apply(book, at(10 * SECOND, diff(3, 4, &[(Side::Bid, 20, 9)])));
        assert_eq!((change.state, change.applied), (BookState::Valid, true));
        assert_eq!(book.book().best_bid(), Some(Level { price: 20, qty: 9 }));
        assert!(apply(book, at(10 * SECOND, diff(4, 5, &[]))).applied);
        assert_eq!((book.counts().restarts, book.last()), (1, 5));
    }
    // The same with an older diff: a late snapshot and what belongs to it.
    let mut book = start();
    apply(&mut book, snapshot(3, &[BID]));
    assert!(apply(&mut book, at(8 * SECOND, diff(3, 4, &[]))).superseded);
    assert!(apply(&mut book, at(10 * SECOND, diff(101, 102, &[]))).applied);
    assert!(apply(&mut book, at(11 * SECOND, diff(102, 103, &[]))).applied);
    // Without a snapshot nobody knows the book.
    let mut book = start();
    assert!(apply(&mut book, at(9 * SECOND + 1, diff(3, 4, &[]))).superseded);
    assert_eq!(
        apply(&mut book, at(11 * SECOND, diff(4, 5, &[]))).state,
        BookState::Gap
    );
    assert_eq!(
        apply(&mut book, snapshot(5, &[BID, ASK])).state,
        BookState::Valid
    );
    // While a gap waits for a snapshot, too.
    let mut book = start();
    assert_eq!(
        apply(&mut book, at(10 * SECOND, diff(110, 120, &[]))).state,
        BookState::Gap
    );
    assert_eq!(
        apply(&mut book, snapshot(3, &[BID, ASK])).state,
        BookState::Gap
    );
    assert_eq!(
        apply(&mut book, at(11 * SECOND, diff(3, 4, &[]))).state,
        BookState::Valid
    );
    // A futures snapshot tells its venue time.
    let mut book = start();
    assert!(apply(&mut book, at(11 * SECOND, snapshot(3, &[BID, ASK]))).applied);
}

fn known(book: &BookSync, side: Side) -> Vec<i64> {
    let mut top = [Level::default(); 32];
    let count = book.top(side, &mut top);
    top[..count].iter().map(|level| level.price).collect()
}

#[test]
fn what_lies_beyond_a_cut_snapshot_is_not_known() {
    let bids = |prices: &[i64]| {
        prices
            .iter()
            .map(|p| (Side::Bid, *p, 1))
            .collect::<Vec<_>>()
    };
    // A diff that is in the snapshot had set 90: it was cut.
    let mut book = BookSync::new();
    apply(&mut book, diff(7, 10, &bids(&[90])));
    let mut whole = bids(&[100, 99, 98]);
    whole.push((Side::Ask, 101, 4));
    apply(&mut book, snapshot(10, &whole));
    assert_eq!((book.cut(Side::Bid), book.cut(Side::Ask)), (Some(98), None));
    apply(&mut book, diff(10, 11, &bids(&[90])));
    assert_eq!(known(&book, Side::Bid), [100, 99, 98]);
    apply(
        &mut book,
        diff(
            11,
            12,
            &[(Side::Bid, 100, 0), (Side::Bid, 99, 0), (Side::Bid, 98, 0)],
        ),
    );
    assert!(known(&reloaded(&book), Side::Bid).is_empty());
    apply(&mut book, diff(12, 13, &bids(&[99, 102])));
    assert_eq!(known(&book, Side::Bid), [102, 99]);
    // The same levels as the whole side.
    let mut book = BookSync::new();
    apply(&mut book, snapshot(10, &whole));
    apply(&mut book, diff(10, 11, &bids(&[90])));
    assert_eq!(known(&book, Side::Bid), [100, 99, 98, 90]);
}

#[test]
fn older_messages_leave_a_joined_book_alone() {
    let mut book = joined();
    for older in [
        snapshot(100, &[]),
        snapshot(7, &[]),
        diff(99, 100, &[(Side::Bid, 10, 0)]),
    ] {
        let change = apply(&mut book, older);
        assert_eq!(
            (change.superseded, change.applied, change.state),
            (true, false, BookState::Valid)
        );
    }
    assert_eq!(levels(&book).len(), 2);
    assert!(
        apply(&mut book, snapshot(101, &[BID])).applied,
        "a newer snapshot replaces it"
    );
    assert_eq!(levels(&book).len(), 1);
}

#[test]
fn a_crossed_book_is_crossed_until_it_parts() {
    let mut book = joined();
    assert_eq!(
        apply(&mut book, diff(100, 101, &[(Side::Bid, 12, 1)])).state,
        BookState::Crossed
    );
    let mut book = reloaded(&book);
    assert_eq!(book.state(), BookState::Crossed);
    assert_eq!(
        apply(&mut book, diff(101, 102, &[(Side::Ask, 12, 0)])).state,
        BookState::Valid
    );
}

#[test]
fn a_disconnect_of_the_book_begins_anew() {
    for (concerns, state) in [
        (0, BookState::Building),
        (Kind::BookDiff.code().into(), BookState::Building),
        (Kind::Trade.code().into(), BookState::Valid),
    ] {
        let mut book = joined();
        assert_eq!(apply(&mut book, disconnected(concerns)).state, state);
        assert_eq!(book.book().is_empty(), state == BookState::Building);
    }
    let mut book = BookSync::new();
    apply(&mut book, diff(1, 2, &[BID]));
    apply(&mut book, disconnected(0));
    assert_eq!(
        (book.pending(), book.counts().dropped),
        (0, 1),
        "what waited belongs to the old connection"
    );
}

#[test]
fn without_sequence_numbers_the_order_of_arrival_decides() {
    let mut book = BookSync::new();
    apply(&mut book, diff(NO_RULE, NO_SEQUENCE, &[(Side::Bid, 3, 3)]));
    assert!(apply(&mut book, snapshot(NO_SEQUENCE, &[BID, ASK])).applied);
    assert_eq!((levels(&book).len(), book.counts().superseded), (2, 1));
    assert!(apply(&mut book, diff(NO_RULE, NO_SEQUENCE, &[(Side::Bid, 3, 3)])).applied);
    assert_eq!(levels(&book).len(), 3);
    assert!(
        apply(&mut book, snapshot(NO_SEQUENCE, &[BID])).applied,
        "each snapshot replaces the book"
    );
    assert_eq!(levels(&book).len(), 1);
    // A snapshot without a number, diffs with: the first diff is taken at its word, the rest must follow it.
    assert!(apply(&mut book, diff(40, 41, &[])).applied);
    assert_eq!(apply(&mut book, diff(42, 43, &[])).state, BookState::Gap);
}

#[test]
fn beyond_the_bound_the_oldest_diff_is_dropped() {
    let mut book = BookSync::new();
    let diffs: Vec<Event> = (0..PENDING_DIFFS_MAX as u64 + 3)
        .map(|id| diff(id, id + 1, &[]))
        .collect();
    for message in batch(&diffs).messages() {
        book.apply(&message);
    }
    book.check_invariants();
    assert_eq!(
        (book.pending(), book.counts().dropped),
        (PENDING_DIFFS_MAX, 3)
    );
    assert_eq!(
        apply(&mut book, snapshot(2, &[BID])).state,
        BookState::Gap,
        "what it must follow was dropped"
    );
    assert_eq!(
        apply(&mut book, snapshot(3, &[BID])).state,
        BookState::Valid
    );
    assert_eq!(book.counts().applied, PENDING_DIFFS_MAX as u64 + 1);
}

#[test]
fn the_levels_of_waiting_diffs_are_bounded_too() {
    let half = vec![BID; PENDING_LEVELS_MAX / 2];
    let mut book = BookSync::new();
    for id in 0..4 {
        apply(&mut book, diff(id, id + 1, &half));
    }
    assert_eq!((book.pending(), book.counts().dropped), (2, 2));
    apply(&mut book, diff(4, 5, &vec![ASK; PENDING_LEVELS_MAX + 1]));
    assert_eq!(
        (book.pending(), book.counts().dropped),
        (0, 5),
        "a diff beyond the bound cannot wait at all"
    );
}

#[test]
fn counts_that_do_not_add_up_are_refused() {
    let mut bytes = Vec::new();
    joined().save(&mut bytes);
    // Behind the state's code, its sequence number and its flag the count of input begins.
    bytes[10] ^= 1;
    assert!(matches!(
        BookSync::load(
            &mut bytes.as_slice(),
            BookRule::RANGE,
            [9; 2],
            TapeFormat::NEWEST
        ),
        Err(LoadError::Invalid(_))
    ));
}

/// The bytes that a book had before books knew checksums and orders.
#[test]
fn a_book_saved_in_the_first_format_is_read() {
    let mut bytes = vec![0]; // it waits for a snapshot
    let number = |bytes: &mut Vec<u8>, number: u64| bytes.extend(number.to_le_bytes());
    number(&mut bytes, 0);
    bytes.push(0);
    for count in [1, 0, 0, 0, 0, 0, 0, 0, 0] {
        number(&mut bytes, count); // one message of input
    }
    number(&mut bytes, 0); // no bids
    number(&mut bytes, 0); // no asks
    number(&mut bytes, 1); // one diff waits: 100 to 101, a bid of 5 at 11
    for id in [101, 100, 1] {
        number(&mut bytes, id);
    }
    bytes.push(Side::Bid.code());
    number(&mut bytes, 11);
    number(&mut bytes, 5);
    bytes.extend([0; 20]); // nothing is known of depths
    bytes.extend(NO_TIME.to_le_bytes());
    bytes.push(0);
    let mut rest = bytes.as_slice();
    let book = BookSync::load(&mut rest, BookRule::RANGE, [9; 2], TapeFormat::One);
    let mut book = book.expect("an old book loads");
    assert!(rest.is_empty(), "a book takes all its bytes");
    let change = apply(&mut book, snapshot(100, &[BID, ASK]));
    assert_eq!((change.state, book.last()), (BookState::Valid, 101));
    assert_eq!(book.book().best_bid(), Some(Level { price: 11, qty: 5 }));
    reloaded(&book);
}
