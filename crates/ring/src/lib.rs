//! A shared-memory ring between the pipeline and a model worker: futex, deadlines, liveness.
//!
//! The pipeline owns a [`Client`], the worker process a [`Worker`]; between them lies one sealed memfd of a size fixed
//! at creation. Requests carry ids and absolute deadlines; a request that finds no free slot is refused at once, an
//! answer that comes too late lies in its slot unread. Nobody repairs a ring: when a worker dies or hangs, the next
//! generation gets a new one, so that a stale writer has nothing to write to.
//!
//! ```text
//!   Client::submit ──► slot[id % slots].request ── futex "requested" ──► Worker::take
//!   Client::wait   ◄── futex "answered" ── slot[id % slots].answer  ◄── Worker::answer
//! ```
//!
//! Waiting is bounded everywhere by the caller's deadline. The word that the client sleeps on is also the worker's sign of
//! life (see `life`): answers and death ring the same bell. Time is CLOCK_MONOTONIC in nanoseconds, the same number in both
//! processes.
//!
//! Linux only. Unsafe code is confined to `memory` (the mapping), `life` (the robust futex), and the system calls of `sys`,
//! `schedule` and `child`.

mod child;
mod client;
mod error;
mod life;
mod memory;
mod pace;
mod schedule;
mod sys;
mod view;
mod worker;

pub use child::{Child, die_with_parent};
pub use client::{Client, Outcome, Refusal};
pub use error::RingError;
pub use memory::{ANSWER_BYTES_MAX, REQUEST_BYTES_MAX, SLOTS_MAX, Spec};
pub use schedule::{run_promptly, yield_to_pipeline};
pub use sys::monotonic_ns;
pub use view::View;
pub use worker::{EXPIRED, Taken, Worker};
