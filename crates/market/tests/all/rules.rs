//! The rules of venues, case by case: links, snapshots that reset ids, kept depth, checksums, and what a book is made of.

#[allow(dead_code)] // other tests use the rest
use crate::frames::{Said, Told, batch};
use signal_event::{
    BookRule, ChecksumKind, Kind, NO_RULE, NO_SEQUENCE, OrderAction, Side, TapeFormat,
};
use signal_market::{BookChange, BookNotice, BookState, BookSync, Level, LoadError, SequenceGap};

const SCALES: [u8; 2] = [10, 9];

fn level(side: Side, price: &str, qty: &str) -> Told {
    Told {
        id: 0,
        action: None,
        side,
        price: price.into(),
        qty: qty.into(),
    }
}

fn order(action: OrderAction, id: u64, side: Side, price: &str, qty: &str) -> Told {
    Told {
        id,
        action: Some(action),
        ..level(side, price, qty)
    }
}

fn said(kind: Kind, sequence_prev: u64, sequence: u64, rows: &[Told]) -> Said {
    Said {
        kind,
        sequence,
        sequence_prev,
        ts_event: 0,
        checksum: None,
        rows: rows.to_vec(),
        cut: false,
    }
}

fn diff(sequence_prev: u64, sequence: u64, rows: &[Told]) -> Said {
    said(Kind::BookDiff, sequence_prev, sequence, rows)
}

fn snapshot(sequence: u64, rows: &[Told]) -> Said {
    said(Kind::BookSnapshot, NO_RULE, sequence, rows)
}

fn apply(book: &mut BookSync, said: &Said) -> BookChange {
    let batch = batch(said, SCALES);
    let change = book.apply(&batch.messages().next().expect("a message"));
    book.check_invariants();
    let mut bytes = Vec::new();
    book.save(&mut bytes);
    let loaded = BookSync::load(
        &mut bytes.as_slice(),
        book.rule(),
        SCALES,
        TapeFormat::NEWEST,
    )
    .expect("loads");
    let mut again = Vec::new();
    loaded.save(&mut again);
    assert_eq!(bytes, again, "the same book, the same bytes");
    *book = loaded;
    change
}

fn standing(book: &BookSync) -> Option<usize> {
    book.orders().map(|orders| orders.len())
}

fn quotes() -> [Told; 2] {
    [level(Side::Bid, "10", "1"), level(Side::Ask, "12", "1")]
}

fn top(book: &BookSync, side: Side) -> Vec<(i64, i64)> {
    let mut levels = [Level::default(); 32];
    let count = book.top(side, &mut levels);
    let levels = levels[..count].iter();
    let units = |level: &Level| (level.price / 10_000_000_000, level.qty / 1_000_000_000);
    levels.map(units).collect()
}

#[test]
fn a_linked_diff_names_the_books_own_id() {
    for (rule, first, second) in [
        (BookRule::LINKED, BookState::Valid, BookState::Gap),
        (BookRule::SNAPSHOT_RESETS, BookState::Valid, BookState::Gap),
        (BookRule::RANGE, BookState::Valid, BookState::Valid),
    ] {
        let mut book = BookSync::with_rule(rule, SCALES);
        apply(&mut book, &snapshot(100, &quotes()));
        // The first after a snapshot may begin before it, the second may not.
        assert_eq!(
            apply(&mut book, &diff(90, 104, &[])).state,
            first,
            "{rule:?}"
        );
        assert_eq!(
            apply(&mut book, &diff(103, 106, &[])).state,
            second,
            "{rule:?}"
        );
    }
    let mut book = BookSync::with_rule(BookRule::LINKED, SCALES);
    apply(&mut book, &snapshot(100, &quotes()));
    let gap = SequenceGap {
        last: 100,
        sequence_prev: 101,
        sequence: 102,
    };
    assert_eq!(apply(&mut book, &diff(101, 102, &[])).gap(), Some(gap));
}

#[test]
fn a_snapshot_that_resets_ids_replaces_the_book_whatever_its_id() {
    let mut book = BookSync::with_rule(BookRule::SNAPSHOT_RESETS, SCALES);
    apply(&mut book, &snapshot(100, &quotes()));
    apply(&mut book, &diff(100, 101, &[level(Side::Bid, "11", "1")]));
    let change = apply(&mut book, &snapshot(1, &quotes()));
    assert_eq!((change.applied, book.last()), (true, 1));
    assert_eq!(top(&book, Side::Bid), [(10, 1)]);
    assert!(apply(&mut book, &diff(1, 2, &[])).applied);
    // What waits came before it: it is in it, even if its ids are higher.
    assert_eq!(
        apply(&mut book, &diff(7, 8, &[level(Side::Bid, "11", "1")])).state,
        BookState::Gap
    );
    let change = apply(&mut book, &snapshot(3, &quotes()));
    assert_eq!((change.state, book.last()), (BookState::Valid, 3));
    assert_eq!(top(&book, Side::Bid), [(10, 1)]);
    assert_eq!(book.counts().superseded, 1);
}

#[test]
fn ids_that_say_nothing_are_not_asked() {
    let mut book = BookSync::with_rule(BookRule::UNNUMBERED, SCALES);
    apply(&mut book, &snapshot(100, &quotes()));
    assert!(apply(&mut book, &diff(7, 8, &[level(Side::Bid, "11", "1")])).applied);
    assert!(apply(&mut book, &diff(900, 901, &[])).applied);
    assert!(apply(&mut book, &snapshot(5, &quotes())).applied);
    assert_eq!(book.last(), NO_SEQUENCE);
}

#[test]
fn levels_pushed_out_of_the_depth_that_the_venue_keeps_are_dropped() {
    let rule = BookRule::UNNUMBERED.deep(3);
    let mut book = BookSync::with_rule(rule, SCALES);
    let bids = ["9", "8", "7"].map(|price| level(Side::Bid, price, "1"));
    let asks = ["11", "12"].map(|price| level(Side::Ask, price, "1"));
    apply(&mut book, &snapshot(0, &[bids.as_slice(), &asks].concat()));
    let cut = |book: &BookSync| [Side::Bid, Side::Ask].map(|side| book.cut(side).is_some());
    assert_eq!(cut(&book), [true, false]);
    apply(&mut book, &diff(NO_RULE, 0, &[level(Side::Bid, "10", "1")]));
    assert_eq!(top(&book, Side::Bid), [(10, 1), (9, 1), (8, 1)]);
    // 7 is gone: it does not come back with the removal of 10, and the venue says what does.
    let back = [level(Side::Bid, "10", "0"), level(Side::Bid, "7", "5")];
    apply(&mut book, &diff(NO_RULE, 0, &back));
    assert_eq!(top(&book, Side::Bid), [(9, 1), (8, 1), (7, 5)]);
    assert_eq!((book.counts().levels_shed, cut(&book)), (1, [true, false]));
    // Levels that come and go within a message push nothing out.
    let both = [level(Side::Bid, "10", "1"), level(Side::Bid, "10", "0")];
    apply(&mut book, &diff(NO_RULE, 0, &both));
    assert_eq!(top(&book, Side::Bid), [(9, 1), (8, 1), (7, 5)]);
    // A snapshot that says it was cut is as deep as the venue keeps.
    let mut snapshot = snapshot(
        0,
        &[level(Side::Bid, "9", "1"), level(Side::Ask, "11", "1")],
    );
    snapshot.cut = true;
    apply(&mut book, &snapshot);
    apply(
        &mut book,
        &diff(
            NO_RULE,
            0,
            &[level(Side::Ask, "12", "1"), level(Side::Ask, "11", "2")],
        ),
    );
    assert_eq!(top(&book, Side::Ask), [(11, 2)]);
}

#[test]
fn a_checksum_that_is_not_met_ends_the_book_until_a_snapshot() {
    let rule = BookRule::UNNUMBERED.checked(ChecksumKind::Okx);
    let mut book = BookSync::with_rule(rule, SCALES);
    let sum = |text: &str| Some(crc32fast::hash(text.as_bytes()));
    let checked = |said: Said, text: &str| Said {
        checksum: sum(text),
        ..said
    };
    let change = apply(&mut book, &checked(snapshot(0, &quotes()), "10:1:12:1"));
    assert_eq!((change.state, change.notice), (BookState::Valid, None));
    let bid = level(Side::Bid, "11.50", "0.25");
    let change = apply(
        &mut book,
        &checked(diff(NO_RULE, 0, &[bid]), "11.5:0.25:12:1:10:1"),
    );
    assert_eq!((change.state, change.notice), (BookState::Valid, None));
    // A message without one is believed.
    assert!(apply(&mut book, &diff(NO_RULE, 0, &[level(Side::Ask, "13", "1")])).applied);
    let wrong = checked(
        diff(NO_RULE, 0, &[level(Side::Ask, "13", "2")]),
        "something else",
    );
    let change = apply(&mut book, &wrong);
    assert_eq!((change.state, change.applied), (BookState::Checksum, true));
    let mismatch = change.mismatch().expect("a notice");
    assert_eq!(Some(mismatch.expected), sum("something else"));
    assert_eq!(Some(mismatch.computed), sum("11.5:0.25:12:1:10:1:13:2"));
    assert!(book.book().is_empty());
    let notice = change.notice.unwrap().to_string();
    assert!(
        notice.contains("invalid (CHECKSUM) until the next snapshot"),
        "{notice}"
    );
    // What comes meanwhile waits, and is in the next snapshot.
    let change = apply(
        &mut book,
        &checked(diff(NO_RULE, 0, &[]), "11.5:0.25:12:1:10:1:13:2"),
    );
    assert_eq!((change.state, book.pending()), (BookState::Checksum, 1));
    let change = apply(&mut book, &checked(snapshot(0, &quotes()), "10:1:12:1"));
    assert_eq!((change.state, book.pending()), (BookState::Valid, 0));
    let change = apply(&mut book, &checked(snapshot(0, &quotes()), "10:1:12:9"));
    assert_eq!(
        (change.state, book.counts().mismatches),
        (BookState::Checksum, 2)
    );
    assert_eq!(book.counts().checksums, 3);
}

#[test]
fn krakens_decimals_are_found_and_found_again() {
    let rule = BookRule::UNNUMBERED.checked(ChecksumKind::Kraken);
    let mut book = BookSync::with_rule(rule, SCALES);
    let checked = |rows: &[Told], text: &str| Said {
        checksum: Some(crc32fast::hash(text.as_bytes())),
        ..diff(NO_RULE, 0, rows)
    };
    apply(&mut book, &snapshot(0, &quotes()));
    // 12.00, 1.000, 10.00, 1.000.
    assert!(
        apply(&mut book, &checked(&[], "1200100010001000"))
            .mismatch()
            .is_none()
    );
    let bid = level(Side::Bid, "10.5", "0.025");
    let change = apply(
        &mut book,
        &checked(std::slice::from_ref(&bid), "1200100010502510001000"),
    );
    assert!(change.mismatch().is_none());
    // The venue writes one decimal more, beyond the scale of prices: 12.00000000000.
    let digits = "12000000000001000".to_string() + "1050000000000" + "25" + "10000000000001000";
    assert!(
        apply(&mut book, &checked(&[], &digits))
            .mismatch()
            .is_none()
    );
    // A quantity that the venue does not have.
    let change = apply(&mut book, &checked(&[], &digits.replace("25", "26")));
    assert_eq!(
        (change.state, book.counts().checksums),
        (BookState::Checksum, 3)
    );
}

#[test]
fn a_book_is_of_levels_or_of_orders() {
    let orders = [
        order(OrderAction::Clear, 0, Side::None, "0", "0"),
        order(OrderAction::Add, 7, Side::Bid, "10", "2"),
        order(OrderAction::Add, 8, Side::Bid, "10", "3"),
        order(OrderAction::Add, 9, Side::Ask, "12", "1"),
    ];
    let mut book = BookSync::with_rule(BookRule::LINKED, SCALES);
    // An add before the snapshot waits.
    let add = order(OrderAction::Add, 8, Side::Bid, "10", "3");
    let change = apply(&mut book, &said(Kind::Order, 4, 5, &[add]));
    assert_eq!((change.state, book.pending()), (BookState::Building, 1));
    let change = apply(&mut book, &said(Kind::Order, NO_RULE, NO_SEQUENCE, &orders));
    assert_eq!(
        (change.applied, standing(&book), book.last()),
        (true, Some(3), 5)
    );
    let Some(BookNotice::Orders(faults)) = change.notice else {
        panic!("{change:?}")
    };
    assert_eq!((faults.orphans, faults.repeated), (0, 1));
    assert_eq!(top(&book, Side::Bid), [(10, 5)]);
    assert!(apply(&mut book, &snapshot(9, &quotes())).superseded);
    let cancel = order(OrderAction::Cancel, 8, Side::Bid, "0", "0");
    assert!(
        apply(
            &mut book,
            &said(Kind::Order, 5, 6, std::slice::from_ref(&cancel))
        )
        .applied
    );
    assert_eq!(top(&book, Side::Bid), [(10, 2)]);
    let change = apply(&mut book, &said(Kind::Order, 6, 7, &[cancel]));
    assert_eq!(
        change.state,
        BookState::Valid,
        "an orphan cancel is not fatal"
    );
    assert_eq!((book.counts().orphans, book.counts().repeated), (1, 1));
    assert_eq!(
        apply(&mut book, &said(Kind::Order, 8, 9, &[])).state,
        BookState::Gap
    );
    assert_eq!(standing(&book), Some(0));

    let mut book = BookSync::new();
    apply(&mut book, &snapshot(9, &quotes()));
    assert!(apply(&mut book, &said(Kind::Order, NO_RULE, 10, &orders)).superseded);
    assert_eq!((standing(&book), book.last()), (None, 9));
}

#[test]
fn saved_state_of_another_rule_is_refused() {
    let rule = BookRule::UNNUMBERED.deep(3);
    let mut book = BookSync::with_rule(rule, SCALES);
    let bids = ["9", "8", "7"].map(|price| level(Side::Bid, price, "1"));
    apply(&mut book, &snapshot(0, &bids));
    let mut bytes = Vec::new();
    book.save(&mut bytes);
    let loaded = BookSync::load(
        &mut bytes.as_slice(),
        BookRule::UNNUMBERED.deep(2),
        SCALES,
        TapeFormat::NEWEST,
    );
    assert!(matches!(loaded, Err(LoadError::Invalid(_))));
}
