//! Files on a real disk: round trips, and every kind of damage.

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

#[test]
fn tapes_hold_what_the_capture_held() {
    let folder = Folder::new("round-trip");
    let text = capture("BTCUSDT", 9_001);
    let plain = folder.file("capture", text.as_bytes());
    let gz = folder.file("capture.gz", &gzip(text.as_bytes()));
    let events = read_all(&[&plain]);
    assert_eq!(events.message_count(), 9_001);
    assert_eq!(read_all(&[&gz]), events);
    for name in ["tape.parquet", "tape.arrow"] {
        let tape = folder.path(name);
        let summary = convert(&[&gz], &tape);
        assert_eq!(
            (summary.rows, summary.messages),
            (events.len() as u64, 9_001)
        );
        assert_eq!(summary.bytes, fs::metadata(&tape).unwrap().len());
        let (read, reader) = read(&[&tape]).unwrap();
        assert_eq!(read.as_ref(), Some(&events), "{name}");
        assert_eq!(reader.bytes_read(), reader.bytes_total());
        let record = SourceRecord {
            name: "capture.gz".into(),
            format: "capture.gz".into(),
            inputs: 9_001,
            messages: 9_001,
            rejects: Vec::new(),
        };
        assert_eq!(reader.records(), [record]);
    }
    assert!(!folder.path("tape.parquet.partial").exists());
}

#[test]
fn merged_files_come_in_arrival_order() {
    let folder = Folder::new("merge");
    let a = folder.file("a", capture("AAA", 3_000).as_bytes());
    let b = folder.file("b.gz", &gzip(capture("BBB", 2_000).as_bytes()));
    let merged = read_all(&[&a, &b]);
    assert_eq!(merged.message_count(), 5_000);
    assert!(merged.ts_recv().is_sorted());
    let names: Vec<_> = merged.instruments().iter().map(|i| i.id.as_str()).collect();
    assert_eq!(names, ["AAA.BINANCE", "BBB.BINANCE"]);
    // At equal times the first file goes first.
    let heads: Vec<u32> = merged.messages().take(4).map(|m| m.instrument.0).collect();
    assert_eq!(heads, [0, 1, 0, 1]);
    // The same events from tapes, in whatever format.
    let (tape_a, tape_b) = (folder.path("a.parquet"), folder.path("b.arrow"));
    convert(&[&a], &tape_a);
    convert(&[&b], &tape_b);
    assert_eq!(read_all(&[&tape_a, &tape_b]), merged);
    let both = folder.path("both.parquet");
    convert(&[&a, &b], &both);
    assert_eq!(read_all(&[&both]), merged);
    let twice = convert(&[&tape_a, &tape_a], &folder.path("twice.arrow"));
    assert_eq!(twice.messages, 6_000);
}

#[test]
fn a_tape_of_many_groups_and_small_batches_is_whole() {
    let folder = Folder::new("groups");
    let plain = folder.file("capture", capture("BTCUSDT", 200_000).as_bytes());
    let events = read_all(&[&plain]);
    for name in ["tape.parquet", "tape.arrow"] {
        let tape = folder.path(name);
        let parts: Vec<EventBatch> = events.chunks(997).collect();
        assert_eq!(write(&tape, &parts).rows as usize, events.len());
        let (read, reader) = read(&[&tape]).unwrap();
        assert_eq!(read.unwrap(), events);
        assert_eq!(reader.rejects().count(), 0);
    }
}

#[test]
fn a_truncated_gzip_gives_what_comes_before_the_cut() {
    let folder = Folder::new("truncated");
    let text = capture("BTCUSDT", 2_000);
    let whole = read_all(&[&folder.file("whole", text.as_bytes())]);
    let packed = gzip(text.as_bytes());
    for cut in (600..packed.len()).step_by(1_237) {
        let path = folder.file("cut.gz", &packed[..cut]);
        let (read, reader) = read(&[&path]).unwrap();
        let messages = read.as_ref().map_or(0, EventBatch::message_count);
        assert_eq!(read.unwrap(), whole.slice_messages(0..messages));
        let (_, rejects) = reader.rejects().next().unwrap();
        assert_eq!(
            rejects.counts.get(&RejectCode::Truncated),
            Some(&1),
            "{rejects:?}"
        );
        let record = &reader.records()[0];
        assert_eq!(record.inputs, record.messages + rejects.total());
    }
}

#[test]
fn a_damaged_gzip_never_panics_and_stays_balanced() {
    let folder = Folder::new("gzip-damage");
    let packed = gzip(capture("BTCUSDT", 2_000).as_bytes());
    let mut counted = 0;
    for at in (0..packed.len()).step_by(311) {
        let mut bytes = packed.clone();
        bytes[at] ^= 0x10;
        let path = folder.file("damaged.gz", &bytes);
        if let Ok((_, reader)) = read(&[&path]) {
            let (_, rejects) = reader.rejects().next().unwrap();
            let record = &reader.records()[0];
            assert_eq!(record.inputs, record.messages + rejects.total());
            counted += u64::from(rejects.total() > 0);
        }
    }
    assert!(
        counted > 10,
        "the checksum at its end tells of damage: {counted}"
    );
}

#[test]
fn broken_lines_are_counted_with_their_place() {
    let folder = Folder::new("lines");
    let mut lines: Vec<String> = capture("BTCUSDT", 40).lines().map(String::from).collect();
    lines[9] = lines[9][..60].into();
    lines[15] = lines[15].replace("\"q\":\"0.", "\"q\":\"-0.");
    lines[19] = lines[19].replace("\"q\":\"0.", "\"q\":\"0.1234567891");
    let path = folder.file("capture", (lines.join("\n") + "\n").as_bytes());
    let (read, reader) = read(&[&path]).unwrap();
    assert_eq!(read.unwrap().message_count(), 37);
    let (_, rejects) = reader.rejects().next().unwrap();
    let found: Vec<_> = rejects
        .first
        .iter()
        .map(|r| (r.line, r.reject.code))
        .collect();
    assert_eq!(
        found,
        [
            (10, RejectCode::BadJson),
            (16, RejectCode::Negative),
            (20, RejectCode::Precision)
        ]
    );
    let record = &reader.records()[0];
    assert_eq!(
        (record.inputs, record.messages, record.rejects.len()),
        (40, 37, 3)
    );
}

/// Time that goes backwards, and gaps in ids, are on the tape as they came; the facts name them.
#[test]
fn disorder_is_kept_and_counted() {
    let folder = Folder::new("disorder");
    let mut lines: Vec<String> = capture("BTCUSDT", 40).lines().map(String::from).collect();
    lines.swap(20, 21);
    lines.remove(7);
    lines.remove(7);
    lines.push(lines[33].clone());
    let path = folder.file("capture", (lines.join("\n") + "\n").as_bytes());
    let tape = folder.path("tape.parquet");
    convert(&[&path], &tape);
    let facts = TapeInfo::read(&[path], &ReaderOptions::default()).unwrap();
    let of_tape = TapeInfo::read(&[tape], &ReaderOptions::default()).unwrap();
    assert_eq!(
        (of_tape.streams.clone(), of_tape.messages),
        (facts.streams.clone(), 39)
    );
    let stream = |kind: Kind| facts.streams[&("BTCUSDT.BINANCE".to_string(), kind)].counts;
    assert_eq!(
        (stream(Kind::Trade).gaps, stream(Kind::Trade).missing),
        (1, 1)
    );
    assert_eq!(stream(Kind::BookDiff).gaps, 1);
    // Out of order by time is in order of arrival: taken, and counted.
    let sum = |count: fn(&signal_ingest::Counts) -> u64| -> u64 {
        facts.streams.values().map(|s| count(&s.counts)).sum()
    };
    assert_eq!(sum(|c| c.late), 0);
    assert_eq!(sum(|c| c.clock_steps) + sum(|c| c.duplicate), 2);
    assert!(facts.streams.values().all(|s| s.counts.balances()));
    let json = of_tape.to_json();
    assert_eq!(json["sources"][0]["messages"], 39);
}

#[test]
fn what_is_no_capture_and_no_tape_is_named() {
    let folder = Folder::new("kinds");
    let refuse = |name: &str, bytes: &[u8]| -> String {
        let path = folder.file(name, bytes);
        let error = open(&[&path]).err().unwrap().to_string();
        assert!(error.contains(&path.display().to_string()), "{error}");
        error
    };
    assert!(refuse("empty", b"").contains("is empty"));
    assert!(refuse("empty.gz", &gzip(b"")).contains("is empty"));
    assert!(refuse("notes.txt", b"ts,price\n1,2\n").contains("text that begins \"ts,price"));
    assert!(refuse("notes.gz", &gzip(b"ts,price\n1,2\n")).contains("gzip of text that begins"));
    assert!(refuse("x.zst", &[0x28, 0xb5, 0x2f, 0xfd, 0, 0]).contains("zstd data"));
    assert!(refuse("x.png", b"\x89PNG\r\n\x1a\n\0\0").contains("bytes that begin 89504e47"));
    assert!(refuse("x.gz", &[0x1f, 0x8b, 9, 9, 9, 9]).contains("gzip that cannot be read"));
    assert!(refuse("x.parquet", b"PAR1 and then nothing of it").contains("corrupt at its footer"));
    assert!(
        refuse("x.arrow", b"ARROW1 and then nothing of it")
            .contains("corrupt at its schema or footer")
    );
    let absent = open(&[&folder.path("absent")]).err().unwrap();
    assert!(
        matches!(absent, FeedError::Io { doing: "open", .. }),
        "{absent}"
    );
    assert!(matches!(
        open(&[]),
        Err(FeedError::BadOption {
            option: "paths",
            ..
        })
    ));
    assert!(matches!(
        TapeWriter::create(&folder.path("tape.csv")),
        Err(FeedError::UnknownExtension { .. })
    ));
}

#[test]
fn tables_that_are_no_tapes_are_refused() {
    use arrow_array::{Int64Array, RecordBatch};
    use std::sync::Arc;
    let folder = Folder::new("tables");
    let table =
        RecordBatch::try_from_iter([("x", Arc::new(Int64Array::from(vec![1])) as _)]).unwrap();
    let parquet = folder.path("table.parquet");
    let mut writer = ::parquet::arrow::ArrowWriter::try_new(
        File::create(&parquet).unwrap(),
        table.schema(),
        None,
    )
    .unwrap();
    writer.write(&table).unwrap();
    writer.close().unwrap();
    let arrow = folder.path("table.arrow");
    let mut writer =
        arrow_ipc::writer::FileWriter::try_new(File::create(&arrow).unwrap(), &table.schema())
            .unwrap();
    writer.write(&table).unwrap();
    writer.finish().unwrap();
    for path in [parquet, arrow] {
        let error = open(&[&path]).err().unwrap();
        assert!(
            matches!(
                error,
                FeedError::NotATape {
                    error: EventError::Instruments { .. },
                    ..
                }
            ),
            "{error}"
        );
    }
}

/// A tape cut short, or with any byte changed, is refused or still right; never wrong, never a panic.
#[test]
fn damaged_tapes_are_never_misread() {
    let folder = Folder::new("tape-damage");
    let plain = folder.file("capture", capture("BTCUSDT", 3_000).as_bytes());
    let events = read_all(&[&plain]);
    for name in ["tape.parquet", "tape.arrow"] {
        let tape = folder.path(name);
        convert(&[&plain], &tape);
        let good = fs::read(&tape).unwrap();
        let mut refused = 0;
        for at in (0..good.len()).step_by(good.len() / 400 + 1) {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << (at % 8);
            let damaged = folder.file("damaged", &bytes);
            match read(&[&damaged]) {
                Ok((read, _)) => assert_eq!(read.as_ref(), Some(&events), "{name} byte {at}"),
                Err(_) => refused += 1,
            }
        }
        assert!(refused > 300, "{name}: {refused} of 400 refused");
        for cut in (0..good.len()).step_by(good.len() / 50 + 1) {
            let cut = folder.file("cut", &good[..cut]);
            assert!(read(&[&cut]).is_err());
        }
    }
}

/// Tapes that another program wrote have other batches: messages may straddle them.
#[test]
fn messages_may_straddle_batches() {
    let folder = Folder::new("straddle");
    let events = read_all(&[&folder.file("capture", capture("BTCUSDT", 100).as_bytes())]);
    let table = signal_event::to_record_batch(&events);
    let path = folder.path("foreign.arrows");
    let mut writer =
        arrow_ipc::writer::StreamWriter::try_new(File::create(&path).unwrap(), &table.schema())
            .unwrap();
    for row in 0..table.num_rows() {
        writer.write(&table.slice(row, 1)).unwrap();
    }
    writer.finish().unwrap();
    assert_eq!(read_all(&[&path]), events);
    let mut writer =
        arrow_ipc::writer::StreamWriter::try_new(File::create(&path).unwrap(), &table.schema())
            .unwrap();
    writer.write(&table.slice(0, 2)).unwrap();
    writer.finish().unwrap();
    let error = read(&[&path]).err().unwrap();
    assert!(
        error
            .to_string()
            .contains("the final message is not closed"),
        "{error}"
    );
}

#[test]
fn instruments_may_appear_late() {
    let folder = Folder::new("late-instrument");
    let a = read_all(&[&folder.file("a", capture("AAA", 50).as_bytes())]);
    let b = read_all(&[&folder.file("b", capture("BBB", 50).as_bytes())]);
    for name in ["tape.parquet", "tape.arrow"] {
        let tape = folder.path(name);
        write(&tape, &[a.clone(), b.clone(), a.clone()]);
        let (read, reader) = read(&[&tape]).unwrap();
        let names: Vec<_> = reader.instruments().iter().map(|i| i.id.clone()).collect();
        assert_eq!(names, ["AAA.BINANCE", "BBB.BINANCE"]);
        let indices: Vec<_> = read
            .unwrap()
            .messages()
            .step_by(50)
            .map(|m| m.instrument.0)
            .collect();
        assert_eq!(indices, [0, 1, 0]);
    }
}

#[test]
fn an_unfinished_tape_leaves_nothing_behind() {
    let folder = Folder::new("unfinished");
    let events = read_all(&[&folder.file("a", capture("AAA", 50).as_bytes())]);
    let mut writer = TapeWriter::create(&folder.path("tape.parquet")).unwrap();
    writer.write(&events).unwrap();
    drop(writer);
    let left: Vec<_> = fs::read_dir(&folder.0)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, ["a"]);
    // An empty tape is a tape.
    for name in ["none.parquet", "none.arrow"] {
        let path = folder.path(name);
        write(&path, &[]);
        assert!(read(&[&path]).unwrap().0.is_none());
    }
}

fn live(feed: impl Feed + 'static, options: LiveOptions) -> LiveSource {
    LiveSource::start(Box::new(feed), &options).unwrap()
}

fn options() -> LiveOptions {
    LiveOptions::default()
}

fn files(path: &Path) -> FilesFeed {
    let options = ReaderOptions {
        batch_rows: 1000,
        ..ReaderOptions::default()
    };
    FilesFeed::new(vec![path.to_path_buf()], options)
}

fn follow(path: &Path) -> FollowFeed {
    FollowFeed::new(path.to_path_buf(), ReaderOptions::default())
}

const PATIENCE: Duration = Duration::from_secs(20);

/// Batches until something else comes.
fn drain(source: &LiveSource) -> (Vec<EventBatch>, Next) {
    let mut batches = Vec::new();
    loop {
        match source.next(PATIENCE).unwrap() {
            Next::Batch(batch, _) => batches.push(batch),
            other => return (batches, other),
        }
    }
}

#[test]
fn a_live_file_gives_what_the_reader_gives() {
    let folder = Folder::new("live");
    let path = folder.file("capture", capture("BTCUSDT", 5_000).as_bytes());
    let events = read_all(&[&path]);
    for queue_rows in [1, 7, 100_000] {
        let source = live(
            files(&path),
            LiveOptions {
                queue_rows,
                ..options()
            },
        );
        let (batches, end) = drain(&source);
        assert_eq!((join(&batches).unwrap(), end), (events.clone(), Next::End));
        assert!(
            batches
                .iter()
                .all(|b| b.len() <= queue_rows || b.message_count() == 1)
        );
        assert_eq!(source.counts().records[0].messages, 5_000);
    }
}

/// Every position that a source gives, within batches and at their ends, is continued behind.
#[test]
fn a_source_continues_behind_every_position_that_it_gave() {
    let folder = Folder::new("continue");
    let path = folder.file("capture", capture("BTCUSDT", 3_000).as_bytes());
    let events = read_all(&[&path]);
    let options = LiveOptions {
        queue_rows: 301,
        ..options()
    };
    let source = live(files(&path), options.clone());
    let mut places = vec![(source.begins().clone(), 0)];
    let mut messages = 0;
    while let Next::Batch(batch, position) = source.next(PATIENCE).unwrap() {
        messages += batch.message_count();
        places.push((position, messages));
    }
    assert!(
        places
            .iter()
            .any(|(position, _)| position.as_str().starts_with('+'))
    );
    let end = || EventBatch::empty(events.instruments().clone());
    let from = |position: Position| {
        let options = LiveOptions {
            position: Some(position),
            ..options.clone()
        };
        live(files(&path), options)
    };
    for (position, messages) in places.into_iter().step_by(7) {
        let rest = join(&drain(&from(position.clone())).0).unwrap_or_else(end);
        assert_eq!(rest, events.slice_messages(messages..3_000));
        // And once more, from within what was continued.
        let Next::Batch(batch, position) = from(position).next(PATIENCE).unwrap() else {
            continue;
        };
        let rest = join(&drain(&from(position)).0).unwrap_or_else(end);
        let messages = messages + batch.message_count();
        assert_eq!(rest, events.slice_messages(messages..3_000));
    }
    let position = Some(Position::new(r#"{"offset":3}"#));
    let refused = LiveSource::start(
        Box::new(files(&path)),
        &LiveOptions {
            position,
            ..options
        },
    );
    assert_eq!(refused.err().unwrap().code(), "DAMAGED");
}

#[test]
fn pace_is_kept() {
    let folder = Folder::new("pace");
    // 400 frames, 1 ms apart, at twice the pace: 200 ms.
    let path = folder.file("capture", capture("BTCUSDT", 400).as_bytes());
    let start = Instant::now();
    let source = live(
        files(&path),
        LiveOptions {
            pace: Pace::Times(2.0),
            ..options()
        },
    );
    let (batches, end) = drain(&source);
    assert_eq!(
        (
            batches.iter().map(EventBatch::message_count).sum::<usize>(),
            end
        ),
        (400, Next::End)
    );
    assert!(
        start.elapsed() >= Duration::from_millis(199),
        "{:?}",
        start.elapsed()
    );
    assert!(
        batches.len() > 10,
        "messages come as they are due: {} batches",
        batches.len()
    );
}

#[test]
fn a_full_queue_does_as_it_is_told() {
    let folder = Folder::new("full");
    let path = folder.file("capture", capture("BTCUSDT", 50_000).as_bytes());
    let messages = 50_000;
    let settled = |source: &LiveSource, done: &dyn Fn(&LiveCounts) -> bool| {
        let start = Instant::now();
        while !done(&source.counts()) {
            assert!(start.elapsed() < PATIENCE, "{:?}", source.counts());
            std::thread::yield_now();
        }
    };
    let shed = live(
        files(&path),
        LiveOptions {
            queue_rows: 10_000,
            when_full: WhenFull::ShedOldest,
            ..options()
        },
    );
    settled(&shed, &|c| {
        c.records[0].messages == messages && c.shed_messages > 0
    });
    let (batches, end) = drain(&shed);
    let given: usize = batches.iter().map(EventBatch::message_count).sum();
    let counts = shed.counts();
    assert_eq!(
        (given as u64 + counts.shed_messages, end),
        (messages, Next::End)
    );
    assert_eq!(
        batches.last().unwrap().ts_recv().last(),
        read_all(&[&folder.path("capture")]).ts_recv().last()
    );

    let halted = live(
        files(&path),
        LiveOptions {
            queue_rows: 10_000,
            when_full: WhenFull::Halt,
            ..options()
        },
    );
    settled(&halted, &|c| c.queue_rows > 5_000);
    let (batches, end) = drain(&halted);
    assert!(matches!(end, Next::Halted | Next::End));
    if end == Next::Halted {
        let rows: usize = batches.iter().map(EventBatch::len).sum();
        assert!(rows >= 5_000, "what was queued is given: {rows}");
        assert_eq!(halted.next(Duration::ZERO).unwrap(), Next::Halted);
    }

    let blocked = live(
        files(&path),
        LiveOptions {
            queue_rows: 10_000,
            ..options()
        },
    );
    settled(&blocked, &|c| c.queue_rows > 5_000);
    assert!(blocked.counts().queue_rows <= 10_000);
    let young = blocked.counts().queue_age;
    assert!(blocked.counts().queue_age > young, "what waits grows older");
    blocked.stop();
    let (batches, end) = drain(&blocked);
    assert_eq!(blocked.counts().queue_age, Duration::ZERO);
    let rows: usize = batches.iter().map(EventBatch::len).sum();
    assert!(
        end == Next::End && (5_000..=10_000).contains(&rows),
        "a stop gives what is queued: {rows}"
    );
}

#[test]
fn a_growing_file_is_followed() {
    let folder = Folder::new("follow");
    let text = capture("BTCUSDT", 30);
    let path = folder.file("growing", b"");
    let source = live(follow(&path), options());
    let idle = source.next(Duration::from_millis(30)).unwrap();
    assert_eq!(idle, Next::Idle { watermark: None });
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    // Half a line is not a line.
    let (head, tail) = text.as_bytes().split_at(text.len() / 2);
    let mut messages = 0;
    let mut expect = |wanted: usize| {
        while messages < wanted {
            match source.next(PATIENCE).unwrap() {
                Next::Batch(batch, _) => messages += batch.message_count(),
                other => panic!("{other:?} after {messages} messages"),
            }
        }
        assert_eq!(messages, wanted);
    };
    file.write_all(head).unwrap();
    expect(head.iter().filter(|&&b| b == b'\n').count());
    file.write_all(tail).unwrap();
    expect(30);
    source.stop();
    assert_eq!(source.next(PATIENCE).unwrap(), Next::End);
    assert_eq!(source.counts().records[0].messages, 30);
}

/// Takes messages until there are so many: their times, and the position behind them.
fn take(source: &LiveSource, wanted: usize) -> (Vec<i64>, Position) {
    let mut times = Vec::new();
    let mut messages = 0;
    let mut position = Position::default();
    while messages < wanted {
        match source.next(PATIENCE).unwrap() {
            Next::Batch(batch, behind) => {
                messages += batch.message_count();
                times.extend(batch.ts_recv().iter().copied());
                position = behind;
            }
            other => panic!("{other:?} after {messages} messages"),
        }
    }
    assert_eq!(messages, wanted);
    (times, position)
}

#[test]
fn a_rotated_file_is_read_to_its_end_and_then_the_new_one() {
    let text = capture("BTCUSDT", 90);
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let parts: Vec<String> = lines.chunks(30).map(|lines| lines.concat()).collect();
    for how in ["renamed", "copied and emptied", "removed"] {
        let folder = Folder::new("rotate");
        let path = folder.file("live", parts[0].as_bytes());
        let source = live(follow(&path), options());
        let mut times = take(&source, 30).0;
        match how {
            "renamed" => {
                let old = folder.path("live.1");
                fs::rename(&path, &old).unwrap();
                // The writer has not noticed yet.
                let mut file = OpenOptions::new().append(true).open(&old).unwrap();
                file.write_all(parts[1].as_bytes()).unwrap();
                times.extend(take(&source, 30).0);
                fs::write(&path, &parts[2]).unwrap();
            }
            "removed" => {
                fs::remove_file(&path).unwrap();
                fs::write(&path, [&*parts[1], &*parts[2]].concat()).unwrap();
                times.extend(take(&source, 30 + 30).0);
            }
            _ => {
                // As long as it was, so that only its first bytes are others.
                fs::write(&path, &parts[1]).unwrap();
                times.extend(take(&source, 30).0);
                File::create(&path).unwrap();
                while source.counts().records.len() < 3 {
                    std::thread::yield_now();
                }
                fs::write(&path, &parts[2]).unwrap();
            }
        }
        if how != "removed" {
            times.extend(take(&source, 30).0);
        }
        let whole = folder.file("whole", text.as_bytes());
        let expected = read_all(&[&whole]);
        assert!(times.iter().eq(expected.ts_recv().iter()), "{how}");
        let counts = source.counts();
        let read: u64 = counts.records.iter().map(|record| record.messages).sum();
        assert_eq!(read, 90, "{how}");
    }
}

/// A queue that is full holds the reading up, and the files are rotated twice meanwhile.
#[test]
fn a_source_that_is_behind_finds_what_was_rotated() {
    let text = capture("BTCUSDT", 6_000);
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let parts: Vec<String> = lines.chunks(2_000).map(|lines| lines.concat()).collect();
    for how in ["renamed", "copied"] {
        let folder = Folder::new("behind");
        let path = folder.file("live", parts[0].as_bytes());
        let options = LiveOptions {
            queue_rows: 8,
            ..options()
        };
        let source = live(follow(&path), options);
        while source.counts().queue_rows == 0 {
            std::thread::yield_now();
        }
        for (number, part) in [("live.2", &parts[1]), ("live.1", &parts[2])] {
            if how == "renamed" {
                fs::rename(&path, folder.path(number)).unwrap();
            } else {
                fs::copy(&path, folder.path(number)).unwrap();
            }
            fs::write(&path, part).unwrap();
        }
        let (times, _) = take(&source, 6_000);
        let whole = folder.file("whole", text.as_bytes());
        assert!(
            times.iter().eq(read_all(&[&whole]).ts_recv().iter()),
            "{how}"
        );
    }
}

#[test]
fn a_file_that_was_cut_is_an_error() {
    let folder = Folder::new("cut");
    let text = capture("BTCUSDT", 30);
    let path = folder.file("live", text.as_bytes());
    let source = live(follow(&path), options());
    let (_, position) = take(&source, 30);
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(text.len() as u64 / 2).unwrap();
    let error = source.next(PATIENCE).unwrap_err();
    assert!(matches!(error, FeedError::Cut { .. }), "{error}");
    let again = LiveOptions {
        position: Some(position),
        ..options()
    };
    let error = live(follow(&path), again).next(PATIENCE).unwrap_err();
    assert!(matches!(error, FeedError::Cut { .. }), "{error}");
}

#[test]
fn a_restart_reads_older_files_first() {
    let folder = Folder::new("older");
    let text = capture("BTCUSDT", 60);
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let path = folder.file("live", lines[..30].concat().as_bytes());
    let source = live(follow(&path), options());
    let (mut times, position) = take(&source, 30);
    drop(source);
    assert_eq!(position.number("messages").unwrap(), 30);
    // The process was away while the old file grew and was rotated, twice.
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(lines[30..40].concat().as_bytes()).unwrap();
    fs::rename(&path, folder.path("live.2")).unwrap();
    fs::write(folder.path("live.1"), lines[40..50].concat()).unwrap();
    fs::write(&path, lines[50..].concat()).unwrap();
    let again = LiveOptions {
        position: Some(position),
        ..options()
    };
    let source = live(follow(&path), again);
    let (rest, position) = take(&source, 30);
    times.extend(rest);
    let whole = folder.file("whole", text.as_bytes());
    assert!(times.iter().eq(read_all(&[&whole]).ts_recv().iter()));
    let files = &position.json().unwrap()["files"];
    let begins = files
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["begins_at"].as_u64().unwrap());
    assert_eq!(begins.collect::<Vec<_>>(), [0, 40, 50]);
    let packed = folder.file("x.gz", &gzip(b"1 {}\n"));
    assert!(LiveSource::start(Box::new(follow(&packed)), &options()).is_err());
}

/// A pipe is waited for without being read, so that its thread hears a stop; what was read of it cannot be read again.
#[test]
fn a_pipe_is_read_to_its_end() {
    let text = capture("BTCUSDT", 40);
    let (reader, mut writer) = std::io::pipe().unwrap();
    let pipe = || PipeFeed::new(Path::new("a pipe"), &reader, ReaderOptions::default()).unwrap();
    let source = live(pipe(), options());
    let idle = source.next(Duration::from_millis(30)).unwrap();
    assert_eq!(idle, Next::Idle { watermark: None });
    let (head, tail) = text.as_bytes().split_at(text.len() / 2);
    writer.write_all(head).unwrap();
    let whole = head.iter().filter(|&&b| b == b'\n').count();
    assert_eq!(take(&source, whole).1, Position::default());
    drop(source); // its thread waits for the pipe, and is joined
    let position = Some(Position::new("{}"));
    let refused = LiveSource::start(
        Box::new(pipe()),
        &LiveOptions {
            position,
            ..options()
        },
    );
    assert_eq!(refused.err().unwrap().code(), "DAMAGED");
    let source = live(pipe(), options());
    writer.write_all(&tail[..tail.len() - 1]).unwrap(); // no line feed at the end
    drop(writer);
    let (batches, end) = drain(&source);
    let rest: usize = batches.iter().map(EventBatch::message_count).sum();
    assert_eq!(
        (rest, end),
        (40 - whole - 1, Next::End),
        "the cut line is refused"
    );
    assert_eq!(source.counts().rejects[0].1.total(), 1);
}

/// An error of a file comes after what was read before it.
#[test]
fn a_live_tape_that_is_damaged_ends_in_an_error() {
    let folder = Folder::new("live-damage");
    let events = read_all(&[&folder.file("capture", capture("BTCUSDT", 200_000).as_bytes())]);
    let tape = folder.path("tape.parquet");
    write(&tape, &events.chunks(50_000).collect::<Vec<_>>());
    let mut bytes = fs::read(&tape).unwrap();
    let at = bytes.len() * 3 / 4;
    bytes[at] ^= 1;
    fs::write(&tape, bytes).unwrap();
    let source = live(files(&tape), options());
    let mut messages = 0;
    let error = loop {
        match source.next(PATIENCE) {
            Ok(Next::Batch(batch, _)) => messages += batch.message_count(),
            Ok(other) => panic!("{other:?} after {messages} messages"),
            Err(error) => break error,
        }
    };
    assert!(
        messages > 10_000 && matches!(error, FeedError::Corrupt { .. }),
        "{messages} {error}"
    );
}

/// Marks and status messages are on a tape like any other.
#[test]
fn marks_are_kept() {
    let folder = Folder::new("marks");
    let mut builder = EventBatchBuilder::new();
    for ts in 0..10 {
        builder.push(Header::mark(ts), 0, 0, 0);
    }
    let marks = builder.finish(&Default::default());
    for name in ["marks.parquet", "marks.arrow"] {
        let path = folder.path(name);
        write(&path, std::slice::from_ref(&marks));
        assert_eq!(read_all(&[&path]), marks);
    }
}
