//! Many instruments at once: each gives what it would alone, however the messages are cut.

use signal_engine::{Engine, Options, Vectors};
use signal_event::{
    EventBatch, EventBatchBuilder, Header, Instrument, InstrumentId, Instruments, Kind, NO_RULE,
    Side,
};
use signal_features::{Graph, Plan};
use std::sync::Arc;

/// More than those whose memory is asked for ahead of their events.
const CROWD: usize = 130;
const EVENTS: usize = 40;

const GRAPH: &str = r#"{"signal_stream":1,"name":"crowd","axis":"recv","on":"trades","nodes":[
    {"op":"field","of":"trades","name":"price"},{"op":"diff","n":1,"x":0},
    {"op":"rolling","stat":"mean","window":{"count":5},"x":0},
    {"op":"rolling","stat":"max","window":{"ns":1000,"cap":20},"x":0},
    {"op":"book","of":"quotes","name":"mid"},{"op":"ewm","alpha":0.3,"min_periods":3,"x":4},
    {"op":"book","of":"book","name":"imbalance","levels":3},{"op":"book","of":"book","name":"ofi","levels":1},
    {"op":"rolling","stat":"sum","window":{"count":4},"x":7}],
    "features":[["step",1],["mean",2],["max",3],["mid",4],["trend",5],["imbalance",6],["flow",8]]}"#;

/// Events of these instruments in turn. What an instrument says depends on its number and the turn alone.
fn events(instruments: &[usize]) -> EventBatch {
    let mut builder = EventBatchBuilder::new();
    for n in 0..EVENTS * CROWD {
        let (turn, who) = (n as i64 / CROWD as i64, n % CROWD);
        let Some(number) = instruments.iter().position(|i| *i == who) else {
            continue;
        };
        let header = |kind, sequence: i64| Header {
            kind,
            instrument: InstrumentId::at(number),
            ts_recv: 1_000 + n as i64,
            ts_event: n as i64,
            sequence: sequence as u64,
            sequence_prev: NO_RULE,
        };
        let draw = (turn * 7 + who as i64 * 13) % 11;
        match turn % 3 {
            0 => builder.push(header(Kind::Trade, turn / 3 + 1), 1, 1_000 + draw, 1 + draw),
            1 => {
                builder.push_row(Side::Bid.code(), 1_000 + draw, 1 + draw);
                builder.push_row(Side::Ask.code(), 1_001 + draw, 2);
                builder.close(header(Kind::Quote, turn / 3 + 1));
            }
            _ => {
                for level in 0..4 {
                    builder.push_row(Side::Bid.code(), 1_000 - level, 1 + (draw + level) % 5);
                    builder.push_row(Side::Ask.code(), 1_001 + level, (draw + 2 * level) % 4);
                }
                let kind = match turn {
                    2 => Kind::BookSnapshot,
                    _ => Kind::BookDiff,
                };
                builder.close(header(kind, turn / 3 + 1));
            }
        }
    }
    let names = instruments.iter().map(|i| Instrument::new(format!("S{i}")));
    builder.finish(&Arc::new(Instruments::of(names).expect("distinct")))
}

/// Bits and reasons of each vector with its instrument and time, made of batches of so many messages.
type Row = (String, i64, Vec<(u64, u8)>);

fn vectors(batch: &EventBatch, messages: usize) -> Vec<Row> {
    let plan = Plan::new(Graph::from_json(GRAPH).expect("a graph")).expect("a plan");
    let mut engine = Engine::new(Arc::new(plan), Options::default()).expect("an engine");
    let mut out: Vectors = engine.vectors();
    for part in batch.chunks(messages) {
        engine.push(&part, &mut out).expect("pushed");
    }
    let row = |i: usize| {
        let cells = out.values.iter().zip(&out.reasons);
        let cells = cells.map(|(values, reasons)| (values[i].to_bits(), reasons[i]));
        let stamp = &out.stamps[i];
        let name = out.instruments[stamp.instrument as usize].clone();
        (name, stamp.ts_recv, cells.collect())
    };
    (0..out.len()).map(row).collect()
}

#[test]
fn each_of_a_crowd_gives_what_it_would_alone() {
    let all = vectors(&events(&(0..CROWD).collect::<Vec<_>>()), usize::MAX);
    assert_eq!(all.len(), CROWD * EVENTS.div_ceil(3));
    for who in [0, 77, CROWD - 1] {
        let alone = vectors(&events(&[who]), usize::MAX);
        let name = format!("S{who}");
        let among: Vec<&Row> = all.iter().filter(|row| row.0 == name).collect();
        assert_eq!(among, alone.iter().collect::<Vec<_>>(), "{name}");
        let last = alone.last().expect("vectors");
        assert!(
            last.2.iter().all(|cell| cell.1 == 0),
            "all is valid in the end"
        );
    }
}

#[test]
fn cuts_change_nothing_for_a_crowd() {
    let batch = events(&(0..CROWD).collect::<Vec<_>>());
    let whole = vectors(&batch, usize::MAX);
    for messages in [1, 7, 500] {
        assert!(whole == vectors(&batch, messages), "by {messages}");
    }
}
