//! The shared JSON cursor: one pass over a frame, straight to typed values.
//!
//! A decoder walks an object with [`object!`]: it names the keys in the order in which the venue sends them, and what is
//! to be done with each value. Frames laid out that way cost one comparison a key. Keys in another order, whitespace,
//! escapes and unknown keys take the general way of the same code, so both mean the same; a key that stands twice is
//! refused, wherever it stands, and depth is bounded by [`DEPTH_MAX`]. Rare frames are read as [`Value`]s, by key.

mod cursor;
pub(crate) mod digits;
mod fault;
mod keys;
mod pairs;
mod scan;
#[cfg(test)]
mod tests;
mod time;
mod unscaled;
mod value;

pub(crate) use cursor::Cursor;
pub(crate) use fault::{Fault, Text, fault, need};
pub(crate) use keys::{Keys, object};
pub(crate) use pairs::pairs;
pub(crate) use scan::Shapes;
pub(crate) use time::ns_of_ms;
pub(crate) use unscaled::Unscaled;
pub(crate) use value::{Object, Value, decimal_of};

/// How deep values may be nested.
pub(crate) const DEPTH_MAX: usize = 128;
