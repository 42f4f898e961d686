//! What a book costs: decoded captures through [`BookSync`], nanoseconds a level and a diff.
//!
//! `cargo bench -p signal-market [-- CAPTURE.gz...]`; without a capture, the committed excerpt.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::time::Instant;

use flate2::read::MultiGzDecoder;
use signal_event::{EventBatch, Kind, Message, Side};
use signal_ingest::Capture;
use signal_market::{BookSync, Level, OrderBook};

const ROUNDS: usize = 15;
const EXCERPT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/data/binance-excerpt/spot_btcusdt.gz"
);

fn decoded(path: &str) -> EventBatch {
    let mut bytes = Vec::new();
    MultiGzDecoder::new(File::open(path).expect(path))
        .read_to_end(&mut bytes)
        .expect(path);
    let mut capture = Capture::new();
    capture.push(&bytes);
    capture.end();
    assert!(capture.used() > 0, "no messages in {path}");
    capture.take()
}

/// Best of some rounds, in nanoseconds: the depth messages through a new book, `after` each.
fn best_ns(messages: &[Message<'_>], mut after: impl FnMut(&OrderBook)) -> f64 {
    let round = |_| {
        let mut book = BookSync::new();
        let start = Instant::now();
        for message in messages {
            book.apply(message);
            after(book.book());
        }
        let elapsed = start.elapsed().as_nanos() as f64;
        black_box(&book);
        elapsed
    };
    (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min)
}

fn top_ten(book: &OrderBook) {
    let (mut bids, mut asks) = ([Level::default(); 10], [Level::default(); 10]);
    book.top(Side::Bid, &mut bids);
    book.top(Side::Ask, &mut asks);
    black_box((bids, asks));
}

/// Nanoseconds of single diffs with the top ten, sorted; the clock's own cost is in them.
fn single_ns(messages: &[Message<'_>]) -> Vec<u64> {
    let mut book = BookSync::new();
    let mut single = |message: &Message<'_>| {
        let start = Instant::now();
        book.apply(message);
        top_ten(book.book());
        start.elapsed().as_nanos() as u64
    };
    let mut times: Vec<u64> = messages.iter().map(&mut single).collect();
    times.sort_unstable();
    times
}

fn main() {
    let mut paths: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg.ends_with(".gz"))
        .collect();
    if paths.is_empty() {
        paths.push(EXCERPT.to_string());
    }
    println!(
        "{:<30} {:>7} {:>8}  ns: level  diff  diff+top10   p50   p99  p99.9    max",
        "capture", "diffs", "levels"
    );
    for path in &paths {
        let batch = decoded(path);
        let depth: Vec<Message<'_>> = batch
            .messages()
            .filter(|message| matches!(message.kind, Kind::BookDiff | Kind::BookSnapshot))
            .collect();
        let (diffs, levels) = (
            depth.len() as f64,
            depth
                .iter()
                .map(|message| message.rows.len())
                .sum::<usize>() as f64,
        );
        let bare = best_ns(&depth, |_| ());
        let topped = best_ns(&depth, top_ten);
        let single = single_ns(&depth);
        let part = |share: f64| single[((single.len() - 1) as f64 * share) as usize];
        println!(
            "{:<30} {diffs:>7} {levels:>8}  {:>9.1} {:>5.0} {:>11.0} {:>5} {:>5} {:>6} {:>6}",
            path.rsplit('/').next().unwrap_or(path),
            bare / levels,
            bare / diffs,
            topped / diffs,
            part(0.5),
            part(0.99),
            part(0.999),
            part(1.0),
        );
    }
}
