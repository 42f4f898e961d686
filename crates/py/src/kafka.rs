//! A Kafka topic for Python. The GIL is not held while messages are waited for, read and decoded.
use std::sync::Mutex;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use signal_feeds::{
    BATCH_MESSAGES, KafkaFeed, KafkaOptions, KafkaPoll, KafkaPosition, Payload, pack_messages,
};

use signal_ingest::Venue;

use crate::graph::refused;
use crate::tape::{PyEventBatch, locked, raised, rejects_of};

/// Adds this file's classes and functions to the extension module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<PyKafkaFeed>()?;
    m.add_function(wrap_pyfunction!(pack_events, m)?)
}

// The signature below has to be a literal: Python sees it in the text of the class.
const _: () = assert!(BATCH_MESSAGES == 4096);

/// Reads a topic: from a position on, each message once.
#[pyclass(name = "KafkaFeed", frozen, module = "signal_stream._core")]
pub struct PyKafkaFeed {
    feed: Mutex<Option<KafkaFeed>>,
    ended: Mutex<bool>,
}

#[pymethods]
impl PyKafkaFeed {
    /// Connects. `payload` is "frame", "line", "event" or "arrow"; without a `group` all partitions are read.
    #[new]
    #[pyo3(signature = (servers, topic, *, payload, venue=None, group=None, member=None, oldest=true, to_end=false, dead_letters=None, properties=None, batch_messages=4096, position=None))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        servers: String,
        topic: String,
        payload: &str,
        venue: Option<&str>,
        group: Option<String>,
        member: Option<String>,
        oldest: bool,
        to_end: bool,
        dead_letters: Option<String>,
        properties: Option<Vec<(String, String)>>,
        batch_messages: usize,
        position: Option<&str>,
    ) -> PyResult<Self> {
        let position = position.map(KafkaPosition::parse).transpose();
        let options = KafkaOptions {
            servers,
            topic,
            payload: Payload::parse(payload).map_err(|error| raised(&error))?,
            venue: venue.map(venue_of).transpose()?,
            group,
            member,
            from_oldest: oldest,
            to_end,
            dead_letters,
            properties: properties.unwrap_or_default(),
            batch_messages: batch_messages.max(1),
            position: position.map_err(|error| raised(&error))?,
        };
        let feed = py
            .detach(|| KafkaFeed::open(options))
            .map_err(|error| raised(&error))?;
        Ok(Self {
            feed: Mutex::new(Some(feed)),
            ended: Mutex::new(false),
        })
    }

    /// The next messages, waiting up to `timeout` seconds; None if nothing came, or at the end. What was given before may be
    /// committed to the group now.
    fn next(&self, py: Python<'_>, timeout: f64) -> PyResult<Option<PyEventBatch>> {
        let wait = Duration::try_from_secs_f64(timeout).unwrap_or(Duration::ZERO);
        let found = py.detach(|| {
            let mut feed = locked(&self.feed)?;
            let feed = feed.as_mut().ok_or_else(closed)?;
            Ok::<_, PyErr>(match feed.poll(wait) {
                Ok(KafkaPoll::Batch(batch)) => Ok((Some(PyEventBatch::new(batch)), false)),
                Ok(KafkaPoll::Idle) => Ok((None, false)),
                Ok(KafkaPoll::End) => Ok((None, true)),
                Err(error) => Err(error),
            })
        })?;
        let (batch, ended) = found.map_err(|error| raised(&error))?;
        if ended {
            *locked(&self.ended)? = true;
        }
        Ok(batch)
    }

    /// What was given so far is safe: `close` may commit it to the group.
    fn acknowledge(&self) -> PyResult<()> {
        locked(&self.feed)?
            .as_mut()
            .ok_or_else(closed)?
            .acknowledge();
        Ok(())
    }

    /// Whether there will be no more.
    #[getter]
    fn ended(&self) -> PyResult<bool> {
        Ok(*locked(&self.ended)?)
    }

    /// Where the reading stands, behind the last batch: JSON.
    #[getter]
    fn position(&self) -> PyResult<String> {
        Ok(locked(&self.feed)?
            .as_ref()
            .ok_or_else(closed)?
            .position()
            .to_json())
    }

    /// What was read and refused, the partitions that are read, how far behind their ends that is, and what is wrong.
    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let guard = locked(&self.feed)?;
        let feed = guard.as_ref().ok_or_else(closed)?;
        let dict = PyDict::new(py);
        let records: Vec<String> = feed
            .records()
            .iter()
            .map(|record| record.to_json().to_string())
            .collect();
        dict.set_item("records", records)?;
        dict.set_item("rejects", rejects_of(py, &feed.rejects())?)?;
        dict.set_item("partitions", feed.assigned())?;
        dict.set_item("lags", feed.lags())?;
        dict.set_item("rebalances", feed.rebalances())?;
        dict.set_item("trouble", feed.trouble().map(|error| error.to_string()))?;
        Ok(dict)
    }

    /// Tells the group up to where what was given is safe, and leaves it. May be called twice.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| {
            if let Some(feed) = locked(&self.feed)?.take() {
                feed.close();
            }
            Ok(())
        })
    }
}

fn venue_of(name: &str) -> PyResult<Venue> {
    Venue::of_name(name).ok_or_else(|| {
        let known: Vec<&str> = Venue::ALL.iter().map(|venue| venue.name()).collect();
        let what = format!("no venue \"{name}\": one of {}", known.join(", "));
        refused("OPTION", &what, None)
    })
}

fn closed() -> PyErr {
    refused(
        "CLOSED",
        "the topic is not read any more: open it again",
        None,
    )
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
