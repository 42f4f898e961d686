//! Engine snapshots with a checksum that fits: refused, or the engine goes on and its own snapshot is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signal_engine::{Engine, Options};
use signal_event::EventBatch;
use signal_features::{Graph, Plan};
use signal_ingest::Capture;
use std::sync::{Arc, LazyLock};

const GRAPH: &str = include_str!("../graph.json");
const LINES: &[u8] = include_bytes!("../capture.txt");

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
    engine.push(&EVENTS, &mut out).expect("the events are taken");
    engine.snapshot()
});

/// Pairs of (place, byte) changed in the real snapshot, then cut or grown to a length, with the right checksum.
fn forged(bytes: &[u8]) -> Vec<u8> {
    let mut body = REAL[..REAL.len() - 4].to_vec();
    let (edits, rest) = bytes.as_chunks::<4>();
    for &[low, high, old, new] in edits {
        let at = usize::from(u16::from_le_bytes([low, high])) % body.len();
        body[at] = if old % 4 == 0 { body[at].wrapping_add(new) } else { new };
    }
    if let [length, ..] = rest {
        body.truncate(body.len() - body.len().min(usize::from(*length)));
    }
    let checksum = crc32fast::hash(&body);
    body.extend_from_slice(&checksum.to_le_bytes());
    body
}

fuzz_target!(|bytes: &[u8]| {
    for state in [bytes.to_vec(), forged(bytes)] {
        let Ok(mut engine) = Engine::restore(Arc::clone(&PLAN), Options::default(), &state) else { continue };
        let again = engine.snapshot();
        let restored = Engine::restore(Arc::clone(&PLAN), Options::default(), &again);
        assert!(restored.is_ok_and(|restored| restored.snapshot() == again), "a snapshot of a restored engine differs");
        let mut out = engine.vectors();
        // Refusing is allowed, a panic is not.
        let _ = engine.push(&EVENTS, &mut out);
    }
});
