//! Bytes to ordered events: decoders, sequence rules, lateness and merge. Pure: no I/O, no clock.
//!
//! A [`Capture`] turns chunks of a source into messages, by the [`Decode`] of its [`Venue`]; a [`Sequencer`] judges each
//! message by the venue's ids and by time; a [`Merge`] makes one stream of several in arrival order. What is not accepted
//! is counted under a code.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
#![forbid(unsafe_code)]

mod bridge;
mod capture;
mod conflate;
mod dbn;
mod decode;
mod framing;
mod json;
mod listing;
mod merge;
mod reject;
mod sequencer;
mod venues;

pub use bridge::{Bridge, Bridged};
pub use capture::{Capture, LINE_BYTES_MAX};
pub use conflate::{are_alike, conflate};
pub use dbn::Dbn;
pub use decode::{Decode, Events, Outcome};
pub use framing::{ClockUnit, Framing, Recognised, SourceSpec, Unrecognised, is_frame, recognise};
pub use merge::{Merge, MergeStep};
pub use reject::{
    FIRST_OF_A_REASON, FIRST_REJECTS, KeptReject, Reject, RejectCode, RejectedLine, Rejects,
};
pub use sequencer::{
    Admit, Arrival, Counts, JUMP_MAX_NS, Judged, Moment, RUN, Release, Sequencer, SequencerError,
};
pub use venues::{Venue, binance};
