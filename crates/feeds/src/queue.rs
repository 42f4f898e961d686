//! The bounded queue between a reading thread and the pipeline.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use signal_event::{EventBatch, Timestamp};

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

/// Batches in order, bounded in rows. A batch that alone exceeds the bound passes when the queue is empty.
///
/// Invariant: `rows` is the sum over `batches`, whose instants do not fall.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    rows_max: usize,
    when_full: WhenFull,
}

#[derive(Debug, Default)]
struct State {
    /// Since when each waits.
    batches: VecDeque<(Instant, EventBatch, Position)>,
    rows: usize,
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
    pub(crate) fn new(rows_max: usize, when_full: WhenFull) -> Queue {
        Queue {
            state: Mutex::default(),
            changed: Condvar::new(),
            rows_max,
            when_full,
        }
    }

    /// Adds a batch and the position behind it; `false` if there is no use in reading on.
    pub(crate) fn push(&self, batch: EventBatch, position: Position) -> bool {
        let rows = batch.len();
        let mut state = self.lock();
        let fits = |state: &State| state.rows == 0 || state.rows + rows <= self.rows_max;
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
                    && let Some((_, oldest, _)) = state.batches.pop_front()
                {
                    state.rows -= oldest.len();
                    state.shed_rows += oldest.len() as u64;
                    state.shed_messages += oldest.message_count() as u64;
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
        state.batches.push_back((Instant::now(), batch, position));
        self.changed.notify_all();
        true
    }

    /// The next batch, or why there is none; waits for it as long as `timeout`.
    pub(crate) fn next(&self, timeout: Duration) -> Result<Next, FeedError> {
        let deadline = Instant::now().checked_add(timeout);
        let mut state = self.lock();
        loop {
            if let Some((_, batch, position)) = state.batches.pop_front() {
                state.rows -= batch.len();
                self.changed.notify_all();
                return Ok(Next::Batch(batch, position));
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

    /// Rows that wait and for how long the oldest do, and rows and messages dropped so far.
    pub(crate) fn counts(&self) -> (usize, Duration, u64, u64) {
        let state = self.lock();
        let oldest = state.batches.front();
        let age = oldest.map_or(Duration::ZERO, |(since, _, _)| since.elapsed());
        (state.rows, age, state.shed_rows, state.shed_messages)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing between a lock and its release can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
