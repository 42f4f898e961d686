//! A compressed capture to books with their ten best levels, one core.

use std::hint::black_box;
use std::path::PathBuf;

use signal_event::{Kind, Side};
use signal_feeds::{FeedError, Reader, ReaderOptions};
use signal_ingest::{Admit, Sequencer};
use signal_market::{BookSync, Level};

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
    Ok(())
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
