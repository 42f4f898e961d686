//! The only crate that reads files, pipes and connections: captures and tapes in, tapes out, and a live source with its own
//! thread and a bounded queue.
//!
//! A [`Reader`] gives the batches of one or several files in arrival order; what a file is, is found from its content.
//! A [`TapeWriter`] writes a tape as Parquet or Arrow IPC. A [`Feed`] is any source that is polled: files, a growing capture, a
//! pipe, a topic, several of them merged ([`FanIn`]); a [`LiveSource`] reads one at a pace. A [`FileWatch`] tells whether a file has changed,
//! a [`FolderWatch`] that a folder's files do. Damaged input gives everything before the damage, then a counted refusal or an
//! error that names the file; never a panic.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
#![forbid(unsafe_code)]

mod align;
mod append;
mod backwards;
mod capture;
mod check;
mod checksum;
mod contained;
mod cursor;
mod dbn;
mod error;
mod fan_in;
mod feed;
mod files;
mod folder;
mod follow;
mod handover;
mod info;
mod ipc;
mod kafka;
mod live;
mod members;
mod next;
mod notice;
mod pace;
mod parquet;
mod pipe;
mod position;
mod queue;
mod reader;
mod reader_options;
mod sniff;
mod source;
mod source_record;
#[cfg(test)]
mod tests;
mod united;
mod watch;
pub mod websocket;
mod writer;

pub use append::AppendFile;
pub use backwards::Backwards;
pub use check::{Check, Checked, Fault, Violation};
pub use error::FeedError;
pub use fan_in::FanIn;
pub use feed::{Feed, Places, Poll};
pub use files::FilesFeed;
pub use folder::FolderWatch;
pub use follow::FollowFeed;
pub use handover::Handover;
pub use info::{FileInfo, StreamInfo, Tally, TapeInfo};
pub use kafka::{BATCH_MESSAGES, Begin, KafkaFeed, KafkaOptions, Payload, pack as pack_messages};
pub use live::{LiveCounts, LiveOptions, LiveSource};
pub use next::Next;
pub use notice::{Notice, NoticeKind};
pub use pace::Pace;
pub use pipe::PipeFeed;
pub use position::Position;
pub use queue::{Conflate, WhenFull};
pub use reader::Reader;
pub use reader_options::{BATCH_ROWS, ReaderOptions};
pub use sniff::Format;
pub use source_record::SourceRecord;
pub use watch::FileWatch;
pub use writer::{TapeSummary, TapeWriter};
