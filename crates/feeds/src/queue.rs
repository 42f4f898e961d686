//! The bounded queue between a reading thread and the pipeline.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use signal_event::{EventBatch, Timestamp};
use signal_ingest::{are_alike, conflate};

use crate::{FeedError, Next, Position};

/// What happens when the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// Reading waits.
    Block,
    /// The oldest messages in the queue are dropped and counted; what depends on them finds a gap in the ids.
    ShedOldest,
    /// Reading ends; the queue is emptied, then [`Next::Halted`].
    Halt,
}

impl WhenFull {
    /// `block`, `shed_oldest` or `halt`.
    pub fn parse(text: &str) -> Result<WhenFull, FeedError> {
        match text {
            "block" => Ok(WhenFull::Block),
            "shed_oldest" => Ok(WhenFull::ShedOldest),
            "halt" => Ok(WhenFull::Halt),
            _ => Err(FeedError::BadOption {
                option: "when_full",
                what: format!("{text:?} is none of \"block\", \"shed_oldest\", \"halt\""),
            }),
        }
    }
}

/// Whether what waits in the queue may be left out where something newer says the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conflate {
    /// Every message is given.
    #[default]
    None,
    /// Of several states of one stream that wait, the newest: see [`signal_ingest::conflate`]. What waits is given as one batch
    /// with one position, so that nobody has less than the newest and a position behind it.
    Latest,
}

impl Conflate {
    /// `none` or `latest`.
    pub fn parse(text: &str) -> Result<Conflate, FeedError> {
        match text {
            "none" => Ok(Conflate::None),
            "latest" => Ok(Conflate::Latest),
            _ => Err(FeedError::BadOption {
                option: "conflate",
                what: format!("{text:?} is none of \"none\", \"latest\""),
            }),
        }
    }
}

/// Batches in order, bounded in rows. A batch that alone exceeds the bound passes when the queue is empty.
///
/// Invariant: `rows` is the sum over `batches`, whose instants do not fall.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    rows_max: usize,
    when_full: WhenFull,
    conflate: Conflate,
}

/// What waits in a queue, and what never left it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueCounts {
    pub(crate) rows: usize,
    /// For how long the oldest have waited.
    pub(crate) age: Duration,
    pub(crate) shed_rows: u64,
    pub(crate) shed_messages: u64,
    pub(crate) conflated_messages: u64,
}

/// A batch that waits, and the position behind it.
#[derive(Debug)]
struct Waiting {
    since: Instant,
    batch: EventBatch,
    position: Position,
    /// Whether some of it is history, which is given whole.
    is_history: bool,
}

#[derive(Debug, Default)]
struct State {
    batches: VecDeque<Waiting>,
    rows: usize,
    /// Whether the newest batch ended in a history.
    in_history: bool,
    conflated_messages: u64,
    shed_rows: u64,
    shed_messages: u64,
    stopping: bool,
    ended: Option<End>,
    /// Every message that is pushed from now on is later.
    promised: Option<Timestamp>,
}

/// Why nothing more will come.
#[derive(Debug)]
pub(crate) enum End {
    Ended,
    Halted,
    Failed(FeedError),
}

impl Queue {
    /// A queue for what follows a position.
    pub(crate) fn new(
        rows_max: usize,
        when_full: WhenFull,
        conflate: Conflate,
        begins: &Position,
    ) -> Queue {
        let state = State {
            in_history: begins.is_in_history(),
            ..State::default()
        };
        Queue {
            state: Mutex::new(state),
            changed: Condvar::new(),
            rows_max,
            when_full,
            conflate,
        }
    }

    /// Adds a batch and the position behind it; `false` if there is no use in reading on.
    pub(crate) fn push(&self, batch: EventBatch, position: Position) -> bool {
        let rows = batch.len();
        let mut state = self.lock();
        let fits = |state: &State| state.rows == 0 || state.rows + rows <= self.rows_max;
        let mut is_history = false;
        if self.conflate == Conflate::Latest {
            let before = std::mem::replace(&mut state.in_history, position.is_in_history());
            is_history = before || state.in_history;
            if !fits(&state) {
                state.conflate();
            }
        }
        match self.when_full {
            WhenFull::Block => {
                while !fits(&state) && !state.stopping {
                    state = self
                        .changed
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
            WhenFull::ShedOldest => {
                while !fits(&state)
                    && let Some(oldest) = state.batches.pop_front()
                {
                    state.rows -= oldest.batch.len();
                    state.shed_rows += oldest.batch.len() as u64;
                    state.shed_messages += oldest.batch.message_count() as u64;
                }
            }
            WhenFull::Halt => {
                if !fits(&state) {
                    state.ended = Some(End::Halted);
                }
            }
        }
        if state.stopping || state.ended.is_some() {
            return false;
        }
        state.rows += rows;
        state.batches.push_back(Waiting {
            since: Instant::now(),
            batch,
            position,
            is_history,
        });
        self.changed.notify_all();
        true
    }

    /// The next batch, or why there is none; waits for it as long as `timeout`.
    pub(crate) fn next(&self, timeout: Duration) -> Result<Next, FeedError> {
        let deadline = Instant::now().checked_add(timeout);
        let mut state = self.lock();
        loop {
            if self.conflate == Conflate::Latest {
                state.conflate();
            }
            if let Some(first) = state.batches.pop_front() {
                state.rows -= first.batch.len();
                self.changed.notify_all();
                return Ok(Next::Batch(first.batch, first.position));
            }
            match state.ended.take() {
                Some(End::Failed(error)) => {
                    state.ended = Some(End::Ended);
                    return Err(error);
                }
                Some(end) => {
                    let next = if matches!(end, End::Halted) {
                        Next::Halted
                    } else {
                        Next::End
                    };
                    state.ended = Some(end);
                    return Ok(next);
                }
                None if state.stopping => return Ok(Next::End),
                None => {}
            }
            let left = deadline.map_or(Duration::MAX, |at| {
                at.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                let watermark = state.promised;
                return Ok(Next::Idle { watermark });
            }
            state = match deadline {
                Some(_) => {
                    self.changed
                        .wait_timeout(state, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Every message that is pushed from now on is later than `watermark`.
    pub(crate) fn promise(&self, watermark: Option<Timestamp>) {
        if watermark.is_some() {
            let mut state = self.lock();
            state.promised = state.promised.max(watermark);
        }
    }

    /// Waits until asked to stop, as long as `timeout`; `true` if asked.
    pub(crate) fn stopped_within(&self, timeout: Duration) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        let mut state = self.lock();
        while !state.stopping {
            let left = deadline.map_or(timeout, |at| at.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return false;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }

    /// Asks the reading thread to stop. What is queued is still given.
    pub(crate) fn stop(&self) {
        self.lock().stopping = true;
        self.changed.notify_all();
    }

    /// Nothing more will come. The first reason counts.
    pub(crate) fn end(&self, end: End) {
        self.lock().ended.get_or_insert(end);
        self.changed.notify_all();
    }

    /// What waits, and what was left out so far.
    pub(crate) fn counts(&self) -> QueueCounts {
        let state = self.lock();
        let oldest = state.batches.front();
        QueueCounts {
            rows: state.rows,
            age: oldest.map_or(Duration::ZERO, |oldest| oldest.since.elapsed()),
            shed_rows: state.shed_rows,
            shed_messages: state.shed_messages,
            conflated_messages: state.conflated_messages,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing between a lock and its release can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Makes one batch of those at the front that are no history, and leaves out what newer messages replace.
    fn conflate(&mut self) {
        let live = self.batches.iter().take_while(|each| !each.is_history);
        let live: Vec<&EventBatch> = live.map(|each| &each.batch).collect();
        let apart = live
            .windows(2)
            .position(|pair| !are_alike(pair[0], pair[1]));
        let count = apart.map_or(live.len(), |at| at + 1);
        if count == 0 {
            return;
        }
        let mut waiting: Vec<Waiting> = self.batches.drain(..count).collect();
        let batches: Vec<EventBatch> = waiting.iter().map(|each| each.batch.clone()).collect();
        let (batch, left_out) = conflate(&batches);
        let since = waiting[0].since;
        let Some(last) = waiting.pop() else {
            return;
        };
        self.conflated_messages += left_out;
        self.rows -= batches.iter().map(EventBatch::len).sum::<usize>();
        self.rows += batch.len();
        self.batches.push_front(Waiting {
            since,
            batch,
            ..last
        });
    }
}
