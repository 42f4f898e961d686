//! What is rung when a queue that was empty is not any more.

use std::ffi::c_void;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka_sys::bindings as rd;

/// Rung by librdkafka's threads, heard by ours.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    pub(crate) fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits until it was rung since the last wait, for so long at most.
    pub(crate) fn wait(&self, timeout: Duration) {
        let until = Instant::now() + timeout;
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        while !*rung {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            rung = self
                .changed
                .wait_timeout(rung, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        *rung = false;
    }
}

/// What librdkafka calls with the bell's address.
pub(crate) unsafe extern "C" fn ring(_client: *mut rd::rd_kafka_t, bell: *mut c_void) {
    // SAFETY: the consumer keeps the bell until the client and its queues are gone.
    unsafe { &*bell.cast::<Bell>() }.ring();
}
