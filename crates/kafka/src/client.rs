//! A client handle: made from properties, destroyed when dropped.

use std::ffi::{CString, c_char};
use std::ptr::NonNull;

use rdkafka_sys::bindings as rd;

use crate::KafkaError;
use crate::error::text_of;

const TEXT_BYTES: usize = 512;

/// A librdkafka client. Its functions may be called from any thread.
pub(crate) struct Client(NonNull<rd::rd_kafka_t>);

// SAFETY: librdkafka is thread-safe: a handle may be used by any thread.
unsafe impl Send for Client {}

impl Client {
    /// A client of these properties. `events` are the kinds of event that its main queue gives instead of callbacks.
    pub(crate) fn new(
        kind: rd::rd_kafka_type_t,
        properties: &[(String, String)],
        events: i32,
    ) -> Result<Client, KafkaError> {
        let mut text = [0 as c_char; TEXT_BYTES];
        // SAFETY: `conf` is a fresh object which `rd_kafka_new` takes over if it succeeds; it is destroyed on every other way out.
        unsafe {
            let conf = rd::rd_kafka_conf_new();
            for (name, value) in properties {
                let set = c_string(name)
                    .and_then(|name| c_string(value).map(|value| (name, value)))
                    .and_then(|(name, value)| {
                        let done = rd::rd_kafka_conf_set(
                            conf,
                            name.as_ptr(),
                            value.as_ptr(),
                            text.as_mut_ptr(),
                            TEXT_BYTES,
                        );
                        if done == rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK {
                            Ok(())
                        } else {
                            Err(KafkaError::new("_INVALID_ARG", text_of(text.as_ptr())))
                        }
                    });
                if let Err(error) = set {
                    rd::rd_kafka_conf_destroy(conf);
                    return Err(error);
                }
            }
            rd::rd_kafka_conf_set_events(conf, events);
            let made = rd::rd_kafka_new(kind, conf, text.as_mut_ptr(), TEXT_BYTES);
            NonNull::new(made).map(Client).ok_or_else(|| {
                rd::rd_kafka_conf_destroy(conf);
                KafkaError::new("_INVALID_ARG", text_of(text.as_ptr()))
            })
        }
    }

    pub(crate) fn raw(&self) -> *mut rd::rd_kafka_t {
        self.0.as_ptr()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: the last use of the handle; queues and lists that belong to it were destroyed before.
        unsafe { rd::rd_kafka_destroy(self.raw()) }
    }
}

/// A C string. No name or value of ours holds a zero.
pub(crate) fn c_string(text: &str) -> Result<CString, KafkaError> {
    CString::new(text).map_err(|_| {
        KafkaError::new(
            "_INVALID_ARG",
            format!("\"{}\" holds a zero byte", text.escape_debug()),
        )
    })
}
