//! Files on a real disk: round trips, and every kind of damage.

mod conflated;
mod live;
mod tapes;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use signal_event::{EventBatch, EventBatchBuilder, EventError, Header, Kind};
use signal_ingest::RejectCode;

use crate::*;

/// A folder that is removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("signal-feeds-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A capture of `frames` spot frames of `symbol`: a snapshot, then diffs, quotes and trades, 1 ms apart.
fn capture(symbol: &str, frames: usize) -> String {
    let lower = symbol.to_lowercase();
    let mut text = String::new();
    let (mut update, mut trade) = (100u64, 7u64);
    for frame in 0..frames {
        let ns = 1_700_000_000_000_000_000u64 + frame as u64 * 1_000_000;
        let ms = ns / 1_000_000;
        let price = 100 + (frame * 7) % 13;
        let qty = 1 + (frame * 5) % 11;
        let line = match frame % 4 {
            0 => {
                update += 3;
                format!(
                    r#"{{"stream":"{lower}@depth@100ms","data":{{"e":"depthUpdate","E":{ms},"s":"{symbol}","U":{},"u":{update},"b":[["{price}.10","{qty}.00"],["{price}.05","0.00"]],"a":[["{}.20","0.{qty}"]]}}}}"#,
                    update - 2,
                    price + 1
                )
            }
            1 if frame == 1 => format!(
                r#"{{"lastUpdateId":{update},"bids":[["100.10","1"],["100.00","2"]],"asks":[["101.20","1"]]}}"#
            ),
            1 | 2 => format!(
                r#"{{"stream":"{lower}@bookTicker","data":{{"u":{},"s":"{symbol}","b":"{price}.10","B":"{qty}","a":"{}.20","A":"3"}}}}"#,
                frame + 1,
                price + 1
            ),
            _ => {
                trade += 1;
                format!(
                    r#"{{"stream":"{lower}@trade","data":{{"e":"trade","E":{ms},"s":"{symbol}","t":{trade},"p":"{price}.15","q":"0.{qty}","T":{ms},"m":true,"M":true}}}}"#
                )
            }
        };
        text.push_str(&format!("{ns} {line}\n"));
    }
    text
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn open(paths: &[&PathBuf]) -> Result<Reader, FeedError> {
    let paths: Vec<PathBuf> = paths.iter().map(|path| path.to_path_buf()).collect();
    Reader::open(
        &paths,
        &ReaderOptions {
            batch_rows: 1000,
            ..ReaderOptions::default()
        },
    )
}

fn join(batches: &[EventBatch]) -> Option<EventBatch> {
    let table = batches.last()?.instruments().clone();
    let mut builder = EventBatchBuilder::new();
    batches
        .iter()
        .for_each(|batch| builder.extend(batch, 0..batch.len(), &[]));
    Some(builder.finish(&table))
}

/// Everything in the files, as one batch, and the reader at its end.
fn read(paths: &[&PathBuf]) -> Result<(Option<EventBatch>, Reader), FeedError> {
    let mut reader = open(paths)?;
    let mut batches = Vec::new();
    while let Some(batch) = reader.next()? {
        assert_eq!(batch.check_invariants(), Ok(()));
        batches.push(batch);
    }
    Ok((join(&batches), reader))
}

fn read_all(paths: &[&PathBuf]) -> EventBatch {
    read(paths).unwrap().0.unwrap()
}

fn write(path: &Path, batches: &[EventBatch]) -> TapeSummary {
    let mut writer = TapeWriter::create(path).unwrap();
    batches
        .iter()
        .for_each(|batch| writer.write(batch).unwrap());
    writer.finish(&[]).unwrap()
}

fn convert(from: &[&PathBuf], to: &Path) -> TapeSummary {
    let mut reader = open(from).unwrap();
    let mut writer = TapeWriter::create(to).unwrap();
    while let Some(batch) = reader.next().unwrap() {
        writer.write(&batch).unwrap();
    }
    writer.finish(&reader.records()).unwrap()
}
