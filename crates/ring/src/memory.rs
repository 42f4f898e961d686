use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::RingError;
use crate::life::Life;

/// The most slots a ring may have.
pub const SLOTS_MAX: u32 = 64;
/// The longest request, in bytes.
pub const REQUEST_BYTES_MAX: u32 = 1 << 20;
/// The longest answer, in bytes.
pub const ANSWER_BYTES_MAX: u32 = 1 << 16;

const MAGIC: u64 = u64::from_le_bytes(*b"sigring1");
const LINE: usize = 64;

/// The sizes of a ring, fixed at creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    /// Requests that may lie in the ring at once, answered late ones included: 1 to [`SLOTS_MAX`].
    pub slots: u32,
    /// The longest request.
    pub request_bytes: u32,
    /// The longest answer.
    pub answer_bytes: u32,
    /// The longest that either side may spin before it parks. 0 where both sides share a CPU: spinning there only keeps
    /// the other side from working.
    pub spin_ns_max: u32,
}

impl Spec {
    fn check(&self) -> Result<(), String> {
        for (name, value, max) in [
            ("slots", self.slots, SLOTS_MAX),
            ("request_bytes", self.request_bytes, REQUEST_BYTES_MAX),
            ("answer_bytes", self.answer_bytes, ANSWER_BYTES_MAX),
        ] {
            if value == 0 || value > max {
                return Err(format!("{name} = {value} lies outside 1 to {max}"));
            }
        }
        Ok(())
    }

    fn request_room(&self) -> usize {
        (self.request_bytes as usize).next_multiple_of(LINE)
    }

    fn slot_room(&self) -> usize {
        size_of::<SlotHead>()
            + self.request_room()
            + (self.answer_bytes as usize).next_multiple_of(LINE)
    }

    fn bytes(&self) -> usize {
        size_of::<Header>() + self.slots as usize * self.slot_room()
    }
}

/// Keeps what the two sides write on cache lines of their own.
#[repr(C, align(64))]
pub(crate) struct Line<T>(pub T);

/// The first bytes of the memory. Everything is atomic: both processes see it at all times.
#[repr(C, align(64))]
pub(crate) struct Header {
    magic: AtomicU64,
    slots: AtomicU32,
    request_bytes: AtomicU32,
    answer_bytes: AtomicU32,
    spin_ns_max: AtomicU32,
    /// 1 once the pipeline has closed the ring: the worker ends.
    pub closed: AtomicU32,
    /// Futex: the low 32 bits of the newest request's id.
    pub requested: Line<AtomicU32>,
    /// The low 32 bits of the newest finished request's id. Requests finish in order.
    pub answered: Line<AtomicU32>,
    /// 1 while the worker sleeps on `requested`, or is about to.
    pub worker_asleep: Line<AtomicU32>,
    /// The CPUs that the two sides last ran on.
    pub client_cpu: Line<AtomicU32>,
    pub worker_cpu: Line<AtomicU32>,
    /// Futex: see `Life`. The client sleeps on it.
    pub life: Line<Life>,
}

/// The head of one slot; the request's bytes and the answer's bytes follow, each at a multiple of a cache line.
#[repr(C, align(64))]
pub(crate) struct SlotHead {
    pub request_id: AtomicU64,
    pub deadline_ns: AtomicU64,
    pub request_len: AtomicU32,
    /// The request that the answer's bytes belong to.
    pub answer_id: AtomicU64,
    pub code: AtomicU32,
    pub answer_len: AtomicU32,
}

/// One slot of the mapped ring.
///
/// The request's bytes are written only by the client, and only while no request of this slot is in flight; the
/// answer's bytes only by the worker, and only between taking a request and finishing it. `requested` and `answered`
/// (release and acquire) hand them over. A worker that breaks this can spoil the numbers of its own answer, nothing more:
/// lengths are checked against the spec, and bytes are copied out before anyone looks at them.
pub(crate) struct Slot<'a> {
    pub head: &'a SlotHead,
    request: NonNull<u8>,
    answer: NonNull<u8>,
    spec: Spec,
}

impl Slot<'_> {
    /// Copies a request in; `bytes` is no longer than the spec says (checked by the client).
    pub(crate) fn write_request(&self, bytes: &[u8]) {
        debug_assert!(bytes.len() <= self.spec.request_bytes as usize);
        // SAFETY: the slot has room for `request_bytes`, and this side owns it now (see the type's text).
        unsafe { copy_in(self.request, bytes) };
        self.head.request_len.store(bytes.len() as u32, Relaxed);
    }

    /// Copies the request out, no more than the spec allows.
    pub(crate) fn read_request(&self, into: &mut Vec<u8>) {
        let len = self
            .head
            .request_len
            .load(Relaxed)
            .min(self.spec.request_bytes);
        // SAFETY: `len` lies within the slot's room.
        unsafe { copy_out(self.request, len as usize, into) };
    }

    /// Copies an answer in; `bytes` is no longer than the spec says (checked by the worker).
    pub(crate) fn write_answer(&self, bytes: &[u8]) {
        debug_assert!(bytes.len() <= self.spec.answer_bytes as usize);
        // SAFETY: as in `write_request`.
        unsafe { copy_in(self.answer, bytes) };
        self.head.answer_len.store(bytes.len() as u32, Relaxed);
    }

    /// Copies the answer out, no more than the spec allows.
    pub(crate) fn read_answer(&self, into: &mut Vec<u8>) {
        let len = self
            .head
            .answer_len
            .load(Relaxed)
            .min(self.spec.answer_bytes);
        // SAFETY: `len` lies within the slot's room.
        unsafe { copy_out(self.answer, len as usize, into) };
    }
}

/// # Safety
/// `to` points to at least `bytes.len()` writable bytes.
unsafe fn copy_in(to: NonNull<u8>, bytes: &[u8]) {
    // SAFETY: by the caller's promise; a private slice and mapped memory cannot overlap.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to.as_ptr(), bytes.len()) };
}

/// # Safety
/// `from` points to at least `len` readable bytes.
unsafe fn copy_out(from: NonNull<u8>, len: usize, into: &mut Vec<u8>) {
    into.clear();
    into.reserve(len);
    // SAFETY: by the caller's promise, and `reserve` has made the room; all `len` bytes are initialised by the copy.
    unsafe {
        std::ptr::copy_nonoverlapping(from.as_ptr(), into.as_mut_ptr(), len);
        into.set_len(len);
    }
}

/// A mapped ring: one side's window on the shared memory.
pub(crate) struct Memory {
    start: NonNull<u8>,
    bytes: usize,
    pub spec: Spec,
}

// SAFETY: the header is atomic, and slots are handed over by the protocol in `Slot`.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// Makes a ring: a memfd of its final size, sealed so that nobody can shrink it under the other side.
    pub(crate) fn create(spec: Spec) -> Result<(Self, OwnedFd), RingError> {
        spec.check().map_err(RingError::Usage)?;
        // SAFETY: the name is a C string; the flags are constants.
        let fd = unsafe {
            libc::memfd_create(
                c"signal-stream-ring".as_ptr(),
                libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING,
            )
        };
        if fd < 0 {
            return Err(RingError::os("create the ring's memory"));
        }
        // SAFETY: a fresh descriptor that nobody else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let file = File::from(fd);
        file.set_len(spec.bytes() as u64)
            .map_err(|source| RingError::Os {
                doing: "size the ring's memory",
                source,
            })?;
        let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
        // SAFETY: a valid descriptor and constants.
        if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } < 0 {
            return Err(RingError::os("seal the ring's memory"));
        }
        let memory = Self::map(&file, spec.bytes(), spec)?;
        let header = memory.header();
        header.slots.store(spec.slots, Relaxed);
        header.request_bytes.store(spec.request_bytes, Relaxed);
        header.answer_bytes.store(spec.answer_bytes, Relaxed);
        header.spin_ns_max.store(spec.spin_ns_max, Relaxed);
        header.client_cpu.0.store(u32::MAX, Relaxed);
        header.worker_cpu.0.store(u32::MAX, Relaxed);
        header.magic.store(MAGIC, Relaxed);
        Ok((memory, OwnedFd::from(file)))
    }

    /// Maps a ring that another process made; anything else behind `fd` is refused.
    pub(crate) fn open(fd: OwnedFd) -> Result<Self, RingError> {
        let file = File::from(fd);
        let found = file
            .metadata()
            .map_err(|source| RingError::Os {
                doing: "look at the ring's memory",
                source,
            })?
            .len() as usize;
        if found < size_of::<Header>() {
            return Err(RingError::Corrupt(format!("{found} bytes are no ring")));
        }
        let mut memory = Self::map(
            &file,
            found,
            Spec {
                slots: 0,
                request_bytes: 0,
                answer_bytes: 0,
                spin_ns_max: 0,
            },
        )?;
        let header = memory.header();
        let spec = Spec {
            slots: header.slots.load(Relaxed),
            request_bytes: header.request_bytes.load(Relaxed),
            answer_bytes: header.answer_bytes.load(Relaxed),
            spin_ns_max: header.spin_ns_max.load(Relaxed),
        };
        if header.magic.load(Relaxed) != MAGIC {
            return Err(RingError::Corrupt(
                "it does not begin as a ring of this version".into(),
            ));
        }
        spec.check().map_err(RingError::Corrupt)?;
        if spec.bytes() != found {
            return Err(RingError::Corrupt(format!(
                "{found} bytes, its sizes say {}",
                spec.bytes()
            )));
        }
        memory.spec = spec;
        Ok(memory)
    }

    fn map(file: &File, bytes: usize, spec: Spec) -> Result<Self, RingError> {
        // SAFETY: a fresh shared mapping of a descriptor that the kernel checks; MAP_POPULATE takes the page faults
        // now instead of in the first calls.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_POPULATE,
                file.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(RingError::os("map the ring's memory"));
        }
        let start =
            NonNull::new(start.cast()).ok_or_else(|| RingError::os("map the ring's memory"))?;
        Ok(Self { start, bytes, spec })
    }

    pub(crate) fn header(&self) -> &Header {
        // SAFETY: the mapping is page-aligned, at least a header long, lives as long as `self`, and every bit pattern
        // is a valid header.
        unsafe { self.start.cast::<Header>().as_ref() }
    }

    /// The slot of request `id`.
    pub(crate) fn slot(&self, id: u64) -> Slot<'_> {
        let index = (id % u64::from(self.spec.slots)) as usize;
        let at = size_of::<Header>() + index * self.spec.slot_room();
        // SAFETY: `index < slots`, so the slot lies inside the mapping, whose size was checked against the spec; its start is a
        // multiple of a cache line because header, head and both rooms are.
        unsafe {
            let head = self.start.add(at);
            let request = head.add(size_of::<SlotHead>());
            Slot {
                head: head.cast::<SlotHead>().as_ref(),
                request,
                answer: request.add(self.spec.request_room()),
                spec: self.spec,
            }
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no reference into it outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write;

    const SPEC: Spec = Spec {
        slots: 3,
        request_bytes: 100,
        answer_bytes: 8,
        spin_ns_max: 0,
    };

    #[test]
    fn a_ring_opens_with_the_sizes_it_was_made_with() {
        let (made, fd) = Memory::create(SPEC).unwrap();
        let opened = Memory::open(fd).unwrap();
        assert_eq!(opened.spec, SPEC);
        made.slot(4).write_request(b"hello");
        let mut got = vec![];
        opened.slot(1).read_request(&mut got); // 4 % 3: the same slot
        assert_eq!(got, b"hello");
    }

    #[test]
    fn what_is_no_ring_is_refused() {
        for bytes in [0usize, 10, 4096] {
            let mut file = File::from(fresh_memfd());
            file.write_all(&vec![7; bytes]).unwrap();
            assert!(
                matches!(Memory::open(file.into()), Err(RingError::Corrupt(_))),
                "{bytes} bytes"
            );
        }
    }

    #[test]
    fn sizes_that_do_not_fit_the_memory_are_refused() {
        let (made, fd) = Memory::create(SPEC).unwrap();
        made.header().slots.store(64, Relaxed);
        assert!(matches!(Memory::open(fd), Err(RingError::Corrupt(_))));
    }

    #[test]
    fn a_hostile_length_is_cut_to_the_slot() {
        let (made, _fd) = Memory::create(SPEC).unwrap();
        made.slot(0).head.answer_len.store(u32::MAX, Relaxed);
        let mut got = vec![];
        made.slot(0).read_answer(&mut got);
        assert_eq!(got.len(), 8);
    }

    #[test]
    fn the_memory_cannot_be_resized() {
        let (_made, fd) = Memory::create(SPEC).unwrap();
        let file = File::from(fd);
        assert!(file.set_len(0).is_err());
        assert!(file.set_len(1 << 20).is_err());
    }

    #[test]
    fn sizes_outside_the_limits_are_refused() {
        for spec in [
            Spec { slots: 0, ..SPEC },
            Spec { slots: 65, ..SPEC },
            Spec {
                request_bytes: 0,
                ..SPEC
            },
            Spec {
                answer_bytes: ANSWER_BYTES_MAX + 1,
                ..SPEC
            },
        ] {
            assert!(
                matches!(Memory::create(spec), Err(RingError::Usage(_))),
                "{spec:?}"
            );
        }
    }

    fn fresh_memfd() -> OwnedFd {
        // SAFETY: constants, and a fresh descriptor that nobody else owns.
        unsafe {
            OwnedFd::from_raw_fd(libc::memfd_create(
                c"not-a-ring".as_ptr(),
                libc::MFD_CLOEXEC,
            ))
        }
    }
}
