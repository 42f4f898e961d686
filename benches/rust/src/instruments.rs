//! What many instruments cost: events of 3,000 against those of 10, through the engine, each event of an instrument by the
//! throw of a die. Beside it what memory alone costs: a bare loop that touches as many cache lines of as many blocks.

use std::hint::black_box;
use std::sync::Arc;

use signal_engine::{Engine, Options, Vectors};
use signal_event::{
    EventBatch, EventBatchBuilder, Header, Instrument, InstrumentId, Instruments, Kind, NO_RULE,
    Side,
};
use signal_features::{Graph, Plan};

use crate::measure::{Figure, Laps};

const ROUNDS: usize = 9;
const FEW: usize = 10;
const MANY: usize = 3_000;
const EVENTS: usize = 240_000;
/// Events of an instrument before the clock runs: its windows are full then.
const WARM: usize = 40;
const BATCH: usize = 1_024;

const TRADES: &str = r#"{"signal_stream":1,"name":"trades","axis":"recv","on":"trades","nodes":[{"op":"field","of":"trades","name":"price"},{"op":"diff","n":1,"x":0},{"op":"rolling","stat":"mean","window":{"count":20},"x":0}],"features":[["step",1],["mean_20",2]]}"#;
const FLOW: &str = r#"{"signal_stream":1,"name":"flow","axis":"recv","on":"trades","nodes":[{"op":"field","of":"trades","name":"price"},{"op":"diff","n":1,"x":0},{"op":"field","of":"trades","name":"qty"},{"op":"field","of":"trades","name":"side"},{"op":"mul","x":2,"y":3},{"op":"rolling","stat":"sum","window":{"count":20},"x":4},{"op":"book","of":"quotes","name":"mid"},{"op":"book","of":"quotes","name":"spread"},{"op":"div","x":0,"y":6},{"op":"const","value":1.0},{"op":"sub","x":8,"y":9},{"op":"ewm","alpha":0.15384615384615385,"min_periods":12,"x":6}],"features":[["step",1],["signed",5],["mid",6],["spread",7],["away",10],["trend",11]]}"#;
const BOOKS: &str = r#"{"signal_stream":1,"name":"books","axis":"recv","on":"book","nodes":[{"op":"book","of":"book","name":"mid"},{"op":"book","of":"book","name":"spread"},{"op":"book","of":"book","name":"imbalance","levels":5},{"op":"book","of":"book","name":"ofi","levels":1},{"op":"rolling","stat":"sum","window":{"count":20},"x":3}],"features":[["mid",0],["spread",1],["imb",2],["ofi",4]]}"#;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

pub fn run() -> Result<()> {
    // Cache lines that an event touches of its instrument's state, as counted by hand.
    for (name, graph, lines) in [
        ("trades", TRADES, 12),
        ("flow", FLOW, 16),
        ("books", BOOKS, 28),
    ] {
        let plan = Arc::new(
            Plan::new(Graph::from_json(graph).map_err(|e| e.to_string())?)
                .map_err(|e| e.to_string())?,
        );
        let (few, many) = (batches(name, FEW), batches(name, MANY));
        let laps = &mut [Laps::new(), Laps::new()];
        let touched = &mut [Laps::new(), Laps::new()];
        for _ in 0..ROUNDS {
            engine(&plan, &few, &mut laps[0])?;
            engine(&plan, &many, &mut laps[1])?;
            touch(FEW, lines, &mut touched[0]);
            touch(MANY, lines, &mut touched[1]);
        }
        let [few, many] = [&laps[0], &laps[1]].map(|laps| EVENTS as f64 / laps.seconds());
        Figure {
            work: &format!("{name} of 3,000 instruments"),
            unit: "events/s",
            value: many,
            peer: Some(("of 10", few)),
        }
        .print();
        // As if nothing came to the work of few but the wait for memory.
        let wait = touched[1].seconds() - touched[0].seconds();
        Figure {
            work: &format!("{name} of 10, and {lines} cache lines of 3,000 touched at random"),
            unit: "events/s",
            value: EVENTS as f64 / (laps[0].seconds() + wait),
            peer: Some(("of 10", few)),
        }
        .print();
    }
    Ok(())
}

struct Die(u64);

impl Die {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((self.0 >> 33) as usize) % sides
    }
}

/// Batches before the clock runs, and those that count.
struct Tape {
    warm: Vec<EventBatch>,
    timed: Vec<EventBatch>,
}

fn batches(kind: &str, instruments: usize) -> Tape {
    let names = (0..instruments).map(|i| Instrument {
        id: format!("S{i}.X"),
        price_scale: 2,
        qty_scale: 2,
    });
    let names = Arc::new(Instruments::of(names).unwrap_or_default());
    let mut writer = Writer {
        builder: EventBatchBuilder::new(),
        ts: 1_700_000_000_000_000_000,
        made: vec![0; instruments],
        die: Die(7),
    };
    let mut batch = |order: &mut dyn FnMut(&mut Writer) -> usize, events: usize| {
        (0..events.div_ceil(BATCH))
            .map(|n| {
                for _ in 0..BATCH.min(events - n * BATCH) {
                    let i = order(&mut writer);
                    writer.event(kind, i);
                }
                writer.builder.finish(&names)
            })
            .collect()
    };
    let mut next = 0;
    let mut in_turn = |_: &mut Writer| {
        next += 1;
        (next - 1) % instruments
    };
    let warm = batch(&mut in_turn, WARM * instruments);
    let timed = batch(&mut |writer| writer.die.throw(instruments), EVENTS);
    Tape { warm, timed }
}

struct Writer {
    builder: EventBatchBuilder,
    ts: i64,
    /// Events of each instrument so far.
    made: Vec<u64>,
    die: Die,
}

impl Writer {
    fn event(&mut self, kind: &str, i: usize) {
        self.ts += 1_000;
        let n = self.made[i];
        self.made[i] += 1;
        let mid = 10_000 + 10 * (i as i64 % 100) + (self.die.throw(5) as i64);
        let qty = 1 + self.die.throw(50) as i64;
        let header = |kind, sequence| Header {
            kind,
            instrument: InstrumentId::at(i),
            ts_recv: self.ts,
            ts_event: self.ts - 500,
            sequence,
            sequence_prev: NO_RULE,
        };
        let trade = header(Kind::Trade, n / 2 + 1);
        let (builder, die) = (&mut self.builder, &mut self.die);
        match kind {
            "books" if n == 0 => {
                for level in 0..20 {
                    builder.push_row(Side::Bid.code(), 10_000 - level, 1 + level);
                    builder.push_row(Side::Ask.code(), 10_001 + level, 1 + level);
                }
                builder.close(header(Kind::BookSnapshot, 1));
            }
            "books" => {
                for _ in 0..2 {
                    let level = 1 + die.throw(15) as i64;
                    builder.push_row(Side::Bid.code(), 10_000 - level, die.throw(20) as i64);
                    builder.push_row(Side::Ask.code(), 10_001 + level, die.throw(20) as i64);
                }
                builder.close(header(Kind::BookDiff, n + 1));
            }
            "flow" if n.is_multiple_of(2) => {
                builder.push_row(Side::Bid.code(), mid, qty);
                builder.push_row(Side::Ask.code(), mid + 1, qty);
                builder.close(header(Kind::Quote, n / 2 + 1));
            }
            "flow" => builder.push(trade, Side::Buy.code(), mid, qty),
            _ => builder.push(header(Kind::Trade, n + 1), Side::Buy.code(), mid, qty),
        }
    }
}

fn engine(plan: &Arc<Plan>, tape: &Tape, laps: &mut Laps) -> Result<()> {
    let mut engine =
        Engine::new(Arc::clone(plan), Options::default()).map_err(|e| e.to_string())?;
    let mut out: Vectors = engine.vectors();
    for batch in &tape.warm {
        engine.push(batch, &mut out).map_err(|e| e.to_string())?;
        out.clear();
    }
    laps.begin();
    for batch in &tape.timed {
        engine.push(batch, &mut out).map_err(|e| e.to_string())?;
        black_box(&out);
        out.clear();
        laps.lap();
    }
    let total = engine.total();
    assert_eq!(total.input, total.accepted, "every event counts");
    Ok(())
}

/// Touches `lines` cache lines of one block an event, blocks by the throw of a die.
fn touch(blocks: usize, lines: usize, laps: &mut Laps) {
    // As far apart as parts of a state are: another page every other line.
    const STRIDE: usize = 1_088 / 8;
    let block = lines * STRIDE;
    let mut state = vec![1u64; blocks * block];
    let mut die = Die(7);
    laps.begin();
    for n in 0..EVENTS {
        let at = die.throw(blocks) * block;
        for line in 0..lines {
            state[at + line * STRIDE] += 1;
        }
        if n % BATCH == BATCH - 1 {
            laps.lap();
        }
    }
    black_box(&state);
    laps.lap();
}
