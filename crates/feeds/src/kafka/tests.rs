//! Packed messages and positions: what comes back is what was sent, and bytes of any kind give a refusal or a good message.

use std::sync::Arc;

use proptest::prelude::*;
use signal_event::{
    Condition, EventBatch, EventBatchBuilder, Header, Instrument, Instruments, Kind, NO_RULE,
    NO_TIME, Row, Side, flags,
};
use signal_ingest::RejectCode;

use super::pack;
use super::packed::{FORMAT, Unpacker};
use super::position::{KafkaPosition, Place};
use crate::Position;

fn sample() -> EventBatch {
    let mut table = Instruments::new();
    let mut builder = EventBatchBuilder::new();
    for (number, id) in ["AB.X", "CD.Y"].into_iter().enumerate() {
        let instrument = Instrument {
            price_scale: 5 + number as u8,
            ..Instrument::new(id)
        };
        let instrument = table.intern(&instrument).unwrap();
        let header = |kind, sequence| Header {
            kind,
            instrument,
            ts_recv: 1_700_000_000_000_000_000 + sequence as i64,
            ts_event: NO_TIME,
            sequence,
            sequence_prev: NO_RULE,
        };
        builder.push(header(Kind::Trade, 1), Side::Bid.code(), 100, 2);
        builder.push_more(Row {
            side: Side::Ask,
            price: 101,
            qty: 3,
            condition: Condition::Block,
            ..Row::default()
        });
        builder.close(header(Kind::Trade, 2));
        builder.push_row(Side::Bid.code(), 99, 1);
        builder.push_row(Side::Ask.code(), 101, 0);
        builder.close(header(Kind::Quote, 3));
        builder.push_row(Side::Bid.code(), -5, i64::MAX);
        builder.mark_row(flags::CUT);
        builder.push_row(Side::Ask.code(), 7, 0);
        builder.checksum(u32::MAX);
        builder.close(header(Kind::BookSnapshot, 4));
        builder.close(header(Kind::BookDiff, 5));
    }
    builder.finish(&Arc::new(table))
}

fn unpacked(messages: &[(String, Vec<u8>)]) -> (EventBatch, Vec<RejectCode>) {
    let mut unpacker = Unpacker::default();
    let (mut builder, mut table) = (EventBatchBuilder::new(), Arc::default());
    let mut refused = Vec::new();
    for (key, value) in messages {
        let added = unpacker.add(key.as_bytes(), value, &mut builder, &mut table);
        refused.extend(added.err().map(|reject| reject.code));
    }
    let batch = builder.finish(&table);
    batch.check_invariants().unwrap();
    (batch, refused)
}

#[test]
fn packed_messages_come_back() {
    let batch = sample();
    let messages = pack(&batch).unwrap();
    assert_eq!(messages.len(), batch.message_count());
    let (back, refused) = unpacked(&messages);
    assert!(refused.is_empty());
    assert_eq!(back.instruments(), batch.instruments());
    assert_eq!(back.columns(), batch.columns());
}

#[test]
fn what_has_no_packed_form_is_refused_by_name() {
    let mut builder = EventBatchBuilder::new();
    builder.push(Header::mark(1), Side::None.code(), 0, 0);
    let error = pack(&builder.finish(&Arc::default())).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("a mark is not sent as \"event\""),
        "{error}"
    );
}

#[test]
fn other_scales_under_one_key_are_refused() {
    let messages = pack(&sample()).unwrap();
    let mut other = messages[0].clone();
    other.1[2] += 1;
    let (back, refused) = unpacked(&[messages[0].clone(), other, messages[1].clone()]);
    assert_eq!(
        (back.message_count(), refused),
        (2, vec![RejectCode::BadValue])
    );
}

#[test]
fn each_fault_has_its_code() {
    let (key, value) = pack(&sample()).unwrap().swap_remove(0);
    let refused = |key: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut value = value.clone();
        change(&mut value);
        unpacked(&[(key.into(), value)]).1
    };
    assert_eq!(
        refused(&key, &|value| value[0] = FORMAT + 1),
        [RejectCode::UnknownFrame]
    );
    assert_eq!(
        refused(&key, &|value| value.truncate(20)),
        [RejectCode::Corrupt]
    );
    assert_eq!(
        refused(&key, &|value| {
            let _ = value.pop();
        }),
        [RejectCode::Corrupt]
    );
    assert_eq!(
        refused(&key, &|value| value[1] = Kind::Mark.code()),
        [RejectCode::BadValue]
    );
    assert_eq!(
        refused(&key, &|value| value.extend([0; 20])),
        [RejectCode::BadValue]
    );
    assert_eq!(
        refused(&key, &|value| *value.last_mut().unwrap() = 0x80),
        [RejectCode::Negative]
    );
    assert_eq!(refused("", &|_| {}), [RejectCode::UnknownInstrument]);
}

#[test]
fn positions_come_back_and_know_later_fields() {
    let places = [
        (
            0,
            Place {
                offset: 12,
                given: 0,
            },
        ),
        (
            7,
            Place {
                offset: 0,
                given: 99,
            },
        ),
    ];
    let mut position = KafkaPosition {
        places: places.into_iter().collect(),
        in_history: true,
    };
    assert_eq!(
        KafkaPosition::parse(&position.to_position()).unwrap(),
        position
    );
    position.in_history = false;
    let later = r#"{"format":2,"more":1,"offsets":{"0":[12,0],"7":[0,99,"x"]}}"#;
    assert_eq!(
        KafkaPosition::parse(&Position::new(later)).unwrap(),
        position
    );
    for bad in [
        "",
        "{}",
        r#"{"offsets":{"x":[1,0]}}"#,
        r#"{"offsets":{"0":[1]}}"#,
    ] {
        assert!(KafkaPosition::parse(&Position::new(bad)).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn any_bytes_give_a_refusal_or_a_good_message(
        at in 0usize..400, byte: u8, cut in 0usize..400, tail in prop::collection::vec(any::<u8>(), 0..60), which in 0usize..10,
    ) {
        let messages = pack(&sample()).unwrap();
        let (key, mut value) = messages[which].clone();
        value.truncate(cut.max(1));
        let place = at % value.len();
        value[place] = byte;
        value.extend(tail);
        unpacked(&[(key, value)]); // whatever came of it keeps the invariants
    }
}
