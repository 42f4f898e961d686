//! The system calls, each in the smallest safe wrapper.
use std::cell::Cell;
use std::sync::atomic::AtomicU32;

/// Nanoseconds of CLOCK_MONOTONIC: one number for all processes of the machine.
pub fn monotonic_ns() -> u64 {
    let mut t = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `t` is a valid place for one timespec; CLOCK_MONOTONIC exists on every Linux, so the call cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut t) };
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

/// Sleeps while `word` holds `seen`, until woken or until the clock shows `until_ns`. May wake early: the caller looks
/// again at what it waits for.
pub(crate) fn futex_wait(word: &AtomicU32, seen: u32, until_ns: u64) {
    let until = libc::timespec {
        tv_sec: (until_ns / 1_000_000_000) as libc::time_t,
        tv_nsec: (until_ns % 1_000_000_000) as libc::c_long,
    };
    // SAFETY: `word` and `until` outlive the call. Every result (woken, value changed, timeout, signal) means the same
    // to the caller, so none is read. The futex is shared between processes: no FUTEX_PRIVATE_FLAG.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT_BITSET,
            seen,
            &until as *const libc::timespec,
            std::ptr::null::<u32>(),
            libc::FUTEX_BITSET_MATCH_ANY,
        );
    }
}

/// Wakes the one thread that sleeps on `word`, if any.
pub(crate) fn futex_wake(word: &AtomicU32) {
    // SAFETY: `word` outlives the call; waking cannot fail on a mapped, aligned word.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1) };
}

/// The calling thread's id, as futexes name their holder.
pub(crate) fn thread_id() -> u32 {
    // SAFETY: no arguments, no memory; always succeeds.
    unsafe { libc::gettid() as u32 }
}

/// The CPU this thread runs on just now; `u32::MAX` if the system does not say.
pub(crate) fn current_cpu() -> u32 {
    // SAFETY: no arguments, no memory.
    u32::try_from(unsafe { libc::sched_getcpu() }).unwrap_or(u32::MAX)
}

/// Lets this thread's timers fire on time instead of up to 50 µs late, once a thread.
pub(crate) fn exact_timers() {
    thread_local!(static DONE: Cell<bool> = const { Cell::new(false) });
    if !DONE.replace(true) {
        // SAFETY: PR_SET_TIMERSLACK takes one number. Where it is refused, deadlines are only less sharp.
        unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) };
    }
}
