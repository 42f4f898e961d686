//! A queue of a client.

use std::ptr::NonNull;
use std::sync::Arc;

use rdkafka_sys::bindings as rd;

use crate::bell::{Bell, ring};

/// A reference to a queue, given back when dropped. While it lives it rings the bell.
pub(crate) struct Queue {
    queue: NonNull<rd::rd_kafka_queue_t>,
    _bell: Arc<Bell>,
}

// SAFETY: librdkafka is thread-safe.
unsafe impl Send for Queue {}

impl Queue {
    /// Takes over a reference; `None` for null.
    ///
    /// # Safety
    /// `queue` is null or a reference of which this is the owner from now on.
    pub(crate) unsafe fn of(queue: *mut rd::rd_kafka_queue_t, bell: &Arc<Bell>) -> Option<Queue> {
        let queue = NonNull::new(queue)?;
        // SAFETY: the bell lives as long as the queue, by the field.
        unsafe {
            let address = Arc::as_ptr(bell).cast_mut().cast();
            rd::rd_kafka_queue_cb_event_enable(queue.as_ptr(), Some(ring), address);
        }
        Some(Queue {
            queue,
            _bell: bell.clone(),
        })
    }

    pub(crate) fn raw(&self) -> *mut rd::rd_kafka_queue_t {
        self.queue.as_ptr()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: after the first call no thread rings the bell for this queue; the second gives the reference back.
        unsafe {
            rd::rd_kafka_queue_cb_event_enable(self.raw(), None, std::ptr::null_mut());
            rd::rd_kafka_queue_destroy(self.raw());
        }
    }
}
