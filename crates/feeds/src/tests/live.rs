//! Sources that are read live: files as they grow and rotate, pipes, and where a restart goes on.

use super::*;

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
