//! What can be wrong with bytes that should be a journal.
use std::fmt;

/// Why bytes are not the next frame (or header) of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The bytes end before the frame does: what a write leaves behind that was cut off.
    Short,
    /// The bytes are no frame that this crate could have written.
    Damaged(&'static str),
    /// The rows cannot be written: too many, too long, or beyond the last sequence number.
    TooLarge(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Short => f.write_str("the bytes end inside a frame"),
            Fault::Damaged(what) | Fault::TooLarge(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Fault {}
