//! Frames of each venue to typed rows, against simd-json's tape alone on the same frames.

use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use signal_ingest::{Capture, SourceSpec, Venue, recognise};
use simd_json::{Buffers, INPUT_PADDING, Tape};

use crate::measure::{Figure, Laps};

const ROUNDS: usize = 25;

/// Frames of a round at least: a recording with fewer is taken several times.
const FRAMES_MIN: usize = 4_000;

/// Frames of a lap.
const LAP: usize = 64;

/// Rows of a batch, about.
const BATCH_ROWS: usize = 1 << 12;

pub fn run(recordings: &[PathBuf]) -> Result<(), Box<dyn std::error::Error>> {
    for path in recordings {
        let mut text = Vec::new();
        zstd::stream::read::Decoder::new(File::open(path)?)?.read_to_end(&mut text)?;
        let found = recognise(&SourceSpec::default(), &text, true).map_err(|e| e.found)?;
        let recorded = frames(&text)?;
        // A short recording would tell what it costs to begin.
        let times = FRAMES_MIN.div_ceil(recorded.len());
        let frames: Vec<Vec<u8>> = std::iter::repeat_n(&recorded, times)
            .flatten()
            .cloned()
            .collect();
        let (mut ours, mut tape) = (Laps::new(), Laps::new());
        for _ in 0..ROUNDS {
            ours.begin();
            decode(found.venue, &frames, &mut ours);
            tape.begin();
            parse(&frames, &mut tape);
        }
        let per_second = |laps: &Laps| frames.len() as f64 / laps.seconds();
        Figure {
            work: &format!("frames of {} in memory to typed rows", found.venue),
            unit: "frames/s",
            value: per_second(&ours),
            peer: Some(("simd-json tape alone", per_second(&tape))),
        }
        .print();
    }
    Ok(())
}

/// The frames of a recording.
fn frames(text: &[u8]) -> Result<Vec<Vec<u8>>, Box<dyn std::error::Error>> {
    let mut frames = Vec::new();
    for line in text.split(|&byte| byte == b'\n') {
        if line.starts_with(b"{\"t\":\"recv\"") {
            let envelope: Value = serde_json::from_slice(line)?;
            frames.extend(
                envelope["data"]
                    .as_str()
                    .map(|text| text.as_bytes().to_vec()),
            );
        }
    }
    Ok(frames)
}

fn decode(venue: Venue, frames: &[Vec<u8>], laps: &mut Laps) {
    let mut capture = Capture::of(SourceSpec::bare(venue), Arc::default());
    laps.resume();
    for (at, lap) in frames.chunks(LAP).enumerate() {
        for frame in lap {
            black_box(capture.frame(at as i64, frame).is_ok());
        }
        if capture.rows() >= BATCH_ROWS {
            black_box(capture.take());
        }
        laps.lap();
    }
}

/// simd-json at its best: reused buffers, padded copies whose making is not timed.
fn parse(frames: &[Vec<u8>], laps: &mut Laps) {
    let padded = |frame: &Vec<u8>| [frame.as_slice(), &[b' '; INPUT_PADDING]].concat();
    let mut copies: Vec<Vec<u8>> = frames.iter().map(padded).collect();
    let (mut buffers, mut tape) = (Buffers::default(), Tape(Vec::new()));
    laps.resume();
    for lap in copies.chunks_mut(LAP) {
        for frame in lap {
            let len = frame.len() - INPUT_PADDING;
            let mut frame_tape = tape.reset();
            let parsed = simd_json::fill_tape_padded(frame, len, &mut buffers, &mut frame_tape);
            black_box(parsed.is_ok());
            tape = black_box(frame_tape).reset();
        }
        laps.lap();
    }
}
