//! Hostile bytes for everything that reads bytes from outside: a fixed number of mutations of real inputs, the same each time.
//!
//! What must hold is what the fuzzers ask, too (`fuzz/targets.rs`): they seek inputs for as long as one likes, this keeps what they
//! ask from breaking unseen. `HOSTILE_ROUNDS=1000000` runs it longer.
use std::fs;
use std::path::{Path, PathBuf};

use signal_feeds::{FeedError, Reader, ReaderOptions, TapeWriter};
use signal_ingest::Venue;

#[path = "../../../../fuzz/targets.rs"]
mod targets;

/// Mutations of each input's kind: seconds in all.
const ROUNDS: u64 = 4_000;

fn rounds() -> u64 {
    let asked = std::env::var("HOSTILE_ROUNDS").ok();
    asked.map_or(ROUNDS, |text| {
        text.parse().expect("HOSTILE_ROUNDS is a number")
    })
}

/// Numbers that look random and are the same each time (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

const BYTES: &[u8] = b"\0\x01\x7f\x80\xff\n \"{}[],:.-+eE0129\\u";
const TEXTS: [&[u8]; 8] = [
    b"9223372036854775808",
    b"-0",
    b"1e400",
    b"null",
    b"\"\"",
    b"\\ud800",
    b"0.000000000000000000001",
    b"{}",
];

/// An input of the corpus with some of its bytes changed, removed, doubled, or taken from another.
fn mutated(corpus: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = corpus[chance.below(corpus.len())].clone();
    for _ in 0..=chance.below(4) {
        let at = chance.below(bytes.len());
        let upto = (at + 1 + chance.below(16)).min(bytes.len());
        match chance.below(8) {
            _ if bytes.is_empty() => bytes.push(chance.next() as u8),
            0 => bytes[at] ^= 1 << chance.below(8),
            1 => bytes[at] = BYTES[chance.below(BYTES.len())],
            2 => {
                bytes[at] = bytes[at]
                    .wrapping_add(chance.below(7) as u8)
                    .wrapping_sub(3)
            }
            3 => drop(bytes.drain(at..upto)),
            4 => {
                let piece = bytes[at..upto].to_vec();
                let to = chance.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            5 => {
                let text = TEXTS[chance.below(TEXTS.len())];
                bytes.splice(at..upto, text.iter().copied());
            }
            6 => bytes.truncate(at),
            _ => {
                let other = &corpus[chance.below(corpus.len())];
                let from = chance.below(other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
        }
    }
    bytes
}

fn holds(name: &str, corpus: &[Vec<u8>], target: impl Fn(&[u8])) {
    assert!(!corpus.is_empty(), "no inputs of {name}");
    corpus.iter().for_each(|input| target(input));
    let seed = name.bytes().fold(0, |sum, byte| sum * 31 + u64::from(byte));
    let mut chance = Chance(seed);
    for round in 0..rounds() {
        let input = mutated(corpus, &mut chance);
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| target(&input)));
        if found.is_err() {
            let path = std::env::temp_dir().join(format!("hostile-{name}-{round}"));
            fs::write(&path, &input).unwrap();
            panic!(
                "{name}: round {round} does not hold; its input is {}",
                path.display()
            );
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The frames of each venue, as its file of samples has them.
fn frames() -> Vec<(usize, Vec<Vec<u8>>)> {
    let of = |(number, venue): (usize, &Venue)| {
        let path = root().join(format!("tests/data/frames/{}.txt", venue.name()));
        let text = fs::read(&path).unwrap_or_else(|_| panic!("no {}", path.display()));
        let lines = text
            .split(|&byte| byte == b'\n')
            .filter(|line| line.starts_with(b"{") || line.starts_with(b"["));
        (number, lines.map(<[u8]>::to_vec).collect())
    };
    Venue::ALL.iter().enumerate().map(of).collect()
}

#[test]
fn frames_of_every_venue() {
    let mut corpus = Vec::new();
    for (number, lines) in frames() {
        let with = |text: &[u8]| [&[number as u8], text].concat();
        corpus.extend(lines.iter().map(|line| with(line)));
        corpus.push(with(&lines.join(&b'\n')));
    }
    holds("frames", &corpus, targets::frames);
}

#[test]
fn captures() {
    let mut corpus: Vec<Vec<u8>> = targets::LINES
        .split_inclusive(|&byte| byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    corpus.push(targets::LINES.to_vec());
    for (_, lines) in frames() {
        let timed = |line: &Vec<u8>| [b"1700000000000000000 ", line.as_slice(), b"\n"].concat();
        corpus.extend(lines.iter().map(timed));
        corpus.push(lines.iter().flat_map(timed).collect());
    }
    holds("capture", &corpus, targets::capture);
}

#[test]
fn dbn_files() {
    let folder = fs::read_dir(root().join("tests/data/dbn-samples")).unwrap();
    let mut paths: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "dbn"));
    paths.sort();
    let corpus: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    holds("dbn", &corpus, targets::dbn);
}

#[test]
fn the_sequencer_and_what_it_saves() {
    let mut chance = Chance(7);
    let corpus: Vec<Vec<u8>> = (0..16)
        .map(|_| (0..200).map(|_| chance.next() as u8).collect())
        .collect();
    holds("sequencer", &corpus, targets::sequencer);
    let states: Vec<Vec<u8>> = corpus
        .iter()
        .map(|bytes| targets::sequencer_saved(bytes))
        .collect();
    holds("sequencer_state", &states, targets::sequencer_state);
}

#[test]
fn graphs_and_snapshots() {
    let corpus = vec![include_bytes!("../../../../fuzz/graph.json").to_vec()];
    holds("graph", &corpus, targets::graph);
    let edits: Vec<Vec<u8>> = (0..32_u8)
        .map(|i| vec![i.wrapping_mul(7), i, 0, 1, i.wrapping_mul(3), i / 2, 1, 255])
        .collect();
    holds("snapshot", &edits, targets::snapshot);
}

/// A tape of the events that `capture.txt` holds, in a folder of this test.
fn tape(folder: &Path, name: &str) -> Vec<u8> {
    fs::create_dir_all(folder).unwrap();
    let (lines, path) = (folder.join("lines.txt"), folder.join(name));
    fs::write(&lines, targets::LINES).unwrap();
    let mut reader = Reader::open(&[lines], &ReaderOptions::default()).unwrap();
    let mut writer = TapeWriter::create(&path).unwrap();
    while let Some(batch) = reader.next().unwrap() {
        writer.write(&batch).unwrap();
    }
    writer.finish(&reader.records()).unwrap();
    fs::read(&path).unwrap()
}

#[test]
fn tapes_as_arrow() {
    let folder = std::env::temp_dir().join(format!("hostile-arrow-{}", std::process::id()));
    let file = tape(&folder, "tape.arrow");
    // What stands between the file's frame is a stream.
    let stream = file[8..].to_vec();
    holds("tape", &[stream], targets::tape);
    fs::remove_dir_all(&folder).unwrap();
}

/// Reads to the end, or the error before it.
fn while_there_is(reader: &mut Reader) -> Result<(), FeedError> {
    while reader.next()?.is_some() {}
    Ok(())
}

/// Files of any format: read to their end, or refused; what comes out are whole messages.
#[test]
fn tapes_and_captures_as_files() {
    let folder = std::env::temp_dir().join(format!("hostile-files-{}", std::process::id()));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, targets::LINES).unwrap();
    let corpus = vec![
        tape(&folder, "tape.arrow"),
        tape(&folder, "tape.parquet"),
        gzip.finish().unwrap(),
        zstd::encode_all(targets::LINES, 1).unwrap(),
    ];
    let path = folder.join("hostile");
    // What was found once stays found: inputs over which the readers of Arrow and Parquet panic.
    for found in fs::read_dir(root().join("tests/data/hostile")).unwrap() {
        let opened = Reader::open(&[found.unwrap().path()], &ReaderOptions::default());
        let refused = opened.and_then(|mut reader| while_there_is(&mut reader));
        assert_eq!(refused.unwrap_err().code(), "UNREADABLE");
    }
    holds("files", &corpus, |bytes| {
        fs::write(&path, bytes).unwrap();
        let Ok(mut reader) = Reader::open(std::slice::from_ref(&path), &ReaderOptions::default())
        else {
            return;
        };
        while let Ok(Some(batch)) = reader.next() {
            assert_eq!(batch.check_invariants(), Ok(()));
        }
    });
    fs::remove_dir_all(&folder).unwrap();
}
