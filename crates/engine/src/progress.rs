//! How far a batch, and a message of it, has been taken: a caller may ask for some vectors at a time.

use crate::ahead::Released;
use crate::reorder::HeldMessage;
/// How far a batch has been taken.
#[derive(Clone, Debug, Default)]
pub struct Cursor {
    /// Where the next message begins.
    pub(crate) row: usize,
    pub(crate) progress: Progress,
}

/// How far a message has been taken.
#[derive(Clone, Debug, Default)]
pub(crate) enum Progress {
    /// Not at all.
    #[default]
    Unread,
    /// It is accepted, and time is on its way to it.
    Admitted,
    /// On venue time: the message waits for its turn, and time is on its way to this one's.
    Turn(Box<(i64, HeldMessage)>),
    /// On venue time: a mark lets time pass.
    Passing,
    /// On receive time: messages that were held happen, and then the message itself.
    Released(Box<Released>),
    /// On receive time: time is on its way to the message's.
    At(i64),
}
