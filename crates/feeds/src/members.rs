//! A gzip file as the members it is made of: where one is torn, the next is found.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

use flate2::bufread::GzDecoder;

/// Compressed bytes read at a time.
const BUFFER_BYTES: usize = 64 << 10;

/// How far before the place where the decoder noticed a tear the next member may begin: what follows a tear is read as
/// part of the torn member until it makes no sense, seldom for more than some thousand bytes.
const BACK_BYTES: u64 = 1 << 20;

/// Bytes of a member that must decode before it counts as one: three bytes that look like a beginning may stand anywhere.
const PROOF_BYTES: usize = 256;

/// What a read brought.
#[derive(Debug)]
pub(crate) enum Piece {
    /// So many bytes; none at the end.
    Bytes(usize),
    /// The data breaks off. Where, why, and where the next member begins; `None` if there is none.
    Torn(Torn),
}

/// A place where the data breaks off.
#[derive(Debug)]
pub(crate) struct Torn {
    /// Compressed bytes before it.
    pub at: u64,
    /// What the decoder said.
    pub error: std::io::Error,
    /// Where the next member begins.
    pub next: Option<u64>,
}

/// Decodes member after member.
///
/// Invariant: `start` is where the member at hand begins.
pub(crate) struct Members {
    decoder: Option<GzDecoder<BufReader<File>>>,
    start: u64,
}

impl Members {
    pub(crate) fn new(file: File) -> Members {
        Members {
            decoder: Some(GzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, file))),
            start: 0,
        }
    }

    /// Reads decoded bytes. After a tear the next read begins with the next member.
    pub(crate) fn read(&mut self, out: &mut [u8]) -> std::io::Result<Piece> {
        loop {
            let Some(decoder) = &mut self.decoder else {
                return Ok(Piece::Bytes(0));
            };
            match decoder.read(out) {
                Ok(0) => {
                    if !self.next_member()? {
                        return Ok(Piece::Bytes(0));
                    }
                }
                Ok(len) => return Ok(Piece::Bytes(len)),
                Err(error) => match error.kind() {
                    std::io::ErrorKind::UnexpectedEof
                    | std::io::ErrorKind::InvalidData
                    | std::io::ErrorKind::InvalidInput => return self.tear(error).map(Piece::Torn),
                    _ => return Err(error),
                },
            }
        }
    }

    /// Compressed bytes read so far.
    pub(crate) fn position(&mut self) -> u64 {
        let Some(decoder) = &mut self.decoder else {
            return self.start;
        };
        position(decoder.get_mut()).unwrap_or(self.start)
    }

    /// Goes on behind a whole member; `false` at the end. Zeros between members are padding.
    fn next_member(&mut self) -> std::io::Result<bool> {
        let Some(decoder) = self.decoder.take() else {
            return Ok(false);
        };
        let mut input = decoder.into_inner();
        loop {
            let buffer = input.fill_buf()?;
            if buffer.is_empty() {
                self.start = position(&mut input)?;
                return Ok(false);
            }
            let zeros = buffer.iter().take_while(|byte| **byte == 0).count();
            let more = zeros < buffer.len();
            input.consume(zeros);
            if more {
                self.start = position(&mut input)?;
                self.decoder = Some(GzDecoder::new(input));
                return Ok(true);
            }
        }
    }

    /// Finds the member behind a tear.
    fn tear(&mut self, error: std::io::Error) -> std::io::Result<Torn> {
        let Some(decoder) = self.decoder.take() else {
            return Ok(Torn {
                at: self.start,
                error,
                next: None,
            });
        };
        let mut input = decoder.into_inner();
        let at = position(&mut input)?;
        let mut file = input.into_inner();
        let from = at.saturating_sub(BACK_BYTES).max(self.start + 1);
        let next = find_member(&mut file, from)?;
        if let Some(next) = next {
            file.seek(SeekFrom::Start(next))?;
            self.start = next;
            self.decoder = Some(GzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, file)));
        } else {
            self.start = file.metadata()?.len();
        }
        Ok(Torn { at, error, next })
    }
}

fn position(input: &mut BufReader<File>) -> std::io::Result<u64> {
    input.stream_position()
}

/// Where the first member at or behind `from` begins.
fn find_member(file: &mut File, from: u64) -> std::io::Result<Option<u64>> {
    file.seek(SeekFrom::Start(from))?;
    let (mut at, mut window) = (from, Vec::new());
    loop {
        let read = file
            .by_ref()
            .take(BUFFER_BYTES as u64)
            .read_to_end(&mut window)?;
        let begins = |i: &usize| window[*i..].starts_with(b"\x1f\x8b\x08");
        let found: Vec<u64> = (0..window.len())
            .filter(begins)
            .map(|i| at + i as u64)
            .collect();
        let end = at + window.len() as u64;
        for candidate in found {
            if is_member(file, candidate)? {
                return Ok(Some(candidate));
            }
        }
        file.seek(SeekFrom::Start(end))?;
        if read == 0 {
            return Ok(None);
        }
        // A beginning may lie across two windows.
        let keep = window.len().min(2);
        let drop = window.len() - keep;
        window.drain(..drop);
        at += drop as u64;
    }
}

/// Whether some bytes decode from there.
fn is_member(file: &mut File, at: u64) -> std::io::Result<bool> {
    file.seek(SeekFrom::Start(at))?;
    let mut decoder = GzDecoder::new(BufReader::new(file));
    let mut proof = [0; PROOF_BYTES];
    let mut len = 0;
    while len < PROOF_BYTES {
        match decoder.read(&mut proof[len..]) {
            Ok(0) => return Ok(len > 0),
            Ok(read) => len += read,
            Err(_) => break,
        }
    }
    // A beginning by chance may decode to something, but not to lines of text.
    let control = |byte: &u8| *byte < b' ' && !matches!(byte, b'\n' | b'\r' | b'\t');
    Ok(len > 0 && !proof[..len].iter().any(control))
}
