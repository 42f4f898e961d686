//! A compressed capture to books with their ten best levels, and what a book's update costs by itself; one core.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use signal_event::{Kind, Side};
use signal_feeds::{FeedError, Reader, ReaderOptions};
use signal_ingest::{Admit, Sequencer};
use signal_market::{BookSync, Level, OrderBook};

use crate::measure::{Figure, Laps};

const ROUNDS: usize = 9;

pub fn run(captures: &[PathBuf]) -> Result<(), Box<dyn std::error::Error>> {
    let mut laps = Laps::new();
    let mut frames = 0;
    for _ in 0..ROUNDS {
        laps.begin();
        frames = 0;
        for path in captures {
            frames += to_book(path, &mut laps)?;
        }
    }
    let value = frames as f64 / laps.seconds();
    Figure {
        work: "gzip capture to events to book with top 10",
        unit: "frames/s",
        value,
        peer: None,
    }
    .print();
    let decoded = captures.iter().map(depth).collect::<Result<Vec<_>, _>>()?;
    updates(&decoded);
    single_updates(&decoded);
    Ok(())
}

/// One level's change: side, price, quantity.
type Change = (Side, i64, i64);

/// The depth messages of a capture, each as its levels' changes; the first may be a snapshot.
fn depth(path: &PathBuf) -> Result<Vec<Vec<Change>>, FeedError> {
    let mut reader = Reader::open(std::slice::from_ref(path), &ReaderOptions::default())?;
    let mut messages = Vec::new();
    while let Some(batch) = reader.next()? {
        for message in batch.messages() {
            if matches!(message.kind, Kind::BookDiff | Kind::BookSnapshot) {
                let numbers = message.prices().iter().zip(message.qtys());
                let rows = message.sides().iter().zip(numbers);
                let change = |(side, (price, qty)): (&u8, (&i64, &i64))| {
                    (Side::from_code(*side).unwrap_or(Side::None), *price, *qty)
                };
                messages.push(rows.map(change).collect());
            }
        }
    }
    Ok(messages)
}

/// A book as it is commonly kept.
#[derive(Default)]
struct TreeBook {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
}

impl TreeBook {
    fn apply(&mut self, (side, price, qty): Change) {
        let side = match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
            Side::None => return,
        };
        match qty {
            0 => side.remove(&price),
            _ => side.insert(price, qty),
        };
    }

    fn best(&self) -> [Option<(&i64, &i64)>; 2] {
        [self.bids.last_key_value(), self.asks.first_key_value()]
    }
}

/// Each level's change is applied, and the best levels of both sides are read after it.
fn updates(captures: &[Vec<Vec<Change>>]) {
    let (mut ours, mut tree) = (Laps::new(), Laps::new());
    let mut changes = 0;
    for _ in 0..ROUNDS {
        ours.begin();
        tree.begin();
        changes = 0;
        for messages in captures {
            let mut book = OrderBook::new();
            ours.resume();
            for (side, price, qty) in messages.iter().flatten() {
                book.apply(*side, *price, *qty);
                black_box((book.best_bid(), book.best_ask()));
            }
            ours.lap();
            let mut book = TreeBook::default();
            tree.resume();
            for change in messages.iter().flatten() {
                book.apply(*change);
                black_box(book.best());
            }
            tree.lap();
            changes += messages.iter().map(Vec::len).sum::<usize>();
        }
    }
    Figure {
        work: "book updates, each with the best levels read",
        unit: "updates/s",
        value: changes as f64 / ours.seconds(),
        peer: Some(("BTreeMap book", changes as f64 / tree.seconds())),
    }
    .print();
}

/// Times of single updates with the best levels read, without what the clock costs; of the round that was disturbed least.
fn single_updates(captures: &[Vec<Vec<Change>>]) {
    let clock = (0..1_000).map(|_| Instant::now().elapsed().as_nanos() as u64);
    let clock = quantile(&mut clock.collect::<Vec<_>>(), 0.5);
    let mut best = [u64::MAX; 2];
    for _ in 0..ROUNDS {
        let mut times = Vec::new();
        for messages in captures {
            let mut book = OrderBook::new();
            for (side, price, qty) in messages.iter().flatten() {
                let start = Instant::now();
                book.apply(*side, *price, *qty);
                black_box((book.best_bid(), book.best_ask()));
                times.push((start.elapsed().as_nanos() as u64).saturating_sub(clock));
            }
        }
        for (best, share) in best.iter_mut().zip([0.5, 0.99]) {
            *best = quantile(&mut times, share).min(*best);
        }
    }
    for (work, value) in [
        "book update with the best levels read, p50",
        "book update with the best levels read, p99",
    ]
    .into_iter()
    .zip(best)
    {
        Figure {
            work,
            unit: "ns",
            value: value as f64,
            peer: None,
        }
        .print();
    }
}

/// The value below which this share of them lies.
fn quantile(values: &mut [u64], share: f64) -> u64 {
    let at = ((values.len() - 1) as f64 * share) as usize;
    *values.select_nth_unstable(at).1
}

/// Each message goes through the sequence rules; after each book message the ten best levels of both sides are read.
fn to_book(path: &PathBuf, laps: &mut Laps) -> Result<usize, FeedError> {
    let options = ReaderOptions {
        batch_rows: 1 << 14,
        ..ReaderOptions::default()
    };
    let mut reader = Reader::open(std::slice::from_ref(path), &options)?;
    let (mut sequencer, mut book) = (Sequencer::default(), BookSync::new());
    let mut levels = [[Level { price: 0, qty: 0 }; 10]; 2];
    let mut frames = 0;
    while let Some(batch) = reader.next()? {
        for message in batch.messages() {
            frames += 1;
            let admitted = matches!(
                sequencer.admit(&message).admit,
                Admit::Accept | Admit::Gap { .. }
            );
            if admitted && matches!(message.kind, Kind::BookDiff | Kind::BookSnapshot) {
                book.apply(&message);
                book.book().top(Side::Bid, &mut levels[0]);
                book.book().top(Side::Ask, &mut levels[1]);
                black_box(&levels);
            }
        }
        laps.lap();
    }
    laps.lap();
    Ok(frames)
}
