//! Each venue's frames, and what they are known to mean: `tests/data/frames/VENUE.txt`.
//!
//! In these files a line that begins with `{` or `[` is a frame, or after a line `GET url` the answer to that request.
//! Indented lines say what the frame before them becomes, one a message; a frame without any is not used. `#` begins a
//! comment.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod frames;

use std::sync::Arc;

use frames::{Given, Random, given, scrambled, show};
use serde::de::IgnoredAny;
use signal_event::EventBatch;
use signal_ingest::{Capture, Framing, RejectCode, SourceSpec, Venue};

const SECOND: i64 = 1_000_000_000;
const START: i64 = 1_700_000_000 * SECOND;

fn bare(venue: Venue) -> Capture {
    Capture::of(SourceSpec::bare(venue), Arc::default())
}

/// Gives a frame or an answer to a capture of bare frames; whether it was taken.
fn give(capture: &mut Capture, at: usize, given: &Given, text: &[u8]) -> bool {
    let ts_recv = START + at as i64;
    match &given.url {
        Some(url) => capture.answer(ts_recv, url, text).is_ok(),
        None => capture.frame(ts_recv, text).is_ok(),
    }
}

fn identity(capture: &Capture) {
    let accounted = capture.used() + capture.rejects().total();
    assert_eq!(capture.inputs(), accounted);
}

fn faults(capture: &Capture) -> String {
    let first = capture.rejects().first.iter();
    first.map(|line| format!("{line}\n")).collect()
}

/// Messages of all frames of a venue as they stand.
fn expected(venue: Venue) -> EventBatch {
    let mut capture = bare(venue);
    for (at, given) in given(venue).iter().enumerate() {
        give(&mut capture, at, given, given.text.as_bytes());
    }
    capture.take()
}

#[test]
fn frames_mean_what_is_written_beside_them() {
    for &venue in Venue::ALL {
        let mut capture = bare(venue);
        for (at, given) in given(venue).iter().enumerate() {
            let good = give(&mut capture, at, given, given.text.as_bytes());
            assert!(good, "{venue}: {}\n{}", given.text, faults(&capture));
            let found: Vec<String> = capture.take().messages().map(|m| show(&m)).collect();
            assert_eq!(found, given.becomes, "{venue}: {}", given.text);
        }
        identity(&capture);
        assert!(capture.used() >= 3, "{venue}: too few frames");
        for instrument in capture.instruments().iter() {
            assert_eq!(
                Venue::of_instrument(&instrument.id),
                Some(venue),
                "{instrument:?}"
            );
        }
    }
}

/// What messages say, in whatever order a frame names the sides of a book.
fn meaning(batch: &EventBatch) -> Vec<Vec<String>> {
    let rows = |message| {
        let text = show(&message);
        let mut parts: Vec<String> = text.split(" | ").map(String::from).collect();
        parts[1..].sort();
        parts
    };
    batch.messages().map(rows).collect()
}

#[test]
fn keys_may_come_in_any_order_with_whitespace_escapes_and_others() {
    let mut random = Random::new(1);
    for &venue in Venue::ALL {
        let expected = meaning(&expected(venue));
        for _ in 0..50 {
            let mut capture = bare(venue);
            let all = given(venue);
            let scramble = |given: &Given| scrambled(&given.text, &mut random);
            let texts: Vec<String> = all.iter().map(scramble).collect();
            for (at, (given, text)) in all.iter().zip(&texts).enumerate() {
                let good = give(&mut capture, at, given, text.as_bytes());
                assert!(good, "{venue}: {text}\n{}", faults(&capture));
            }
            assert_eq!(meaning(&capture.take()), expected, "{venue}: {texts:#?}");
        }
    }
}

#[test]
fn a_key_that_stands_twice_is_refused_wherever_it_stands() {
    for &venue in Venue::ALL {
        let mut capture = bare(venue);
        for (at, given) in given(venue).iter().enumerate() {
            let text = &given.text;
            // After each brace, the first key of its object once more.
            for (brace, _) in text.match_indices("{\"") {
                let inside = &text[brace + 1..];
                let key_end = inside[1..].find('"').unwrap() + 2;
                let key = &inside[..key_end];
                let twice = format!("{}{key}:0,{inside}", &text[..=brace]);
                let rows = capture.rows();
                let good = give(&mut capture, at, given, twice.as_bytes());
                assert!(!good, "{venue}: {twice}");
                assert_eq!(capture.rows(), rows, "{venue}: {twice}");
            }
        }
        identity(&capture);
        assert_eq!(capture.used(), 0);
    }
}

#[test]
fn damage_never_panics_adds_nothing_and_is_counted() {
    let mut random = Random::new(2);
    let alphabet = b"0123456789.,:\"{}[]-+eE \\tfuTZ\n\x00\xffabpsXm_";
    for &venue in Venue::ALL {
        let mut capture = bare(venue);
        let all = given(venue);
        let mut taken = 0;
        for round in 0..20_000 {
            let given = &all[round % all.len()];
            let mut text = given.text.clone().into_bytes();
            for _ in 0..1 + random.below(2) {
                let place = random.below(text.len());
                match random.below(5) {
                    0 if text.len() > 1 => drop(text.remove(place)),
                    1 => text.insert(place, alphabet[random.below(alphabet.len())]),
                    2 => text.truncate(place.max(1)),
                    3 => {
                        let end = (place + 1 + random.below(30)).min(text.len());
                        let copy = text[place..end].to_vec();
                        text.splice(place..place, copy);
                    }
                    _ => text[place] = alphabet[random.below(alphabet.len())],
                }
            }
            let rows = capture.rows();
            let good = give(&mut capture, round, given, &text);
            let grown = capture.rows() > rows;
            assert!(
                good || !grown,
                "{venue}: {}",
                String::from_utf8_lossy(&text)
            );
            if grown {
                taken += 1;
                let json = serde_json::from_slice::<IgnoredAny>(&text);
                assert!(json.is_ok(), "{venue}: {}", String::from_utf8_lossy(&text));
            }
            if round % 1_000 == 0 {
                assert_eq!(capture.take().check_invariants(), Ok(()));
            }
        }
        identity(&capture);
        assert!(
            taken > 50,
            "{venue}: only {taken} damaged frames were taken"
        );
    }
}

/// The same frames as lines with receive times, or as a recording.
fn framed(venue: Venue, framing: Framing) -> String {
    let line = |(at, given): (usize, &Given)| {
        let ts_recv = START + at as i64;
        let quoted = serde_json::to_string(&given.text).unwrap();
        let ts = format!("{}.{:09}", ts_recv / SECOND, ts_recv % SECOND);
        match (framing, &given.url) {
            (Framing::Lines, None) => format!("{ts_recv} {}\n", given.text),
            (Framing::Lines, Some(_)) => String::new(),
            (_, None) => {
                format!("{{\"t\":\"recv\",\"conn\":\"c\",\"ts\":{ts},\"data\":{quoted}}}\n")
            }
            (_, Some(url)) => format!(
                "{{\"t\":\"http\",\"conn\":\"c\",\"ts\":{ts},\"url\":\"{url}\",\"data\":{quoted}}}\n"
            ),
        }
    };
    given(venue).iter().enumerate().map(line).collect()
}

#[test]
fn frames_are_recognised_and_do_not_depend_on_framing_or_chunks() {
    let mut random = Random::new(3);
    for &venue in Venue::ALL {
        for framing in [Framing::Lines, Framing::Recording] {
            let text = framed(venue, framing);
            let mut whole = Capture::new();
            whole.push(text.as_bytes());
            whole.end();
            let found = whole
                .recognised()
                .unwrap_or_else(|| panic!("{}", venue.name()));
            assert_eq!(
                (found.venue, found.framing),
                (venue, framing),
                "{}",
                found.reason
            );
            identity(&whole);
            let messages = whole.take();
            if framing == Framing::Recording {
                assert_eq!(messages, expected(venue), "{venue}");
            }
            for _ in 0..10 {
                let mut cut = Capture::new();
                let mut rest = text.as_bytes();
                while !rest.is_empty() {
                    let (chunk, behind) = rest.split_at((1 + random.below(400)).min(rest.len()));
                    cut.push(chunk);
                    rest = behind;
                }
                cut.end();
                assert_eq!(cut.rejects(), whole.rejects(), "{venue} {framing:?}");
                assert_eq!(cut.take(), messages, "{venue} {framing:?}");
            }
        }
    }
}

#[test]
fn one_stray_frame_does_not_tell_whose_the_source_is() {
    let line = |venue: Venue| {
        let frames = given(venue);
        let first = frames.iter().find(|given| given.url.is_none()).unwrap();
        format!("{START} {}\n", first.text)
    };
    let mut capture = Capture::new();
    capture.push(line(Venue::Okx).as_bytes());
    assert_eq!(capture.recognised(), None, "one row");
    let binance = line(Venue::Binance);
    (0..30).for_each(|_| capture.push(binance.as_bytes()));
    let found = capture.recognised().unwrap();
    assert_eq!(found.venue, Venue::Binance);
    assert!(
        found.reason.contains("look like binance's"),
        "{}",
        found.reason
    );
    assert_eq!(capture.inputs(), 31);
    assert_eq!(capture.rejects().counts[&RejectCode::UnknownFrame], 1);
    // A source that has ended may have one.
    let mut short = Capture::new();
    short.push(line(Venue::Okx).as_bytes());
    short.end();
    assert_eq!(short.recognised().unwrap().venue, Venue::Okx);
    // Frames of nobody are refused, each for itself, and the source stays open for later ones.
    let mut nobodys = Capture::new();
    let unknown = format!("{START} {{\"x\":1}}\n");
    (0..300).for_each(|_| nobodys.push(unknown.as_bytes()));
    nobodys.end();
    assert_eq!((nobodys.inputs(), nobodys.used()), (300, 0));
    identity(&nobodys);
}

/// Kraken names the pair at the end of a frame, where it is looked for first.
#[test]
fn an_end_that_is_not_the_pairs_lists_no_instrument() {
    let mut capture = bare(Venue::Kraken);
    let levels = r#"{"a":[["0.5","1.0","1945925411.358520"]],"c":"1"}"#;
    let frame = format!(r#"[7,{levels},"book-10","XBT/USD","book-10","ETH/USD"]"#);
    assert!(capture.frame(START, frame.as_bytes()).is_ok());
    let ids: Vec<_> = capture.instruments().iter().map(|i| i.id.clone()).collect();
    assert_eq!(ids, ["XBT/USD.KRAKEN"]);
    assert_eq!(capture.take().message_count(), 1);
}
