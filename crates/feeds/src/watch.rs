//! Whether a file is still the one that was read.
use std::fs::metadata;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Size, time of the last change in seconds and nanoseconds, inode and device.
type Look = (u64, i64, i64, u64, u64);

/// Looks at a small file that others may write, cheaply enough to be asked before every signal.
pub struct FileWatch {
    path: PathBuf,
    seen: Option<Look>,
}

impl FileWatch {
    /// A watch that has seen nothing yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path, seen: None }
    }

    /// Whether the file may be another one than at the last call: true too where it cannot be looked at.
    pub fn changed(&mut self) -> bool {
        let look = self.look();
        let same = look.is_some() && look == self.seen;
        self.seen = look;
        !same
    }

    /// Whether the file is surely the one that `changed` saw last.
    pub fn is_same(&self) -> bool {
        self.seen.is_some() && self.look() == self.seen
    }

    fn look(&self) -> Option<Look> {
        let found = metadata(&self.path).ok();
        found.map(|m| (m.size(), m.mtime(), m.mtime_nsec(), m.ino(), m.dev()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{remove_file, rename, write};

    #[test]
    fn every_change_is_seen_once_and_a_missing_file_always() {
        let folder = std::env::temp_dir().join(format!("file-watch-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (path, other) = (folder.join("a"), folder.join("b"));
        let mut watch = FileWatch::new(path.clone());
        assert!(watch.changed() && watch.changed());
        assert!(!watch.is_same());
        write(&path, "one").unwrap();
        assert!(!watch.is_same() && watch.changed() && watch.is_same() && !watch.changed());
        write(&path, "three").unwrap();
        assert!(watch.changed() && !watch.changed());
        write(&other, "three").unwrap();
        rename(&other, &path).unwrap();
        assert!(watch.changed() && !watch.changed());
        remove_file(&path).unwrap();
        assert!(watch.changed() && watch.changed());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
