//! The scanner against the parser, on made lines, on real captures where they are at hand, and on damaged lines.
//!
//! Real captures are the excerpt under `tests/data`, and the whole ones where they are at hand: under the folder that
//! `SIGNAL_STREAM_DATA` names, else in `../shared/data` beside the repository.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use signal_event::{EventBatch, Kind, NO_RULE, NO_TIME};

use super::{Decoder, parse, scan};
use crate::{Admit, Capture, Decode, Events, Framing, RejectCode, Sequencer, SourceSpec, Venue};

const LINES: &str = r#"1723161254000000001 {"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":189,"u":202,"b":[["61737.63000000","0.00000000"],["61730.17000000","1.50000000"]],"a":[["61837.64000000","1.54698000"]]}}
1723161254000000002 {"stream":"btcusdt@bookTicker","data":{"u":212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000","a":"61837.64000000","A":"1.54698000"}}
1723161254000000003 {"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}
1723161254000000004 {"lastUpdateId":218,"bids":[["61837.63000000","3.78826000"],["61837.62000000","0.61700000"]],"asks":[]}
1723161254000000005 {"stream":"btcusdt@depth@0ms","data":{"e":"depthUpdate","E":1723161256299,"T":1723161256298,"s":"BTCUSDT","U":5123107832006,"u":5123107837557,"pu":5123107831937,"b":[],"a":[["58710.20","0.014"]]}}
1723161254000000006 {"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":5123107839020,"s":"BTCUSDT","b":"61800.20","B":"2.507","a":"61800.30","A":"2.510","T":1723161256313,"E":1723161256314}}
1723161254000000007 {"stream":"btcusdt@trade","data":{"e":"trade","E":1723161256322,"T":1723161256321,"s":"BTCUSDT","t":5266583935,"p":"61800.30","q":"0.006","X":"MARKET","m":false}}
1723161254000000008 {"lastUpdateId":5123107852948,"E":1723161256501,"T":1723161256493,"bids":[["61800.20","2.909"]],"asks":[["61800.30","1"]]}
1723161254000000009 {"stream":"btcusd_perp@depth@0ms","data":{"e":"depthUpdate","E":1723161257440,"T":1723161257432,"s":"BTCUSD_PERP","ps":"BTCUSD","U":1007198631260,"u":1007198631565,"pu":1007198631198,"b":[["61773.6","1001"]],"a":[]}}
1723161254000000010 {"stream":"btcusd_perp@bookTicker","data":{"u":1007198632021,"e":"bookTicker","s":"BTCUSD_PERP","ps":"BTCUSD","b":"61804.7","B":"35","a":"61804.8","A":"1645","T":1723161257465,"E":1723161257476}}
1723161254000000011 {"stream":"btcusd_perp@trade","data":{"e":"trade","E":1723161257687,"T":1723161257679,"s":"BTCUSD_PERP","t":849714402,"p":"61804.8","q":"4","X":"MARKET","m":false}}
1723161254000000012 {"lastUpdateId":1007198635033,"E":1723161257835,"T":1723161257823,"symbol":"BTCUSD_PERP","pair":"BTCUSD","bids":[["61804.7","35"]],"asks":[["61804.8","8"]]}
"#;

fn real_captures() -> Vec<(String, Vec<u8>)> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let data = std::env::var_os("SIGNAL_STREAM_DATA")
        .map_or_else(|| root.join("../shared/data"), PathBuf::from);
    let excerpt = root.join("tests/data/binance-excerpt");
    let folders = [excerpt, data.join("binance-raw-2024-08-08")];
    let entries = folders
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension() == Some("gz".as_ref()))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "the excerpt is part of the repository");
    let read = |path: &PathBuf| {
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap())
            .read_to_end(&mut text)
            .unwrap();
        (
            path.file_name().unwrap().to_string_lossy().into_owned(),
            text,
        )
    };
    paths.iter().map(read).collect()
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&b| b == b'\n').filter(|line| !line.is_empty())
}

fn frame_of(line: &[u8]) -> &[u8] {
    let space = line.iter().position(|&b| b == b' ').unwrap();
    &line[space + 1..]
}

/// A decoder, and what it has added to.
#[derive(Clone)]
struct State {
    decoder: Decoder,
    events: Events,
}

/// A frame's message by the fast way alone.
fn scanned(state: &State, frame: &[u8]) -> Option<EventBatch> {
    let State {
        mut decoder,
        mut events,
    } = state.clone();
    let (header, rest) = scan::frame(&mut decoder.shapes, 0, frame, &mut events)?;
    if !rest.is_empty() {
        return None;
    }
    events.close(header);
    Some(events.take())
}

/// A frame's message by key alone.
fn parsed(state: &State, frame: &[u8]) -> Option<EventBatch> {
    let mut events = state.events.clone();
    let outcome = parse::frame(0, frame, &mut events).ok()?;
    events.keep().unwrap();
    (outcome.messages > 0).then(|| events.take())
}

/// A decoder that has read these lines.
fn decoder_of(text: &[u8]) -> State {
    let mut decoder = Decoder::default();
    let mut events = Events::new(Arc::default(), (9, 9));
    for line in lines(text) {
        decoder.frame(0, frame_of(line), &mut events).unwrap();
        events.keep().unwrap();
    }
    events.take();
    State { decoder, events }
}

/// A capture that is stated to be lines of Binance.
fn capture() -> Capture {
    let spec = SourceSpec {
        framing: Some(Framing::Lines),
        venue: Some(Venue::Binance),
        unit: None,
    };
    Capture::of(spec, Arc::default())
}

#[test]
fn every_layout_is_scanned_and_means_what_the_parser_says() {
    let decoder = decoder_of(LINES.as_bytes());
    let names: Vec<_> = decoder
        .events
        .instruments()
        .iter()
        .map(|i| i.id.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "BTCUSDT.BINANCE",
            "BTCUSDT-PERP.BINANCE",
            "BTCUSD-PERP.BINANCE"
        ]
    );
    for line in lines(LINES.as_bytes()) {
        let frame = frame_of(line);
        assert!(
            scanned(&decoder, frame).is_some(),
            "not scanned: {}",
            String::from_utf8_lossy(line)
        );
        assert_eq!(
            scanned(&decoder, frame),
            parsed(&decoder, frame),
            "{}",
            String::from_utf8_lossy(line)
        );
    }
}

#[test]
fn values_are_the_frames_own() {
    let mut capture = capture();
    capture.push(LINES.as_bytes());
    let batch = capture.take();
    assert_eq!(
        (capture.inputs(), capture.used(), capture.rejects().total()),
        (12, 12, 0)
    );
    let messages: Vec<_> = batch.messages().collect();
    let diff = &messages[0];
    assert_eq!(
        (diff.kind, diff.sequence, diff.sequence_prev),
        (Kind::BookDiff, 202, 188)
    );
    assert_eq!(
        (diff.ts_recv, diff.ts_event),
        (1723161254000000001, 1723161255208000000)
    );
    assert_eq!(
        diff.prices(),
        [61737630000000, 61730170000000, 61837640000000]
    );
    assert_eq!(
        (diff.qtys(), diff.sides()),
        (&[0, 1500000000, 1546980000][..], &[1, 1, 2][..])
    );
    let quote = &messages[1];
    assert_eq!(
        (
            quote.kind,
            quote.ts_event,
            quote.sequence_prev,
            quote.rows.len()
        ),
        (Kind::Quote, NO_TIME, NO_RULE, 2)
    );
    let sold = &messages[2];
    assert_eq!(
        (sold.ts_event, sold.sides(), sold.sequence_prev),
        (1723161255342000000, &[2][..], 3735683258)
    );
    assert_eq!(
        (messages[4].sequence_prev, messages[4].ts_event),
        (5123107831937, 1723161256298000000)
    );
    assert_eq!(
        (messages[6].sides(), messages[6].qtys()),
        (&[1][..], &[6000000][..])
    );
    assert_eq!(
        (
            messages[11].kind,
            messages[11].instrument.0,
            messages[11].rows.len()
        ),
        (Kind::BookSnapshot, 2, 2)
    );
}

#[test]
fn other_layouts_of_the_same_frames_are_read() {
    let decoder = decoder_of(LINES.as_bytes());
    let plain = frame_of(lines(LINES.as_bytes()).nth(2).unwrap());
    let expected = scanned(&decoder, plain).unwrap();
    for same in [
        r#" { "stream" : "x", "data" : {"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true } } "#,
        r#"{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}"#,
        r#"{"data":{"M":false,"m":true,"T":1723161255342,"q":"0.02","p":"61837.63","t":3735683259,"s":"BTC\u0055SDT","E":1,"e":"trade","new":[{}]},"stream":"y"}"#,
    ] {
        assert_eq!(scanned(&decoder, same.as_bytes()), None);
        assert_eq!(
            parsed(&decoder, same.as_bytes()),
            Some(expected.clone()),
            "{same}"
        );
    }
}

#[test]
fn refusals_have_their_codes() {
    let trade = |p: &str, q: &str| {
        format!(
            r#"5 {{"stream":"s","data":{{"e":"trade","E":1,"s":"AB","t":9,"p":"{p}","q":"{q}","T":1,"m":true,"M":true}}}}"#
        )
    };
    let cases: Vec<(String, RejectCode)> = vec![
        ("".into(), RejectCode::BadTimestamp),
        ("hello".into(), RejectCode::BadTimestamp),
        ("99999999999999999999 {}".into(), RejectCode::BadTimestamp),
        ("-5 {}".into(), RejectCode::BadTimestamp),
        (r#"5 {"e":"trade","#.into(), RejectCode::BadJson),
        (r#"5 {"e":"trade"} x"#.into(), RejectCode::BadJson),
        (
            r#"5 {"e":"trade","e":"trade"}"#.into(),
            RejectCode::DuplicateKey,
        ),
        (
            trade("1", "2").replace(r#""p":"1""#, r#""p":"1","p":"1""#),
            RejectCode::DuplicateKey,
        ),
        (r#"5 {"e":"forceOrder"}"#.into(), RejectCode::UnusedFrame),
        (
            r#"5 {"result":null,"id":1}"#.into(),
            RejectCode::UnusedFrame,
        ),
        (r#"5 {"e":"trades"}"#.into(), RejectCode::UnknownFrame),
        ("5 [1]".into(), RejectCode::UnknownFrame),
        (
            trade("1", "2").replace(r#""T":1,"#, ""),
            RejectCode::MissingKey,
        ),
        (
            trade("1", "2").replace(r#""p":"1""#, r#""p":1.0"#),
            RejectCode::BadValue,
        ),
        (
            trade("1", "2").replace(r#""t":9"#, r#""t":-9"#),
            RejectCode::BadValue,
        ),
        (
            trade("1", "2").replace(r#""t":9"#, r#""t":0"#),
            RejectCode::BadValue,
        ),
        (
            trade("1", "2").replace(r#""s":"AB""#, r#""s":"""#),
            RejectCode::BadValue,
        ),
        (
            trade("1", "2").replace(r#""T":1,"#, r#""T":9999999999999999,"#),
            RejectCode::Overflow,
        ),
        (trade("1e3", "2"), RejectCode::BadValue),
        (trade("1", "0.0000000001"), RejectCode::Precision),
        (trade("1", "-2"), RejectCode::Negative),
        (trade("-1", "2"), RejectCode::Negative),
        (trade("10000000000", "2"), RejectCode::Overflow),
        (
            r#"5 {"lastUpdateId":1,"bids":[],"asks":[]}"#.into(),
            RejectCode::UnknownInstrument,
        ),
    ];
    let refusal = |capture: &Capture| {
        let counts = &capture.rejects().counts;
        counts.keys().copied().collect::<Vec<_>>()
    };
    let push = |capture: &mut Capture, line: &str| capture.push(format!("{line}\n").as_bytes());
    for (line, code) in cases {
        let mut capture = capture();
        push(&mut capture, &line);
        assert_eq!(
            refusal(&capture),
            [code],
            "{line}: {:?}",
            capture.rejects().first
        );
        assert!(capture.take().is_empty());
        assert!(
            capture.instruments().is_empty(),
            "a refused line lists no instrument: {line}"
        );
    }
    // The symbol of a refused line is forgotten with it, also when the next line takes the general way.
    let mut one = capture();
    let known = trade("1", "2");
    push(&mut one, &known);
    push(&mut one, &trade("1", "-2").replace("AB", "EF"));
    assert_eq!(refusal(&one), [RejectCode::Negative]);
    push(&mut one, &known.replace("{\"e\"", "{ \"e\""));
    assert_eq!((one.instruments().len(), one.used()), (1, 2));
    let mut two = capture();
    for symbol in ["AB", "CD"] {
        push(&mut two, &trade("1", "2").replace("AB", symbol));
    }
    push(&mut two, r#"5 {"lastUpdateId":1,"bids":[],"asks":[]}"#);
    assert_eq!(refusal(&two), [RejectCode::UnknownInstrument]);
}

#[test]
fn a_capture_does_not_depend_on_its_chunks() {
    let mut text = LINES.as_bytes().to_vec();
    text.extend_from_slice(b"broken\n7 {}\n");
    text.extend_from_slice(LINES.as_bytes());
    text.extend_from_slice(b"8 {\"lastUp");
    let run = |size: usize| {
        let mut capture = capture();
        text.chunks(size).for_each(|chunk| capture.push(chunk));
        capture.end();
        assert_eq!(capture.inputs(), capture.used() + capture.rejects().total());
        (capture.take(), capture.rejects().clone())
    };
    let (whole, rejects) = run(text.len());
    assert_eq!(whole.message_count(), 24);
    let found: Vec<_> = rejects
        .first
        .iter()
        .map(|r| (r.line, r.reject.code))
        .collect();
    assert_eq!(
        found,
        [
            (13, RejectCode::BadTimestamp),
            (14, RejectCode::UnknownFrame),
            (27, RejectCode::Truncated)
        ]
    );
    for size in [1, 2, 7, 100, 1000] {
        assert_eq!(run(size), (whole.clone(), rejects.clone()));
    }
}

#[test]
fn a_line_without_end_is_bounded() {
    let mut capture = capture();
    let chunk = vec![b'x'; 1 << 20];
    (0..40).for_each(|_| capture.push(&chunk));
    capture.push(b"\n");
    capture.push(LINES.as_bytes());
    assert_eq!(
        (
            capture.rejects().counts[&RejectCode::LineTooLong],
            capture.used(),
            capture.inputs()
        ),
        (1, 12, 13)
    );
}

/// All lines of the real captures; ids continuous by the venue's rules.
#[test]
fn real_captures_are_scanned_as_the_parser_reads_them() {
    for (name, text) in real_captures() {
        let mut capture = capture();
        capture.push(&text);
        let batch = capture.take();
        assert_eq!(
            capture.rejects().total(),
            0,
            "{name}: {:?}",
            capture.rejects().first
        );
        let decoder = decoder_of(&text);
        let mut unscanned = 0;
        for line in lines(&text) {
            let scanned = scanned(&decoder, frame_of(line));
            unscanned += u32::from(scanned.is_none());
            let parsed = parsed(&decoder, frame_of(line));
            assert!(
                parsed.is_some() && (scanned.is_none() || scanned == parsed),
                "{}",
                String::from_utf8_lossy(line)
            );
        }
        assert_eq!(unscanned, 0, "{name}");
        let mut sequencer = Sequencer::default();
        for message in batch.messages() {
            assert_eq!(
                sequencer.admit(&message).admit,
                Admit::Accept,
                "{name}: {:?}",
                message.header()
            );
        }
        assert_eq!(sequencer.total().input, capture.inputs());
        let mut last_diff = None;
        for diff in batch.messages().filter(|m| m.kind == Kind::BookDiff) {
            assert!(
                last_diff.is_none_or(|last| last == diff.sequence_prev),
                "{name}: {:?}",
                diff.header()
            );
            last_diff = Some(diff.sequence);
        }
    }
}

/// What the scanner accepts of a damaged line, the parser accepts with the same values.
#[test]
fn damaged_lines_are_never_misread() {
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    let alphabet = b"0123456789.,:\"{}[]-+eE \\tfuT\n\x00\xffabpsXm_";
    let mut texts = vec![LINES.as_bytes().to_vec()];
    texts.extend(real_captures().into_iter().map(|(_, text)| text));
    let (mut accepted, mut damaged) = (0, 0);
    for (at, text) in texts.iter().enumerate() {
        let decoder = decoder_of(text);
        let stride = if at == 0 { 1 } else { 97 };
        for line in lines(text).step_by(stride).filter(|line| line.len() < 2000) {
            for _ in 0..if at == 0 { 3000 } else { 40 } {
                let mut frame = frame_of(line).to_vec();
                for _ in 0..1 + random(2) {
                    let place = random(frame.len());
                    match random(5) {
                        0 => drop(frame.remove(place)),
                        1 => frame.insert(place, alphabet[random(alphabet.len())]),
                        2 => frame.truncate(place.max(1)),
                        3 => {
                            let end = (place + 1 + random(30)).min(frame.len());
                            let copy = frame[place..end].to_vec();
                            frame.splice(place..place, copy);
                        }
                        _ => frame[place] = alphabet[random(alphabet.len())],
                    }
                }
                damaged += 1;
                let Some(scanned) = scanned(&decoder, &frame) else {
                    continue;
                };
                accepted += 1;
                assert_eq!(
                    Some(scanned),
                    parsed(&decoder, &frame),
                    "{}",
                    String::from_utf8_lossy(&frame)
                );
            }
        }
    }
    assert!(
        damaged >= 36_000 && accepted > damaged / 50,
        "{accepted} of {damaged} were scanned"
    );
}

fn futures_trade(second: u64, id: u64, kind: &str, qty: &str) -> String {
    let ms = 1_700_000_040_000 + 1_000 * second;
    format!(
        r#"{{"stream":"x@trade","data":{{"e":"trade","E":{ms},"T":{ms},"s":"BTCUSDT","t":{id},"p":"5","q":"{qty}","X":"{kind}","m":false}}}}"#
    )
}

#[test]
fn prints_off_the_book_are_marked() {
    let mut capture = capture();
    for (id, kind, qty) in [
        (1, "MARKET", "1"),
        (2, "NA", "0"),
        (3, "INSURANCE_FUND", "1"),
        (4, "MARKET", "1"),
    ] {
        let line = format!(
            "{} {}\n",
            1_700_000_040_000_000_000 + id,
            futures_trade(0, id, kind, qty)
        );
        capture.push(line.as_bytes());
    }
    let batch = capture.take();
    let off_book: Vec<bool> = batch.messages().map(|m| m.is_off_book()).collect();
    assert_eq!(off_book, [false, true, true, false]);
    assert_eq!((capture.inputs(), capture.rejects().total()), (4, 0));
}

/// The clock of a capture counts s, ms, µs or ns; a line in another unit is refused, whatever it is.
#[test]
fn a_capture_has_one_unit_which_its_digits_show() {
    const NS: [u64; 4] = [1_000_000_000, 1_000_000, 1_000, 1];
    let line = |unit: u64, second: u64| {
        let time = (1_700_000_040 + second) * (1_000_000_000 / unit);
        format!(
            "{time} {}\n",
            futures_trade(second, second + 1, "MARKET", "1")
        )
    };
    for unit in NS {
        let mut capture = capture();
        for second in 0..5 {
            capture.push(line(unit, second).as_bytes());
        }
        let times = capture.take().ts_recv().to_vec();
        let expected: Vec<i64> = (0..5)
            .map(|s| (1_700_000_040 + s) * 1_000_000_000)
            .collect();
        assert_eq!(times, expected, "{unit}");
        for other in NS.into_iter().filter(|other| *other != unit) {
            capture.push(line(other, 6).as_bytes());
            assert!(capture.take().is_empty(), "{unit} then {other}");
        }
        assert_eq!(capture.rejects().counts[&RejectCode::BadTimestamp], 3);
        assert_eq!((capture.rejects().faults(), capture.inputs()), (3, 8));
        assert_eq!(capture.rejects().first[0].line, 6);
        assert!(!capture.rejects().first[0].text.is_empty());
    }
    // A time of no unit, where the venue's is of our days.
    let mut capture = capture();
    capture.push(format!("17000000400 {}\n", futures_trade(0, 1, "MARKET", "1")).as_bytes());
    assert_eq!(capture.rejects().counts[&RejectCode::BadTimestamp], 1);
}
