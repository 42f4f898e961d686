//! Lines in memory to typed rows, against simd-json's tape alone, which finds the values but types none of them.

use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::path::PathBuf;

use flate2::read::MultiGzDecoder;
use signal_ingest::Capture;
use simd_json::{Buffers, INPUT_PADDING, Tape};

use crate::measure::{Figure, Laps};

const ROUNDS: usize = 15;

/// Bytes decoded at a time, as from a file: a lap.
const CHUNK: usize = 64 << 10;

/// Rows of a batch, about.
const BATCH_ROWS: usize = 1 << 14;

pub fn run(captures: &[PathBuf]) -> Result<(), Box<dyn std::error::Error>> {
    let mut texts = Vec::new();
    for path in captures {
        let mut text = Vec::new();
        MultiGzDecoder::new(File::open(path)?).read_to_end(&mut text)?;
        texts.push(text);
    }
    let frames: usize = texts
        .iter()
        .map(|text| memchr::memchr_iter(b'\n', text).count())
        .sum();
    let (mut ours, mut tape) = (Laps::new(), Laps::new());
    let mut rows = 0;
    for _ in 0..ROUNDS {
        ours.begin();
        rows = texts.iter().map(|text| decode(text, &mut ours)).sum();
        tape.begin();
        texts.iter().for_each(|text| parse(text, &mut tape));
    }
    let per_second = |count: usize, laps: &Laps| count as f64 / laps.seconds();
    let peer = Some(("simd-json tape alone", per_second(frames, &tape)));
    let work = "lines in memory to typed rows";
    Figure {
        work,
        unit: "frames/s",
        value: per_second(frames, &ours),
        peer,
    }
    .print();
    Figure {
        work,
        unit: "rows/s",
        value: per_second(rows, &ours),
        peer: None,
    }
    .print();
    Ok(())
}

fn decode(text: &[u8], laps: &mut Laps) -> usize {
    let mut capture = Capture::new();
    let mut rows = 0;
    laps.resume();
    for chunk in text.chunks(CHUNK) {
        capture.push(chunk);
        if capture.rows() >= BATCH_ROWS {
            rows += black_box(capture.take()).len();
        }
        laps.lap();
    }
    rows += black_box(capture.take()).len();
    laps.lap();
    rows
}

/// simd-json at its best: reused buffers, no copy for padding (the next line is the padding). Parsing in place spoils
/// the text, so it works on a copy, which is not timed.
fn parse(text: &[u8], laps: &mut Laps) {
    let mut text = [text, &[b' '; INPUT_PADDING]].concat();
    let end = text.len() - INPUT_PADDING;
    let (mut buffers, mut tape) = (Buffers::default(), Tape(Vec::new()));
    let mut start = 0;
    let mut lap_end = CHUNK;
    laps.resume();
    while let Some(len) = memchr::memchr(b'\n', &text[start..end]) {
        let space = memchr::memchr(b' ', &text[start..]).unwrap_or(0);
        let frame = &mut text[start + space + 1..start + len + INPUT_PADDING];
        let mut line_tape = tape.reset();
        let parsed =
            simd_json::fill_tape_padded(frame, len - space - 1, &mut buffers, &mut line_tape);
        black_box(parsed.is_ok());
        tape = black_box(line_tape).reset();
        start += len + 1;
        if start > lap_end {
            lap_end += CHUNK;
            laps.lap();
        }
    }
    laps.lap();
}
