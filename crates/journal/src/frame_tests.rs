use std::io::Cursor;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt32Type, UInt64Type};
use arrow_ipc::reader::StreamReader;
use proptest::prelude::*;

use super::*;
use crate::header::HEADER;
use crate::record::{BODY_BYTES_MAX, ROWS_MAX};

fn framed(first_seq: u64, rows: &[Row<'_>]) -> Vec<u8> {
    let mut out = vec![0xaa; frame_len(rows).unwrap()];
    encode(first_seq, rows, &mut out).unwrap();
    out
}

fn row<'a>(ts: i64, kind: &'a str, key: &'a str, body: &'a str) -> Row<'a> {
    Row {
        ts,
        kind,
        key,
        body,
    }
}

fn texts() -> impl Strategy<Value = Vec<(i64, String, String, String)>> {
    proptest::collection::vec(
        (any::<i64>(), "[a-z]{0,9}", "\\PC{0,40}", "\\PC{0,90}"),
        1..9,
    )
}

fn rows(texts: &[(i64, String, String, String)]) -> Vec<Row<'_>> {
    texts
        .iter()
        .map(|(ts, kind, key, body)| row(*ts, kind, key, body))
        .collect()
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(first in 0..u64::MAX - 9, texts in texts(), tail in any::<Vec<u8>>()) {
        let rows = rows(&texts);
        let mut bytes = framed(first, &rows);
        let len = bytes.len();
        prop_assert_eq!(len % 8, 0);
        bytes.extend(tail);
        let frame = decode(&bytes).unwrap();
        prop_assert_eq!(frame.len, len);
        prop_assert_eq!(frame.records.len(), rows.len());
        for (i, (record, row)) in frame.records.iter().zip(&rows).enumerate() {
            prop_assert_eq!(record.seq, first + i as u64);
            prop_assert_eq!(&record.row, row);
        }
    }

    #[test]
    fn arrow_reads_the_same_rows(first in 0..u64::MAX - 9, texts in texts()) {
        let rows = rows(&texts);
        let mut stream = HEADER.to_vec();
        stream.extend(framed(first, &rows));
        stream.extend(framed(first, &rows[..1]));
        let batches: Vec<_> =
            StreamReader::try_new(Cursor::new(stream), None).unwrap().map(Result::unwrap).collect();
        prop_assert_eq!(batches.len(), 2);
        let batch = &batches[0];
        prop_assert_eq!(batch.num_rows(), rows.len());
        for (i, row) in rows.iter().enumerate() {
            let record = Record { seq: first + i as u64, row: *row };
            prop_assert_eq!(batch.column(0).as_primitive::<UInt64Type>().value(i), record.seq);
            prop_assert_eq!(batch.column(1).as_primitive::<Int64Type>().value(i), row.ts);
            prop_assert_eq!(batch.column(2).as_string::<i32>().value(i), row.kind);
            prop_assert_eq!(batch.column(3).as_string::<i32>().value(i), row.key);
            prop_assert_eq!(batch.column(4).as_string::<i32>().value(i), row.body);
            prop_assert_eq!(batch.column(5).as_primitive::<UInt32Type>().value(i), checksum(&record));
        }
    }

    #[test]
    fn hostile_bytes_are_refused_calmly(mut bytes in any::<Vec<u8>>(), at in 0usize..432, texts in texts()) {
        prop_assert!(decode(&bytes).is_err());
        let good = framed(0, &rows(&texts));
        bytes.truncate(good.len() - at.min(good.len()));
        let mut mixed = good.clone();
        mixed[at..at + bytes.len()].copy_from_slice(&bytes);
        if mixed != good {
            prop_assert!(decode(&mixed).is_err());
        }
    }
}

#[test]
fn every_cut_is_short_and_every_changed_bit_is_seen() {
    let good = framed(
        41,
        &[
            row(5, "signal", "00ff", "{\"a\": 1}"),
            row(6, "latch", "", "é"),
        ],
    );
    for cut in 0..good.len() {
        assert_eq!(decode(&good[..cut]).unwrap_err(), Fault::Short, "{cut}");
    }
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut changed = good.clone();
            changed[at] ^= 1 << bit;
            assert!(decode(&changed).is_err(), "byte {at} bit {bit}");
        }
    }
}

#[test]
fn what_begins_otherwise_is_damaged_however_short() {
    assert_eq!(decode(&[]).unwrap_err(), Fault::Short);
    assert_eq!(decode(&[0xff, 0xff]).unwrap_err(), Fault::Short);
    for bytes in [&b"\0"[..], b"garbage", &[0; 100], &[0xff, 0xff, 0xff, 0]] {
        assert!(matches!(decode(bytes), Err(Fault::Damaged(_))), "{bytes:?}");
    }
}

#[test]
fn the_message_is_of_the_current_arrow_version() {
    let bytes = framed(0, &[row(0, "kind", "", "{}")]);
    let message = arrow_ipc::root_as_message(&bytes[8..]).unwrap();
    assert_eq!(message.version(), arrow_ipc::MetadataVersion::V5);
    assert_eq!(message.bodyLength() as usize + 432, bytes.len());
}

#[test]
fn a_checksum_that_fits_does_not_hide_changed_padding() {
    let mut bytes = framed(0, &[row(0, "kind", "", "{}")]);
    let end = bytes.len() - 1;
    assert_eq!(
        bytes[end], 0,
        "crc32 of one row leaves four bytes of padding"
    );
    bytes[end] = 1;
    assert!(matches!(decode(&bytes), Err(Fault::Damaged(_))));
}

#[test]
fn resync_finds_the_next_good_frame() {
    let one = framed(0, &[row(0, "signal", "a", "{}")]);
    let two = framed(1, &[row(1, "signal", "b", "{}")]);
    let mut bytes = [one.clone(), two.clone()].concat();
    bytes[100] ^= 1;
    assert!(decode(&bytes).is_err());
    assert_eq!(resync(&bytes, 1), Some(one.len()));
    bytes.truncate(one.len() + two.len() - 1);
    assert_eq!(resync(&bytes, 1), None);
    assert_eq!(resync(&[], 0), None);
    assert_eq!(resync(&[0xff; 4096], 0), None);
}

#[test]
fn bounds_are_refused_by_name() {
    let too_large = |rows: &[Row<'_>]| matches!(frame_len(rows), Err(Fault::TooLarge(_)));
    assert!(too_large(&[]));
    let small = row(0, "", "", "");
    assert!(!too_large(&vec![small; ROWS_MAX]));
    assert!(too_large(&vec![small; ROWS_MAX + 1]));
    let text = "x".repeat(BODY_BYTES_MAX / 2 + 1);
    assert!(!too_large(&[row(0, "", "", &text)]));
    assert!(too_large(&[row(0, "", "", &text), row(0, "", "", &text)]));
    assert!(too_large(&[row(0, "", &text, &text)]));
    let mut out = vec![0; frame_len(&[small]).unwrap()];
    assert!(encode(u64::MAX, &[small], &mut out).is_err());
    assert!(encode(0, &[small], &mut out[1..]).is_err());
}
