//! A growing capture, read over any number of rotations.

use std::collections::VecDeque;
use std::fs::{File, Metadata, metadata};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use signal_event::EventBatch;
use signal_ingest::{Rejects, SourceSpec};

use super::place::{FILES_MAX, FollowedFile, HEAD_BYTES, files_beside, first_bytes};
use crate::capture::{CaptureFile, Progress};
use crate::sniff::{self, Format};
use crate::source_record::named_counts;
use crate::{FeedError, ReaderOptions, SourceRecord};

/// So many bytes without the end of a line, and a file that begins is looked at as it is.
const LINE_BYTES: usize = 256 << 10;

/// Reads a capture that another program appends to. Where the file of that name becomes another one, or is emptied,
/// the one before is read to its end first, and then those that had the name in between.
///
/// A file that was renamed is left once another one of its name has a line in it: then its writer has gone on.
pub(super) struct Growing {
    path: PathBuf,
    options: ReaderOptions,
    capture: Box<CaptureFile>,
    /// The same open file as the capture's.
    file: File,
    files: VecDeque<FollowedFile>,
    done: VecDeque<(SourceRecord, PathBuf, Rejects)>,
    idle: bool,
}

impl Growing {
    /// `base` messages lie before the first file: `begin`, if it is given, else that of `path`.
    pub(super) fn open(
        path: &Path,
        begin: Option<&Path>,
        base: u64,
        options: &ReaderOptions,
    ) -> Result<Growing, FeedError> {
        let (capture, file) = open(begin.unwrap_or(path), options)?;
        let mut growing = Growing {
            path: path.to_path_buf(),
            options: options.clone(),
            capture,
            file,
            files: VecDeque::new(),
            done: VecDeque::new(),
            idle: false,
        };
        growing.note(base)?;
        Ok(growing)
    }

    /// The next messages; an empty batch where there are none for now.
    pub(super) fn next(&mut self) -> Result<EventBatch, FeedError> {
        match self.content()? {
            Content::Same => {}
            Content::Unknown => {
                self.idle = true;
                return Ok(self.capture.take());
            }
            Content::Another => return self.begin_again(),
        }
        self.idle = self.capture.read_once()? == Progress::Nothing;
        if !self.idle {
            self.read_head()?;
            return Ok(self.capture.take());
        }
        match self.next_file() {
            Some(path) => self.go_on(&path),
            None => Ok(self.capture.take()),
        }
    }

    /// Whether everything that is there has been given.
    pub(super) fn waits(&self) -> bool {
        self.idle
    }

    /// `missing` more messages of the file were read by an earlier process than it has now.
    pub(super) fn too_short(&self, missing: u64) -> FeedError {
        FeedError::Cut {
            path: self.capture.path().clone(),
            found: format!("{missing} messages that were read before are not in it any more"),
        }
    }

    /// The files so far, the newest last.
    pub(super) fn files(&self) -> impl Iterator<Item = &FollowedFile> {
        self.files.iter()
    }

    pub(super) fn records(&self) -> Vec<SourceRecord> {
        let done = self.done.iter().map(|(record, _, _)| record.clone());
        done.chain([self.capture.record()]).collect()
    }

    pub(super) fn rejects(&self) -> Vec<(PathBuf, Rejects)> {
        let done = self
            .done
            .iter()
            .map(|(_, path, rejects)| (path.clone(), rejects.clone()));
        done.chain([(self.capture.path().clone(), self.capture.rejects().clone())])
            .collect()
    }

    /// Whether the open file's content is still the one that was read, or it was emptied and perhaps written anew.
    fn content(&self) -> Result<Content, FeedError> {
        let path = self.capture.path();
        let size = self
            .file
            .metadata()
            .map_err(FeedError::io(path, "read"))?
            .len();
        let read = self.capture.bytes().1;
        let known = self.head();
        let found = first_bytes(&self.file, known.len()).map_err(FeedError::io(path, "read"))?;
        if size >= read && found == known {
            return Ok(Content::Same);
        }
        if size == 0 || !known.starts_with(&found) {
            return Ok(Content::Another);
        }
        if found.len() < known.len() {
            return Ok(Content::Unknown); // its first bytes are too few to tell
        }
        Err(FeedError::Cut {
            path: path.clone(),
            found: format!("{read} bytes were read and now it has {size}"),
        })
    }

    /// The file to go on with, if the open one has lost its name and the writer has begun the next one.
    fn next_file(&self) -> Option<PathBuf> {
        let own = self.file.metadata().ok()?;
        let mut newest = File::open(&self.path).ok()?;
        if is_same(&own, &newest.metadata().ok()?) || !has_a_line(&mut newest)? {
            return None;
        }
        Some(self.between(&own, self.head()).unwrap_or(self.path.clone()))
    }

    /// The file that had the name after the one that is `own` or begins with `head`, and has another name now.
    fn between(&self, own: &Metadata, head: &[u8]) -> Option<PathBuf> {
        let now = metadata(&self.path).ok();
        let mut beside: Vec<(PathBuf, Metadata)> = files_beside(&self.path)
            .into_iter()
            .filter(|(path, found)| {
                let is_later =
                    (found.mtime(), found.mtime_nsec()) >= (own.mtime(), own.mtime_nsec());
                is_later
                    && has_a_number(&self.path, path)
                    && !is_same(own, found)
                    && now.as_ref().is_none_or(|now| !is_same(now, found))
                    && !self.has_followed(path, head)
            })
            .collect();
        // Of one tick of the clock, the larger number is the older one.
        beside.sort_by(|(a, x), (b, y)| {
            let time = |found: &Metadata| (found.mtime(), found.mtime_nsec());
            (time(x), b).cmp(&(time(y), a))
        });
        beside.into_iter().next().map(|(path, _)| path)
    }

    /// Whether the file was read, or is no capture.
    fn has_followed(&self, path: &Path, head: &[u8]) -> bool {
        let Ok(mut file) = File::open(path) else {
            return true;
        };
        let is_capture = matches!(sniff::format(path, &mut file), Ok(Format::Capture));
        let begins = |known: &[u8]| {
            !known.is_empty() && first_bytes(&file, known.len()).is_ok_and(|found| found == known)
        };
        !is_capture || begins(head) || self.files.iter().any(|file| begins(&file.head))
    }

    /// The fullest copy of the open file that was made before it was emptied.
    fn copy(&self) -> Option<(File, Metadata)> {
        let own = self.file.metadata().ok()?;
        let head = self.head();
        let read = self.capture.bytes().1;
        let copies = files_beside(&self.path)
            .into_iter()
            .filter_map(|(path, found)| {
                let file = File::open(path).ok()?;
                let is_copy = !head.is_empty()
                    && !is_same(&own, &found)
                    && found.len() >= read
                    && first_bytes(&file, head.len()).ok()? == head;
                is_copy.then_some((file, found))
            });
        copies.max_by_key(|(_, found)| found.len())
    }

    /// Reads what came at last, ends the file, and opens the next one.
    fn go_on(&mut self, path: &Path) -> Result<EventBatch, FeedError> {
        self.read_rest()?;
        self.read_head()?;
        let rest = self.end();
        let (capture, file) = open(path, &self.options_on())?;
        self.begin(capture, file)?;
        Ok(rest)
    }

    /// Ends the emptied file, by a copy of it if there is one, and begins with it at its start, or with one that was
    /// copied in between.
    fn begin_again(&mut self) -> Result<EventBatch, FeedError> {
        let mut next = None;
        if let Some((copy, found)) = self.copy() {
            self.capture.go_on_in(copy)?;
            self.read_rest()?;
            next = self.between(&found, self.head());
        }
        let rest = self.end();
        let options = self.options_on();
        let (capture, file) = if let Some(path) = next {
            open(&path, &options)?
        } else {
            let path = self.capture.path().clone();
            let io = || FeedError::io(&path, "read");
            let mut file = self.file.try_clone().map_err(io())?;
            file.seek(SeekFrom::Start(0)).map_err(io())?;
            let watched = file.try_clone().map_err(io())?;
            let capture = CaptureFile::open(&path, file, Format::Capture, &options)?;
            (Box::new(capture), watched)
        };
        self.begin(capture, file)?;
        Ok(rest)
    }

    /// The options for the next file: its instruments follow those of the files before, and its frames are those of the same
    /// venue.
    fn options_on(&self) -> ReaderOptions {
        let spec = self.capture.recognised().map(|found| SourceSpec {
            framing: Some(found.framing),
            venue: Some(found.venue),
            ..self.options.spec
        });
        ReaderOptions {
            instruments: self.capture.instruments().clone(),
            spec: spec.unwrap_or(self.options.spec),
            ..self.options.clone()
        }
    }

    /// Reads to the end of the file, or of its copy.
    fn read_rest(&mut self) -> Result<(), FeedError> {
        while self.capture.read_once()? == Progress::Read {}
        Ok(())
    }

    /// Decides on an unfinished last line; what is left of the file's messages.
    fn end(&mut self) -> EventBatch {
        self.capture.end();
        self.capture.take()
    }

    fn begin(&mut self, capture: Box<CaptureFile>, file: File) -> Result<(), FeedError> {
        let before = self.files.back().map_or(0, |file| file.begins_at);
        let begins_at = before + self.capture.record().messages;
        let ended = &self.capture;
        self.done.push_back((
            ended.record(),
            ended.path().clone(),
            ended.rejects().clone(),
        ));
        if self.done.len() > FILES_MAX {
            self.join_oldest();
        }
        self.capture = capture;
        self.file = file;
        self.note(begins_at)
    }

    /// Counts the two oldest files as one.
    fn join_oldest(&mut self) {
        let Some((old, _, mut rejects)) = self.done.pop_front() else {
            return;
        };
        if let Some((record, _, later)) = self.done.front_mut() {
            rejects.append(std::mem::take(later));
            record.inputs += old.inputs;
            record.messages += old.messages;
            record.rejects = named_counts(&rejects);
            *later = rejects;
        }
    }

    /// Remembers the file that is open.
    fn note(&mut self, begins_at: u64) -> Result<(), FeedError> {
        let io = || FeedError::io(self.capture.path(), "read");
        let found = self.file.metadata().map_err(io())?;
        let head = first_bytes(&self.file, HEAD_BYTES).map_err(io())?;
        if self.files.len() == FILES_MAX {
            self.files.pop_front();
        }
        self.files.push_back(FollowedFile {
            dev: found.dev(),
            ino: found.ino(),
            head,
            begins_at,
        });
        self.idle = false;
        Ok(())
    }

    /// The first bytes of the open file, as far as they are known.
    fn head(&self) -> &[u8] {
        self.files.back().map_or(&[], |file| &file.head)
    }

    /// Whether the first bytes of a file that was empty are there now: positions behind its messages name them.
    pub(super) fn meets_file(&mut self) -> Result<bool, FeedError> {
        if !self.head().is_empty() {
            return Ok(false);
        }
        let io = FeedError::io(self.capture.path(), "read");
        let head = first_bytes(&self.file, HEAD_BYTES).map_err(io)?;
        let found = !head.is_empty();
        if let Some(file) = self.files.back_mut() {
            file.head = head;
        }
        Ok(found)
    }

    /// Completes the first bytes by which the file is known.
    fn read_head(&mut self) -> Result<(), FeedError> {
        let read = usize::try_from(self.capture.bytes().1).unwrap_or(HEAD_BYTES);
        let wanted = read.min(HEAD_BYTES);
        if self.head().len() < wanted {
            let io = FeedError::io(self.capture.path(), "read");
            let head = first_bytes(&self.file, wanted).map_err(io)?;
            if let Some(file) = self.files.back_mut()
                && head.starts_with(&file.head)
            {
                file.head = head;
            }
        }
        Ok(())
    }
}

/// What an open file holds.
enum Content {
    /// What was read, and perhaps more.
    Same,
    /// Too little to tell.
    Unknown,
    /// It was emptied since it was read.
    Another,
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Whether the name is that of a rotated file: `live.txt.1`, `live.txt-20260101`.
fn has_a_number(path: &Path, rotated: &Path) -> bool {
    let name = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    let (Some(name), Some(rotated)) = (name(path), name(rotated)) else {
        return false;
    };
    let rest = rotated.strip_prefix(&name).unwrap_or_default();
    let number = rest.strip_prefix(['.', '-', '_']).unwrap_or_default();
    number.starts_with(|c: char| c.is_ascii_digit())
}

/// Whether the file's first line is complete, or longer than any.
fn has_a_line(file: &mut File) -> Option<bool> {
    let head = first_bytes(file, LINE_BYTES).ok()?;
    Some(head.contains(&b'\n') || head.len() == LINE_BYTES)
}

fn open(path: &Path, options: &ReaderOptions) -> Result<(Box<CaptureFile>, File), FeedError> {
    let mut file = File::open(path).map_err(FeedError::io(path, "open"))?;
    match sniff::format(path, &mut file) {
        Ok(Format::Capture) | Err(FeedError::Empty { .. }) => {}
        Ok(other) => {
            let found = format!("format \"{}\" does not grow line by line", other.name());
            return Err(FeedError::UnknownFormat {
                path: path.to_path_buf(),
                found,
            });
        }
        Err(error) => return Err(error),
    }
    let watched = file.try_clone().map_err(FeedError::io(path, "open"))?;
    let capture = CaptureFile::open(path, file, Format::Capture, options)?;
    Ok((Box::new(capture), watched))
}
