//! Books of seven venues from real frames: each as the venue's own checksums and an independent book of maps say.

#[allow(dead_code)] // other tests use the rest
use crate::frames::{Naive, Recorded, Told, batch, recorded, rule};
use signal_event::{Side, TapeFormat};
use signal_market::{BookChange, BookCounts, BookState, BookSync, Level};

fn levels(book: &BookSync, side: Side) -> Vec<(i64, i64)> {
    let mut levels = vec![Level::default(); book.book().depth(side)];
    book.book().top(side, &mut levels);
    levels
        .iter()
        .map(|level| (level.price, level.qty))
        .collect()
}

/// Counts of all books of a recording; after each message the best levels are the naive book's, and now and then all are.
fn followed(venue: &str, books: &[Recorded]) -> BookCounts {
    let mut total = BookCounts::default();
    for recorded in books {
        let name = format!("{venue} {}", recorded.instrument);
        let scales = recorded.scales;
        let mut book = BookSync::with_rule(rule(venue), scales);
        let mut naive = Naive::of(scales);
        for (nth, said) in recorded.messages.iter().enumerate() {
            naive.apply(said);
            let events = batch(said, scales);
            let message = events.messages().next().expect("a message");
            let BookChange { state, notice, .. } = book.apply(&message);
            let expected = match naive.is_known {
                true => BookState::Valid,
                false => BookState::Building,
            };
            assert_eq!(state, expected, "{name} message {nth}: {notice:?}");
            if nth % 50 == 3 {
                let mut bytes = Vec::new();
                book.save(&mut bytes);
                book = BookSync::load(
                    &mut bytes.as_slice(),
                    rule(venue),
                    scales,
                    TapeFormat::NEWEST,
                )
                .expect("loads");
                book.check_invariants();
            }
            let whole = nth % 50 == 0 || nth + 1 == recorded.messages.len();
            for side in [Side::Bid, Side::Ask]
                .into_iter()
                .filter(|_| naive.is_known && whole)
            {
                assert_eq!(
                    levels(&book, side),
                    naive.levels(side, usize::MAX),
                    "{name} {side} message {nth}"
                );
            }
        }
        let counts = book.counts();
        for (sum, count) in [
            (&mut total.input, counts.input),
            (&mut total.applied, counts.applied),
            (&mut total.superseded, counts.superseded),
            (&mut total.joins, counts.joins),
            (&mut total.gaps, counts.gaps),
            (&mut total.checksums, counts.checksums),
            (&mut total.mismatches, counts.mismatches),
            (&mut total.orphans, counts.orphans),
            (&mut total.repeated, counts.repeated),
            (&mut total.levels_unknown, counts.levels_unknown),
        ] {
            *sum += count;
        }
    }
    total
}

fn counted(venue: &str) -> Option<BookCounts> {
    recorded(venue).map(|books| followed(venue, &books))
}

#[test]
fn kraken_meets_every_checksum() {
    let Some(counts) = counted("KRAKEN") else {
        return;
    };
    assert_eq!((counts.checksums, counts.mismatches), (4_269, 0));
    assert_eq!((counts.joins, counts.gaps), (10, 0));
}

#[test]
fn okx_meets_every_checksum() {
    let Some(counts) = counted("OKX") else { return };
    assert_eq!((counts.checksums, counts.mismatches), (290, 0));
    assert_eq!((counts.joins, counts.gaps), (3, 0));
}

#[test]
fn kucoins_fillers_are_no_levels() {
    let Some(books) = recorded("KUCOIN") else {
        return;
    };
    let filler = |told: &&Told| told.price == "0" && told.qty == "0";
    let messages = books.iter().flat_map(|book| &book.messages);
    let fillers = messages.flat_map(|said| said.rows.iter().filter(filler));
    assert_eq!(fillers.count(), 1_355);
    let counts = followed("KUCOIN", &books);
    // The recording has a snapshot of nine of the ten.
    assert_eq!((counts.joins, counts.gaps), (9, 0));
}

#[test]
fn orphan_cancels_of_independent_reserve_are_counted_and_harm_nothing() {
    let Some(counts) = counted("INDEPENDENT_RESERVE") else {
        return;
    };
    assert_eq!((counts.orphans, counts.repeated), (37, 37));
    assert_eq!((counts.joins, counts.gaps), (5, 0));
}

#[test]
fn links_of_deribit_coinbase_and_binance_futures_never_break() {
    for (venue, joins) in [("DERIBIT", 10), ("COINBASE", 2), ("BINANCE_FUTURES", 4)] {
        let Some(counts) = counted(venue) else { return };
        assert_eq!((counts.joins, counts.gaps), (joins, 0), "{venue}");
    }
}
