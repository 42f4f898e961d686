//! Why the engine refuses.

use signal_kernels::state::Exhausted;
use std::fmt;

/// Why the engine refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineError {
    /// Stable code.
    pub code: &'static str,
    /// What is wrong, with the value seen and what to do next.
    pub message: String,
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for EngineError {}

pub(crate) fn refuse<T>(code: &'static str, message: String) -> Result<T, EngineError> {
    Err(EngineError { code, message })
}

pub(crate) fn broken(what: &str) -> EngineError {
    EngineError {
        code: "SNAPSHOT",
        message: format!(
            "the snapshot cannot be read: {what}. Start without it: the tape gives the same state again"
        ),
    }
}

impl From<Exhausted> for EngineError {
    fn from(_: Exhausted) -> Self {
        broken("it ends too early or holds an impossible count")
    }
}
