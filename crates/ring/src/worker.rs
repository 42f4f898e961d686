use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::sync::atomic::{
    Ordering::Acquire, Ordering::Relaxed, Ordering::Release, Ordering::SeqCst,
};

use crate::RingError;
use crate::life::Held;
use crate::memory::{Memory, Spec};
use crate::pace::{Pace, spin};
use crate::sys::{exact_timers, futex_wait, monotonic_ns};

/// The code of a request that the worker skipped because its deadline had passed; the client reports it as such.
pub const EXPIRED: u32 = u32::MAX;

/// The longest park between two looks at `closed`, whatever the caller asks for.
const PARK_NS_MAX: u64 = 100_000_000;

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken<'a> {
    /// A request, valid until the next `take`; to be finished by [`Worker::answer`] before that.
    Request {
        /// Its bytes.
        bytes: &'a [u8],
        /// When its caller stops waiting.
        deadline_ns: u64,
    },
    /// Nothing, until the time asked for.
    Idle,
    /// The pipeline has closed the ring: end.
    Closed,
}

/// The worker's end of a ring: the single consumer of requests and single producer of answers.
///
/// Stays on the thread that attached it: that thread's life is the sign of life. Invariant: requests are taken and finished
/// one by one, in the order of their ids.
pub struct Worker {
    memory: Memory,
    held: Held,
    taken: Option<u64>,
    finished: u64,
    request: Vec<u8>,
    pace: Pace,
    idle_since_ns: u64,
    stays_on_its_thread: PhantomData<*const ()>,
}

impl Worker {
    /// Attaches to the ring behind `fd`; the calling thread is the worker from now on.
    pub fn attach(fd: OwnedFd) -> Result<Self, RingError> {
        let memory = Memory::open(fd)?;
        let held = Held::take(&memory.header().life.0)?;
        exact_timers();
        Ok(Self {
            taken: None,
            finished: 0,
            request: Vec::with_capacity(memory.spec.request_bytes as usize),
            // Until it has seen requests come fast, it parks.
            pace: Pace::new(memory.spec.spin_ns_max, u64::from(memory.spec.spin_ns_max)),
            idle_since_ns: monotonic_ns(),
            memory,
            held,
            stays_on_its_thread: PhantomData,
        })
    }

    /// The sizes of the ring.
    pub fn spec(&self) -> Spec {
        self.memory.spec
    }

    /// Takes the next request, waiting for it until `until_ns` at the latest. Requests whose deadline has passed are
    /// finished here, unseen: nobody waits for them.
    pub fn take(&mut self, until_ns: u64) -> Result<Taken<'_>, RingError> {
        if self.taken.is_some() {
            return Err(RingError::Usage(
                "take before the last request was answered".into(),
            ));
        }
        let begin_ns = monotonic_ns();
        let spin_ns = {
            let header = self.memory.header();
            self.pace
                .while_idle(&header.worker_cpu.0, &header.client_cpu.0)
        };
        let (id, deadline_ns) = loop {
            let header = self.memory.header();
            if header.closed.load(Acquire) == 1 {
                return Ok(Taken::Closed);
            }
            let requested = header.requested.0.load(SeqCst);
            let now_ns = monotonic_ns();
            if requested != self.finished as u32 {
                let id = self.finished + 1;
                let slot = self.memory.slot(id);
                let found = slot.head.request_id.load(Acquire);
                if found != id {
                    return Err(RingError::Corrupt(format!(
                        "request {found} in the slot of {id}"
                    )));
                }
                let deadline_ns = slot.head.deadline_ns.load(Relaxed);
                if now_ns < deadline_ns {
                    break (id, deadline_ns);
                }
                self.finish(id, EXPIRED, &[]);
                continue;
            }
            if now_ns >= until_ns {
                return Ok(Taken::Idle);
            }
            if now_ns < begin_ns + spin_ns {
                spin(
                    &header.requested.0,
                    requested,
                    until_ns.min(begin_ns + spin_ns),
                );
                continue;
            }
            header.worker_asleep.0.store(1, SeqCst);
            if header.requested.0.load(SeqCst) == requested && header.closed.load(SeqCst) == 0 {
                futex_wait(
                    &header.requested.0,
                    requested,
                    until_ns.min(now_ns + PARK_NS_MAX),
                );
            }
            header.worker_asleep.0.store(0, Relaxed);
        };
        self.pace
            .saw(monotonic_ns().saturating_sub(self.idle_since_ns));
        self.taken = Some(id);
        self.memory.slot(id).read_request(&mut self.request);
        Ok(Taken::Request {
            bytes: &self.request,
            deadline_ns,
        })
    }

    /// Finishes the request taken last. `code` is the caller's to choose, except [`EXPIRED`].
    pub fn answer(&mut self, code: u32, bytes: &[u8]) -> Result<(), RingError> {
        let most = self.memory.spec.answer_bytes;
        if bytes.len() > most as usize {
            let text = format!(
                "an answer of {} bytes; this ring carries at most {most}",
                bytes.len()
            );
            return Err(RingError::Usage(text));
        }
        if code == EXPIRED {
            return Err(RingError::Usage(format!(
                "code {code} says that a request has expired"
            )));
        }
        let Some(id) = self.taken.take() else {
            return Err(RingError::Usage(
                "an answer, but no request was taken".into(),
            ));
        };
        self.finish(id, code, bytes);
        self.idle_since_ns = monotonic_ns();
        Ok(())
    }

    fn finish(&mut self, id: u64, code: u32, bytes: &[u8]) {
        let header = self.memory.header();
        let slot = self.memory.slot(id);
        slot.write_answer(bytes);
        slot.head.code.store(code, Relaxed);
        slot.head.answer_id.store(id, Release);
        self.finished = id;
        header.answered.0.store(id as u32, Release);
        header.life.0.ring();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.held.give_back(&self.memory.header().life.0);
    }
}
