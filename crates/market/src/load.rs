//! Saved state back from bytes that nobody vouches for.
//!
//! State is saved as little-endian numbers in a fixed order, without names or versions: the snapshot that holds it says
//! which program wrote it. Loading takes its bytes from the front of the slice and leaves the rest.

use std::fmt;

/// Why saved state cannot be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// The bytes end too early.
    Truncated,
    /// The bytes say something that no saved state says.
    Invalid(&'static str),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Truncated => {
                write!(f, "the saved state ends too early; use another snapshot")
            }
            LoadError::Invalid(what) => write!(
                f,
                "the saved state is corrupt: {what}; use another snapshot"
            ),
        }
    }
}

impl std::error::Error for LoadError {}

pub(crate) fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], LoadError> {
    let (head, rest) = bytes.split_first_chunk::<N>().ok_or(LoadError::Truncated)?;
    *bytes = rest;
    Ok(*head)
}

pub(crate) fn take_u8(bytes: &mut &[u8]) -> Result<u8, LoadError> {
    take(bytes).map(|[byte]: [u8; 1]| byte)
}

pub(crate) fn take_u64(bytes: &mut &[u8]) -> Result<u64, LoadError> {
    take(bytes).map(u64::from_le_bytes)
}

pub(crate) fn take_i64(bytes: &mut &[u8]) -> Result<i64, LoadError> {
    take(bytes).map(i64::from_le_bytes)
}

pub(crate) fn take_f64(bytes: &mut &[u8]) -> Result<f64, LoadError> {
    take(bytes).map(f64::from_le_bytes)
}

pub(crate) fn take_bool(bytes: &mut &[u8]) -> Result<bool, LoadError> {
    match take_u8(bytes)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(LoadError::Invalid("a truth value is neither 0 nor 1")),
    }
}

/// A count of items of `item_bytes` each that follow; refused if they cannot all be there, so that it is safe to
/// reserve room for them.
pub(crate) fn take_count(
    bytes: &mut &[u8],
    most: usize,
    item_bytes: usize,
) -> Result<usize, LoadError> {
    let count = take_u64(bytes)?;
    match usize::try_from(count) {
        Ok(count) if count <= most => {
            if bytes.len() / item_bytes < count {
                Err(LoadError::Truncated)
            } else {
                Ok(count)
            }
        }
        _ => Err(LoadError::Invalid("a count is above its bound")),
    }
}
