//! A growing capture as a feed, over any number of rotations.

use std::path::PathBuf;
use std::time::Duration;

use signal_ingest::Rejects;

use crate::cursor::without_passed;
use crate::{Feed, FeedError, Poll, Position, ReaderOptions, SourceRecord};
use growing::Growing;
use place::{FILES_MAX, FollowedFile, Place, Start};

mod growing;
mod place;

/// How often a file that has not grown is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Follows a plain raw capture that another program appends to, from its beginning and without end, over its rotations.
///
/// Its position holds the number of messages, and by what the files can be known again that they came from:
/// `{"messages":700,"files":[{"dev":…,"ino":…,"head":"…","begins_at":600}]}`.
pub struct FollowFeed {
    path: PathBuf,
    options: ReaderOptions,
    growing: Option<Growing>,
    before: Vec<FollowedFile>,
    messages: u64,
    skip: u64,
}

impl FollowFeed {
    /// The capture of this name.
    pub fn new(path: PathBuf, options: ReaderOptions) -> FollowFeed {
        FollowFeed {
            path,
            options,
            growing: None,
            before: Vec::new(),
            messages: 0,
            skip: 0,
        }
    }
}

impl Feed for FollowFeed {
    fn open(&mut self, position: Option<&Position>) -> Result<(), FeedError> {
        let start = match position {
            Some(position) => Place::of(position)?.find(&self.path)?,
            None => Start::default(),
        };
        let growing = Growing::open(
            &self.path,
            start.begin.as_deref(),
            start.base,
            &self.options,
        )?;
        self.growing = Some(growing);
        self.before = start.before;
        self.skip = start.skip;
        self.messages = start.base + start.skip;
        Ok(())
    }

    fn poll(&mut self, wait: Duration) -> Result<Poll, FeedError> {
        const IDLE: Poll = Poll::Idle { watermark: None };
        let Some(growing) = &mut self.growing else {
            return Ok(Poll::End);
        };
        if growing.meets_file()? {
            return Ok(IDLE); // positions from here on name the file
        }
        let (batch, _) = without_passed(&mut self.skip, growing.next()?);
        if !batch.is_empty() {
            self.messages += batch.message_count() as u64;
            return Ok(Poll::Batch(batch));
        }
        if growing.waits() {
            if self.skip > 0 {
                return Err(growing.too_short(self.skip));
            }
            std::thread::sleep(wait.min(LOOK));
        }
        Ok(IDLE)
    }

    fn position(&self) -> Position {
        let files = self.growing.iter().flat_map(Growing::files);
        let mut files: Vec<FollowedFile> = self.before.iter().chain(files).cloned().collect();
        files.drain(..files.len().saturating_sub(FILES_MAX));
        let messages = self.messages;
        Place { messages, files }.position()
    }

    fn records(&self) -> Vec<SourceRecord> {
        self.growing
            .as_ref()
            .map_or_else(Vec::new, Growing::records)
    }

    fn rejects(&self) -> Vec<(PathBuf, Rejects)> {
        self.growing
            .as_ref()
            .map_or_else(Vec::new, Growing::rejects)
    }
}
