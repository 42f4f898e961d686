//! A topic with one event a message: to events, sequence rules and books, beside a bare loop over the same queue.

use std::hint::black_box;
use std::time::{Duration, Instant};

use signal_event::Kind;
use signal_feeds::{BATCH_MESSAGES, Feed, KafkaFeed, KafkaOptions, Payload, Poll};
use signal_ingest::{Admit, Sequencer};
use signal_kafka::{Consumer, Start};
use signal_market::BookSync;

use crate::measure::Figure;

const ROUNDS: usize = 5;
const WAIT: Duration = Duration::from_secs(5);

pub fn run(servers: &str, topic: &str) -> Result<(), Box<dyn std::error::Error>> {
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(rate(|| bare_loop(servers, topic))?);
        ours.push(rate(|| to_books(servers, topic))?);
    }
    Figure {
        work: "Kafka, one event a message, to events, sequence and books",
        unit: "messages/s",
        value: middle(ours),
        peer: Some(("bare batch-queue loop", middle(bare))),
    }
    .print();
    Ok(())
}

type Done = Result<(u64, Duration), Box<dyn std::error::Error>>;

fn rate(work: impl FnOnce() -> Done) -> Result<f64, Box<dyn std::error::Error>> {
    let (messages, took) = work()?;
    Ok(messages as f64 / took.as_secs_f64())
}

/// From the first messages that arrive to the end of the partition.
fn bare_loop(servers: &str, topic: &str) -> Done {
    let properties = [
        ("bootstrap.servers", servers),
        ("group.id", "bare"),
        ("enable.partition.eof", "true"),
        ("enable.auto.commit", "false"),
        ("fetch.queue.backoff.ms", "1"),
    ];
    let properties = properties.map(|(name, value)| (name.to_string(), value.to_string()));
    let mut consumer = Consumer::open(topic, &properties)?;
    consumer.assign(&[(0, Start::Oldest)])?;
    let (mut messages, mut bytes, mut begun) = (0, 0, None);
    loop {
        while consumer.event()?.is_some() {}
        let taken = consumer.take(0, BATCH_MESSAGES, |record| bytes += record.payload().len())?;
        if taken.messages > 0 {
            begun.get_or_insert_with(Instant::now);
            messages += taken.messages as u64;
        }
        if taken.end {
            black_box(bytes);
            return Ok((messages, begun.map_or(Duration::MAX, |at| at.elapsed())));
        }
        if taken.messages == 0 {
            consumer.wait(WAIT);
        }
    }
}

fn to_books(servers: &str, topic: &str) -> Done {
    let mut feed = KafkaFeed::new(KafkaOptions {
        to_end: true,
        ..KafkaOptions::new(servers, topic, Payload::Event)
    });
    feed.open(None)?;
    let (mut sequencer, mut books) = (Sequencer::default(), Vec::<BookSync>::new());
    let (mut messages, mut begun) = (0, None);
    loop {
        match feed.poll(WAIT)? {
            Poll::End => {
                return Ok((
                    messages,
                    begun.map_or(Duration::MAX, |at: Instant| at.elapsed()),
                ));
            }
            Poll::Idle { .. } => {}
            Poll::Batch(batch) => {
                begun.get_or_insert_with(Instant::now);
                books.resize_with(batch.instruments().len(), BookSync::new);
                for message in batch.messages() {
                    messages += 1;
                    let admit = sequencer.admit(&message).admit;
                    let admitted = matches!(admit, Admit::Accept | Admit::Gap { .. });
                    if admitted && matches!(message.kind, Kind::BookDiff | Kind::BookSnapshot) {
                        black_box(books[message.instrument.place()].apply(&message));
                    }
                }
            }
        }
    }
}

fn middle(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
