//! Which part of an engine runs at present, for a thread beside it that looks from time to time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering, compiler_fence};

/// One number, written by the engine and read from beside: [`OUTSIDE`](Mark::OUTSIDE), [`EVENTS`](Mark::EVENTS), or
/// [`STEPS`](Mark::STEPS) and the place of a step. What comes out of the engine does not depend on it.
#[derive(Clone, Debug, Default)]
pub struct Mark(Arc<AtomicUsize>);

impl Mark {
    /// The engine has nothing to do: its input is being read.
    pub const OUTSIDE: usize = 0;
    /// It takes events, and none of its steps runs.
    pub const EVENTS: usize = 1;
    /// The first step.
    pub const STEPS: usize = 2;

    /// Says what runs from here on.
    #[inline(always)]
    pub fn set(&self, part: usize) {
        compiler_fence(Ordering::SeqCst);
        self.0.store(part, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
    }

    /// What runs.
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where steps of a program say that they run.
pub trait Marks: Copy {
    /// The step at this place runs from here on.
    fn step(self, at: usize);
}

/// Nowhere: it costs nothing.
impl Marks for () {
    #[inline(always)]
    fn step(self, _: usize) {}
}

/// The mark of an engine, and the number of a program's first step.
#[derive(Clone, Debug)]
pub struct StepMarks {
    /// The mark that they set.
    pub mark: Mark,
    /// Number of the first step.
    pub first: usize,
}

impl Marks for &StepMarks {
    #[inline(always)]
    fn step(self, at: usize) {
        self.mark.set(self.first + at);
    }
}
