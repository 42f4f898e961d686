//! The join case by case.

use super::*;

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
