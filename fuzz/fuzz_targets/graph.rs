//! Graphs as JSON: refused with a code and a message, or compiled, explained and run.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signal_engine::{Engine, Options};
use signal_features::{Graph, Plan};
use std::sync::Arc;

/// State that the fuzzer has room for.
const STATE_BYTES_MAX: usize = 64 << 20;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let graph = match Graph::from_json(text) {
        Ok(graph) => graph,
        Err(error) => {
            assert!(!error.code.is_empty() && !error.message.is_empty());
            return;
        }
    };
    assert!(graph.nodes.iter().enumerate().all(|(i, node)| node.operands().iter().all(|&x| x < i)));
    let digest = graph.digest();
    let Ok(plan) = Plan::new(graph) else { return };
    assert_eq!(plan.digest, digest);
    if plan.bytes() > STATE_BYTES_MAX {
        return;
    }
    let Ok(mut engine) = Engine::new(Arc::new(plan), Options::default()) else { return };
    let mut out = engine.vectors();
    assert!(engine.advance(1_000_000_000, &mut out).is_ok());
    assert!(!engine.snapshot().is_empty());
});
