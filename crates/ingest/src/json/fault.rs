//! A refusal while JSON is read, and the text that it is about.

use std::borrow::Cow;

use crate::{Reject, RejectCode};

/// A refusal on its way to the caller: one word, so that results stay in registers.
pub(crate) type Fault = Box<Reject>;

/// A string's bytes: as they stand, or with their escapes resolved.
pub(crate) type Text<'a> = Cow<'a, [u8]>;

#[cold]
pub(crate) fn fault(code: RejectCode, detail: impl Into<String>) -> Fault {
    Box::new(Reject::new(code, detail))
}

/// The value of a key that a frame must have.
#[inline(always)]
pub(crate) fn need<T>(value: Option<T>, key: &str) -> Result<T, Fault> {
    value.ok_or_else(|| fault(RejectCode::MissingKey, format!("no key {key:?}")))
}
