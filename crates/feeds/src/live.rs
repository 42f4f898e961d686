//! A feed read by a thread of its own, at a pace, into a bounded queue.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use signal_ingest::Rejects;

use crate::cursor::{Cursor, Found, Located};
use crate::next::Next;
use crate::pace::RecordedClock;
use crate::queue::{End, Queue};
use crate::{Conflate, Feed, FeedError, Notice, Pace, Position, SourceRecord, WhenFull};

/// Rows that enter the queue at once, about: what is shed is shed in such parts.
const PART_ROWS: usize = 4_096;

/// How long a feed is waited for at a time: a stop is heard after that.
const WAIT: Duration = Duration::from_millis(20);

/// Notices that wait for the feed; more are of no use to it.
const NOTICES_MAX: usize = 1_024;

/// How a live source runs.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// How fast recorded time passes.
    pub pace: Pace,
    /// Rows that the queue holds at most; above 0.
    pub queue_rows: usize,
    /// What happens when it is full.
    pub when_full: WhenFull,
    /// Whether it leaves out what newer messages in it replace.
    pub conflate: Conflate,
    /// Where the feed continues; `None`: at its beginning.
    pub position: Option<Position>,
}

impl Default for LiveOptions {
    fn default() -> LiveOptions {
        LiveOptions {
            pace: Pace::Max,
            queue_rows: 65_536,
            when_full: WhenFull::Block,
            conflate: Conflate::None,
            position: None,
        }
    }
}

/// What a live source has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveCounts {
    /// What the feed read, and what became of it.
    pub records: Vec<SourceRecord>,
    /// The first refusals: file, and line with reason.
    pub rejects: Vec<(PathBuf, Rejects)>,
    /// [`Feed::stats`].
    pub stats: Value,
    /// Rows in the queue.
    pub queue_rows: usize,
    /// For how long the oldest of them have waited; zero if there are none.
    pub queue_age: Duration,
    /// Rows dropped from a full queue.
    pub shed_rows: u64,
    /// Messages dropped from a full queue.
    pub shed_messages: u64,
    /// Messages left out, since newer ones that waited replaced them.
    pub conflated_messages: u64,
}

/// Reads a feed in a thread of its own into a bounded queue. Dropping it stops the thread.
pub struct LiveSource {
    shared: Arc<Shared>,
    begins: Position,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    queue: Queue,
    counts: Mutex<LiveCounts>,
    notices: Mutex<Vec<Notice>>,
    written: Mutex<Written>,
    wrote: Condvar,
}

/// What the feed is to be told of what it gave.
#[derive(Debug, Default)]
struct Written {
    position: Option<Position>,
    /// Nothing more will be written.
    closed: bool,
}

impl Shared {
    fn counts(&self) -> MutexGuard<'_, LiveCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LiveSource {
    /// Opens the feed and starts to read.
    pub fn start(feed: Box<dyn Feed>, options: &LiveOptions) -> Result<LiveSource, FeedError> {
        if options.queue_rows == 0 {
            return Err(FeedError::BadOption {
                option: "queue_rows",
                what: "must be above 0".into(),
            });
        }
        let mut cursor = Cursor::open(feed, options.position.as_ref())?;
        let clock = match options.pace {
            Pace::Times(times) => Some(RecordedClock::new(times)),
            Pace::Max => None,
        };
        let begins = cursor.position();
        let shared = Arc::new(Shared {
            queue: Queue::new(
                options.queue_rows,
                options.when_full,
                options.conflate,
                &begins,
            ),
            counts: Mutex::default(),
            notices: Mutex::default(),
            written: Mutex::default(),
            wrote: Condvar::new(),
        });
        let part_rows = match cursor.feed().rereads() {
            true => PART_ROWS.min(options.queue_rows),
            false => usize::MAX,
        };
        let mut run = Run {
            cursor,
            clock,
            part_rows,
            shared: shared.clone(),
        };
        run.publish();
        let body = move || {
            let guard = EndGuard {
                shared: run.shared.clone(),
            };
            let end = match run.run() {
                Ok(()) => End::Ended,
                Err(error) => End::Failed(error),
            };
            guard.shared.queue.end(end);
            run.wait_for_close();
        };
        let thread = std::thread::Builder::new()
            .name("signal-feed".into())
            .spawn(body);
        let thread = thread.map_err(FeedError::io(Path::new("signal-feed"), "start a thread"))?;
        Ok(LiveSource {
            shared,
            begins,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// The next messages, waiting for them as long as `timeout`. An error of the feed comes after everything that was read
    /// before it.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&self, timeout: Duration) -> Result<Next, FeedError> {
        self.shared.queue.next(timeout)
    }

    /// The position before the first message.
    pub fn begins(&self) -> &Position {
        &self.begins
    }

    /// Tells the feed that something is wrong with what it gave.
    pub fn notice(&self, notice: Notice) {
        let notices = self.shared.notices.lock();
        let mut notices = notices.unwrap_or_else(PoisonError::into_inner);
        if notices.len() < NOTICES_MAX {
            notices.push(notice);
        }
    }

    /// What was given up to this position is safe: see [`Feed::written`].
    pub fn written(&self, position: Position) {
        self.shared.written().position = Some(position);
        self.shared.wrote.notify_all();
    }

    /// Stops reading, and waits until the feed is closed: until then it can still be told what was written.
    pub fn close(&self) {
        self.stop();
        self.shared.written().closed = true;
        self.shared.wrote.notify_all();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // A panic of the thread has been told to the queue's reader already.
            let _ = thread.join();
        }
    }

    /// Stops reading. [`LiveSource::next`] still gives what is in the queue, then [`Next::End`]; a later run continues
    /// behind the position of the last batch.
    pub fn stop(&self) {
        self.shared.queue.stop();
    }

    /// What has been done so far.
    pub fn counts(&self) -> LiveCounts {
        let queue = self.shared.queue.counts();
        LiveCounts {
            queue_rows: queue.rows,
            queue_age: queue.age,
            shed_rows: queue.shed_rows,
            shed_messages: queue.shed_messages,
            conflated_messages: queue.conflated_messages,
            ..self.shared.counts().clone()
        }
    }
}

impl Drop for LiveSource {
    fn drop(&mut self) {
        self.close();
    }
}

/// Ends the queue also when the thread panics.
struct EndGuard {
    shared: Arc<Shared>,
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.queue.end(End::Failed(FeedError::Panicked));
        }
    }
}

/// The thread's work.
struct Run {
    cursor: Cursor,
    clock: Option<RecordedClock>,
    part_rows: usize,
    shared: Arc<Shared>,
}

impl Run {
    fn run(&mut self) -> Result<(), FeedError> {
        loop {
            self.pass_on_notices();
            self.pass_on_written();
            let found = self.cursor.poll(WAIT);
            self.publish();
            let goes_on = match found? {
                Found::Batch(located) => self.deliver(&located),
                Found::Idle { watermark } => {
                    self.shared.queue.promise(watermark);
                    !self.shared.queue.stopped_within(Duration::ZERO)
                }
                Found::End => false,
            };
            if !goes_on {
                return Ok(());
            }
        }
    }

    fn pass_on_notices(&mut self) {
        let notices = self.shared.notices.lock();
        let notices = std::mem::take(&mut *notices.unwrap_or_else(PoisonError::into_inner));
        for notice in &notices {
            self.cursor.feed().notice(notice);
        }
    }

    fn pass_on_written(&mut self) {
        let position = self.shared.written().position.take();
        // Within a batch it is the position before it that the feed knows.
        let own = position.and_then(|position| Some(position.split().ok()?.0));
        if let Some(own) = own.filter(|own| !own.is_empty()) {
            self.cursor.feed().written(&own);
        }
    }

    /// What is in the queue when the reading ends may still be taken and written: the feed is closed when it knows.
    fn wait_for_close(&mut self) {
        let shared = self.shared.clone();
        let mut written = shared.written();
        while !written.closed {
            let waited = shared.wrote.wait(written);
            written = waited.unwrap_or_else(PoisonError::into_inner);
        }
        drop(written);
        self.pass_on_written();
    }

    /// Puts the batch into the queue in parts, each when it is due; `false` if there is no use in reading on.
    fn deliver(&mut self, located: &Located) -> bool {
        let batch = &located.batch;
        let (mut row, mut messages) = (0, 0);
        while row < batch.len() {
            let mut end = batch.whole_rows_end(row, self.part_rows);
            if let Some(clock) = &mut self.clock {
                let now = Instant::now();
                let recorded = clock.at(now, batch.ts_recv()[row]);
                let due = batch.ts_recv()[row..end]
                    .iter()
                    .position(|&ts| ts > recorded)
                    .unwrap_or(end - row);
                if due == 0 {
                    let wait = clock.until(batch.ts_recv()[row], now);
                    if self.shared.queue.stopped_within(wait) {
                        return false;
                    }
                    continue;
                }
                end = row + due;
            }
            let part = batch.slice_rows(row..end);
            messages += part.message_count();
            let position = located.position(messages, end == batch.len());
            if !self.shared.queue.push(part, position) {
                return false;
            }
            row = end;
        }
        true
    }

    fn publish(&mut self) {
        let feed = self.cursor.feed();
        let (records, rejects, stats) = (feed.records(), feed.rejects(), feed.stats());
        let mut counts = self.shared.counts();
        counts.stats = stats;
        counts.records = records;
        counts.rejects = rejects;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FanIn, FilesFeed, Handover, Poll, ReaderOptions};

    /// Gives the trades of a capture, and keeps what it is told was written.
    struct Told {
        feed: FilesFeed,
        told: Arc<Mutex<Vec<Position>>>,
    }

    impl Feed for Told {
        fn open(&mut self, position: Option<&Position>) -> Result<(), FeedError> {
            self.feed.open(position)
        }

        fn poll(&mut self, wait: Duration) -> Result<Poll, FeedError> {
            self.feed.poll(wait)
        }

        fn position(&self) -> Position {
            self.feed.position()
        }

        fn rereads(&self) -> bool {
            false
        }

        fn records(&self) -> Vec<SourceRecord> {
            Vec::new()
        }

        fn rejects(&self) -> Vec<(PathBuf, Rejects)> {
            Vec::new()
        }

        fn written(&mut self, position: &Position) {
            self.told.lock().unwrap().push(position.clone());
        }
    }

    fn capture(path: &Path, ids: std::ops::Range<u64>) {
        let line = |id: u64| {
            let ms = 1_700_000_000_000 + id;
            format!(
                "{ms}000000 {{\"stream\":\"ab@trade\",\"data\":{{\"e\":\"trade\",\"E\":{ms},\"s\":\"AB\",\"t\":{id},\
                 \"p\":\"1\",\"q\":\"1\",\"T\":{ms},\"m\":false,\"M\":true}}}}\n"
            )
        };
        std::fs::write(path, ids.map(line).collect::<String>()).unwrap();
    }

    /// Reads to the end, saying of each batch that it is written; what the feed was told last.
    fn read(make: impl FnOnce(Box<dyn Feed>, Box<dyn Feed>) -> Box<dyn Feed>) -> Position {
        let folder = std::env::temp_dir().join(format!("signal-written-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let paths = [folder.join("early"), folder.join("late")];
        capture(&paths[0], 1..50);
        capture(&paths[1], 50..100);
        let [early, late] = paths.map(|path| FilesFeed::new(vec![path], ReaderOptions::default()));
        let told = Arc::<Mutex<Vec<Position>>>::default();
        let feed = make(
            Box::new(early),
            Box::new(Told {
                feed: late,
                told: told.clone(),
            }),
        );
        let source = LiveSource::start(feed, &LiveOptions::default()).unwrap();
        while let Next::Batch(_, position) = source.next(Duration::from_secs(60)).unwrap() {
            source.written(position);
        }
        source.close();
        std::fs::remove_dir_all(&folder).unwrap();
        let told = told.lock().unwrap();
        told.last().unwrap().clone()
    }

    #[test]
    fn a_feed_knows_in_the_end_that_all_it_gave_is_written_through_whatever_reads_it() {
        let alone = read(|_, late| late);
        assert_eq!(alone.number("messages").unwrap(), 50);
        assert_eq!(
            read(|early, late| Box::new(Handover::new(early, late, 1_000))),
            alone
        );
        let merged = |early, late| -> Box<dyn Feed> {
            Box::new(FanIn::new(vec![early, late], Duration::from_secs(60)))
        };
        assert_eq!(read(merged), alone);
    }
}
