//! One message of a topic, as long as it is looked at.

use std::ffi::{CStr, c_void};
use std::ptr::NonNull;

use rdkafka_sys::bindings as rd;

/// A message that was taken from a queue; destroyed when dropped.
pub(crate) struct Owned(pub(crate) NonNull<rd::rd_kafka_message_t>);

impl Owned {
    pub(crate) fn raw(&self) -> &rd::rd_kafka_message_t {
        // SAFETY: it is ours until it is dropped.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: its only owner.
        unsafe { rd::rd_kafka_message_destroy(self.0.as_ptr()) }
    }
}

/// A message: borrowed from the client's buffers.
pub struct Record<'a>(pub(crate) &'a Owned);

impl<'a> Record<'a> {
    /// Its place in the partition.
    pub fn offset(&self) -> i64 {
        self.0.raw().offset
    }

    /// The key; empty where there is none.
    pub fn key(&self) -> &'a [u8] {
        let raw = self.0.raw();
        // SAFETY: the message owns so many bytes there for as long as it lives.
        unsafe { bytes(raw.key, raw.key_len) }
    }

    /// The value; empty where there is none.
    pub fn payload(&self) -> &'a [u8] {
        let raw = self.0.raw();
        // SAFETY: the message owns so many bytes there for as long as it lives.
        unsafe { bytes(raw.payload, raw.len) }
    }

    /// Milliseconds since 1970, by who sent it or by the broker; `None` where neither says.
    pub fn timestamp_ms(&self) -> Option<i64> {
        let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is alive, and `kind` a place for the answer.
        let ms = unsafe { rd::rd_kafka_message_timestamp(self.0.raw(), &mut kind) };
        (kind != rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE).then_some(ms)
    }

    /// The last header of this name.
    pub fn header(&self, name: &CStr) -> Option<&'a [u8]> {
        let mut headers = std::ptr::null_mut();
        let (mut value, mut size): (*const c_void, usize) = (std::ptr::null(), 0);
        // SAFETY: headers and their values belong to the message, which lives for 'a.
        unsafe {
            let raw: *const rd::rd_kafka_message_t = self.0.raw();
            if rd::rd_kafka_message_headers(raw, &mut headers) != crate::error::NO_ERROR {
                return None;
            }
            let found = rd::rd_kafka_header_get_last(headers, name.as_ptr(), &mut value, &mut size);
            (found == crate::error::NO_ERROR).then(|| bytes(value.cast_mut(), size))
        }
    }
}

/// # Safety
/// `start` is null, or so many bytes lie there for 'a.
unsafe fn bytes<'a>(start: *mut c_void, size: usize) -> &'a [u8] {
    if start.is_null() {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(start.cast(), size) }
}
