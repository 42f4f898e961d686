//! Why the engine refuses.

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
