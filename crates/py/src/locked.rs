//! The engine behind its lock, and its refusals as Python raises them.
use crate::graph::refused;
use pyo3::prelude::*;
use signal_engine::{Engine, EngineError};
use std::sync::{Mutex, MutexGuard};

pub fn raised(error: &EngineError) -> PyErr {
    refused(error.code, &error.message, None)
}

pub fn locked(engine: &Mutex<Engine>) -> PyResult<MutexGuard<'_, Engine>> {
    // A panic while computing leaves the state unknown: the engine stays refused, the interpreter lives.
    engine.lock().map_err(|_| {
        refused(
            "POISONED",
            "the engine failed in an earlier call: make a new one",
            None,
        )
    })
}
