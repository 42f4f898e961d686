//! The decoders of all venues: no panic, a refused frame adds nothing, and no frame is taken that a general JSON parser
//! refuses. The first byte chooses the venue, the lines are its frames.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use signal_ingest::{Capture, SourceSpec, Venue};

fuzz_target!(|bytes: &[u8]| {
    let Some((first, text)) = bytes.split_first() else {
        return;
    };
    let venue = Venue::ALL[usize::from(*first) % Venue::ALL.len()];
    let mut capture = Capture::of(SourceSpec::bare(venue), Arc::default());
    for (at, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let rows = capture.rows();
        let taken = capture.frame(at as i64, line);
        if taken.is_err() {
            assert_eq!(capture.rows(), rows);
        } else if capture.rows() > rows {
            let json: Result<IgnoredAny, _> = serde_json::from_slice(line);
            assert!(json.is_ok(), "taken, but no JSON: {}", String::from_utf8_lossy(line));
        }
    }
    assert_eq!(capture.inputs(), capture.used() + capture.rejects().total());
    assert_eq!(capture.take().check_invariants(), Ok(()));
});
