//! The reader of DBN: no panic, every record counted once, pieces do not matter, and what comes out are whole messages.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signal_ingest::Dbn;

fuzz_target!(|bytes: &[u8]| {
    let mut whole = Dbn::new(Default::default());
    whole.push(bytes);
    whole.end();
    let mut cut = Dbn::new(Default::default());
    bytes.chunks(1 + bytes.len() % 61).for_each(|piece| cut.push(piece));
    cut.end();
    assert_eq!(whole.inputs(), whole.used() + whole.rejects().total());
    assert_eq!((whole.inputs(), whole.used()), (cut.inputs(), cut.used()));
    assert_eq!(whole.rejects(), cut.rejects());
    let batch = whole.take();
    assert_eq!(batch.check_invariants(), Ok(()));
    assert_eq!(batch, cut.take());
});
