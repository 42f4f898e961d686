//! A source with its own thread: files at a pace, a growing capture, standard input.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use signal_event::EventBatch;
use signal_ingest::Rejects;

use crate::capture::{CaptureFile, Progress};
use crate::follow::{Followed, FollowedFile};
use crate::pace::RecordedClock;
use crate::queue::{End, Queue};
use crate::sniff::Format;
use crate::{FeedError, Pace, Reader, ReaderOptions, SourceRecord, WhenFull};

/// Rows that enter the queue at once, about: what is shed is shed in such parts.
const PART_ROWS: usize = 4_096;

/// How often a growing file is looked at.
const POLL: Duration = Duration::from_millis(10);

/// Where a live source reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiveInput {
    /// Files of any format, merged, to their end.
    Files(Vec<PathBuf>),
    /// A plain raw capture that another program appends to, from its beginning and without end, over its rotations.
    Follow {
        /// The file's name.
        path: PathBuf,
        /// The file that had the name before, to be read first, and after it those that came between.
        begin: Option<PathBuf>,
        /// Messages of the files before the first of them.
        base: u64,
    },
    /// A plain raw capture on standard input.
    Stdin,
}

/// How a live source runs.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// How fast recorded time passes.
    pub pace: Pace,
    /// Rows that the queue holds at most; above 0.
    pub queue_rows: usize,
    /// What happens when it is full.
    pub when_full: WhenFull,
    /// Messages to pass over at the start, at once: those that an earlier run has dealt with.
    pub skip_messages: u64,
    /// How files are read.
    pub reader: ReaderOptions,
}

/// What [`LiveSource::next`] found.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)] // A box would be an allocation a batch to save a move.
pub enum Next {
    /// The next messages.
    Batch(EventBatch),
    /// Nothing came in time; try again.
    Idle,
    /// There will be no more.
    End,
    /// There will be no more: the queue was full and the source was told to halt then.
    Halted,
}

/// What a live source has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveCounts {
    /// The raw files and what became of their lines.
    pub records: Vec<SourceRecord>,
    /// The first refusals: file, and line with reason.
    pub rejects: Vec<(PathBuf, Rejects)>,
    /// Rows in the queue.
    pub queue_rows: usize,
    /// Rows dropped from a full queue.
    pub shed_rows: u64,
    /// Messages dropped from a full queue.
    pub shed_messages: u64,
    /// Messages passed over at the start.
    pub skipped_messages: u64,
    /// The files that were followed, the newest last.
    pub followed: Vec<FollowedFile>,
    /// How often those became others.
    pub followed_changes: u64,
}

/// Reads in a thread of its own into a bounded queue. Dropping it stops the thread.
pub struct LiveSource {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// A thread within a read of standard input cannot be woken; it is left behind.
    joins: bool,
}

struct Shared {
    queue: Queue,
    counts: Mutex<LiveCounts>,
    followed_changes: AtomicU64,
}

impl LiveSource {
    /// Opens the input and starts to read.
    pub fn start(input: &LiveInput, options: &LiveOptions) -> Result<LiveSource, FeedError> {
        if options.queue_rows == 0 {
            return Err(FeedError::BadOption {
                option: "queue_rows",
                what: "must be above 0".into(),
            });
        }
        let feed = Feed::open(input, &options.reader)?;
        let clock = match options.pace {
            Pace::Times(times) => Some(RecordedClock::new(times)),
            Pace::Max => None,
        };
        let queue = Queue::new(options.queue_rows, options.when_full);
        let shared = Arc::new(Shared {
            queue,
            counts: Mutex::default(),
            followed_changes: AtomicU64::new(0),
        });
        let mut run = Run {
            feed,
            clock,
            skip: options.skip_messages,
            part_rows: PART_ROWS.min(options.queue_rows),
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
        };
        let thread = std::thread::Builder::new()
            .name("signal-feed".into())
            .spawn(body);
        let thread = thread.map_err(FeedError::io(Path::new("signal-feed"), "start a thread"))?;
        Ok(LiveSource {
            shared,
            thread: Some(thread),
            joins: *input != LiveInput::Stdin,
        })
    }

    /// The next messages, waiting for them as long as `timeout`. An error of the input comes after everything that was
    /// read before it.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&self, timeout: Duration) -> Result<Next, FeedError> {
        self.shared.queue.next(timeout)
    }

    /// Stops reading. [`LiveSource::next`] still gives what is in the queue, then [`Next::End`]; a later run goes on
    /// from there with [`LiveOptions::skip_messages`].
    pub fn stop(&self) {
        self.shared.queue.stop();
    }

    /// How often the followed files became others: `counts` has them, before a message of the newest is given.
    pub fn followed_changes(&self) -> u64 {
        self.shared.followed_changes.load(Ordering::Acquire)
    }

    /// What has been done so far.
    pub fn counts(&self) -> LiveCounts {
        let (queue_rows, shed_rows, shed_messages) = self.shared.queue.counts();
        let counts = self
            .shared
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        LiveCounts {
            queue_rows,
            shed_rows,
            shed_messages,
            ..counts
        }
    }
}

impl Drop for LiveSource {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take().filter(|_| self.joins) {
            // A panic of the thread has been told to the queue's reader already.
            let _ = thread.join();
        }
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

/// What the thread reads.
enum Feed {
    Files(Box<Reader>),
    Follow(Box<Followed>),
    Pipe(Box<CaptureFile>),
}

impl Feed {
    fn open(input: &LiveInput, options: &ReaderOptions) -> Result<Feed, FeedError> {
        match input {
            LiveInput::Files(paths) => Ok(Feed::Files(Box::new(Reader::open(paths, options)?))),
            LiveInput::Follow { path, begin, base } => {
                let followed = Followed::open(path, begin.as_deref(), *base, options)?;
                Ok(Feed::Follow(Box::new(followed)))
            }
            LiveInput::Stdin => {
                let input = Box::new(std::io::stdin());
                let capture =
                    CaptureFile::of_input(Path::new("stdin"), Format::Capture, input, options)?;
                Ok(Feed::Pipe(Box::new(capture)))
            }
        }
    }

    /// The next messages; an empty batch where a growing file has not grown; `None` at the end.
    fn next(&mut self) -> Result<Option<EventBatch>, FeedError> {
        match self {
            Feed::Files(reader) => reader.next(),
            Feed::Follow(followed) => followed.next().map(Some),
            Feed::Pipe(capture) => {
                if capture.read_once()? == Progress::Nothing {
                    capture.end();
                    return Ok(Some(capture.take()).filter(|batch| !batch.is_empty()));
                }
                Ok(Some(capture.take()))
            }
        }
    }

    fn records(&self) -> Vec<SourceRecord> {
        match self {
            Feed::Files(reader) => reader.records(),
            Feed::Follow(followed) => followed.records(),
            Feed::Pipe(capture) => vec![capture.record()],
        }
    }

    fn rejects(&self) -> Vec<(PathBuf, Rejects)> {
        match self {
            Feed::Files(reader) => reader
                .rejects()
                .map(|(path, rejects)| (path.to_path_buf(), rejects.clone()))
                .collect(),
            Feed::Follow(followed) => followed.rejects(),
            Feed::Pipe(capture) => vec![(capture.path().clone(), capture.rejects().clone())],
        }
    }
}

/// The thread's work.
struct Run {
    feed: Feed,
    clock: Option<RecordedClock>,
    skip: u64,
    part_rows: usize,
    shared: Arc<Shared>,
}

impl Run {
    fn run(&mut self) -> Result<(), FeedError> {
        loop {
            let next = self.feed.next();
            self.publish();
            let Some(batch) = next? else { return Ok(()) };
            let wait = if batch.is_empty() {
                POLL
            } else {
                Duration::ZERO
            };
            let batch = self.without_skipped(batch);
            if let Feed::Follow(followed) = &self.feed
                && self.skip > 0
                && followed.waits()
            {
                return Err(followed.too_short(self.skip));
            }
            if !self.deliver(&batch) || self.shared.queue.stopped_within(wait) {
                return Ok(());
            }
        }
    }

    fn without_skipped(&mut self, batch: EventBatch) -> EventBatch {
        if self.skip == 0 {
            return batch;
        }
        let messages = batch.message_count();
        let skipped = messages.min(usize::try_from(self.skip).unwrap_or(usize::MAX));
        self.skip -= skipped as u64;
        self.shared
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .skipped_messages += skipped as u64;
        batch.slice_messages(skipped..messages)
    }

    /// Puts the batch into the queue in parts, each when it is due; `false` if there is no use in reading on.
    fn deliver(&mut self, batch: &EventBatch) -> bool {
        let mut row = 0;
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
            if !self.shared.queue.push(batch.slice_rows(row..end)) {
                return false;
            }
            row = end;
        }
        true
    }

    fn publish(&self) {
        let (records, rejects) = (self.feed.records(), self.feed.rejects());
        let mut counts = self
            .shared
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        counts.records = records;
        counts.rejects = rejects;
        if let Feed::Follow(followed) = &self.feed
            && !followed.files().eq(&counts.followed)
        {
            counts.followed = followed.files().cloned().collect();
            counts.followed_changes += 1;
            let changes = counts.followed_changes;
            self.shared
                .followed_changes
                .store(changes, Ordering::Release);
        }
    }
}
