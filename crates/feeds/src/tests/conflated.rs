//! A line that is behind: what waits for it, and what of that it is given.

use super::*;
use signal_ingest::Rejects;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Gives the feed's messages, and says when there are no more: then all of them wait in the queue of whoever reads it.
struct Told {
    feed: Box<dyn Feed>,
    ended: Arc<AtomicBool>,
}

impl Feed for Told {
    fn open(&mut self, position: Option<&Position>) -> Result<(), FeedError> {
        self.feed.open(position)
    }

    fn poll(&mut self, wait: Duration) -> Result<Poll, FeedError> {
        let found = self.feed.poll(wait)?;
        self.ended
            .fetch_or(matches!(found, Poll::End), Ordering::AcqRel);
        Ok(found)
    }

    fn position(&self) -> Position {
        self.feed.position()
    }

    fn rereads(&self) -> bool {
        self.feed.rereads()
    }

    fn records(&self) -> Vec<SourceRecord> {
        self.feed.records()
    }

    fn rejects(&self) -> Vec<(PathBuf, Rejects)> {
        self.feed.rejects()
    }
}

/// Lines of a capture: a quote, a trade and a quote for each of these ids.
fn lines(ids: std::ops::Range<u64>) -> String {
    let line = |id: u64| {
        let ns = |at: u64| 1_700_000_000_000_000_000 + (3 * id + at) * 1_000_000;
        let quote = |at: u64| {
            let update = 2 * id + at / 2;
            format!(
                "{} {{\"stream\":\"ab@bookTicker\",\"data\":{{\"u\":{update},\"s\":\"AB\",\"b\":\"{id}.{at}\",\"B\":\"1\",\
                 \"a\":\"{id}.5\",\"A\":\"1\"}}}}\n",
                ns(at)
            )
        };
        let ms = ns(1) / 1_000_000;
        let trade = format!(
            "{} {{\"stream\":\"ab@trade\",\"data\":{{\"e\":\"trade\",\"E\":{ms},\"s\":\"AB\",\"t\":{id},\"p\":\"{id}\",\"q\":\"1\",\
             \"T\":{ms},\"m\":false,\"M\":true}}}}\n",
            ns(1)
        );
        quote(0) + &trade + &quote(2)
    };
    ids.map(line).collect()
}

/// Gives a message at a time.
struct Pieces {
    batches: Vec<EventBatch>,
    given: usize,
}

impl Feed for Pieces {
    fn open(&mut self, _position: Option<&Position>) -> Result<(), FeedError> {
        Ok(())
    }

    fn poll(&mut self, _wait: Duration) -> Result<Poll, FeedError> {
        let next = self.batches.get(self.given).cloned();
        self.given += usize::from(next.is_some());
        Ok(next.map_or(Poll::End, Poll::Batch))
    }

    fn position(&self) -> Position {
        Position::new(format!("{{\"messages\":{}}}", self.given))
    }

    fn records(&self) -> Vec<SourceRecord> {
        Vec::new()
    }

    fn rejects(&self) -> Vec<(PathBuf, Rejects)> {
        Vec::new()
    }
}

/// A capture, a message at a time.
fn recorded(folder: &Folder, name: &str, ids: std::ops::Range<u64>) -> Box<dyn Feed> {
    let path = folder.file(name, lines(ids).as_bytes());
    let batches = read_all(&[&path]).chunks(1).collect();
    Box::new(Pieces { batches, given: 0 })
}

/// What a line gets that asks for nothing before the feed has ended, batch by batch, and the counts of the source.
fn behind(feed: Box<dyn Feed>, options: LiveOptions) -> (Vec<(EventBatch, Position)>, LiveCounts) {
    let ended = Arc::<AtomicBool>::default();
    let told = Told {
        feed,
        ended: ended.clone(),
    };
    let source = LiveSource::start(Box::new(told), &options).unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while !ended.load(Ordering::Acquire) {
        assert!(Instant::now() < until, "the feed is not read to its end");
        thread::yield_now();
    }
    let mut given = Vec::new();
    while let Next::Batch(batch, position) = source.next(Duration::from_secs(60)).unwrap() {
        given.push((batch, position));
    }
    (given, source.counts())
}

fn latest() -> LiveOptions {
    LiveOptions {
        conflate: Conflate::Latest,
        ..LiveOptions::default()
    }
}

/// Ids of trades, and of quotes with a `q`; how many were left out in brackets.
fn said(batch: &EventBatch) -> String {
    let word = |m: signal_event::Message<'_>| match (m.kind, m.conflated()) {
        (_, Some((_, count))) => format!("({count})"),
        (Kind::Quote, _) => format!("q{}", m.sequence),
        _ => m.sequence.to_string(),
    };
    batch.messages().map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_line_that_is_behind_gets_every_trade_and_the_newest_quote() {
    let folder = Folder::new("conflated");
    let (given, counts) = behind(recorded(&folder, "few", 1..5), latest());
    let [(batch, position)] = &given[..] else {
        panic!("{} batches", given.len());
    };
    assert_eq!(said(batch), "1 2 3 4 (7) q9");
    assert_eq!(counts.conflated_messages, 7);
    assert_eq!((counts.queue_rows, counts.shed_messages), (0, 0));
    // Behind it nothing is left, whatever was left out.
    assert_eq!(position.number("messages").unwrap(), 12);
    let (whole, counts) = behind(recorded(&folder, "few", 1..5), LiveOptions::default());
    assert_eq!(
        whole
            .iter()
            .map(|(batch, _)| batch.message_count())
            .sum::<usize>(),
        12
    );
    assert_eq!(counts.conflated_messages, 0);
}

#[test]
fn a_queue_that_is_full_makes_room_by_what_newer_quotes_replace() {
    let folder = Folder::new("conflated-full");
    // 1,000 trades and 2,000 quotes of two rows; of these one is left with what it replaced.
    let options = LiveOptions {
        queue_rows: 1_010,
        when_full: WhenFull::Halt,
        ..latest()
    };
    let (given, counts) = behind(recorded(&folder, "many", 1..1_001), options);
    let messages: usize = given.iter().map(|(batch, _)| batch.message_count()).sum();
    assert_eq!((messages, counts.conflated_messages), (1_002, 1_999));
}

#[test]
fn a_history_is_given_whole() {
    let folder = Folder::new("conflated-history");
    let history = recorded(&folder, "history", 1..4);
    let live = recorded(&folder, "live", 4..8);
    let (given, counts) = behind(Box::new(Handover::new(history, live, 1_000)), latest());
    let said: Vec<String> = given.iter().map(|(batch, _)| said(batch)).collect();
    // The first live batch could hold the end of the history.
    let whole = "q2 1 q3 q4 2 q5 q6 3 q7 q8 4 5 6 7 (6) q15";
    assert_eq!(
        (said.join(" ").as_str(), counts.conflated_messages),
        (whole, 6)
    );
}
