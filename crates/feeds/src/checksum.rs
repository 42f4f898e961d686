//! Checksums of a tape's parts, kept in its footer.
//!
//! Neither Parquet nor Arrow IPC, as they are written here, would notice a flipped bit that leaves the compression
//! readable. So the writer sums the bytes of each row group or record batch as they pass, and the reader sums them
//! again before it decodes them.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crc32fast::Hasher;
use serde_json::{Value, json};

use crate::FeedError;

/// Metadata key of the checksums: `{"ends":[…],"crc32":[…]}`, a part each, in the order of the file.
pub(crate) const CHECKSUMS_KEY: &str = "signal_stream.crc32";

/// A file being written and summed.
#[derive(Debug)]
pub(crate) struct SummedFile {
    file: BufWriter<File>,
    offset: u64,
    hasher: Hasher,
    sums: Checksums,
}

impl SummedFile {
    pub(crate) fn new(file: File) -> SummedFile {
        SummedFile {
            file: BufWriter::new(file),
            offset: 0,
            hasher: Hasher::new(),
            sums: Checksums::default(),
        }
    }

    /// A part ends here.
    pub(crate) fn end_part(&mut self) {
        if self.sums.ends.last().copied().unwrap_or(0) < self.offset {
            self.sums.ends.push(self.offset);
            self.sums
                .crcs
                .push(std::mem::take(&mut self.hasher).finalize());
        }
    }

    pub(crate) fn sums(&self) -> &Checksums {
        &self.sums
    }

    pub(crate) fn into_file(self) -> std::io::Result<File> {
        self.file.into_inner().map_err(|e| e.into_error())
    }
}

impl Write for SummedFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let len = self.file.write(bytes)?;
        self.hasher.update(&bytes[..len]);
        self.offset += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// Where each part ends, and its sum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checksums {
    ends: Vec<u64>,
    crcs: Vec<u32>,
}

impl Checksums {
    pub(crate) fn to_json(&self) -> Value {
        json!({"ends": self.ends, "crc32": self.crcs})
    }

    /// The checksums in a footer, if there are any.
    pub(crate) fn of(text: Option<&str>) -> Option<Checksums> {
        let value: Value = serde_json::from_str(text?).ok()?;
        let numbers = |key: &str| -> Option<Vec<u64>> {
            value[key].as_array()?.iter().map(Value::as_u64).collect()
        };
        let ends = numbers("ends")?;
        let crcs = numbers("crc32")?
            .into_iter()
            .map(|crc| u32::try_from(crc).ok())
            .collect::<Option<Vec<u32>>>()?;
        (ends.len() == crcs.len() && ends.is_sorted()).then_some(Checksums { ends, crcs })
    }

    /// Where the last part ends.
    pub(crate) fn end(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Sums part `part` of the file again.
    pub(crate) fn verify(
        &self,
        part: usize,
        path: &Path,
        file: &mut File,
    ) -> Result<(), FeedError> {
        let (Some(&end), Some(&expected)) = (self.ends.get(part), self.crcs.get(part)) else {
            return Ok(());
        };
        let start = part.checked_sub(1).map_or(0, |before| self.ends[before]);
        let io = || FeedError::io(path, "read");
        file.seek(SeekFrom::Start(start)).map_err(io())?;
        let mut rest = file.take(end - start);
        let mut hasher = Hasher::new();
        let mut piece = [0; 16 << 10];
        loop {
            match rest.read(&mut piece).map_err(io())? {
                0 => break,
                len => hasher.update(&piece[..len]),
            }
        }
        let found = hasher.finalize();
        if found != expected {
            let what = format!("checksum {found:08x}, written as {expected:08x}");
            return Err(FeedError::corrupt(
                path,
                format!("bytes {start} to {end}"),
                what,
            ));
        }
        Ok(())
    }
}
