//! The join of snapshots and diffs: against a venue that knows the truth, against a plain reference, and case by case.

mod cases;
mod venue;

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
