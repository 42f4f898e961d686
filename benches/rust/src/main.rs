//! What ingest costs: lines to typed rows, captures to books, streams to one, tapes to rows, a
//! socket to events.
//!
//!     cargo run --release -p signal-benches -- CAPTURE.gz... RECORDING.jsonl.zst...
//!     cargo run --release -p signal-benches -- instruments
//!     cargo run --release -p signal-benches -- dbn
//!     cargo run --release -p signal-benches -- soak SECONDS
//!     cargo run --release -p signal-benches -- kafka HOST:PORT TOPIC
//!
//! Prints one JSON object a line: `work`, `unit`, `value` and, where there is one, `peer` and `peer_value` of the same
//! run. Each figure is the best of several rounds, in which the work and its peer take turns; one core.

mod book;
mod dbn;
mod decode;
mod instruments;
mod kafka;
mod measure;
mod merge;
mod soak;
mod tape;
mod venues;
mod websocket;

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [word, servers, topic] = words.as_slice()
        && word == "kafka"
    {
        return said(kafka::run(servers, topic));
    }
    if words == ["instruments"] {
        return said(instruments::run());
    }
    if let [word, seconds] = words.as_slice()
        && word == "soak"
    {
        return said(seconds.parse().map_err(Into::into).and_then(soak::run));
    }
    if words == ["dbn"] {
        return said(dbn::run());
    }
    let (recordings, captures): (Vec<PathBuf>, Vec<PathBuf>) = std::env::args_os()
        .skip(1)
        .map(PathBuf::from)
        .partition(|path| path.extension() == Some("zst".as_ref()));
    if captures.is_empty() && recordings.is_empty() {
        eprintln!(
            "usage: signal-benches CAPTURE.gz... RECORDING.jsonl.zst...   (raw captures of exchange frames)"
        );
        return ExitCode::from(2);
    }
    said(run(&captures, &recordings))
}

fn said(done: Result<(), Box<dyn std::error::Error>>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(captures: &[PathBuf], recordings: &[PathBuf]) -> Result<(), Box<dyn std::error::Error>> {
    venues::run(recordings)?;
    if captures.is_empty() {
        return Ok(());
    }
    decode::run(captures)?;
    dbn::run()?;
    book::run(captures)?;
    merge::run(captures)?;
    tape::run(captures)?;
    websocket::run()
}
