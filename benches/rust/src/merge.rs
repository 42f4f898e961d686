//! Eight streams to one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::path::PathBuf;

use signal_event::{EventBatch, EventBatchBuilder};
use signal_feeds::{Reader, ReaderOptions};
use signal_ingest::{Merge, MergeStep};

use crate::measure::{Figure, Laps};

const STREAMS: usize = 8;
const ROUNDS: usize = 9;
const BATCH_ROWS: usize = 8_192;
const MESSAGES_MAX: usize = 1_000_000;

pub fn run(captures: &[PathBuf]) -> Result<(), Box<dyn std::error::Error>> {
    let streams = streams(captures)?;
    let rows: usize = streams.iter().flatten().map(EventBatch::len).sum();
    let (mut ours, mut heap) = (Laps::new(), Laps::new());
    for _ in 0..ROUNDS {
        ours.begin();
        assert_eq!(merged(&streams)?, rows, "nothing is lost");
        ours.lap();
        heap.begin();
        assert_eq!(merged_by_heap(&streams), rows, "nothing is lost");
        heap.lap();
    }
    Figure {
        work: "8 streams to one",
        unit: "rows/s",
        value: rows as f64 / ours.seconds(),
        peer: Some(("a BinaryHeap of messages", rows as f64 / heap.seconds())),
    }
    .print();
    Ok(())
}

/// The captures' messages, each in one of eight streams as by the throw of a die, in batches.
fn streams(captures: &[PathBuf]) -> Result<Vec<Vec<EventBatch>>, Box<dyn std::error::Error>> {
    let mut reader = Reader::open(captures, &ReaderOptions::default())?;
    let mut streams = vec![Vec::new(); STREAMS];
    let mut builders = vec![EventBatchBuilder::new(); STREAMS];
    let mut messages = 0;
    let mut random = 1u64;
    while messages < MESSAGES_MAX
        && let Some(batch) = reader.next()?
    {
        for message in batch.messages() {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let stream = (random >> 61) as usize;
            builders[stream].push_message(&message, message.instrument);
            messages += 1;
        }
        for (builder, stream) in builders.iter_mut().zip(&mut streams) {
            stream.push(builder.finish(batch.instruments()));
        }
    }
    Ok(streams)
}

fn merged(streams: &[Vec<EventBatch>]) -> Result<usize, Box<dyn std::error::Error>> {
    let mut rest: Vec<_> = streams.iter().map(|stream| stream.iter()).collect();
    let mut merge = Merge::new(STREAMS);
    let mut rows = 0;
    loop {
        let step = merge.advance(BATCH_ROWS);
        if let MergeStep::Wants(input) = step {
            match rest[input].next() {
                Some(batch) => merge.push(input, batch.clone())?,
                None => merge.set_aside(input),
            }
            continue;
        }
        rows += black_box(merge.take()).len();
        if step == MergeStep::Done {
            return Ok(rows);
        }
    }
}

/// The way that is written first: the heads of the streams in a heap, one message at a time.
fn merged_by_heap(streams: &[Vec<EventBatch>]) -> usize {
    let mut at = [(0, 0); STREAMS];
    let mut heap = BinaryHeap::new();
    let mut builder = EventBatchBuilder::new();
    let mut rows = 0;
    let head = |stream: usize, (batch, row): (usize, usize)| {
        let batch = streams[stream].get(batch)?;
        Some(batch.ts_recv()[row])
    };
    for (stream, at) in at.iter().enumerate() {
        heap.extend(head(stream, *at).map(|ts| Reverse((ts, stream))));
    }
    while let Some(Reverse((_, stream))) = heap.pop() {
        let (number, row) = at[stream];
        let batch = &streams[stream][number];
        if let Some(message) = batch.message(row) {
            builder.push_message(&message, message.instrument);
            let end = message.rows.end;
            at[stream] = match end == batch.len() {
                true => (number + 1, 0),
                false => (number, end),
            };
        }
        heap.extend(head(stream, at[stream]).map(|ts| Reverse((ts, stream))));
        if builder.len() >= BATCH_ROWS {
            rows += black_box(builder.finish(batch.instruments())).len();
            builder.reserve(BATCH_ROWS);
        }
    }
    rows + builder.len()
}
