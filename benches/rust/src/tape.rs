//! A Parquet tape to rows.

use std::hint::black_box;
use std::path::PathBuf;

use signal_feeds::{Reader, ReaderOptions, TapeWriter};

use crate::measure::{Figure, best_of};

const ROUNDS: usize = 7;

pub fn run(captures: &[PathBuf]) -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("signal-benches-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let measured = formats(captures, &folder);
    std::fs::remove_dir_all(&folder)?;
    measured
}

fn formats(
    captures: &[PathBuf],
    folder: &std::path::Path,
) -> Result<(), Box<dyn std::error::Error>> {
    for extension in ["parquet", "arrow"] {
        let path = folder.join("tape").with_extension(extension);
        let mut reader = Reader::open(captures, &ReaderOptions::default())?;
        let mut batches = Vec::new();
        while let Some(batch) = reader.next()? {
            batches.push(batch);
        }
        let rows: usize = batches.iter().map(|batch| batch.len()).sum();
        let write = || -> Result<u64, signal_feeds::FeedError> {
            let mut writer = TapeWriter::create(&path)?;
            for batch in &batches {
                writer.write(batch)?;
            }
            Ok(writer.finish(&[])?.bytes)
        };
        let bytes = write()?;
        let written = best_of(3, || drop(black_box(write())));
        let per_second = |seconds: f64| rows as f64 / seconds;
        let name = if extension == "parquet" {
            "Parquet"
        } else {
            "Arrow IPC"
        };
        Figure {
            work: &format!("rows to {name} tape"),
            unit: "rows/s",
            value: per_second(written),
            peer: None,
        }
        .print();
        Figure {
            work: &format!("{name} tape, size"),
            unit: "bytes/1000 rows",
            value: bytes as f64 * 1e3 / rows as f64,
            peer: None,
        }
        .print();
        let paths = [path.clone()];
        let read = best_of(ROUNDS, || {
            assert!(
                read(&paths).is_ok_and(|read| read == rows),
                "the tape holds all rows"
            )
        });
        Figure {
            work: &format!("{name} tape to rows"),
            unit: "rows/s",
            value: per_second(read),
            peer: None,
        }
        .print();
    }
    Ok(())
}

fn read(paths: &[PathBuf]) -> Result<usize, signal_feeds::FeedError> {
    let mut reader = Reader::open(paths, &ReaderOptions::default())?;
    let mut rows = 0;
    while let Some(batch) = reader.next()? {
        rows += black_box(batch).len();
    }
    Ok(rows)
}
