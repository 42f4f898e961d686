//! What ingest costs: lines to typed rows, captures to books, streams to one, tapes to rows.
//!
//!     cargo run --release -p signal-benches -- CAPTURE.gz...
//!
//! Prints one JSON object a line: `work`, `unit`, `value` and, where there is one, `peer` and `peer_value` of the same
//! run. Each figure is the best of several rounds, in which the work and its peer take turns; one core.

mod book;
mod decode;
mod measure;
mod merge;
mod tape;

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let captures: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if captures.is_empty() {
        eprintln!("usage: signal-benches CAPTURE.gz...   (raw captures of exchange frames, gzip)");
        return ExitCode::from(2);
    }
    match run(&captures) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(captures: &[PathBuf]) -> Result<(), Box<dyn std::error::Error>> {
    decode::run(captures)?;
    book::run(captures)?;
    merge::run(captures)?;
    tape::run(captures)
}
