//! A venue's WebSocket for Python, as a feed.
use crate::feed::PyFeed;
use crate::graph::refused;
use crate::tape::{instruments_of, raised};
use pyo3::prelude::*;
use signal_feeds::websocket::{SCRIPTS, Script, Stream, WebSocketFeed, WebSocketOptions};
use std::time::Duration;

/// A venue's WebSocket, not connected yet; without `streams` trades, quotes and depth, as far as the venue
/// has them. CoreError BAD_OPTION names the option that is wrong.
#[pyfunction]
#[pyo3(signature = (*, url, venue, symbols, streams, instruments, rest, ca, stale_after_ns, reconnect_ns, reconnect_max_ns, seed, frame_bytes_max, stamped))]
#[allow(clippy::too_many_arguments)]
fn websocket(
    url: &str,
    venue: &str,
    symbols: Vec<String>,
    streams: Option<Vec<String>>,
    instruments: Option<&str>,
    rest: Option<String>,
    ca: Option<Vec<u8>>,
    stale_after_ns: u64,
    reconnect_ns: u64,
    reconnect_max_ns: u64,
    seed: u64,
    frame_bytes_max: usize,
    stamped: bool,
) -> PyResult<PyFeed> {
    let option = |name: &str, what: &str| refused("BAD_OPTION", &format!("{name}: {what}"), None);
    let script = Script::of(venue).ok_or_else(|| option("venue", "no such venue"))?;
    let streams = streams.map_or(Some(script.usual_streams()), |words| {
        words.iter().map(|word| Stream::parse(word)).collect()
    });
    let options = WebSocketOptions {
        symbols,
        streams: streams.ok_or_else(|| option("streams", "no such stream"))?,
        instruments: instruments_of(instruments)?,
        rest,
        ca,
        stale_after: Duration::from_nanos(stale_after_ns),
        reconnect_least: Duration::from_nanos(reconnect_ns),
        reconnect_most: Duration::from_nanos(reconnect_max_ns),
        seed,
        frame_bytes_max,
        stamped,
        ..WebSocketOptions::new(url, script, &[])
    };
    let feed = WebSocketFeed::new(options).map_err(|error| raised(&error))?;
    Ok(PyFeed::of(feed))
}

/// The venues that a WebSocket can be subscribed to, and the streams that each has.
#[pyfunction]
fn websocket_venues() -> Vec<(&'static str, Vec<&'static str>)> {
    let streams = |script: &Script| script.streams.iter().map(|stream| stream.name()).collect();
    SCRIPTS
        .iter()
        .map(|script| (script.venue, streams(script)))
        .collect()
}

/// Adds this file's functions to the extension module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(websocket, m)?)?;
    m.add_function(wrap_pyfunction!(websocket_venues, m)?)
}
