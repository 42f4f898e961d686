//! The capture decoder: no panic, every line counted once, chunks do not matter, and no frame is taken that a general
//! JSON parser refuses.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signal_event::EventBatchBuilder;
use signal_ingest::Capture;
use signal_ingest::binance::Decoder;

fuzz_target!(|bytes: &[u8]| {
    let mut decoder = Decoder::new();
    let mut builder = EventBatchBuilder::new();
    for line in bytes.split(|&byte| byte == b'\n') {
        if decoder.decode_line(line, &mut builder).is_ok() {
            let space = line.iter().position(|&byte| byte == b' ').expect("a line that is taken has a time");
            let frame: Result<serde_json::Value, _> = serde_json::from_slice(&line[space..]);
            assert!(frame.is_ok(), "taken, but no JSON: {}", String::from_utf8_lossy(line));
        }
    }
    assert_eq!(builder.finish(decoder.instruments()).check_invariants(), Ok(()));

    let mut whole = Capture::new();
    whole.push(bytes);
    whole.end();
    let mut cut = Capture::new();
    let chunk = 1 + bytes.len() % 13;
    bytes.chunks(chunk).for_each(|piece| cut.push(piece));
    cut.end();
    assert_eq!(whole.lines(), whole.messages() + whole.rejects().total());
    assert_eq!((whole.lines(), whole.messages()), (cut.lines(), cut.messages()));
    assert_eq!(whole.rejects(), cut.rejects());
    assert_eq!(whole.take(), cut.take());
});
