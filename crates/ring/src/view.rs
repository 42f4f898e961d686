use std::sync::Arc;
use std::sync::atomic::{Ordering::Acquire, Ordering::SeqCst};

use crate::memory::Memory;
use crate::sys::futex_wake;

/// The pipeline's side of a ring as any of its threads may see it, while another thread waits for an answer.
#[derive(Clone)]
pub struct View {
    pub(crate) memory: Arc<Memory>,
    /// The process that made the ring.
    pub(crate) owner: u32,
}

impl View {
    /// Whether the worker can still answer. True before it has attached: its start is watched by other means.
    pub fn is_alive(&self) -> bool {
        self.memory.header().life.0.is_alive()
    }

    /// Requests that the worker has not finished, those included that nobody waits for any more.
    pub fn in_flight(&self) -> u32 {
        let header = self.memory.header();
        let answered = header.answered.0.load(Acquire);
        header.requested.0.load(Acquire).wrapping_sub(answered)
    }

    /// A number that changes whenever the worker finishes a request: a silent worker is one that has requests in flight
    /// and leaves it as it is.
    pub fn progress(&self) -> u32 {
        self.memory.header().answered.0.load(Acquire)
    }

    /// Whether this is the process that made the ring, not a fork of it.
    pub fn is_owned(&self) -> bool {
        self.owner == std::process::id()
    }

    /// Asks the worker to end once it has finished what it works on. Does nothing in a fork: the worker is its parent's.
    pub fn close(&self) {
        if !self.is_owned() {
            return;
        }
        let header = self.memory.header();
        header.closed.store(1, SeqCst);
        futex_wake(&header.requested.0);
    }
}
