#![no_main]

#[path = "../targets.rs"]
mod targets;

// Panics of Arrow's own reader are caught within; ours end the process.
libfuzzer_sys::fuzz_target!(init: std::panic::set_hook(Box::new(|_| {})), |bytes: &[u8]| {
    let bytes = bytes.to_vec();
    if std::panic::catch_unwind(move || targets::tape(&bytes)).is_err() {
        std::process::abort();
    }
});
