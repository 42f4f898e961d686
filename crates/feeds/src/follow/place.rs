//! Which files a followed feed has read, so that a restart knows them again after they were rotated.

use std::fs::{File, Metadata, metadata, read_dir};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{FeedError, Position};

/// Bytes at the start of a file by which it is known again: a capture's first line begins with its time.
pub(super) const HEAD_BYTES: usize = 256;

/// Files that are remembered.
pub(super) const FILES_MAX: usize = 32;

/// One of the files that were followed, as far as it can be known again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FollowedFile {
    /// Its device.
    pub(crate) dev: u64,
    /// Its inode.
    pub(crate) ino: u64,
    /// Its first bytes, at most 256 of them.
    pub(crate) head: Vec<u8>,
    /// Messages of the files before it.
    pub(crate) begins_at: u64,
}

impl FollowedFile {
    fn to_json(&self) -> Value {
        json!({"dev": self.dev, "ino": self.ino, "head": hex(&self.head), "begins_at": self.begins_at})
    }

    fn from_json(value: &Value) -> Option<FollowedFile> {
        Some(FollowedFile {
            dev: value["dev"].as_u64()?,
            ino: value["ino"].as_u64()?,
            head: bytes_of(value["head"].as_str()?)?,
            begins_at: value["begins_at"].as_u64()?,
        })
    }

    /// How surely the file at `path` is this one, for comparison: whether it is no copy, and its bytes; `None` if it is another.
    fn likeness(&self, path: &Path) -> Option<(bool, u64)> {
        let file = File::open(path).ok()?;
        let found = file.metadata().ok()?;
        let same = (found.dev(), found.ino()) == (self.dev, self.ino);
        let alike = match self.head.len() {
            0 => same,
            len => first_bytes(&file, len).ok()? == self.head,
        };
        alike.then_some((same, found.len()))
    }

    /// The path of the file or of its fullest copy, in the folder of `path`, which comes first among copies.
    fn find(&self, path: &Path) -> Option<PathBuf> {
        let mut beside: Vec<PathBuf> = files_beside(path).into_iter().map(|each| each.0).collect();
        beside.sort_by(|a, b| b.cmp(a));
        let alike = beside.into_iter().filter_map(|each| {
            let (same, len) = self.likeness(&each)?;
            Some(((same, each.file_name() == path.file_name(), len), each))
        });
        Some(alike.max_by_key(|(likeness, _)| *likeness)?.1)
    }
}

/// Where a followed feed stands: so many messages of these files, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) messages: u64,
    pub(crate) files: Vec<FollowedFile>,
}

/// Where following continues: with message `skip` of the file `begin`, that of the path if it is `None`. `base` messages lie
/// before that file, from the files `before`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) begin: Option<PathBuf>,
    pub(super) before: Vec<FollowedFile>,
    pub(super) base: u64,
    pub(super) skip: u64,
}

impl Place {
    pub(super) fn of(position: &Position) -> Result<Place, FeedError> {
        let files = match &position.json()?["files"] {
            Value::Null => Some(Vec::new()),
            files => files
                .as_array()
                .and_then(|files| files.iter().map(FollowedFile::from_json).collect()),
        };
        let messages = position.number("messages")?;
        match files {
            Some(files) => Ok(Place { messages, files }),
            None => Err(FeedError::position(
                position.as_str(),
                "its files cannot be read",
            )),
        }
    }

    pub(super) fn position(&self) -> Position {
        let files: Vec<Value> = self.files.iter().map(FollowedFile::to_json).collect();
        Position::new(json!({"messages": self.messages, "files": files}).to_string())
    }

    /// Where to continue under the name `path`. The file that was read may have another name now, beside it. Fails if it is
    /// nowhere.
    pub(super) fn find(mut self, path: &Path) -> Result<Start, FeedError> {
        let Place { messages, .. } = self;
        let Some(oldest) = self.files.first().map(|file| file.begins_at) else {
            return Ok(Start {
                skip: messages,
                ..Start::default()
            });
        };
        self.files.retain(|file| file.begins_at <= messages);
        let Some(last) = self.files.pop() else {
            let found = format!(
                "{oldest} messages came before the oldest file that is remembered, and {messages} are recorded"
            );
            return Err(cut(path, found));
        };
        let skip = messages - last.begins_at;
        let found = last.find(path);
        if found.is_none() && (skip > 0 || !last.head.is_empty()) {
            let found = format!(
                "it is another file than the one that was read, and that one is not beside it: nobody knows what it held after \
                 its first {skip} messages; put it back there as {}.1",
                path.file_name().unwrap_or_default().display()
            );
            return Err(cut(path, found));
        }
        Ok(Start {
            begin: found.filter(|found| found.file_name() != path.file_name()),
            before: self.files,
            base: last.begins_at,
            skip,
        })
    }
}

fn cut(path: &Path, found: String) -> FeedError {
    FeedError::Cut {
        path: path.to_path_buf(),
        found,
    }
}

/// The files in the folder of the path.
pub(super) fn files_beside(path: &Path) -> Vec<(PathBuf, Metadata)> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let entries = read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter_map(|path| Some((metadata(&path).ok()?, path)))
        .filter(|(found, _)| found.is_file())
        .map(|(found, path)| (path, found))
        .collect()
}

/// At most so many bytes at the start of the file.
pub(super) fn first_bytes(file: &File, count: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    let mut len = 0;
    while len < count {
        match file.read_at(&mut bytes[len..], len as u64)? {
            0 => break,
            more => len += more,
        }
    }
    bytes.truncate(len);
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let pair = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    (0..hex.len()).step_by(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{OpenOptions, copy, create_dir_all, remove_dir_all, remove_file, rename, write};

    const OLD: &[u8] = b"first line of the old file\n";
    const NEW: &[u8] = b"first line of the new file\n";

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path =
                std::env::temp_dir().join(format!("signal-place-{}-{name}", std::process::id()));
            let _ = remove_dir_all(&path);
            create_dir_all(&path).unwrap();
            write(path.join("live"), OLD).unwrap();
            Folder(path)
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }

        fn live(&self) -> PathBuf {
            self.path("live")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = remove_dir_all(&self.0);
        }
    }

    /// What a position holds of the file that lies there.
    fn noted(path: &Path, begins_at: u64) -> FollowedFile {
        let file = File::open(path).unwrap();
        let found = file.metadata().unwrap();
        FollowedFile {
            dev: found.dev(),
            ino: found.ino(),
            head: first_bytes(&file, HEAD_BYTES).unwrap(),
            begins_at,
        }
    }

    fn find(files: &[FollowedFile], path: &Path, messages: u64) -> Result<Start, FeedError> {
        let place = Place {
            messages,
            files: files.to_vec(),
        };
        assert_eq!(Place::of(&place.position()).unwrap(), place);
        place.find(path)
    }

    fn start(base: u64, skip: u64) -> Start {
        Start {
            base,
            skip,
            ..Start::default()
        }
    }

    #[test]
    fn a_file_that_kept_its_name_goes_on_after_its_messages() {
        let folder = Folder::new("kept");
        let file = noted(&folder.live(), 100);
        write(folder.live(), [OLD, b"and more\n"].concat()).unwrap();
        assert_eq!(find(&[file], &folder.live(), 107).unwrap(), start(100, 7));
        assert_eq!(find(&[], &folder.live(), 107).unwrap(), start(0, 107));
        let old = Position::new(r#"{"messages": 7}"#);
        assert_eq!(
            Place::of(&old).unwrap(),
            Place {
                messages: 7,
                files: vec![]
            }
        );
        for bad in [
            r#"{"files": []}"#,
            r#"{"messages": 7, "files": [{"dev": 1}]}"#,
            "[]",
        ] {
            assert!(Place::of(&Position::new(bad)).is_err(), "{bad}");
        }
    }

    /// Where the new file begins with the next message, the old one is not needed any more, and may be deleted.
    #[test]
    fn a_file_of_which_nothing_was_read_is_the_newest_one() {
        let folder = Folder::new("newest");
        let old = noted(&folder.live(), 0);
        write(folder.path("new"), NEW).unwrap();
        rename(folder.path("new"), folder.live()).unwrap();
        let new = noted(&folder.live(), 100);
        let found = find(&[old.clone(), new.clone()], &folder.live(), 100).unwrap();
        assert_eq!(
            found,
            Start {
                before: vec![old.clone()],
                ..start(100, 0)
            }
        );
        // Messages of the older file are read from it.
        write(folder.path("live.1"), OLD).unwrap();
        let found = find(&[old, new], &folder.live(), 99).unwrap();
        assert_eq!(
            found,
            Start {
                begin: Some(folder.path("live.1")),
                ..start(0, 99)
            }
        );
    }

    #[test]
    fn a_renamed_file_is_found_by_its_inode() {
        let folder = Folder::new("renamed");
        let file = noted(&folder.live(), 0);
        rename(folder.live(), folder.path("20260101-live")).unwrap();
        copy(folder.path("20260101-live"), folder.path("zz-copy")).unwrap();
        // It begins alike, goes on otherwise, and is the longer one.
        write(folder.live(), [OLD, OLD].concat()).unwrap();
        let found = find(&[file], &folder.live(), 1).unwrap();
        assert_eq!(found.begin, Some(folder.path("20260101-live")));
    }

    #[test]
    fn an_inode_that_was_used_again_is_another_file() {
        let folder = Folder::new("again");
        let file = noted(&folder.live(), 0);
        OpenOptions::new()
            .write(true)
            .open(folder.live())
            .unwrap()
            .set_len(5)
            .unwrap();
        assert_eq!(file.likeness(&folder.live()), None);
        write(folder.live(), NEW).unwrap();
        assert_eq!(noted(&folder.live(), 0).ino, file.ino);
        assert_eq!(file.likeness(&folder.live()), None);
        let error = find(std::slice::from_ref(&file), &folder.live(), 1).unwrap_err();
        assert_eq!(error.code(), "TRUNCATED");
        assert!(
            error
                .to_string()
                .contains("after its first 1 messages; put it back there as live.1"),
            "{error}"
        );
        // One that has begun must be there though none of its messages was used.
        assert!(find(std::slice::from_ref(&file), &folder.live(), 0).is_err());
        write(folder.live(), OLD).unwrap();
        assert_eq!(
            file.likeness(&folder.live()),
            Some((true, OLD.len() as u64))
        );
    }

    #[test]
    fn of_copies_the_fullest_is_taken_and_the_followed_name_comes_first() {
        let folder = Folder::new("copies");
        let file = noted(&folder.live(), 0);
        for (name, more) in [("a", &b"x\n"[..]), ("b", b"x\ny\n"), ("c", b"")] {
            write(folder.path(name), [OLD, more].concat()).unwrap();
        }
        // What is left are copies, with inodes of their own.
        rename(folder.live(), folder.0.with_extension("gone")).unwrap();
        let found = find(std::slice::from_ref(&file), &folder.live(), 1).unwrap();
        assert_eq!(found.begin, Some(folder.path("b")));
        rename(folder.path("c"), folder.live()).unwrap();
        assert_eq!(
            find(std::slice::from_ref(&file), &folder.live(), 1).unwrap(),
            start(0, 1)
        );
        remove_file(folder.0.with_extension("gone")).unwrap();
    }

    #[test]
    fn a_file_that_had_no_byte_yet_is_known_by_its_inode_alone() {
        let folder = Folder::new("no-byte");
        let file = FollowedFile {
            head: vec![],
            ..noted(&folder.live(), 5)
        };
        assert_eq!(
            file.likeness(&folder.live()),
            Some((true, OLD.len() as u64))
        );
        copy(folder.live(), folder.path("copy")).unwrap();
        assert_eq!(file.likeness(&folder.path("copy")), None);
        rename(folder.live(), folder.0.with_extension("gone")).unwrap();
        let found = find(std::slice::from_ref(&file), &folder.live(), 5).unwrap();
        assert_eq!(found, start(5, 0), "it may come yet");
        assert!(find(&[file], &folder.live(), 7).is_err());
        remove_file(folder.0.with_extension("gone")).unwrap();
    }

    #[test]
    fn a_position_before_all_that_is_remembered_is_refused() {
        let folder = Folder::new("before");
        let file = noted(&folder.live(), 101);
        let error = find(std::slice::from_ref(&file), &folder.live(), 100)
            .unwrap_err()
            .to_string();
        let what = "101 messages came before the oldest file that is remembered, and 100 are";
        assert!(error.contains(what), "{error}");
        assert_eq!(find(&[file], &folder.live(), 101).unwrap(), start(101, 0));
    }
}
