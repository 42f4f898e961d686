//! Tapes to rows, and rows to tapes.

use std::hint::black_box;
use std::path::{Path, PathBuf};

use signal_event::EventBatch;
use signal_feeds::{FeedError, Reader, ReaderOptions, TapeWriter};

use crate::measure::{Figure, Laps};

const ROUNDS: usize = 15;
const WRITE_ROUNDS: usize = 3;

pub fn run(captures: &[PathBuf]) -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("signal-benches-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let measured = formats(captures, &folder);
    std::fs::remove_dir_all(&folder)?;
    measured
}

fn formats(captures: &[PathBuf], folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let mut reader = Reader::open(captures, &ReaderOptions::default())?;
    let mut batches = Vec::new();
    while let Some(batch) = reader.next()? {
        batches.push(batch);
    }
    let rows: usize = batches.iter().map(EventBatch::len).sum();
    for (name, extension) in [("Parquet", "parquet"), ("Arrow IPC", "arrow")] {
        let path = folder.join("tape").with_extension(extension);
        let (mut writing, mut reading) = (Laps::new(), Laps::new());
        let mut bytes = 0;
        for _ in 0..WRITE_ROUNDS {
            writing.begin();
            bytes = write(&path, &batches, &mut writing)?;
        }
        for _ in 0..ROUNDS {
            reading.begin();
            assert_eq!(read(&path, &mut reading)?, rows, "the tape holds all rows");
        }
        let print = |work: &str, unit: &str, value: f64| {
            Figure {
                work,
                unit,
                value,
                peer: None,
            }
            .print()
        };
        print(
            &format!("rows to {name} tape"),
            "rows/s",
            rows as f64 / writing.seconds(),
        );
        print(
            &format!("{name} tape, size"),
            "bytes/1000 rows",
            bytes as f64 * 1e3 / rows as f64,
        );
        print(
            &format!("{name} tape to rows"),
            "rows/s",
            rows as f64 / reading.seconds(),
        );
    }
    Ok(())
}

fn write(path: &Path, batches: &[EventBatch], laps: &mut Laps) -> Result<u64, FeedError> {
    let mut writer = TapeWriter::create(path)?;
    for batch in batches {
        writer.write(batch)?;
        laps.lap();
    }
    let summary = writer.finish(&[])?;
    laps.lap();
    Ok(summary.bytes)
}

fn read(path: &Path, laps: &mut Laps) -> Result<usize, FeedError> {
    let mut reader = Reader::open(&[path.to_path_buf()], &ReaderOptions::default())?;
    let mut rows = 0;
    while let Some(batch) = reader.next()? {
        rows += black_box(batch).len();
        laps.lap();
    }
    laps.lap();
    Ok(rows)
}
