//! What a client says.

use std::ffi::{CStr, c_char};
use std::fmt;

use rdkafka_sys::bindings as rd;

pub(crate) const NO_ERROR: rd::rd_kafka_resp_err_t =
    rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;

/// A refusal of the client or of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaError {
    /// The client's name of it, for example `_AUTO_OFFSET_RESET` or `UNKNOWN_TOPIC_OR_PART`.
    pub name: String,
    /// What it says, in words.
    pub text: String,
}

impl KafkaError {
    pub(crate) fn new(name: &str, text: impl Into<String>) -> KafkaError {
        KafkaError {
            name: name.into(),
            text: text.into(),
        }
    }

    pub(crate) fn of(code: rd::rd_kafka_resp_err_t) -> KafkaError {
        // SAFETY: both give static strings for every code.
        let (name, text) = unsafe {
            (
                text_of(rd::rd_kafka_err2name(code)),
                text_of(rd::rd_kafka_err2str(code)),
            )
        };
        KafkaError { name, text }
    }

    /// `Ok` for the code of success.
    pub(crate) fn check(code: rd::rd_kafka_resp_err_t) -> Result<(), KafkaError> {
        if code == NO_ERROR {
            Ok(())
        } else {
            Err(KafkaError::of(code))
        }
    }

    /// Takes over an error object; `Ok` for null.
    ///
    /// # Safety
    /// `error` is null or an error that nobody else destroys.
    pub(crate) unsafe fn take(error: *mut rd::rd_kafka_error_t) -> Result<(), KafkaError> {
        if error.is_null() {
            return Ok(());
        }
        // SAFETY: it is alive until it is destroyed here, and its strings are copied before.
        unsafe {
            let found = KafkaError {
                name: text_of(rd::rd_kafka_error_name(error)),
                text: text_of(rd::rd_kafka_error_string(error)),
            };
            rd::rd_kafka_error_destroy(error);
            Err(found)
        }
    }
}

impl fmt::Display for KafkaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, self.name)
    }
}

impl std::error::Error for KafkaError {}

/// A copy of a C string; empty for null.
///
/// # Safety
/// `text` is null or ends with a zero.
pub(crate) unsafe fn text_of(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}
