use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{
    Ordering::Acquire, Ordering::Relaxed, Ordering::Release, Ordering::SeqCst,
};

use crate::RingError;
use crate::memory::{Memory, Spec};
use crate::pace::{Pace, spin};
use crate::sys::{exact_timers, futex_wake, monotonic_ns};
use crate::view::View;
use crate::worker::EXPIRED;

/// Parks end this long before the deadline, the rest is spun: a timer that wakes an idle virtual CPU fires some 110 µs late.
const FINAL_SPIN_NS: u64 = 150_000;

/// How a request ended, seen from the pipeline.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// The worker answered this very request in time.
    Answer {
        /// What the worker said of its answer; its meaning is the caller's.
        code: u32,
        /// The answer, valid until the next call.
        bytes: &'a [u8],
    },
    /// The deadline passed first. The request may still be worked on; its answer will not be read.
    Deadline,
    /// The worker has ended.
    Dead,
    /// No slot is free: earlier requests, given up by their callers, have not been finished.
    Full,
}

/// Why a request was not taken.
#[derive(Debug)]
pub enum Refusal {
    /// No slot is free.
    Full,
    /// The payload is longer than the ring's `request_bytes`.
    TooLong(RingError),
    /// This process is a fork of the one that made the ring.
    Forked(RingError),
}

/// The pipeline's end of a ring: the single producer of requests and single consumer of answers.
///
/// It belongs to the process that made it. A fork shares the memory, and would get answers to its parent's requests: it is
/// refused, and leaves the ring as it is when it drops its copy.
///
/// Invariants: at most `slots` requests are in flight; request ids begin at 1 and grow by 1; a slot is written only
/// while none of its requests is in flight; an answer is read only where it bears the id that is waited for.
pub struct Client {
    view: View,
    fd: Option<OwnedFd>,
    last_id: u64,
    answer: Vec<u8>,
    pace: Pace,
}

impl Client {
    /// Makes a ring. The worker attaches through [`Client::take_fd`]; until then requests lie in their slots.
    pub fn create(spec: Spec) -> Result<Self, RingError> {
        let (memory, fd) = Memory::create(spec)?;
        Ok(Self {
            view: View {
                memory: Arc::new(memory),
                owner: std::process::id(),
            },
            fd: Some(fd),
            last_id: 0,
            answer: Vec::with_capacity(spec.answer_bytes as usize),
            pace: Pace::new(spec.spin_ns_max, u64::from(spec.spin_ns_max) / 2),
        })
    }

    /// The descriptor to hand to the worker, once: each ring serves one worker.
    pub fn take_fd(&mut self) -> Result<OwnedFd, RingError> {
        let taken = "this ring has had its worker; make a new ring for the next one";
        self.fd.take().ok_or_else(|| RingError::Usage(taken.into()))
    }

    /// What other threads may see and do while this one waits.
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// Puts a request into the ring, without waiting, and gives its id. The worker skips it once `deadline_ns` has passed.
    pub fn submit(&mut self, payload: &[u8], deadline_ns: u64) -> Result<u64, Refusal> {
        let memory = &self.view.memory;
        let header = memory.header();
        if !self.view.is_owned() {
            let text = format!(
                "this ring belongs to process {}, of which this one is a fork; make another here",
                self.view.owner
            );
            return Err(Refusal::Forked(RingError::Usage(text)));
        }
        if payload.len() > memory.spec.request_bytes as usize {
            let (got, most) = (payload.len(), memory.spec.request_bytes);
            let text = format!("a payload of {got} bytes; this ring carries at most {most}");
            return Err(Refusal::TooLong(RingError::Usage(text)));
        }
        if self.view.in_flight() >= memory.spec.slots {
            return Err(Refusal::Full);
        }
        self.last_id += 1;
        let id = self.last_id;
        let slot = memory.slot(id);
        slot.write_request(payload);
        slot.head.deadline_ns.store(deadline_ns, Relaxed);
        slot.head.request_id.store(id, Release);
        // Sequentially consistent with the worker's "asleep, then look again": one of the two sees the other.
        header.requested.0.store(id as u32, SeqCst);
        if header.worker_asleep.0.load(SeqCst) == 1 {
            futex_wake(&header.requested.0);
        }
        Ok(id)
    }

    /// The answer to request `id` if it has come.
    pub fn poll(&mut self, id: u64) -> Option<Outcome<'_>> {
        let slot = self.view.memory.slot(id);
        if slot.head.answer_id.load(Acquire) != id {
            return None;
        }
        let code = slot.head.code.load(Relaxed);
        if code == EXPIRED {
            return Some(Outcome::Deadline);
        }
        slot.read_answer(&mut self.answer);
        Some(Outcome::Answer {
            code,
            bytes: &self.answer,
        })
    }

    /// Waits for the answer to request `id` until `deadline_ns` at the latest, or until the worker is seen to have ended.
    pub fn wait(&mut self, id: u64, deadline_ns: u64) -> Outcome<'_> {
        exact_timers();
        let begin_ns = monotonic_ns();
        let memory = Arc::clone(&self.view.memory);
        let header = memory.header();
        let (answered, life) = (&header.answered.0, &header.life.0);
        let slot = memory.slot(id);
        let has_answer = || slot.head.answer_id.load(Acquire) == id;
        let spin_until_ns = begin_ns
            + self
                .pace
                .while_expecting(&header.client_cpu.0, &header.worker_cpu.0);
        // On a shared CPU the final spin keeps the worker from working, so it never takes more than a quarter of the time.
        let final_ns = FINAL_SPIN_NS.min(deadline_ns.saturating_sub(begin_ns) / 4);
        let park_until_ns = deadline_ns.saturating_sub(final_ns);

        let ended = loop {
            let seen = answered.load(Acquire);
            if has_answer() {
                break None;
            }
            if !life.is_alive() {
                break Some(Outcome::Dead);
            }
            let now_ns = monotonic_ns();
            if now_ns >= deadline_ns {
                break Some(Outcome::Deadline);
            }
            if now_ns < spin_until_ns {
                spin(answered, seen, spin_until_ns.min(deadline_ns));
            } else if now_ns >= park_until_ns {
                spin(answered, seen, deadline_ns);
            } else {
                life.sleep(park_until_ns, has_answer);
            }
        };
        match ended {
            Some(outcome) => outcome,
            None => {
                self.pace.saw(monotonic_ns() - begin_ns);
                self.poll(id).unwrap_or(Outcome::Deadline)
            }
        }
    }

    /// Submits a request and waits for its answer: what the pipeline does. Never returns later than the deadline by
    /// more than the scheduler's delay. An error is the caller's mistake (a payload too long).
    pub fn call(&mut self, payload: &[u8], deadline_ns: u64) -> Result<Outcome<'_>, RingError> {
        if monotonic_ns() >= deadline_ns {
            return Ok(Outcome::Deadline);
        }
        match self.submit(payload, deadline_ns) {
            Ok(id) => Ok(self.wait(id, deadline_ns)),
            Err(Refusal::Full) => Ok(Outcome::Full),
            Err(Refusal::TooLong(mistake) | Refusal::Forked(mistake)) => Err(mistake),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.view.close();
    }
}
