//! Pieces of any size, hostile bytes, and what the samples do not show. Values are compared with Databento's own decoder in
//! `tests/oracles/test_dbn.py`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use ::dbn::{
    BidAskPair, FlagSet, MboMsg, Mbp1Msg, Mbp10Msg, SymbolMappingMsg, TradeMsg, UNDEF_PRICE, flags,
    rtype,
};
use proptest::prelude::*;
use signal_event::{
    EventBatch, Instrument, Instruments, Kind, Message, OrderAction, Side, StatusCode,
};

use super::*;

fn samples() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/dbn-samples");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "dbn"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(&path).unwrap())
        })
        .collect();
    found.sort();
    assert!(found.len() >= 17, "{}", found.len());
    found
}

fn decoded(pieces: &[&[u8]]) -> (EventBatch, Dbn) {
    let mut dbn = Dbn::new(Arc::default());
    for piece in pieces {
        dbn.push(piece);
    }
    dbn.end();
    (dbn.take(), dbn)
}

/// The header of a sample whose records name instruments by number.
fn header() -> Vec<u8> {
    let (_, bytes) = samples()
        .into_iter()
        .find(|(name, _)| name == "test_data.mbo.dbn")
        .unwrap();
    let length = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
    bytes[..8 + length].to_vec()
}

/// A file of these records.
fn file(records: &[&dyn AsRef<[u8]>]) -> Vec<u8> {
    let mut bytes = header();
    records
        .iter()
        .for_each(|record| bytes.extend_from_slice((*record).as_ref()));
    bytes
}

fn order(action: u8, id: u64, flags: u8) -> MboMsg {
    MboMsg {
        hd: RecordHeader::new::<MboMsg>(rtype::MBO, 1, 7, 10),
        order_id: id,
        price: 5_000_000_000,
        size: 3,
        flags: FlagSet::new(flags),
        action: action as _,
        side: b'A' as _,
        ts_recv: 20 + id,
        ..MboMsg::default()
    }
}

fn quote(flags: u8, ts_recv: u64) -> Mbp1Msg {
    let mut record = Mbp1Msg {
        hd: RecordHeader::new::<Mbp1Msg>(rtype::MBP_1, 1, 7, 10),
        action: b'A' as _,
        flags: FlagSet::new(flags),
        ts_recv,
        ..Mbp1Msg::default()
    };
    record.levels[0].bid_px = 4_000_000_000;
    record.levels[0].bid_sz = 2;
    record
}

fn trade(publisher: u16, instrument: u32, ts_recv: u64) -> TradeMsg {
    TradeMsg {
        hd: RecordHeader::new::<TradeMsg>(rtype::MBP_0, publisher, instrument, 10),
        price: 1_500_000_000,
        size: 4,
        action: b'T' as _,
        side: b'B' as _,
        ts_recv,
        ..TradeMsg::default()
    }
}

fn ids(batch: &EventBatch) -> Vec<String> {
    batch
        .messages()
        .map(|m| m.instrument().unwrap().id.clone())
        .collect()
}

#[test]
fn pieces_of_any_size_give_the_same_messages() {
    for (name, bytes) in samples() {
        let (whole, dbn) = decoded(&[&bytes]);
        assert_eq!(dbn.inputs(), dbn.used() + dbn.rejects().total(), "{name}");
        for size in [1, 7, 64, 1000] {
            let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
            assert_eq!(decoded(&pieces).0, whole, "{name} by {size}");
        }
    }
}

#[test]
fn an_event_of_several_orders_is_one_message() {
    let rows = [
        order(b'R', 0, 0),
        order(b'A', 1, 0),
        order(b'A', 2, flags::LAST),
        order(b'M', 1, flags::LAST),
        order(b'C', 1, 0),
    ];
    let bytes = file(&[&rows[0], &rows[1], &rows[2], &rows[3], &rows[4]]);
    let (batch, dbn) = decoded(&[&bytes]);
    let shape: Vec<(usize, i64)> = batch
        .messages()
        .map(|m| (m.rows.len(), m.ts_recv))
        .collect();
    assert_eq!(
        shape,
        [(3, 22), (1, 21), (1, 21)],
        "the last had not ended, and the file has"
    );
    assert_eq!((dbn.inputs(), dbn.used()), (5, 5));
    let actions = batch
        .columns()
        .more
        .as_ref()
        .unwrap()
        .action
        .clone()
        .unwrap();
    let expected = ["clear", "add", "add", "change", "cancel"];
    let words: Vec<_> = actions
        .iter()
        .map(|&code| OrderAction::from_code(code).unwrap().name())
        .collect();
    assert_eq!(words, expected);
    assert_eq!(batch.side()[..2], [Side::None.code(), Side::Ask.code()]);
}

#[test]
fn what_no_book_of_orders_can_take_is_refused() {
    let mut nameless = order(b'A', 1, flags::LAST);
    nameless.price = UNDEF_PRICE;
    let mut timeless = order(b'A', 1, flags::LAST);
    timeless.ts_recv = UNDEF_TIMESTAMP;
    let bytes = file(&[
        &nameless,
        &order(b'A', 2, flags::LAST | flags::TOB),
        &order(b'x', 2, flags::LAST),
        &timeless,
        &order(b'N', 2, flags::LAST),
    ]);
    let (batch, dbn) = decoded(&[&bytes]);
    assert_eq!(batch.len(), 0);
    let counts: Vec<(&str, u64)> = dbn
        .rejects()
        .counts
        .iter()
        .map(|(code, n)| (code.name(), *n))
        .collect();
    let expected = [
        ("BAD_TIMESTAMP", 1),
        ("UNKNOWN_FRAME", 1),
        ("BAD_VALUE", 2),
        ("UNUSED_FRAME", 1),
    ];
    assert_eq!(counts.len(), expected.len());
    assert!(
        expected.iter().all(|pair| counts.contains(pair)),
        "{counts:?}"
    );
}

#[test]
fn books_are_invalid_while_the_vendor_doubts_them() {
    let bad = flags::LAST | flags::MAYBE_BAD_BOOK;
    let records = [
        quote(flags::LAST, 20),
        quote(bad, 21),
        quote(bad, 22),
        quote(flags::LAST, 23),
    ];
    let bytes = file(&[&records[0], &records[1], &records[2], &records[3]]);
    let (batch, dbn) = decoded(&[&bytes]);
    let said = |m: &Message<'_>| match m.kind {
        Kind::Status => {
            let codes = batch
                .columns()
                .more
                .as_ref()
                .unwrap()
                .code
                .as_ref()
                .unwrap();
            StatusCode::from_code(codes[m.rows.start]).unwrap().name()
        }
        kind => kind.name(),
    };
    let found: Vec<(&str, i64)> = batch.messages().map(|m| (said(&m), m.ts_recv)).collect();
    assert_eq!(
        found,
        [
            ("quote", 20),
            ("disconnected", 21),
            ("connected", 23),
            ("quote", 23)
        ]
    );
    assert_eq!((dbn.inputs(), dbn.used(), dbn.rejects().total()), (4, 2, 2));
    assert_eq!(
        batch.message(0).unwrap().prices(),
        [4_000_000_000, 0],
        "nobody asks: no price"
    );
}

#[test]
fn a_number_means_what_the_mapping_of_its_time_says() {
    let mapping = |symbol: &str, start_ts: u64, end_ts: u64| {
        let mut record = SymbolMappingMsg {
            hd: RecordHeader::new::<SymbolMappingMsg>(rtype::SYMBOL_MAPPING, 1, 9, 0),
            start_ts,
            end_ts,
            ..SymbolMappingMsg::default()
        };
        record.stype_out_symbol = ::dbn::record::str_to_c_chars(symbol).unwrap();
        record
    };
    let (first, second) = (mapping("AAA", 0, 100), mapping("BBB", 100, 200));
    let trades = [99, 100, 150, 200].map(|ts| trade(1, 9, ts));
    let bytes = file(&[
        &first, &second, &trades[0], &trades[1], &trades[2], &trades[3],
    ]);
    let (batch, dbn) = decoded(&[&bytes]);
    assert_eq!(ids(&batch), ["AAA.GLBX", "BBB.GLBX", "BBB.GLBX", "9.GLBX"]);
    assert_eq!(dbn.rejects().faults(), 0);
}

#[test]
fn prints_of_reporting_facilities_are_off_the_book() {
    let reported = ::dbn::Publisher::XnasNlsFinn as u16;
    let bytes = file(&[
        &trade(1, 7, 20),
        &trade(reported, 7, 21),
        &trade(60_000, 7, 22),
    ]);
    let (batch, _) = decoded(&[&bytes]);
    let off: Vec<bool> = batch.messages().map(|m| m.is_off_book()).collect();
    assert_eq!(off, [false, true, false]);
    assert_eq!(
        ids(&batch),
        ["7.GLBX", "7.FINN", "7.GLBX"],
        "an unknown publisher is of the header's dataset"
    );
}

#[test]
fn declared_scales_are_kept_or_the_record_is_refused() {
    let declared = |price_scale, qty_scale| {
        let instrument = Instrument {
            id: "7.GLBX".into(),
            price_scale,
            qty_scale,
        };
        let mut dbn = Dbn::new(Arc::new(Instruments::of([instrument]).unwrap()));
        dbn.push(&file(&[&trade(1, 7, 20)]));
        dbn.end();
        let batch = dbn.take();
        (
            batch.price().first().copied(),
            batch.qty().first().copied(),
            dbn.rejects().total(),
        )
    };
    assert_eq!(declared(9, 0), (Some(1_500_000_000), Some(4), 0));
    assert_eq!(declared(2, 9), (Some(150), Some(4_000_000_000), 0));
    assert_eq!(declared(0, 0), (None, None, 1), "1.5 has a decimal");
}

#[test]
fn an_end_within_a_record_is_said() {
    let bytes = file(&[&trade(1, 7, 20), &trade(1, 7, 21)]);
    for cut in [1, 47, 48] {
        let (batch, dbn) = decoded(&[&bytes[..bytes.len() - cut]]);
        assert_eq!(batch.message_count(), 1);
        let truncated = u64::from(cut < 48);
        assert_eq!(
            (dbn.inputs(), dbn.rejects().total()),
            (1 + truncated, truncated)
        );
    }
    let (batch, dbn) = decoded(&[&bytes[..20]]);
    assert_eq!((batch.len(), dbn.inputs()), (0, 1));
    assert_eq!(
        dbn.rejects().faults(),
        0,
        "the beginning of a file that still grows"
    );
}

#[test]
fn a_length_below_that_of_a_header_breaks_the_file() {
    let mut bytes = file(&[&trade(1, 7, 20), &trade(1, 7, 21)]);
    let last = bytes.len() - size_of::<TradeMsg>();
    bytes[last] = HEADER_WORDS - 1;
    for size in [1, bytes.len()] {
        let (batch, dbn) = decoded(&bytes.chunks(size).collect::<Vec<_>>());
        assert_eq!((batch.message_count(), dbn.inputs()), (1, 2));
        assert_eq!(
            dbn.rejects().counts,
            BTreeMap::from([(RejectCode::Corrupt, 1)])
        );
    }
}

/// A record of ten levels: prices in steps from the best, and those that are told.
fn ten(at: u64, best: i64, sizes: &[(u32, u32)]) -> Mbp10Msg {
    let mut levels: [BidAskPair; 10] = Default::default();
    for (n, (level, &(bid_sz, ask_sz))) in levels.iter_mut().zip(sizes).enumerate() {
        let gap = n as i64;
        *level = BidAskPair {
            bid_px: if bid_sz < 9 { best - gap } else { UNDEF_PRICE },
            ask_px: if ask_sz < 9 {
                best + 1 + gap
            } else {
                UNDEF_PRICE
            },
            bid_sz,
            ask_sz,
            ..BidAskPair::default()
        };
    }
    for level in &mut levels[sizes.len()..] {
        (level.bid_px, level.ask_px) = (UNDEF_PRICE, UNDEF_PRICE);
    }
    Mbp10Msg {
        hd: RecordHeader::new::<Mbp10Msg>(rtype::MBP_10, 1, 5, at),
        action: b'A' as _,
        flags: FlagSet::new(flags::LAST),
        ts_recv: at,
        levels,
        ..Mbp10Msg::default()
    }
}

proptest! {
    /// Whatever changes from record to record, a reader of the messages has the levels of the newest.
    #[test]
    fn ten_levels_are_the_readers_book(
        first in prop::collection::vec((1u32..9, 1u32..9), 10),
        changes in prop::collection::vec(
            (0usize..10, any::<bool>(), prop_oneof![6 => 1u32..9, 1 => Just(0u32), 1 => Just(9u32)], 0usize..12, 0i64..12),
            1..40,
        ),
    ) {
        let (mut sizes, mut best) = (first, 100i64);
        let mut records = vec![ten(0, best, &sizes)];
        for (at, (level, bid, size, told, moves)) in changes.into_iter().enumerate() {
            let side = if bid { &mut sizes[level].0 } else { &mut sizes[level].1 };
            *side = size;
            best += i64::from(moves == 0) - i64::from(moves == 1);
            let told = if told < 8 { 10 } else { told.min(10) };
            records.push(ten(at as u64 + 1, best, &sizes[..told]));
        }
        let mut bytes = header();
        records.iter().for_each(|record| bytes.extend_from_slice(record.as_ref()));
        let (batch, dbn) = decoded(&[&bytes]);
        prop_assert_eq!(dbn.rejects().total(), 0);
        let mut messages = batch.messages().peekable();
        let mut book = [BTreeMap::new(), BTreeMap::new()];
        let mut cut = [false; 2];
        for record in &records {
            while let Some(message) = messages.next_if(|m| m.ts_recv as u64 <= record.ts_recv) {
                if message.kind == Kind::BookSnapshot {
                    (book, cut) = Default::default();
                }
                for row in message.rows.clone() {
                    let side = usize::from(batch.side()[row] == Side::Ask.code());
                    cut[side] |= batch.columns().flags[row] & signal_event::flags::CUT != 0;
                    let side = &mut book[side];
                    match batch.qty()[row] {
                        0 => drop(side.remove(&batch.price()[row])),
                        qty => drop(side.insert(batch.price()[row], qty)),
                    }
                }
            }
            let there = |px: i64, size: u32| (px != UNDEF_PRICE && size > 0).then_some((px, i64::from(size)));
            let bids = record.levels.iter().filter_map(|l| there(l.bid_px, l.bid_sz)).collect();
            let asks = record.levels.iter().filter_map(|l| there(l.ask_px, l.ask_sz)).collect();
            prop_assert_eq!(&book, &[bids, asks], "record {}", record.ts_recv);
            prop_assert_eq!(cut, [book[0].len() == 10, book[1].len() == 10]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever the bytes: no panic, whole messages, counts that add up, and records that are read where they stand mean what they
    /// mean in pieces.
    #[test]
    fn hostile_bytes_do_no_harm(
        which in 0usize..17,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        keep in any::<prop::sample::Index>(),
        size in 1usize..300,
    ) {
        let (_, mut bytes) = samples().swap_remove(which);
        for (place, byte) in damage {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(keep.index(bytes.len()) + 1);
        let (batch, dbn) = decoded(&bytes.chunks(size).collect::<Vec<_>>());
        prop_assert_eq!(batch.check_invariants(), Ok(()));
        prop_assert_eq!(dbn.inputs(), dbn.used() + dbn.rejects().total());
        let (whole, at_once) = decoded(&[&bytes]);
        prop_assert_eq!(whole, batch, "in pieces and at once");
        prop_assert_eq!((at_once.inputs(), at_once.used()), (dbn.inputs(), dbn.used()));
    }
}
