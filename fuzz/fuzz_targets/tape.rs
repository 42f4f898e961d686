//! Record batches from an Arrow IPC stream: read as a tape they are refused, or they keep the invariants and come back
//! as they were.
#![no_main]

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use libfuzzer_sys::fuzz_target;
use signal_event::{EventBatchBuilder, from_record_batch, to_record_batch};
use std::panic::catch_unwind;

/// Arrow's own reader panics on some damaged streams; what it lets through is ours to judge.
fn batches(bytes: &[u8]) -> Vec<RecordBatch> {
    let bytes = bytes.to_vec();
    let read = catch_unwind(move || {
        let Ok(reader) = StreamReader::try_new(bytes.as_slice(), None) else { return vec![] };
        reader.take(8).map_while(Result::ok).collect()
    });
    read.unwrap_or_default()
}

fuzz_target!(init: std::panic::set_hook(Box::new(|_| {})), |bytes: &[u8]| {
    for batch in batches(bytes) {
        let Ok(events) = from_record_batch(&batch) else { continue };
        if events.check_invariants().is_err() || from_record_batch(&to_record_batch(&events)) != Ok(events.clone()) {
            std::process::abort();
        }
        let mut builder = EventBatchBuilder::new();
        let mut messages = 0;
        for message in events.messages() {
            builder.push_message(&message, message.instrument);
            messages += 1;
        }
        if messages != events.message_count() || builder.len() != events.len() {
            std::process::abort();
        }
    }
});
