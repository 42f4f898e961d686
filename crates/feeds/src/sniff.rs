//! What a file is, from its first bytes.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use signal_ingest::{SourceSpec, is_frame, recognise};

use crate::FeedError;
use crate::members::{Members, Piece, Torn};

/// The formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Frames of a venue: lines of `<time> <frame>`, or a recording.
    Capture,
    /// The same, compressed.
    CaptureGzip,
    /// The same, compressed by zstd.
    CaptureZstd,
    /// Databento's binary encoding.
    Dbn,
    /// The same, compressed.
    DbnZstd,
    /// A tape as Parquet.
    Parquet,
    /// A tape as an Arrow IPC file.
    ArrowFile,
    /// A tape as an Arrow IPC stream.
    ArrowStream,
}

impl Format {
    /// The name in tables and metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Format::Capture => "capture",
            Format::CaptureGzip => "capture.gz",
            Format::CaptureZstd => "capture.zst",
            Format::Dbn => "dbn",
            Format::DbnZstd => "dbn.zst",
            Format::Parquet => "parquet",
            Format::ArrowFile => "arrow",
            Format::ArrowStream => "arrow_stream",
        }
    }
}

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const DBN: &[u8] = b"DBN";
const ARROW_STREAM: &[u8] = &[0xff; 4];

/// How much of a file is looked at: a capture may begin within a line, and a snapshot's line takes 60 KB.
const HEAD_BYTES: u64 = 256 << 10;

/// What was found in an open file.
#[derive(Debug)]
pub(crate) struct Found {
    pub format: Format,
    /// How the text of a capture begins.
    pub head: Vec<u8>,
    /// Whether that is all of it.
    pub whole: bool,
}

impl Found {
    fn tape(format: Format) -> Found {
        Found {
            format,
            head: Vec::new(),
            whole: false,
        }
    }

    /// A capture must be of frames that we know, or of too few to say.
    pub(crate) fn check(&self, path: &Path, spec: &SourceSpec) -> Result<(), FeedError> {
        let captures = [Format::Capture, Format::CaptureGzip, Format::CaptureZstd];
        match recognise(spec, &self.head, self.whole) {
            Err(unknown) if captures.contains(&self.format) && !unknown.more_may_tell => {
                Err(FeedError::UnknownFrames {
                    path: path.to_path_buf(),
                    found: unknown.found,
                })
            }
            _ => Ok(()),
        }
    }
}

/// The format of an open file, which is then at its beginning again.
pub(crate) fn format(path: &Path, file: &mut File) -> Result<Format, FeedError> {
    found(path, file).map(|found| found.format)
}

/// The format of an open file and the beginning of its text; the file is then at its beginning again.
pub(crate) fn found(path: &Path, file: &mut File) -> Result<Found, FeedError> {
    let io = || FeedError::io(path, "read");
    let mut head = Vec::new();
    file.by_ref()
        .take(HEAD_BYTES)
        .read_to_end(&mut head)
        .map_err(io())?;
    file.seek(SeekFrom::Start(0)).map_err(io())?;
    let empty = || FeedError::Empty {
        path: path.to_path_buf(),
    };
    if head.is_empty() {
        return Err(empty());
    }
    let unknown = |found: String| FeedError::UnknownFormat {
        path: path.to_path_buf(),
        found,
    };
    let is_short = |text: &[u8]| (text.len() as u64) < HEAD_BYTES;
    if head.starts_with(b"PAR1") {
        Ok(Found::tape(Format::Parquet))
    } else if head.starts_with(b"ARROW1") {
        Ok(Found::tape(Format::ArrowFile))
    } else if head.starts_with(ARROW_STREAM) {
        Ok(Found::tape(Format::ArrowStream))
    } else if head.starts_with(DBN) {
        Ok(Found::tape(Format::Dbn))
    } else if head.starts_with(ZSTD) && zstd_head(&head, DBN.len()) == DBN {
        Ok(Found::tape(Format::DbnZstd))
    } else if head.starts_with(GZIP) {
        let mut text = Vec::new();
        // The head ends within the compression; what comes before its end does.
        let mut ended = MultiGzDecoder::new(head.as_slice())
            .take(HEAD_BYTES)
            .read_to_end(&mut text)
            .map(|_| ());
        let mut whole = ended.is_ok() && is_short(&text);
        if ended.is_err() && !is_capture(&text) {
            let (found, torn) = members_text(file).map_err(io())?;
            file.seek(SeekFrom::Start(0)).map_err(io())?;
            whole = false;
            (text, ended) = (found, torn.map_or(Ok(()), Err));
        }
        match (text.is_empty(), ended) {
            _ if is_capture(&text) => Ok(Found {
                format: Format::CaptureGzip,
                head: text,
                whole,
            }),
            (true, Ok(_)) => Err(empty()),
            (true, Err(error)) => Err(unknown(format!("gzip that cannot be read ({error})"))),
            (false, _) => Err(unknown(format!("gzip of {}", describe(&text)))),
        }
    } else if head.starts_with(ZSTD) {
        let mut text = Vec::new();
        let ended = zstd::stream::read::Decoder::with_buffer(head.as_slice())
            .and_then(|decoder| decoder.take(HEAD_BYTES).read_to_end(&mut text));
        match (text.is_empty(), ended) {
            (false, ended) if is_capture(&text) => Ok(Found {
                format: Format::CaptureZstd,
                whole: ended.is_ok() && is_short(&text),
                head: text,
            }),
            (true, Ok(_)) => Err(empty()),
            (true, Err(error)) => Err(unknown(format!("zstd data that cannot be read ({error})"))),
            (false, _) => Err(unknown(format!("zstd data of {}", describe(&text)))),
        }
    } else if is_capture(&head) {
        Ok(Found {
            format: Format::Capture,
            whole: is_short(&head),
            head,
        })
    } else {
        Err(unknown(describe(&head)))
    }
}

/// So many of the first bytes that are compressed in a zstd file's beginning; fewer if it cannot be read so far.
fn zstd_head(head: &[u8], len: usize) -> Vec<u8> {
    let mut found = Vec::new();
    if let Ok(decoder) = zstd::Decoder::new(head) {
        // What was read before an error stays.
        let _ = decoder.take(len as u64).read_to_end(&mut found);
    }
    found
}

/// The first text of a gzip file whose first member may be torn before it shows a line, and what was said of the tear. The
/// file stands elsewhere then.
fn members_text(file: &File) -> std::io::Result<(Vec<u8>, Option<std::io::Error>)> {
    let mut members = Members::new(file.try_clone()?);
    let (mut text, mut torn) = (Vec::new(), None);
    let mut piece = vec![0; 64 << 10];
    while (text.len() as u64) < HEAD_BYTES && !is_capture(&text) {
        match members.read(&mut piece)? {
            Piece::Bytes(0) => break,
            Piece::Bytes(len) => text.extend_from_slice(&piece[..len]),
            Piece::Torn(Torn { error, .. }) => {
                text.push(b'\n'); // what follows begins a line
                torn = torn.or(Some(error));
            }
        }
    }
    if text.iter().all(|&byte| byte == b'\n') {
        text.clear();
    }
    Ok((text, torn))
}

/// Whether one of the lines looks like a capture's.
pub(crate) fn is_capture(head: &[u8]) -> bool {
    head.split(|&b| b == b'\n').any(is_frame)
}

/// A few words for what is no format of ours.
pub(crate) fn describe(head: &[u8]) -> String {
    const KNOWN: [(&[u8], &str); 5] = [
        (ZSTD, "zstd data"),
        (b"PK\x03\x04", "a zip archive"),
        (b"BZh", "bzip2 data"),
        (&[0xfd, b'7', b'z', b'X', b'Z'], "xz data"),
        (b"SQLite format 3", "an SQLite database"),
    ];
    if let Some((_, name)) = KNOWN.iter().find(|(magic, _)| head.starts_with(magic)) {
        return (*name).to_string();
    }
    let start = &head[..head.len().min(32)];
    match std::str::from_utf8(start) {
        Ok(text) if !text.chars().any(|c| c.is_control() && !c.is_whitespace()) => {
            format!("text that begins {text:?}")
        }
        _ => format!(
            "bytes that begin {}",
            start
                .iter()
                .take(8)
                .map(|b| format!("{b:02x}"))
                .collect::<String>()
        ),
    }
}
