//! A message that could not be decoded.

/// A message that could not be decoded.
pub(super) struct Refused {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) key: Vec<u8>,
    pub(super) payload: Vec<u8>,
    pub(super) why: String,
}
