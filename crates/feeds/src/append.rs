//! A file that one writer appends to.
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Appends at a place that it knows, so that what an interrupted write left there is written over.
pub struct AppendFile {
    file: File,
    size: u64,
}

impl AppendFile {
    /// A file that exists, of which the first `size` bytes are good.
    pub fn open(path: &Path, size: u64) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).open(path)?;
        Ok(Self { file, size })
    }

    /// Length of the good part.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Writes all of the bytes behind the good part, which grows by them; after an error it is as long as before.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.size)?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Forces what was written to the disk.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Cuts what an append that failed left behind the good part.
    pub fn cut(&self) -> io::Result<()> {
        self.file.set_len(self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_behind_the_good_part_is_written_over_or_cut() {
        let path = std::env::temp_dir().join(format!("append-file-{}", std::process::id()));
        std::fs::write(&path, "good, torn end").unwrap();
        let mut file = AppendFile::open(&path, 4).unwrap();
        file.append(b" 12").unwrap();
        assert_eq!(file.size(), 7);
        file.sync().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"good 12orn end");
        file.cut().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"good 12");
        std::fs::remove_file(&path).unwrap();
        assert!(AppendFile::open(&path, 0).is_err());
    }
}
