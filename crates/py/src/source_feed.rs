//! A source written in Python as a feed, so that it can be merged with others. The GIL is held while it is asked.
use crate::tape::PyEventBatch;
use pyo3::prelude::*;
use pyo3::types::PyAnyMethods;
use serde_json::Value;
use signal_feeds::{Feed, FeedError, Notice, Poll, Position, SourceRecord};
use signal_ingest::Rejects;
use std::path::PathBuf;
use std::time::Duration;

/// Asks an object with the methods `open(position)`, `next(wait_ns)`, `position()`, `ended()`, `stats()`, `notice(…)` and `close()`;
/// positions and figures are text.
pub struct SourceFeed {
    part: Py<PyAny>,
    name: String,
    rereads: bool,
    position: Position,
    messages: u64,
    ended: bool,
}

impl SourceFeed {
    pub fn new(part: Py<PyAny>, name: String, rereads: bool) -> Self {
        Self {
            part,
            name,
            rereads,
            position: Position::default(),
            messages: 0,
            ended: false,
        }
    }

    /// Does something with the object; what it raises is an error of the source.
    fn ask<T>(&self, what: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T>) -> Result<T, FeedError> {
        let failed = |what: String| FeedError::Source {
            name: self.name.clone(),
            what,
        };
        let asked = Python::try_attach(|py| what(self.part.bind(py)).map_err(|e| e.to_string()));
        let ended = || failed("Python has ended".into());
        asked.ok_or_else(ended)?.map_err(failed)
    }
}

fn position_of(part: &Bound<'_, PyAny>) -> PyResult<Position> {
    Ok(Position::new(
        part.call_method0("position")?.extract::<String>()?,
    ))
}

impl Feed for SourceFeed {
    fn open(&mut self, position: Option<&Position>) -> Result<(), FeedError> {
        self.position = self.ask(|part| {
            part.call_method1("open", (position.map(Position::as_str),))?;
            position_of(part)
        })?;
        Ok(())
    }

    fn poll(&mut self, wait: Duration) -> Result<Poll, FeedError> {
        if self.ended {
            return Ok(Poll::End);
        }
        let wait_ns = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        let asked = self.ask(|part| {
            let found = part.call_method1("next", (wait_ns,))?;
            if found.is_none() {
                return Ok(Err(part.call_method0("ended")?.extract::<bool>()?));
            }
            let batch = found.cast::<PyEventBatch>()?.get().batch.clone();
            Ok(Ok((batch, position_of(part)?)))
        });
        match asked.inspect_err(|_| self.ended = true)? {
            Ok((batch, position)) => {
                self.position = position;
                self.messages += batch.message_count() as u64;
                match batch.is_empty() {
                    true => Ok(Poll::Idle { watermark: None }),
                    false => Ok(Poll::Batch(batch)),
                }
            }
            Err(ended) => {
                self.ended = ended;
                match ended {
                    true => Ok(Poll::End),
                    false => Ok(Poll::Idle { watermark: None }),
                }
            }
        }
    }

    fn position(&self) -> Position {
        self.position.clone()
    }

    fn rereads(&self) -> bool {
        self.rereads
    }

    fn records(&self) -> Vec<SourceRecord> {
        vec![SourceRecord {
            name: self.name.clone(),
            format: "source".into(),
            inputs: self.messages,
            messages: self.messages,
            rejects: Vec::new(),
        }]
    }

    fn rejects(&self) -> Vec<(PathBuf, Rejects)> {
        Vec::new()
    }

    fn stats(&self) -> Value {
        let text = self.ask(|part| part.call_method0("stats")?.extract::<String>());
        let stats = text.ok().and_then(|text| serde_json::from_str(&text).ok());
        stats.unwrap_or(Value::Null)
    }

    fn notice(&mut self, notice: &Notice) {
        let (kind, ts_recv) = (notice.kind.name(), notice.ts_recv);
        // What it makes of it is its own affair: the next poll tells whether it still reads.
        let _ = self.ask(|part| {
            part.call_method1("notice", (notice.instrument.as_str(), kind, ts_recv))?;
            Ok(())
        });
    }
}

impl Drop for SourceFeed {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = self.ask(|part| {
            part.call_method0("close")?;
            Ok(())
        });
    }
}
