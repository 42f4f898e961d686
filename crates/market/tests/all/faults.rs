//! What happens to books when a feed's messages are lost, repeated, exchanged, damaged or stale: real frames of seven venues,
//! a fault in each of many places, and a feed that answers an invalid book with a snapshot some messages later.
//!
//! The figures are those of `docs/reference/books.md`, which is made from `tests/data/books/faults.json`. Where they change,
//! `SIGNAL_STREAM_WRITE=1 cargo test -p signal-market --test all faults` writes them anew; review them as numbers.

#[allow(dead_code)] // other tests use the rest
use std::path::Path;

use crate::frames::{Naive, Recorded, Said, VENUES, batch, mantissas, recorded, rule};
use serde_json::{Value, json};
use signal_event::{BookIds, BookRule, Kind, NO_RULE, NO_SEQUENCE, OrderAction, Side};
use signal_market::{BookState, BookSync, Level};

/// Places of a recording at which a fault is tried.
const PLACES: usize = 40;
/// Messages until a snapshot answers an invalid book.
const ANSWER: usize = 3;
/// Messages before and after a place.
const MARGIN: usize = 6;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Lost,
    Repeated,
    Swapped,
    Damaged,
    StaleSnapshot,
    IdsAnew,
}

impl Fault {
    const ALL: [Fault; 6] = [
        Fault::Lost,
        Fault::Repeated,
        Fault::Swapped,
        Fault::Damaged,
        Fault::StaleSnapshot,
        Fault::IdsAnew,
    ];

    fn name(self) -> &'static str {
        match self {
            Fault::Lost => "a message is lost",
            Fault::Repeated => "a message comes twice",
            Fault::Swapped => "two messages change places",
            Fault::Damaged => "a quantity is damaged",
            Fault::StaleSnapshot => "reconnect, then a stale snapshot",
            Fault::IdsAnew => "reconnect, ids begin anew",
        }
    }

    /// Whether a venue with this rule can have the fault, and its messages can show it.
    fn concerns(self, venue: &str, rule: BookRule) -> bool {
        match self {
            Fault::Damaged => rule.checksum.is_some(),
            // Snapshots among the diffs are never stale, and those of Independent Reserve have no number.
            Fault::StaleSnapshot => {
                matches!(rule.ids, BookIds::Range | BookIds::Linked)
                    && venue != "INDEPENDENT_RESERVE"
            }
            Fault::IdsAnew => rule.ids == BookIds::SnapshotResets,
            _ => true,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    runs: u64,
    /// Runs in which the book became invalid.
    noticed: u64,
    /// Most messages from the first that could show the fault to the one that made the book invalid.
    events_to_invalid: usize,
    /// Times that a book could be read whose ten best levels were not the venue's.
    wrong_reads: u64,
    /// Runs at whose end the whole book is the venue's.
    right: u64,
    /// Runs at whose end the book can be read, and levels beyond its best ten are not the venue's.
    unseen: u64,
}

fn top(book: &BookSync, side: Side, most: usize) -> Vec<(i64, i64)> {
    let mut levels = vec![Level::default(); most.min(book.book().depth(side))];
    let count = book.top(side, &mut levels);
    let levels = levels[..count].iter();
    levels.map(|level| (level.price, level.qty)).collect()
}

/// Whether so many of the best levels are the venue's.
fn is_right(book: &BookSync, truth: &Naive, most: usize) -> bool {
    [Side::Bid, Side::Ask]
        .into_iter()
        .all(|side| top(book, side, most) == truth.levels(side, most))
}

/// The message with the quantity of one of its levels changed: that nearest to the best.
fn damaged(said: &Said, scales: [u8; 2]) -> Said {
    let mut said = said.clone();
    let nearest = said.rows.iter_mut().max_by_key(|told| {
        let (side, price, _) = mantissas(told, scales);
        if side == Side::Bid { price } else { -price }
    });
    let told = nearest.expect("a level");
    told.qty = format!("7{}", told.qty);
    said
}

/// The messages from `place` on as they arrive, each with how many of the venue's have happened by then; and from which of
/// them on the fault can be seen.
fn arrivals(
    book: &Recorded,
    place: usize,
    fault: Fault,
    truth: &Naive,
    venue: BookRule,
) -> (Vec<(Said, usize)>, usize) {
    let messages = &book.messages;
    let rest = |from: usize| {
        let each = messages.iter().enumerate().skip(from);
        each.map(|(at, said)| (said.clone(), at + 1))
    };
    let one = |at: usize, happened: usize| (messages[at].clone(), happened);
    let lost = (Said::disconnected(), place + 1);
    match fault {
        Fault::Lost => (rest(place + 1).collect(), 0),
        Fault::Repeated => {
            let first = [one(place, place + 1), one(place, place + 1)];
            (first.into_iter().chain(rest(place + 1)).collect(), 1)
        }
        Fault::Swapped => {
            let first = [one(place + 1, place + 2), one(place, place + 2)];
            (first.into_iter().chain(rest(place + 2)).collect(), 0)
        }
        Fault::Damaged => {
            let first = [(damaged(&messages[place], book.scales), place + 1)];
            (first.into_iter().chain(rest(place + 1)).collect(), 0)
        }
        Fault::StaleSnapshot => {
            // Of before `place`, though two messages have come since the connection is up again.
            let stale = truth.snapshot(venue);
            let stale = Said {
                checksum: None,
                ..stale
            };
            let first = [
                one(place, place + 1),
                lost,
                one(place + 1, place + 2),
                one(place + 2, place + 3),
                (stale, place + 3),
            ];
            (first.into_iter().chain(rest(place + 3)).collect(), 4)
        }
        Fault::IdsAnew => {
            let mut now = truth.clone();
            now.apply(&messages[place]);
            let base = messages[place].sequence - 1;
            let anew = |said: Said| Said {
                sequence: said.sequence - base,
                sequence_prev: match said.sequence_prev {
                    NO_RULE => NO_RULE,
                    id => id - base,
                },
                ..said
            };
            let first = [
                one(place, place + 1),
                lost,
                (anew(now.snapshot(venue)), place + 1),
            ];
            let rest = rest(place + 1).map(|(said, happened)| (anew(said), happened));
            (first.into_iter().chain(rest).collect(), 2)
        }
    }
}

/// A book of the code under test, and the venue's, after the same messages.
#[derive(Clone)]
struct Pair {
    sync: BookSync,
    truth: Naive,
}

impl Pair {
    fn feed(&mut self, said: &Said) {
        let batch = batch(said, self.truth.scales);
        self.sync
            .apply(&batch.messages().next().expect("a message"));
    }

    fn is_valid(&self) -> bool {
        self.sync.state() == BookState::Valid
    }

    fn is_wrong(&self) -> bool {
        self.is_valid() && !is_right(&self.sync, &self.truth, 10)
    }
}

/// Messages after a place that are fed.
const LENGTH: usize = 60;

fn run(mut pair: Pair, book: &Recorded, place: usize, fault: Fault, figures: &mut Figures) {
    let rule = pair.sync.rule();
    let (arrived, visible) = arrivals(book, place, fault, &pair.truth, rule);
    let (mut happened, mut answer, mut noticed) = (place, None, None);
    for (at, (said, now)) in arrived.iter().enumerate().take(LENGTH) {
        while happened < *now {
            pair.truth.apply(&book.messages[happened]);
            happened += 1;
        }
        pair.feed(said);
        figures.wrong_reads += u64::from(pair.is_wrong());
        if pair.is_valid() {
            answer = None;
            continue;
        }
        if at >= visible && noticed.is_none() {
            noticed = Some(at + 1 - visible);
        }
        if *answer.get_or_insert(at + ANSWER) == at {
            let snapshot = pair.truth.snapshot(rule);
            // Independent Reserve answers without an id.
            let sequence = match snapshot.kind {
                Kind::Order => NO_SEQUENCE,
                _ => snapshot.sequence,
            };
            pair.feed(&Said {
                sequence,
                ..snapshot
            });
            figures.wrong_reads += u64::from(pair.is_wrong());
            answer = None;
        }
    }
    pair.sync.check_invariants();
    figures.runs += 1;
    figures.noticed += u64::from(noticed.is_some());
    figures.events_to_invalid = figures.events_to_invalid.max(noticed.unwrap_or(0));
    let right = pair.is_valid() && is_right(&pair.sync, &pair.truth, usize::MAX);
    figures.right += u64::from(right);
    figures.unseen += u64::from(pair.is_valid() && !right);
}

/// Places at which a fault is tried: spread over the messages of all books.
fn places(books: &[Recorded]) -> Vec<Vec<usize>> {
    let of_book = |book: &Recorded| -> Vec<usize> {
        let joined = book.messages.iter().position(Said::is_snapshot);
        let from = joined.map_or(usize::MAX, |at| at.saturating_add(MARGIN));
        let until = book.messages.len().saturating_sub(3 * MARGIN);
        let held = joined.map_or(NO_SEQUENCE, |at| book.messages[at].sequence);
        let says_something = |at: &usize| {
            let said = &book.messages[*at];
            let cancel = Some(OrderAction::Cancel);
            let mut rows = said.rows.iter();
            (said.sequence == NO_SEQUENCE || said.sequence > held)
                && rows.any(|told| told.price != "0" || told.action == cancel)
        };
        (from..until).filter(says_something).collect()
    };
    let all: Vec<Vec<usize>> = books.iter().map(of_book).collect();
    let step = all
        .iter()
        .map(Vec::len)
        .sum::<usize>()
        .div_ceil(PLACES)
        .max(1);
    let spread = |places: Vec<usize>| places.into_iter().step_by(step).collect();
    all.into_iter().map(spread).collect()
}

/// A line of the table for each fault of a venue.
fn lines(venue: &str, books: &[Recorded]) -> Vec<Value> {
    let rule = rule(venue);
    let faults = Fault::ALL.into_iter();
    let faults: Vec<Fault> = faults.filter(|fault| fault.concerns(venue, rule)).collect();
    let mut figures = vec![Figures::default(); faults.len()];
    for (book, places) in books.iter().zip(places(books)) {
        let mut before = Pair {
            sync: BookSync::with_rule(rule, book.scales),
            truth: Naive::of(book.scales),
        };
        let mut fed = 0;
        for place in places {
            for said in &book.messages[fed..place] {
                before.truth.apply(said);
                before.feed(said);
            }
            fed = place;
            for (fault, figures) in faults.iter().zip(&mut figures) {
                run(before.clone(), book, place, *fault, figures);
            }
        }
    }
    let lines = faults.iter().zip(figures);
    lines
        .map(|(fault, figures)| line(venue, *fault, figures))
        .collect()
}

fn line(venue: &str, fault: Fault, figures: Figures) -> Value {
    let what = format!("{venue}, {}: {figures:?}", fault.name());
    println!("{what}");
    assert!(figures.runs > 0, "{what}");
    assert_eq!(figures.wrong_reads, 0, "{what}");
    if rule(venue).ids != BookIds::Unnumbered {
        assert_eq!((figures.right, figures.unseen), (figures.runs, 0), "{what}");
        assert!(figures.events_to_invalid <= 1, "{what}");
        let noticed = match fault {
            Fault::Repeated | Fault::IdsAnew => 0,
            _ => figures.runs,
        };
        assert_eq!(figures.noticed, noticed, "{what}");
    }
    json!({
        "venue": venue, "fault": fault.name(), "runs": figures.runs, "noticed": figures.noticed,
        "events_to_invalid_max": figures.events_to_invalid, "wrong_reads": figures.wrong_reads,
        "right": figures.right, "unseen": figures.unseen,
    })
}

#[test]
fn a_fault_makes_the_book_invalid_and_a_snapshot_makes_it_the_venues_again() {
    let mut found = Vec::new();
    for venue in VENUES {
        let Some(books) = recorded(venue) else { return };
        found.extend(lines(venue, &books));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/books/faults.json");
    let lines = found.iter().map(|line| format!(" {line}"));
    let written = format!("[\n{}\n]\n", lines.collect::<Vec<_>>().join(",\n"));
    if std::env::var_os("SIGNAL_STREAM_WRITE").is_some() {
        std::fs::write(&path, &written).expect("the table is written");
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(known, written, "the table in {} is another", path.display());
}
