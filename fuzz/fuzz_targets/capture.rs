//! Sources of frames: no panic, every frame counted once, chunks do not matter, whatever the framing and the venue.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signal_ingest::Capture;

fuzz_target!(|bytes: &[u8]| {
    let mut whole = Capture::new();
    whole.push(bytes);
    whole.end();
    let mut cut = Capture::new();
    let chunk = 1 + bytes.len() % 13;
    bytes.chunks(chunk).for_each(|piece| cut.push(piece));
    cut.end();
    assert_eq!(whole.inputs(), whole.used() + whole.rejects().total());
    if whole.recognised().map(|found| found.venue) == cut.recognised().map(|found| found.venue) {
        assert_eq!((whole.inputs(), whole.used()), (cut.inputs(), cut.used()));
        assert_eq!(whole.rejects(), cut.rejects());
        assert_eq!(whole.take(), cut.take());
    }
});
