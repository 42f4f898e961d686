//! A Kafka topic for Python, as a feed.
use crate::feed::PyFeed;
use crate::graph::refused;
use crate::tape::{PyEventBatch, raised};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use signal_feeds::{BATCH_MESSAGES, Begin, KafkaFeed, KafkaOptions, Payload, pack_messages};
use signal_ingest::Venue;

// The signature below has to be a literal: Python sees it in the text of the function.
const _: () = assert!(BATCH_MESSAGES == 4096);

/// A topic, not connected yet. `payload` is "frame", "line", "event" or "arrow"; `begin` is "oldest", "newest" or milliseconds;
/// without a `group` all partitions are read. CoreError BAD_OPTION names the option that is wrong.
#[pyfunction]
#[pyo3(signature = (servers, topic, *, payload, venue=None, group=None, member=None, begin="oldest", history=false, to_end=false, dead_letters=None, properties=Vec::new(), batch_messages=4096))]
#[allow(clippy::too_many_arguments)]
fn kafka(
    servers: &str,
    topic: &str,
    payload: &str,
    venue: Option<&str>,
    group: Option<String>,
    member: Option<String>,
    begin: &str,
    history: bool,
    to_end: bool,
    dead_letters: Option<String>,
    properties: Vec<(String, String)>,
    batch_messages: usize,
) -> PyResult<PyFeed> {
    let payload = Payload::parse(payload).map_err(|error| raised(&error))?;
    Ok(PyFeed::of(KafkaFeed::new(KafkaOptions {
        venue: venue.map(venue_of).transpose()?,
        group,
        member,
        begin: Begin::parse(begin).map_err(|error| raised(&error))?,
        history,
        to_end,
        dead_letters,
        properties,
        batch_messages: batch_messages.max(1),
        ..KafkaOptions::new(servers, topic, payload)
    })))
}

fn venue_of(name: &str) -> PyResult<Venue> {
    Venue::of_name(name).ok_or_else(|| {
        let known: Vec<&str> = Venue::ALL.iter().map(|venue| venue.name()).collect();
        let what = format!("no venue \"{name}\": one of {}", known.join(", "));
        refused("OPTION", &what, None)
    })
}

/// Key and value of the Kafka message for each event of a batch, in our own encoding: payload "event".
#[pyfunction]
fn pack_events<'py>(
    py: Python<'py>,
    batch: &PyEventBatch,
) -> PyResult<Vec<(String, Bound<'py, PyBytes>)>> {
    let packed = pack_messages(&batch.batch).map_err(|error| raised(&error))?;
    Ok(packed
        .into_iter()
        .map(|(key, value)| (key, PyBytes::new(py, &value)))
        .collect())
}

/// Adds this file's functions to the extension module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(kafka, m)?)?;
    m.add_function(wrap_pyfunction!(pack_events, m)?)
}
