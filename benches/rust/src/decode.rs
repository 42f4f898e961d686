//! Lines in memory to typed rows, against simd-json's tape alone, which finds the values but types none of them.

use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::path::PathBuf;

use flate2::read::MultiGzDecoder;
use signal_ingest::Capture;
use simd_json::{Buffers, INPUT_PADDING, Tape};

use crate::measure::{Figure, best_of_both};

const ROUNDS: usize = 15;
const CHUNK: usize = 64 << 10;

pub fn run(captures: &[PathBuf]) -> Result<(), Box<dyn std::error::Error>> {
    let mut texts = Vec::new();
    for path in captures {
        let mut text = Vec::new();
        MultiGzDecoder::new(File::open(path)?).read_to_end(&mut text)?;
        texts.push(text);
    }
    let frames: usize = texts
        .iter()
        .map(|text| text.iter().filter(|&&b| b == b'\n').count())
        .sum();
    let mut rows = 0;
    // Parsing in place spoils the text, so every round gets a fresh copy, made outside of the timing.
    let (ours, tape) = best_of_both(
        ROUNDS,
        || (),
        |()| rows = texts.iter().map(|text| decode(text)).sum(),
        || {
            texts
                .iter()
                .map(|text| [text.as_slice(), &[b' '; INPUT_PADDING]].concat())
                .collect()
        },
        |copies: Vec<Vec<u8>>| copies.into_iter().for_each(|mut text| parse(&mut text)),
    );
    let per_second = |count: usize, seconds: f64| count as f64 / seconds;
    let peer = Some(("simd-json tape alone", per_second(frames, tape)));
    Figure {
        work: "lines in memory to typed rows",
        unit: "frames/s",
        value: per_second(frames, ours),
        peer,
    }
    .print();
    Figure {
        work: "lines in memory to typed rows",
        unit: "rows/s",
        value: per_second(rows, ours),
        peer: None,
    }
    .print();
    Ok(())
}

fn decode(text: &[u8]) -> usize {
    let mut capture = Capture::new();
    let mut rows = 0;
    for chunk in text.chunks(CHUNK) {
        capture.push(chunk);
        if capture.rows() >= 1 << 14 {
            rows += black_box(capture.take()).len();
        }
    }
    rows + black_box(capture.take()).len()
}

/// simd-json at its best: reused buffers, no copy for padding (the next line is the padding).
fn parse(text: &mut [u8]) {
    let end = text.len() - INPUT_PADDING;
    let (mut buffers, mut tape) = (Buffers::default(), Tape(Vec::new()));
    let mut start = 0;
    while let Some(len) = memchr::memchr(b'\n', &text[start..end]) {
        let space = memchr::memchr(b' ', &text[start..]).unwrap_or(0);
        let frame = &mut text[start + space + 1..start + len + INPUT_PADDING];
        let mut line_tape = tape.reset();
        let parsed =
            simd_json::fill_tape_padded(frame, len - space - 1, &mut buffers, &mut line_tape);
        black_box(parsed.is_ok());
        tape = black_box(line_tape).reset();
        start += len + 1;
    }
}
