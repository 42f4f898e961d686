//! A pipe as a feed: captures that another program writes.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_ingest::Rejects;

use crate::capture::{CaptureFile, Progress};
use crate::sniff::Format;
use crate::{Feed, FeedError, Poll, Position, ReaderOptions, SourceRecord};

/// Reads a plain raw capture from a pipe, or standard input. What was read of it is gone: it has no position.
pub struct PipeFeed {
    name: PathBuf,
    pipe: File,
    options: ReaderOptions,
    capture: Option<CaptureFile>,
    ended: bool,
}

impl PipeFeed {
    /// Standard input.
    pub fn stdin(options: ReaderOptions) -> Result<PipeFeed, FeedError> {
        PipeFeed::new(Path::new("stdin"), &std::io::stdin(), options)
    }

    /// What lies behind a descriptor; `name` is how messages name it.
    pub fn new(
        name: &Path,
        pipe: &impl AsFd,
        options: ReaderOptions,
    ) -> Result<PipeFeed, FeedError> {
        let own = pipe.as_fd().try_clone_to_owned();
        Ok(PipeFeed {
            name: name.to_path_buf(),
            pipe: own.map_err(FeedError::io(name, "open"))?.into(),
            options,
            capture: None,
            ended: false,
        })
    }

    /// Whether there is something to read within `wait`: bytes, or the end.
    fn is_ready(&self, wait: Duration) -> Result<bool, FeedError> {
        let mut fds = [PollFd::new(&self.pipe, PollFlags::IN)];
        let wait = Timespec::try_from(wait).ok();
        match poll(&mut fds, wait.as_ref()) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(FeedError::io(&self.name, "read")(error.into())),
        }
    }
}

impl Feed for PipeFeed {
    fn open(&mut self, position: Option<&Position>) -> Result<(), FeedError> {
        if let Some(position) = position {
            let why = "what was read of a pipe cannot be read again";
            return Err(FeedError::position(position.as_str(), why));
        }
        let copy = self.pipe.try_clone();
        let input = Box::new(copy.map_err(FeedError::io(&self.name, "open"))?);
        let capture = CaptureFile::of_input(&self.name, Format::Capture, input, &self.options)?;
        self.capture = Some(capture);
        Ok(())
    }

    fn poll(&mut self, wait: Duration) -> Result<Poll, FeedError> {
        if self.ended {
            return Ok(Poll::End);
        }
        let ready = self.is_ready(wait)?;
        let Some(capture) = &mut self.capture else {
            return Ok(Poll::End);
        };
        if ready && capture.read_once()? == Progress::Nothing {
            capture.end();
            self.ended = true;
        }
        let batch = capture.take();
        Ok(match (batch.is_empty(), self.ended) {
            (false, _) => Poll::Batch(batch),
            (true, true) => Poll::End,
            (true, false) => Poll::Idle { watermark: None },
        })
    }

    fn position(&self) -> Position {
        Position::default()
    }

    fn records(&self) -> Vec<SourceRecord> {
        self.capture.iter().map(CaptureFile::record).collect()
    }

    fn rejects(&self) -> Vec<(PathBuf, Rejects)> {
        let of = |capture: &CaptureFile| (capture.path().clone(), capture.rejects().clone());
        self.capture.iter().map(of).collect()
    }
}
