//! How the two threads that share a CPU ask to be scheduled. Neither needs a privilege.
use crate::RingError;

/// The time slice that a prompt thread asks for: the shortest that the kernel grants.
const PROMPT_SLICE_NS: u64 = 100_000;

/// `struct sched_attr` of linux/sched/types.h in its first version.
#[repr(C)]
#[derive(Default)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Asks for short time slices for the calling thread, or for the usual ones again. With short ones it is put back on its CPU soon
/// after a timer or an answer wakes it, though a busy process (a hung worker, say) holds that CPU: without, it may wait out
/// the other's slice of 3 ms. Kernels before 6.12 take the wish and ignore it.
pub fn run_promptly(prompt: bool) -> Result<(), RingError> {
    let doing = "ask for short time slices";
    let mut attr = SchedAttr::default();
    let size = size_of::<SchedAttr>();
    // SAFETY: `attr` is a valid place of `size` bytes for both calls; 0 is the calling thread.
    unsafe {
        if libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attr, size, 0) != 0 {
            return Err(RingError::os(doing));
        }
        attr.size = size as u32;
        attr.runtime = if prompt { PROMPT_SLICE_NS } else { 0 };
        if libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) != 0 {
            return Err(RingError::os(doing));
        }
    }
    Ok(())
}

/// Puts the calling thread under SCHED_BATCH: woken, it does not push the pipeline aside that shares its CPU.
pub fn yield_to_pipeline() -> Result<(), RingError> {
    let plain = libc::sched_param { sched_priority: 0 };
    // SAFETY: `plain` outlives the call; 0 is the calling thread.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &plain) } {
        0 => Ok(()),
        _ => Err(RingError::os("schedule the worker behind the pipeline")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_thread_may_ask() {
        assert!(run_promptly(true).is_ok());
        assert!(run_promptly(false).is_ok());
        assert!(yield_to_pipeline().is_ok());
    }
}
