//! The only crate that knows Python: classes, errors, the GIL and Arrow capsules. No logic.
use pyo3::prelude::*;

mod arrow_table;
mod bars;
mod capsule;
mod engine;
mod feed;
mod graph;
mod journal;
mod kafka;
mod layout;
mod locked;
mod options;
mod passing;
mod profile;
mod ring;
mod row;
mod signal;
mod source_feed;
mod stepper;
mod tape;
mod tape_check;
mod vectors;
mod watch;
mod websocket;
mod work;

#[pymodule]
fn _core(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add("__version__", env!("CARGO_PKG_VERSION"))?;
    graph::register(m)?;
    engine::register(m)?;
    feed::register(m)?;
    vectors::register(m)?;
    journal::register(m)?;
    kafka::register(m)?;
    layout::register(m)?;
    options::register(m)?;
    passing::register(m)?;
    profile::register(m)?;
    ring::register(m)?;
    row::register(m)?;
    signal::register(m)?;
    stepper::register(m)?;
    watch::register(m)?;
    websocket::register(m)?;
    tape_check::register(m)?;
    tape::register(m)
}
