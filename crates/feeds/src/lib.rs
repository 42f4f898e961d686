//! The only crate that reads files and pipes: captures and tapes in, tapes out, and a live source with its own thread
//! and a bounded queue.
//!
//! A [`Reader`] gives the batches of one or several files in arrival order; what a file is, is found from its content.
//! A [`TapeWriter`] writes a tape as Parquet or Arrow IPC. A [`LiveSource`] plays files at a pace, follows a growing
//! capture or reads standard input. A [`FileWatch`] tells whether a file has changed,
//! a [`FolderWatch`] that a folder's files do. Damaged input gives everything before the damage, then a counted refusal or an
//! error that names the file; never a panic.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
#![forbid(unsafe_code)]

mod align;
mod append;
mod capture;
mod checksum;
mod error;
mod folder;
mod follow;
mod info;
mod ipc;
mod live;
mod members;
mod pace;
mod parquet;
mod queue;
mod reader;
mod sniff;
mod source;
#[cfg(test)]
mod tests;
mod watch;
mod writer;

pub use append::AppendFile;
pub use error::FeedError;
pub use folder::FolderWatch;
pub use follow::FollowedFile;
pub use info::{FileInfo, StreamInfo, TapeInfo};
pub use live::{LiveCounts, LiveInput, LiveOptions, LiveSource, Next};
pub use pace::Pace;
pub use queue::WhenFull;
pub use reader::{BATCH_ROWS, Reader, ReaderOptions};
pub use sniff::Format;
pub use source::SourceRecord;
pub use watch::FileWatch;
pub use writer::{TapeSummary, TapeWriter};
