//! What must hold of hostile bytes, whatever they are: the fuzzers call these with inputs that they seek (`fuzz_targets/`), the
//! tests with a fixed number of mutations of real ones (`crates/feeds/tests/all/hostile.rs`). Each panics where something does not hold.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::panic::catch_unwind;
use std::sync::{Arc, LazyLock};

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use serde::de::IgnoredAny;
use signal_engine::{Engine, Options};
use signal_event::{
    EventBatch, EventBatchBuilder, Header, Instrument, InstrumentId, Instruments, Kind, NO_RULE,
    NO_SEQUENCE, NO_TIME, Side, from_record_batch, to_record_batch,
};
use signal_features::{Graph, Plan};
use signal_ingest::{Capture, Dbn, Sequencer, SourceSpec, Venue};

/// State that there is room for.
const STATE_BYTES_MAX: usize = 64 << 20;

/// A source of frames: every frame counted once, chunks do not matter, whatever the framing and the venue.
pub fn capture(bytes: &[u8]) {
    let mut whole = Capture::new();
    whole.push(bytes);
    whole.end();
    let mut cut = Capture::new();
    let chunk = 1 + bytes.len() % 13;
    bytes.chunks(chunk).for_each(|piece| cut.push(piece));
    cut.end();
    assert_eq!(whole.inputs(), whole.used() + whole.rejects().total());
    if whole.recognised().map(|found| found.venue) == cut.recognised().map(|found| found.venue) {
        assert_eq!((whole.inputs(), whole.used()), (cut.inputs(), cut.used()));
        assert_eq!(whole.rejects(), cut.rejects());
        assert_eq!(whole.take(), cut.take());
    }
}

/// The decoders of all venues: a refused frame adds nothing, and no frame is taken that a general JSON parser refuses. The first
/// byte chooses the venue, the lines are its frames.
pub fn frames(bytes: &[u8]) {
    let Some((first, text)) = bytes.split_first() else {
        return;
    };
    let venue = Venue::ALL[usize::from(*first) % Venue::ALL.len()];
    let mut capture = Capture::of(SourceSpec::bare(venue), Arc::default());
    for (at, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let rows = capture.rows();
        let taken = capture.frame(at as i64, line);
        if taken.is_err() {
            assert_eq!(capture.rows(), rows);
        } else if capture.rows() > rows {
            let json: Result<IgnoredAny, _> = serde_json::from_slice(line);
            assert!(
                json.is_ok(),
                "taken, but no JSON: {}",
                String::from_utf8_lossy(line)
            );
        }
    }
    assert_eq!(capture.inputs(), capture.used() + capture.rejects().total());
    assert_eq!(capture.take().check_invariants(), Ok(()));
}

/// The reader of DBN: every record counted once, pieces do not matter, and what comes out are whole messages.
pub fn dbn(bytes: &[u8]) {
    let mut whole = Dbn::new(Default::default());
    whole.push(bytes);
    whole.end();
    let mut cut = Dbn::new(Default::default());
    bytes
        .chunks(1 + bytes.len() % 61)
        .for_each(|piece| cut.push(piece));
    cut.end();
    assert_eq!(whole.inputs(), whole.used() + whole.rejects().total());
    assert_eq!((whole.inputs(), whole.used()), (cut.inputs(), cut.used()));
    assert_eq!(whole.rejects(), cut.rejects());
    let batch = whole.take();
    assert_eq!(batch.check_invariants(), Ok(()));
    assert_eq!(batch, cut.take());
}

/// The sequencer: each message judged once, times of what is accepted never fall but where time begins anew, and one that was saved
/// and loaded judges as one that went on. Eight bytes make a message.
pub fn sequencer(bytes: &[u8]) {
    let (batch, on_venue_time) = messages(bytes);
    let fresh = || match on_venue_time {
        true => Sequencer::on_venue_time(signal_ingest::JUMP_MAX_NS, 1_000_000),
        false => Sequencer::default(),
    };
    let (mut whole, mut cut) = (fresh(), fresh());
    let half = batch.message_count() / 2;
    let newest = batch.ts_recv().last().copied().unwrap_or_default();
    let amends_since = newest.saturating_sub(1_000_000_000);
    for (at, message) in batch.messages().enumerate() {
        if at == half {
            let mut state = Vec::new();
            cut.save(&mut state);
            cut = Sequencer::load(&mut state.as_slice()).expect("what was saved is loaded");
        }
        let (judged, again) = match on_venue_time {
            true => (
                format!("{:?}", whole.arrive(&message, amends_since)),
                format!("{:?}", cut.arrive(&message, amends_since)),
            ),
            false => (
                format!("{:?}", whole.admit(&message)),
                format!("{:?}", cut.admit(&message)),
            ),
        };
        assert_eq!(judged, again, "message {at}");
        assert!(whole.check_invariants(), "after message {at}");
    }
    if !on_venue_time {
        assert_eq!(whole.total().input, batch.message_count() as u64);
        assert!(whole.total().balances());
    }
    assert_eq!(whole.total(), cut.total());
}

/// Messages of two instruments, and whether they are to be judged on venue time.
fn messages(bytes: &[u8]) -> (EventBatch, bool) {
    let known =
        Instruments::of([Instrument::new("A.X"), Instrument::new("B.X")]).expect("two names");
    let known = Arc::new(known);
    let (edits, _) = bytes.as_chunks::<8>();
    let mut builder = EventBatchBuilder::new();
    let (mut ts, mut id) = (1_700_000_000_000_000_000_i64, 1_000_u64);
    for &[kind, step, scale, jump, back, own, link, venue] in edits {
        let unit = 10_i64.pow(u32::from(scale % 19));
        ts = ts.wrapping_add(i64::from(step as i8).wrapping_mul(unit));
        id = id
            .wrapping_add(u64::from(jump))
            .wrapping_sub(u64::from(back));
        let header = Header {
            kind: [
                Kind::Trade,
                Kind::Quote,
                Kind::BookDiff,
                Kind::BookSnapshot,
                Kind::Mark,
            ][usize::from(kind) % 5],
            instrument: InstrumentId(u32::from(own & 1)),
            ts_recv: ts,
            ts_event: if venue % 3 == 0 {
                NO_TIME
            } else {
                ts.wrapping_sub(i64::from(venue).wrapping_mul(unit))
            },
            sequence: if own & 2 == 0 { id } else { NO_SEQUENCE },
            sequence_prev: if link % 2 == 0 {
                NO_RULE
            } else {
                id.wrapping_sub(u64::from(link))
            },
        };
        match header.kind {
            Kind::Mark => builder.push(Header::mark(ts), Side::None.code(), 0, 0),
            Kind::Quote => {
                builder.push_row(Side::Bid.code(), 1, 1);
                builder.push(header, Side::Ask.code(), 2, 1);
            }
            _ => builder.push(header, Side::Bid.code(), 1, 1),
        }
    }
    (
        builder.finish(&known),
        bytes.first().is_some_and(|byte| byte % 2 == 1),
    )
}

/// What a sequencer saves that has seen such messages.
pub fn sequencer_saved(bytes: &[u8]) -> Vec<u8> {
    let (batch, _) = messages(bytes);
    let mut sequencer = Sequencer::default();
    batch.messages().for_each(|message| {
        sequencer.admit(&message);
    });
    let mut state = Vec::new();
    sequencer.save(&mut state);
    state
}

/// What was saved of a sequencer: refused, or it is saved again as it was.
pub fn sequencer_state(bytes: &[u8]) {
    let mut from = bytes;
    if let Ok(loaded) = Sequencer::load(&mut from) {
        let mut state = Vec::new();
        loaded.save(&mut state);
        let mut again = state.as_slice();
        let restored = Sequencer::load(&mut again).expect("what was saved is loaded");
        let mut twice = Vec::new();
        restored.save(&mut twice);
        assert_eq!(state, twice);
    }
}

/// Record batches from an Arrow IPC stream: read as a tape they are refused, or they keep the invariants and come back as they were.
pub fn tape(bytes: &[u8]) {
    for batch in batches(bytes) {
        let Ok(events) = from_record_batch(&batch) else {
            continue;
        };
        assert_eq!(events.check_invariants(), Ok(()));
        assert_eq!(
            from_record_batch(&to_record_batch(&events)).as_ref(),
            Ok(&events)
        );
        let mut builder = EventBatchBuilder::new();
        let mut messages = 0;
        for message in events.messages() {
            builder.push_message(&message, message.instrument);
            messages += 1;
        }
        assert_eq!(
            (messages, builder.len()),
            (events.message_count(), events.len())
        );
    }
}

/// Arrow's own reader panics on some damaged streams; what it lets through is ours to judge.
fn batches(bytes: &[u8]) -> Vec<RecordBatch> {
    let bytes = bytes.to_vec();
    let read = catch_unwind(move || {
        let Ok(reader) = StreamReader::try_new(bytes.as_slice(), None) else {
            return vec![];
        };
        reader.take(8).map_while(Result::ok).collect()
    });
    read.unwrap_or_default()
}

/// Graphs as JSON: refused with a code and a message, or compiled, explained and run.
pub fn graph(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let graph = match Graph::from_json(text) {
        Ok(graph) => graph,
        Err(error) => {
            assert!(!error.code.is_empty() && !error.message.is_empty());
            return;
        }
    };
    assert!(
        graph
            .nodes
            .iter()
            .enumerate()
            .all(|(i, node)| node.operands().iter().all(|&x| x < i))
    );
    let digest = graph.digest();
    let Ok(plan) = Plan::new(graph) else { return };
    assert_eq!(plan.digest, digest);
    if plan.bytes() > STATE_BYTES_MAX {
        return;
    }
    let Ok(mut engine) = Engine::new(Arc::new(plan), Options::default()) else {
        return;
    };
    let mut out = engine.vectors();
    assert!(engine.advance(1_000_000_000, &mut out).is_ok());
    assert!(!engine.snapshot().is_empty());
}

const GRAPH: &str = include_str!("graph.json");
pub const LINES: &[u8] = include_bytes!("capture.txt");

static PLAN: LazyLock<Arc<Plan>> = LazyLock::new(|| {
    let graph = Graph::from_json(GRAPH).expect("graph.json is a graph");
    Arc::new(Plan::new(graph).expect("graph.json compiles"))
});
static EVENTS: LazyLock<EventBatch> = LazyLock::new(|| {
    let mut capture = Capture::new();
    capture.push(LINES);
    capture.end();
    capture.take()
});
/// A real snapshot: the input is laid over it, so that most bytes make sense.
static REAL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut engine = Engine::new(Arc::clone(&PLAN), Options::default()).expect("the plan runs");
    let mut out = engine.vectors();
    engine
        .push(&EVENTS, &mut out)
        .expect("the events are taken");
    engine.snapshot()
});

/// Pairs of (place, byte) changed in the real snapshot, then cut or grown to a length, with the right checksum.
fn forged(bytes: &[u8]) -> Vec<u8> {
    let mut body = REAL[..REAL.len() - 4].to_vec();
    let (edits, rest) = bytes.as_chunks::<4>();
    for &[low, high, old, new] in edits {
        let at = usize::from(u16::from_le_bytes([low, high])) % body.len();
        body[at] = if old % 4 == 0 {
            body[at].wrapping_add(new)
        } else {
            new
        };
    }
    if let [length, ..] = rest {
        body.truncate(body.len() - body.len().min(usize::from(*length)));
    }
    let checksum = crc32fast::hash(&body);
    body.extend_from_slice(&checksum.to_le_bytes());
    body
}

/// Engine snapshots with a checksum that fits: refused, or the engine goes on and its own snapshot is the same.
pub fn snapshot(bytes: &[u8]) {
    for state in [bytes.to_vec(), forged(bytes)] {
        let Ok(mut engine) = Engine::restore(Arc::clone(&PLAN), Options::default(), &state) else {
            continue;
        };
        let again = engine.snapshot();
        let restored = Engine::restore(Arc::clone(&PLAN), Options::default(), &again);
        assert!(
            restored.is_ok_and(|restored| restored.snapshot() == again),
            "a snapshot of a restored engine differs"
        );
        let mut out = engine.vectors();
        // Refusing is allowed, a panic is not.
        let _ = engine.push(&EVENTS, &mut out);
    }
}
