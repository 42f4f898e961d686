//! Files of any format, merged, as a feed.

use std::path::PathBuf;
use std::time::Duration;

use signal_ingest::Rejects;

use crate::cursor::without_passed;
use crate::{Feed, FeedError, Poll, Position, Reader, ReaderOptions, SourceRecord};

/// Reads files to their end. Its position is the number of messages: `{"messages":400}`.
pub struct FilesFeed {
    paths: Vec<PathBuf>,
    options: ReaderOptions,
    reader: Option<Reader>,
    messages: u64,
    skip: u64,
}

impl FilesFeed {
    /// Files of any format, which is found from their content.
    pub fn new(paths: Vec<PathBuf>, options: ReaderOptions) -> FilesFeed {
        FilesFeed {
            paths,
            options,
            reader: None,
            messages: 0,
            skip: 0,
        }
    }
}

impl Feed for FilesFeed {
    fn open(&mut self, position: Option<&Position>) -> Result<(), FeedError> {
        self.skip = position.map_or(Ok(0), |position| position.number("messages"))?;
        self.messages = self.skip;
        self.reader = Some(Reader::open(&self.paths, &self.options)?);
        Ok(())
    }

    fn poll(&mut self, _wait: Duration) -> Result<Poll, FeedError> {
        let Some(reader) = &mut self.reader else {
            return Ok(Poll::End);
        };
        while let Some(batch) = reader.next()? {
            let batch = without_passed(&mut self.skip, batch).0;
            if !batch.is_empty() {
                self.messages += batch.message_count() as u64;
                return Ok(Poll::Batch(batch));
            }
        }
        Ok(Poll::End)
    }

    fn position(&self) -> Position {
        Position::new(format!("{{\"messages\":{}}}", self.messages))
    }

    fn records(&self) -> Vec<SourceRecord> {
        self.reader.as_ref().map_or_else(Vec::new, Reader::records)
    }

    fn rejects(&self) -> Vec<(PathBuf, Rejects)> {
        let readers = self.reader.iter();
        let rejects = readers.flat_map(Reader::rejects);
        rejects
            .map(|(path, rejects)| (path.to_path_buf(), rejects.clone()))
            .collect()
    }
}
