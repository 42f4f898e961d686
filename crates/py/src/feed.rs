//! Feeds for Python: what they read, and the live source that reads one. The GIL is not held while a feed is opened or waited
//! for.
use crate::graph::refused;
use crate::source_feed::SourceFeed;
use crate::tape::{PyEventBatch, instruments_of, locked, raised, rejects_of, spec_of};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use signal_feeds::{
    Conflate, FanIn, Feed, FilesFeed, FollowFeed, Handover, LiveOptions, LiveSource, Next, Notice,
    NoticeKind, Pace, PipeFeed, Position, ReaderOptions, WhenFull,
};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

/// Where events come from, not opened yet. A live source or another feed takes it over; it is of no use after that.
#[pyclass(name = "Feed", frozen, module = "signal_stream._core")]
pub struct PyFeed {
    feed: Mutex<Option<Box<dyn Feed>>>,
}

impl PyFeed {
    pub fn of(feed: impl Feed + 'static) -> Self {
        Self {
            feed: Mutex::new(Some(Box::new(feed))),
        }
    }

    fn take(&self) -> PyResult<Box<dyn Feed>> {
        locked(&self.feed)?
            .take()
            .ok_or_else(|| refused("OPTION", "the feed was taken already: make a new one", None))
    }
}

#[pymethods]
impl PyFeed {
    /// Tapes and captures, merged in order of arrival, to their end. `instruments`: what is known of them, as a tape holds it;
    /// `venue`: whose frames captures hold, where they are not recognised.
    #[staticmethod]
    #[pyo3(signature = (paths, instruments=None, venue=None))]
    fn files(
        paths: Vec<PathBuf>,
        instruments: Option<&str>,
        venue: Option<&str>,
    ) -> PyResult<Self> {
        let options = options_of(instruments, venue)?;
        Ok(Self::of(FilesFeed::new(paths, options)))
    }

    /// A plain capture that another program appends to, without end, over its rotations.
    #[staticmethod]
    #[pyo3(signature = (path, instruments=None, venue=None))]
    fn follow(path: PathBuf, instruments: Option<&str>, venue: Option<&str>) -> PyResult<Self> {
        let options = options_of(instruments, venue)?;
        Ok(Self::of(FollowFeed::new(path, options)))
    }

    /// A plain capture on standard input.
    #[staticmethod]
    #[pyo3(signature = (instruments=None, venue=None))]
    fn stdin(instruments: Option<&str>, venue: Option<&str>) -> PyResult<Self> {
        let options = options_of(instruments, venue)?;
        let feed = PipeFeed::stdin(options).map_err(|error| raised(&error))?;
        Ok(Self::of(feed))
    }

    /// A source written in Python, as `signal_stream.ingest.merged_part` shows it.
    #[staticmethod]
    fn source(part: Py<PyAny>, name: String, rereads: bool) -> Self {
        Self::of(SourceFeed::new(part, name, rereads))
    }

    /// All of `history`, then what `live` has beyond it. Up to `queue_rows` rows of `live` wait meanwhile.
    #[staticmethod]
    fn handover(history: &PyFeed, live: &PyFeed, queue_rows: usize) -> PyResult<Self> {
        let handover = Handover::new(history.take()?, live.take()?, queue_rows);
        Ok(Self::of(handover))
    }

    /// Several feeds merged in order of arrival. One that is idle is waited for `patience` seconds.
    #[staticmethod]
    fn fan_in(feeds: Vec<PyRef<'_, PyFeed>>, patience: f64) -> PyResult<Self> {
        let patience = Duration::try_from_secs_f64(patience)
            .map_err(|error| refused("OPTION", &format!("patience: {error}"), None))?;
        let feeds: PyResult<Vec<_>> = feeds.iter().map(|feed| feed.take()).collect();
        Ok(Self::of(FanIn::new(feeds?, patience)))
    }
}

/// How files are read where this is known of instruments, and of whose frames they are.
fn options_of(instruments: Option<&str>, venue: Option<&str>) -> PyResult<ReaderOptions> {
    Ok(ReaderOptions {
        instruments: instruments_of(instruments)?,
        spec: spec_of(venue)?,
        ..ReaderOptions::default()
    })
}

/// Reads a feed in a thread of its own, at a pace, into a bounded queue.
#[pyclass(name = "LiveSource", frozen, module = "signal_stream._core")]
pub struct PyLiveSource {
    source: LiveSource,
    reached: Mutex<Reached>,
}

/// What the last call of `next` came to.
struct Reached {
    end: Option<&'static str>,
    position: Position,
    /// Whether the feed was told that this is written.
    told: bool,
}

#[pymethods]
impl PyLiveSource {
    /// Opens the feed and begins to read, at its beginning or behind a position that a source of the same feed had.
    #[new]
    #[pyo3(signature = (feed, *, pace="recorded", queue_rows=65_536, when_full="block", conflate="none", position=None))]
    #[allow(clippy::too_many_arguments)] // They are Python's keywords.
    fn new(
        py: Python<'_>,
        feed: &PyFeed,
        pace: &str,
        queue_rows: usize,
        when_full: &str,
        conflate: &str,
        position: Option<&[u8]>,
    ) -> PyResult<Self> {
        let position = position.map(Position::from_bytes).transpose();
        let options = LiveOptions {
            pace: Pace::parse(pace).map_err(|error| raised(&error))?,
            queue_rows,
            when_full: WhenFull::parse(when_full).map_err(|error| raised(&error))?,
            conflate: Conflate::parse(conflate).map_err(|error| raised(&error))?,
            position: position.map_err(|error| raised(&error))?,
        };
        let feed = feed.take()?;
        let source = py
            .detach(|| LiveSource::start(feed, &options))
            .map_err(|error| raised(&error))?;
        let position = source.begins().clone();
        Ok(Self {
            source,
            reached: Mutex::new(Reached {
                end: None,
                position,
                told: true,
            }),
        })
    }

    /// The next messages, waiting up to `timeout` seconds; None if nothing came, or at the end: see `end`. What was given before
    /// is safe by now: the feed may tell others so.
    fn next(&self, py: Python<'_>, timeout: f64) -> PyResult<Option<PyEventBatch>> {
        let mut reached = locked(&self.reached)?;
        if !std::mem::replace(&mut reached.told, true) {
            self.source.written(reached.position.clone());
        }
        drop(reached);
        let wait = Duration::try_from_secs_f64(timeout).unwrap_or(Duration::ZERO);
        let next = py.detach(|| self.source.next(wait));
        let end = match next.map_err(|error| raised(&error))? {
            Next::Batch(batch, position) => {
                let mut reached = locked(&self.reached)?;
                (reached.position, reached.told) = (position, false);
                drop(reached);
                return Ok(Some(py.detach(|| PyEventBatch::new(batch))));
            }
            Next::Idle { .. } => None,
            Next::End => Some("end"),
            Next::Halted => Some("halted"),
        };
        locked(&self.reached)?.end = end;
        Ok(None)
    }

    /// "end" once there will be no more, "halted" if a full queue ended it, else None.
    #[getter]
    fn end(&self) -> PyResult<Option<&'static str>> {
        Ok(locked(&self.reached)?.end)
    }

    /// Behind the last batch that `next` gave; empty where the feed cannot be resumed.
    #[getter]
    fn position<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let reached = locked(&self.reached)?;
        Ok(PyBytes::new(py, reached.position.as_str().as_bytes()))
    }

    /// Tells the feed that something is wrong with an instrument's messages: "BOOK_GAP", "CHECKSUM_MISMATCH", "CLOCK_STEP" or
    /// "STALE", seen at `ts_recv` nanoseconds. It may fetch a snapshot or subscribe again.
    fn notice(&self, instrument: String, kind: &str, ts_recv: i64) -> PyResult<()> {
        let known = NoticeKind::ALL.into_iter().find(|each| each.name() == kind);
        let Some(kind) = known else {
            let names: Vec<&str> = NoticeKind::ALL.iter().map(|kind| kind.name()).collect();
            let what = format!("no notice \"{kind}\": one of {}", names.join(", "));
            return Err(refused("UNKNOWN_NAME", &what, None));
        };
        self.source.notice(Notice {
            instrument,
            kind,
            ts_recv,
        });
        Ok(())
    }

    /// Stops reading; `next` still gives what is in the queue, then the end.
    fn stop(&self) {
        self.source.stop();
    }

    /// Stops reading, and closes the feed. May be called twice.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.source.close());
    }

    /// What was read, queued, shed and rejected so far.
    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counts = self.source.counts();
        let dict = PyDict::new(py);
        dict.set_item("queue_rows", counts.queue_rows)?;
        dict.set_item("queue_age_ns", counts.queue_age.as_nanos())?;
        dict.set_item("shed_rows", counts.shed_rows)?;
        dict.set_item("shed_messages", counts.shed_messages)?;
        dict.set_item("conflated_messages", counts.conflated_messages)?;
        let records = counts.records.iter();
        let records: Vec<String> = records.map(|each| each.to_json().to_string()).collect();
        dict.set_item("records", records)?;
        dict.set_item("stats", counts.stats.to_string())?;
        dict.set_item("rejects", rejects_of(py, &counts.rejects)?)?;
        Ok(dict)
    }
}

impl Drop for PyLiveSource {
    fn drop(&mut self) {
        // A feed may be Python's: its thread needs the GIL to come to an end.
        let _ = Python::try_attach(|py| py.detach(|| self.source.close()));
    }
}

/// Adds this file's classes to the extension module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<PyFeed>()?;
    m.add_class::<PyLiveSource>()
}
