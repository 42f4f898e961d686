//! A history, and then the live feed that continues it.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use signal_event::Timestamp;
use signal_ingest::{Bridge, Rejects};

use crate::cursor::{Cursor, Found, without_passed};
use crate::{Feed, FeedError, LiveOptions, LiveSource, Next, Notice, Poll, Position, SourceRecord};

/// Gives everything that the history holds, then what the live feed has beyond it.
///
/// The live feed is read from the start, into a queue: what comes while the history is read is not lost. Live messages that
/// the history holds are dropped, see [`Bridge`].
///
/// The position is the number of messages of the history, `{"history_messages":400}`, later with the live feed's own:
/// `{"history_messages":1000,"bridged":true,"live":"…"}`. Behind one that is not bridged yet the history is read again, since
/// live messages may still be in it.
pub struct Handover {
    unopened: Option<(Box<dyn Feed>, Box<dyn Feed>)>,
    queue_rows: usize,
    history: Option<Cursor>,
    /// Messages of the history to be passed over.
    skip: u64,
    messages: u64,
    live: Option<LiveSource>,
    bridge: Bridge,
    is_bridged: bool,
    rereads: bool,
    position: Position,
    /// What was read of the history, once that has ended.
    history_records: Vec<SourceRecord>,
    history_rejects: Vec<(PathBuf, Rejects)>,
}

impl Handover {
    /// Neither is opened yet. Up to `queue_rows` rows of the live feed wait while the history is read.
    pub fn new(history: Box<dyn Feed>, live: Box<dyn Feed>, queue_rows: usize) -> Handover {
        Handover {
            rereads: live.rereads(),
            unopened: Some((history, live)),
            queue_rows,
            history: None,
            skip: 0,
            messages: 0,
            live: None,
            bridge: Bridge::default(),
            is_bridged: false,
            position: Position::default(),
            history_records: Vec::new(),
            history_rejects: Vec::new(),
        }
    }

    /// The next messages of the history; `None` at its end.
    fn poll_history(&mut self, wait: Duration) -> Result<Option<Poll>, FeedError> {
        let Some(history) = &mut self.history else {
            return Ok(None);
        };
        let found = history.poll(wait)?;
        let feed = history.feed();
        (self.history_records, self.history_rejects) = (feed.records(), feed.rejects());
        let located = match found {
            Found::Batch(located) => located,
            Found::Idle { .. } => return Ok(Some(IDLE)),
            Found::End => {
                self.history = None;
                return Ok(None);
            }
        };
        self.bridge.history(&located.batch);
        let (batch, _) = without_passed(&mut self.skip, located.batch);
        if batch.is_empty() {
            return Ok(Some(IDLE));
        }
        self.messages += batch.message_count() as u64;
        self.position = Position::new(json!({"history_messages": self.messages}).to_string());
        Ok(Some(Poll::Batch(batch)))
    }

    fn poll_live(&mut self, wait: Duration) -> Result<Poll, FeedError> {
        let Some(live) = &self.live else {
            return Ok(Poll::End);
        };
        let (batch, position) = match live.next(wait)? {
            Next::Batch(batch, position) => (batch, position),
            Next::Idle { watermark } => return Ok(Poll::Idle { watermark }),
            Next::End | Next::Halted => return Ok(Poll::End),
        };
        let newest = batch.ts_recv().last().copied().unwrap_or(Timestamp::MIN);
        let batch = match self.is_bridged {
            true => batch,
            false => self.bridge.live(batch),
        };
        self.is_bridged = self.is_bridged || self.bridge.is_done(newest);
        if batch.is_empty() {
            return Ok(IDLE);
        }
        self.position = self.live_position(&position);
        Ok(Poll::Batch(batch))
    }

    fn live_position(&self, live: &Position) -> Position {
        let text = json!({
            "history_messages": self.messages,
            "bridged": self.is_bridged,
            "live": live.as_str(),
        });
        Position::new(text.to_string())
    }
}

const IDLE: Poll = Poll::Idle { watermark: None };

impl Feed for Handover {
    fn open(&mut self, position: Option<&Position>) -> Result<(), FeedError> {
        let Some((history, live)) = self.unopened.take() else {
            return Ok(());
        };
        let mut live_position = None;
        if let Some(position) = position {
            self.messages = position.number("history_messages")?;
            self.position = position.clone();
            let text = position.json()?;
            self.is_bridged = text["bridged"].as_bool().unwrap_or(false);
            live_position = text["live"].as_str().map(Position::new);
        }
        let options = LiveOptions {
            queue_rows: self.queue_rows,
            position: live_position.clone().filter(|own| !own.is_empty()),
            ..LiveOptions::default()
        };
        self.live = Some(LiveSource::start(live, &options)?);
        if !self.is_bridged {
            // All of it is passed over where live messages were given already.
            self.skip = match live_position {
                Some(_) => u64::MAX,
                None => self.messages,
            };
            self.history = Some(Cursor::open(history, None)?);
        }
        if position.is_none() {
            self.position = Position::new(r#"{"history_messages":0}"#);
        }
        Ok(())
    }

    fn poll(&mut self, wait: Duration) -> Result<Poll, FeedError> {
        match self.poll_history(wait)? {
            Some(poll) => Ok(poll),
            None => self.poll_live(wait),
        }
    }

    fn position(&self) -> Position {
        self.position.clone()
    }

    fn rereads(&self) -> bool {
        self.rereads
    }

    fn records(&self) -> Vec<SourceRecord> {
        let live = self.live.iter().flat_map(|live| live.counts().records);
        self.history_records.iter().cloned().chain(live).collect()
    }

    fn rejects(&self) -> Vec<(PathBuf, Rejects)> {
        let live = self.live.iter().flat_map(|live| live.counts().rejects);
        self.history_rejects.iter().cloned().chain(live).collect()
    }

    fn stats(&self) -> Value {
        let found = self.bridge.bridged();
        let lacking = found.lacking.iter();
        let lacking = lacking.map(|(instrument, kind, missing)| {
            json!({"instrument": instrument, "kind": kind.name(), "missing": missing})
        });
        json!({"history": {
            "messages": self.messages,
            "ended": self.history.is_none(),
            "bridged": self.is_bridged,
            "ends": found.ends,
            "begins": found.begins,
            "overlap": found.overlap,
            "streams": found.streams,
            "missing": found.missing,
            "lacking": lacking.collect::<Vec<_>>(),
        }})
    }

    fn notice(&mut self, notice: &Notice) {
        if let Some(live) = &self.live {
            live.notice(notice.clone());
        }
    }

    fn written(&mut self, position: &Position) {
        let text = position.json().ok();
        let own = text.and_then(|text| text["live"].as_str().map(Position::new));
        if let (Some(live), Some(own)) = (&self.live, own) {
            live.written(own);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FilesFeed, PipeFeed, ReaderOptions};
    use signal_event::EventBatch;
    use std::fs;
    use std::io::Write;
    use std::path::Path;

    /// Lines of a capture, one trade each, with these ids.
    fn lines(ids: std::ops::Range<u64>) -> String {
        ids.map(|id| {
            let ms = 1_700_000_000_000 + id;
            format!(
                "{ms}000000 {{\"stream\":\"ab@trade\",\"data\":{{\"e\":\"trade\",\"E\":{ms},\"s\":\"AB\",\"t\":{id},\
                 \"p\":\"1\",\"q\":\"1\",\"T\":{ms},\"m\":false,\"M\":true}}}}\n"
            )
        })
        .collect()
    }

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let name = format!("signal-handover-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Folder(path)
        }

        fn file(&self, name: &str, text: &str) -> Box<dyn Feed> {
            let path = self.0.join(name);
            fs::write(&path, text).unwrap();
            let options = ReaderOptions {
                batch_rows: 10,
                ..ReaderOptions::default()
            };
            Box::new(FilesFeed::new(vec![path], options))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const PATIENCE: Duration = Duration::from_secs(20);

    /// The ids to the end, and each position with how many were given before it.
    fn read(feed: Handover, position: Option<Position>) -> (Vec<u64>, Vec<(Position, usize)>) {
        let options = LiveOptions {
            queue_rows: 7,
            position,
            ..LiveOptions::default()
        };
        let source = LiveSource::start(Box::new(feed), &options).unwrap();
        let (mut ids, mut places) = (Vec::new(), vec![(source.begins().clone(), 0)]);
        loop {
            match source.next(PATIENCE).unwrap() {
                Next::Batch(batch, position) => {
                    ids.extend(sequences(&batch));
                    places.push((position, ids.len()));
                }
                Next::Idle { .. } => panic!("nothing came after {ids:?}"),
                Next::End | Next::Halted => return (ids, places),
            }
        }
    }

    fn sequences(batch: &EventBatch) -> Vec<u64> {
        batch.messages().map(|message| message.sequence).collect()
    }

    #[test]
    fn nothing_comes_twice_and_every_position_is_continued_behind() {
        let folder = Folder::new("twice");
        let make = || {
            let (history, live) = (lines(1..60), lines(40..100));
            Handover::new(
                folder.file("history", &history),
                folder.file("live", &live),
                1000,
            )
        };
        let (ids, places) = read(make(), None);
        assert!(ids.iter().copied().eq(1..100));
        for (position, given) in places {
            let (rest, _) = read(make(), Some(position.clone()));
            assert!(rest == ids[given..], "behind {position}: {rest:?}");
        }
        let error = make().open(Some(&Position::new(r#"{"messages":3}"#)));
        assert!(error.unwrap_err().to_string().contains("history_messages"));
    }

    /// What comes while the history is read waits, and what is missing between the two is told.
    #[test]
    fn a_pipe_continues_a_history_and_the_gap_is_known() {
        let folder = Folder::new("pipe");
        let (reader, mut writer) = std::io::pipe().unwrap();
        let options = ReaderOptions::default();
        let pipe = PipeFeed::new(Path::new("a pipe"), &reader, options).unwrap();
        writer.write_all(lines(64..70).as_bytes()).unwrap();
        drop(writer);
        let history = folder.file("history", &lines(1..60));
        let mut feed = Handover::new(history, Box::new(pipe), 1000);
        feed.open(None).unwrap();
        let mut ids = Vec::new();
        loop {
            match feed.poll(PATIENCE).unwrap() {
                Poll::Batch(batch) => ids.extend(sequences(&batch)),
                Poll::Idle { .. } => {}
                Poll::End => break,
            }
        }
        assert!(ids.iter().copied().eq((1..60).chain(64..70)));
        let said = &feed.stats()["history"];
        assert_eq!(
            (&said["messages"], &said["missing"]),
            (&json!(59), &json!(4))
        );
        assert_eq!(said["lacking"][0]["kind"], "trade");
        assert_eq!(
            (&said["ended"], &said["bridged"]),
            (&json!(true), &json!(true))
        );
        let position = feed.position().json().unwrap();
        assert_eq!(
            position,
            json!({"history_messages": 59, "bridged": true, "live": ""})
        );
    }

    /// A live feed that is quiet says so through the handover: whoever merges it with others need not wait.
    #[test]
    fn what_the_live_feed_promises_while_it_is_quiet_is_promised() {
        struct Quiet(Option<EventBatch>);

        impl Feed for Quiet {
            fn open(&mut self, _: Option<&Position>) -> Result<(), FeedError> {
                Ok(())
            }

            fn poll(&mut self, _: Duration) -> Result<Poll, FeedError> {
                Ok(match self.0.take() {
                    Some(batch) => Poll::Batch(batch),
                    None => Poll::Idle {
                        watermark: Some(1_800_000_000_000_000_000),
                    },
                })
            }

            fn position(&self) -> Position {
                Position::default()
            }

            fn records(&self) -> Vec<SourceRecord> {
                Vec::new()
            }

            fn rejects(&self) -> Vec<(PathBuf, Rejects)> {
                Vec::new()
            }
        }

        let folder = Folder::new("quiet");
        let mut one = folder.file("one", &lines(60..61));
        one.open(None).unwrap();
        let Poll::Batch(batch) = one.poll(PATIENCE).unwrap() else {
            panic!("a file begins with its messages");
        };
        let history = folder.file("history", &lines(1..60));
        let mut feed = Handover::new(history, Box::new(Quiet(Some(batch))), 1000);
        feed.open(None).unwrap();
        let mut ids = Vec::new();
        let promised = loop {
            match feed.poll(Duration::from_millis(1)).unwrap() {
                Poll::Batch(batch) => ids.extend(sequences(&batch)),
                Poll::Idle { watermark: None } => {}
                Poll::Idle { watermark } => break watermark,
                Poll::End => panic!("the live feed goes on"),
            }
        };
        assert!(ids.iter().copied().eq(1..61));
        assert_eq!(promised, Some(1_800_000_000_000_000_000));
    }
}
