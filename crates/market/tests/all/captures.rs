//! The join on real captures: never crossed, never broken, and at the top always as the venue's own best quotes say.
//!
//! The captures are looked for in `$SIGNAL_STREAM_DATA/binance-raw-2024-08-08`, or beside the repository in
//! `../shared/data`. Where they are not, the committed excerpt stands in, unless `SIGNAL_STREAM_REQUIRE_DATA=1`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use signal_event::{BookRule, EventBatch, Kind, Side, TapeFormat};
use signal_ingest::Capture;
use signal_market::{BookCounts, BookState, BookSync, Level, OrderBook};

/// A capture and what is known of it.
struct Known {
    file: &'static str,
    diffs: u64,
    superseded: u64,
    levels_unknown: u64,
}

const EXCERPT: Known = Known {
    file: "spot_btcusdt.gz",
    diffs: 281,
    superseded: 2,
    levels_unknown: 722,
};

const SPOT: Known = Known {
    file: "spot_btcusdt_20240808.gz",
    diffs: 3_451,
    superseded: 2,
    levels_unknown: 11_239,
};

const CAPTURES: [Known; 3] = [
    SPOT,
    Known {
        file: "usdm_btcusdt_20240808.gz",
        diffs: 6_551,
        superseded: 4,
        levels_unknown: 17_747,
    },
    Known {
        file: "cm_btcusd_perp_20240808.gz",
        diffs: 26_847,
        superseded: 23,
        levels_unknown: 40_176,
    },
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn excerpt() -> PathBuf {
    repository()
        .join("tests/data/binance-excerpt")
        .join(EXCERPT.file)
}

/// The folder of the whole captures; `None` if it is not there and need not be.
fn captures() -> Option<PathBuf> {
    let data = std::env::var_os("SIGNAL_STREAM_DATA").map(PathBuf::from);
    let folder = data
        .unwrap_or_else(|| repository().join("../shared/data"))
        .join("binance-raw-2024-08-08");
    if folder.is_dir() {
        return Some(folder);
    }
    let required = std::env::var_os("SIGNAL_STREAM_REQUIRE_DATA").is_some_and(|value| value == "1");
    assert!(
        !required,
        "no captures in {}: set SIGNAL_STREAM_DATA to the folder that holds it",
        folder.display()
    );
    None
}

fn decoded(path: &Path) -> EventBatch {
    let mut capture = Capture::new();
    let mut file = MultiGzDecoder::new(File::open(path).expect("the capture opens"));
    let mut chunk = vec![0; 1 << 16];
    loop {
        match file.read(&mut chunk).expect("the capture unpacks") {
            0 => break,
            count => capture.push(&chunk[..count]),
        }
    }
    capture.end();
    assert_eq!(
        capture.rejects().total(),
        0,
        "lines refused in {}",
        path.display()
    );
    capture.take()
}

/// The best levels as the venue sent them, by id.
fn best_quotes(batch: &EventBatch) -> BTreeMap<u64, [Level; 2]> {
    let quotes = batch
        .messages()
        .filter(|message| message.kind == Kind::Quote);
    let level = |price: &i64, qty: &i64| Level {
        price: *price,
        qty: *qty,
    };
    quotes
        .map(|quote| {
            let (prices, qtys) = (quote.prices(), quote.qtys());
            (
                quote.sequence,
                [level(&prices[0], &qtys[0]), level(&prices[1], &qtys[1])],
            )
        })
        .collect()
}

fn saved(book: &BookSync) -> Vec<u8> {
    let mut bytes = Vec::new();
    book.save(&mut bytes);
    bytes
}

fn check(path: &Path, known: &Known) {
    let batch = decoded(path);
    let quotes = best_quotes(&batch);
    let mut book = BookSync::new();
    let mut restored = BookSync::new();
    let (mut newest, mut compared, mut joined) = (0, 0, false);
    for (nth, message) in batch.messages().enumerate() {
        let change = book.apply(&message);
        restored.apply(&message);
        if nth % 1_000 == 5 {
            restored = BookSync::load(
                &mut saved(&restored).as_slice(),
                BookRule::RANGE,
                [9; 2],
                TapeFormat::NEWEST,
            )
            .unwrap();
        }
        joined |= message.kind == Kind::BookSnapshot;
        let state = if joined {
            BookState::Valid
        } else {
            BookState::Building
        };
        assert_eq!(
            change.state, state,
            "{} message {nth}: {change:?}",
            known.file
        );
        if !matches!(message.kind, Kind::BookDiff | Kind::BookSnapshot) {
            continue;
        }
        newest = newest.max(message.sequence);
        let Some((_, best)) = quotes.range(..=newest).next_back().filter(|_| joined) else {
            continue;
        };
        let top = [book.book().best_bid(), book.book().best_ask()];
        assert_eq!(
            top,
            best.map(Some),
            "{} message {nth}, id {newest}",
            known.file
        );
        compared += 1;
    }
    book.check_invariants();
    assert_eq!(
        saved(&restored),
        saved(&book),
        "{}: with and without snapshots",
        known.file
    );
    let expected = BookCounts {
        input: known.diffs + 1,
        applied: known.diffs + 1 - known.superseded,
        superseded: known.superseded,
        joins: 1,
        levels_unknown: known.levels_unknown,
        ..BookCounts::default()
    };
    assert_eq!(book.counts(), expected, "{}", known.file);
    assert!(
        compared + 30 > known.diffs,
        "{}: only {compared} compared with quotes",
        known.file
    );
}

#[test]
fn the_excerpt_joins() {
    check(&excerpt(), &EXCERPT);
}

#[test]
fn the_captures_join() {
    let Some(folder) = captures() else { return };
    for known in &CAPTURES {
        check(&folder.join(known.file), known);
    }
}

#[test]
fn overwriting_the_book_with_the_late_snapshot_would_cross_it() {
    let Some(folder) = captures() else { return };
    let batch = decoded(&folder.join(SPOT.file));
    let mut book = OrderBook::new();
    let (mut diffs, mut crossed) = (0, 0);
    for message in batch.messages() {
        match message.kind {
            Kind::BookSnapshot => book.clear(),
            Kind::BookDiff => diffs += 1,
            _ => continue,
        }
        for ((side, price), qty) in message
            .sides()
            .iter()
            .zip(message.prices())
            .zip(message.qtys())
        {
            book.apply(Side::from_code(*side).unwrap(), *price, *qty);
        }
        crossed += u64::from(message.kind == Kind::BookDiff && book.is_crossed());
    }
    assert_eq!((diffs, crossed), (SPOT.diffs, 2_573));
}
