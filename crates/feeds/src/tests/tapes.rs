//! Tapes and captures: round trips, merging, and every kind of damage.

use super::*;

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
