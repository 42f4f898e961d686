use std::sync::atomic::{AtomicU32, Ordering::Acquire, Ordering::SeqCst};

use crate::RingError;
use crate::sys::{futex_wait, futex_wake, thread_id};

/// Bits of the word, as the kernel's robust futexes define them.
const ASLEEP: u32 = 0x8000_0000;
const DEAD: u32 = 0x4000_0000;
const HOLDER: u32 = 0x3fff_ffff;

/// The word the client sleeps on: at once the worker's sign of life and the bell for its answers.
///
/// It is a robust futex that the worker's thread holds for life: its id in the low bits. When that thread goes, however
/// it goes, the kernel sets `DEAD` and wakes the sleeper, before the process' memory is torn down. The client sets `ASLEEP`
/// before it sleeps, the worker clears it when there is news and wakes only whom it found asleep. So one sleep hears both,
/// within microseconds, and needs no timer to look after the worker. (A timer that fires before the kernel's next tick costs
/// 6 µs a call on a virtual machine.)
#[repr(transparent)]
pub(crate) struct Life(AtomicU32);

impl Life {
    /// Whether the worker can still answer. True before one has attached. A plain load.
    pub(crate) fn is_alive(&self) -> bool {
        self.0.load(Acquire) & DEAD == 0
    }

    /// Marks the worker's end and wakes the sleeper, as the kernel does for a worker that cannot.
    fn end(&self) {
        self.0.fetch_or(DEAD, SeqCst);
        futex_wake(&self.0);
    }

    /// Tells the sleeper, if there is one, that there is news. The news is written before.
    pub(crate) fn ring(&self) {
        if self.0.fetch_and(!ASLEEP, SeqCst) & ASLEEP != 0 {
            futex_wake(&self.0);
        }
    }

    /// Sleeps until there is news, the worker ends, or the clock shows `until_ns`. `is_news` is asked once more after the
    /// sleep is announced, so that none is missed. May end early.
    pub(crate) fn sleep(&self, until_ns: u64, is_news: impl FnOnce() -> bool) {
        let word = self.0.fetch_or(ASLEEP, SeqCst) | ASLEEP;
        if word & DEAD == 0 && !is_news() {
            futex_wait(&self.0, word, until_ns);
        }
    }
}

/// Holds a `Life` for the calling thread, by way of the kernel's list of robust futexes.
///
/// The thread's list as the C library has set it is put aside meanwhile, and set again on drop: robust pthread mutexes that
/// this thread held would not be given back if it died. A worker holds none.
pub(crate) struct Held {
    /// Read by the kernel when the thread ends.
    _list: Box<RobustList>,
    before: *mut RobustList,
}

/// `struct robust_list_head` of linux/futex.h followed by its only entry. The entry need not lie in the shared memory: the
/// kernel finds the futex at `entry + futex_offset`.
#[repr(C)]
struct RobustList {
    first: *mut RobustEntry,
    futex_offset: libc::c_long,
    pending: *mut RobustEntry,
    entry: RobustEntry,
}

#[repr(C)]
struct RobustEntry {
    next: *mut RobustEntry,
}

const HEAD_BYTES: usize = std::mem::offset_of!(RobustList, entry);

impl Held {
    /// Takes `life` for the calling thread. The caller keeps the memory of `life` mapped until this is dropped, on the same
    /// thread; a `Held` that is forgotten keeps it for the thread's life.
    pub(crate) fn take(life: &Life) -> Result<Self, RingError> {
        let none = std::ptr::null_mut();
        let mut list = Box::new(RobustList {
            first: none,
            futex_offset: 0,
            pending: none,
            entry: RobustEntry { next: none },
        });
        // The head begins with its own link, so the last entry points back to the head.
        list.entry.next = (&raw mut *list).cast();
        list.first = &raw mut list.entry;
        list.futex_offset = (life.0.as_ptr() as isize - list.first as isize) as libc::c_long;

        let mut before: *mut RobustList = none.cast();
        let mut bytes: libc::size_t = 0;
        // SAFETY: the two places outlive the first call; the list is boxed and stays where it is until `drop` has taken it
        // off again. The kernel only reads it, when the thread ends.
        let set = unsafe {
            libc::syscall(
                libc::SYS_get_robust_list,
                0,
                &raw mut before,
                &raw mut bytes,
            );
            libc::syscall(libc::SYS_set_robust_list, &raw const *list, HEAD_BYTES)
        };
        if set != 0 {
            return Err(RingError::os("hold the worker's sign of life"));
        }
        let mut held = Self {
            _list: list,
            before,
        };
        // After the kernel knows: a thread that dies in between has claimed nothing.
        let claim = |word: u32| (word & (HOLDER | DEAD) == 0).then(|| word | thread_id());
        if life.0.fetch_update(SeqCst, SeqCst, claim).is_err() {
            held.let_go();
            return Err(RingError::Usage(
                "this ring has had its worker; a new worker needs a new ring".into(),
            ));
        }
        Ok(held)
    }

    /// Gives `life` back: the worker has ended, in good order.
    pub(crate) fn give_back(&mut self, life: &Life) {
        self.let_go();
        life.end();
    }

    fn let_go(&mut self) {
        // SAFETY: `before` is what the thread had; it lives in the thread's own control block.
        unsafe { libc::syscall(libc::SYS_set_robust_list, self.before, HEAD_BYTES) };
    }
}
