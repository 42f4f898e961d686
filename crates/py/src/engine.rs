//! The engine for Python: batches, tables and bound rows in, vectors out. The GIL is not held while it computes.
use crate::bars::PyBarColumns;
use crate::capsule;
use crate::graph::{PyPlan, refused};
use crate::layout::PyLayout;
use crate::locked::{locked, raised};
use crate::options::PyOptions;
use crate::profile::PyProfile;
use crate::stepper::{Buffers, PyStepper};
use crate::tape::PyEventBatch;
use crate::vectors::PyVectors;
use crate::work::{Pieces, ROOM, TableRows, Work};
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use signal_engine::{Engine, EngineError, Mark, Notice, Pool};

use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

fn unfinished() -> PyErr {
    refused(
        "UNFINISHED",
        "what was pushed before is not taken whole: go on with it first",
        None,
    )
}

/// Runs a plan over events.
#[pyclass(name = "Engine", frozen, module = "signal_stream._core")]
pub struct PyEngine {
    engine: Arc<Mutex<Engine>>,
    /// Input of which a part has not been taken.
    left: Mutex<Option<Work>>,
    schema_digest: Arc<str>,
    pool: Arc<Pool>,
    /// Where it says when it runs, once it is profiled.
    mark: OnceLock<Mark>,
}

#[pymethods]
impl PyEngine {
    #[new]
    #[pyo3(signature = (plan, options=None, *, messages=0))]
    fn new(plan: &PyPlan, options: Option<&PyOptions>, messages: u64) -> PyResult<Self> {
        let engine = Engine::new(Arc::clone(&plan.plan), PyOptions::of(options))
            .map_err(|error| raised(&error))?;
        Ok(Self::of(engine.starting_after(messages)))
    }

    /// An engine that goes on where a snapshot of the same plan was taken.
    #[staticmethod]
    #[pyo3(signature = (plan, state, options=None))]
    fn restore(
        py: Python<'_>,
        plan: &PyPlan,
        state: &[u8],
        options: Option<&PyOptions>,
    ) -> PyResult<Self> {
        let (plan, options) = (Arc::clone(&plan.plan), PyOptions::of(options));
        let engine = py
            .detach(|| Engine::restore(plan, options, state))
            .map_err(|error| raised(&error))?;
        Ok(Self::of(engine))
    }

    /// The state as bytes.
    fn snapshot<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        if self.left()? {
            return Err(unfinished());
        }
        let bytes = py.detach(|| locked(&self.engine).map(|engine| engine.snapshot()))?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// What this engine does is sampled from here on. It has seen nothing yet.
    fn profile(&self, profile: &PyProfile) -> PyResult<()> {
        let mut profile = profile.locked();
        locked(&self.engine)?.profile(&mut profile);
        self.mark
            .set(profile.mark().clone())
            .map_err(|_| refused("BAD_INPUT", "the engine is profiled already", None))
    }

    /// Messages read so far.
    #[getter]
    fn messages(&self) -> PyResult<u64> {
        Ok(locked(&self.engine)?.messages())
    }

    /// Takes whole messages in order of arrival, in one go or in chunks, and gives the vectors that they bring about.
    /// After about `room` vectors it stops; while something is `left`, `go_on` gives the next.
    #[pyo3(signature = (batch, chunk=None, *, room=65536))]
    fn push(
        &self,
        py: Python<'_>,
        batch: &PyEventBatch,
        chunk: Option<usize>,
        room: usize,
    ) -> PyResult<PyVectors> {
        let pieces = Pieces::new(batch.batch.clone(), chunk);
        self.work(py, Work::Messages(Box::new(pieces)), room)
    }

    /// Whether a part of what was pushed has not been taken.
    #[getter(left)]
    fn left(&self) -> PyResult<bool> {
        Ok(self.unfinished()?.is_some())
    }

    /// Goes on with what is `left`, for about `room` vectors.
    #[pyo3(signature = (*, room=65536))]
    fn go_on(&self, py: Python<'_>, room: usize) -> PyResult<PyVectors> {
        let work = self.unfinished()?.take();
        self.work(py, work.unwrap_or(Work::Nothing), room)
    }

    /// No more rows of a table come: gives the vectors of bars that waited for others of their moment.
    fn finish(&self, py: Python<'_>) -> PyResult<PyVectors> {
        self.work(py, Work::Finish, ROOM)
    }

    /// The books as they stand, as one snapshot message each: a stream that begins with them goes on from here.
    fn book_snapshots(&self) -> PyResult<PyEventBatch> {
        locked(&self.engine)?
            .book_snapshots()
            .map(PyEventBatch::new)
            .map_err(|error| raised(&error))
    }

    /// Late messages that were kept aside since the last call.
    fn take_late(&self) -> PyResult<PyEventBatch> {
        locked(&self.engine)?
            .take_late()
            .map(PyEventBatch::new)
            .map_err(|error| raised(&error))
    }

    /// Vectors that late events changed since the last call, and of each its revision, and the digests of the vector as it was
    /// given last and as it is now: the first is None for one that is there only now, the second for one that is no more.
    #[allow(clippy::type_complexity)]
    fn take_amendments<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(
        PyVectors,
        Vec<(
            u32,
            Option<Bound<'py, PyBytes>>,
            Option<Bound<'py, PyBytes>>,
        )>,
    )> {
        let mut engine = locked(&self.engine)?;
        let amendments = engine.take_amendments();
        let bytes = |digest: Option<[u8; 32]>| digest.map(|digest| PyBytes::new(py, &digest));
        let changes = amendments.changes.iter();
        let changes = changes
            .map(|change| (change.revision, bytes(change.old), bytes(change.new)))
            .collect();
        let vectors = PyVectors::new(
            Arc::clone(engine.plan()),
            Arc::clone(&self.schema_digest),
            self.pool.lend(amendments.vectors),
        );
        Ok((vectors, changes))
    }

    /// The clock has reached `ts` nanoseconds: gives the vectors due before it.
    fn advance(&self, py: Python<'_>, ts: i64) -> PyResult<PyVectors> {
        self.run(py, |engine, out| engine.advance(ts, out))
    }

    /// How rows are read, for an engine that was restored before that was known.
    fn read_tables(&self, layout: &PyLayout, empty_bars: bool) -> PyResult<()> {
        locked(&self.engine)?
            .read_tables(layout.shared(), empty_bars)
            .map_err(|error| raised(&error))
    }

    /// Takes the rows of a table, a record batch, in one go or in chunks of rows. Its first column holds axis times, whole
    /// numbers in nanoseconds or timestamps; column `received` receive times; column `which` (uint32) the place of each
    /// row's instrument in `names`, which else has one; the others are the layout's fields, float64. `room` as in `push`.
    #[pyo3(signature = (names, batch, chunk=None, *, received=None, which=None, room=65536))]
    #[allow(clippy::too_many_arguments)]
    fn push_table(
        &self,
        py: Python<'_>,
        names: Vec<String>,
        batch: &Bound<'_, PyAny>,
        chunk: Option<usize>,
        received: Option<usize>,
        which: Option<usize>,
        room: usize,
    ) -> PyResult<PyVectors> {
        let batch = capsule::import(batch)?;
        let columns = batch.columns().to_vec();
        let rows = TableRows::new(columns, names, received, which, chunk);
        self.work(py, Work::Rows(Box::new(rows)), room)
    }

    /// Takes bars that go on at `begins` (ns) without a hole, no number null. None, and nothing taken, for all others.
    /// CoreError BELOW_ZERO where an amount is below 0; nothing is taken then, unless `whole` is false.
    #[pyo3(signature = (bars, batch, begins, chunk=None, *, room=65536, whole=true))]
    #[allow(clippy::too_many_arguments)]
    fn push_bars(
        &self,
        py: Python<'_>,
        bars: &PyBarColumns,
        batch: &Bound<'_, PyAny>,
        begins: i64,
        chunk: Option<usize>,
        room: usize,
        whole: bool,
    ) -> PyResult<Option<PyVectors>> {
        let Some(columns) = bars.go_on(batch, begins)? else {
            return Ok(None);
        };
        let name = bars.instrument.clone();
        let rows = TableRows::with_amounts(columns, name, &bars.amounts, chunk, whole)
            .map_err(|error| raised(&error))?;
        self.work(py, Work::Rows(Box::new(rows)), room).map(Some)
    }

    /// Binds buffers once for the lowest cost a call: `rows` holds float64 rows in the layout's order, `out` takes the
    /// vector, `reasons` (uint8) its codes. Call the result's `take` with a row number.
    #[pyo3(signature = (layout, instrument, rows, out, *, times=None, reasons=None, step_ns=1))]
    #[allow(clippy::too_many_arguments)]
    fn bind(
        &self,
        layout: &Bound<'_, PyLayout>,
        instrument: &str,
        rows: PyBuffer<f64>,
        out: PyBuffer<f64>,
        times: Option<PyBuffer<i64>>,
        reasons: Option<PyBuffer<u8>>,
        step_ns: i64,
    ) -> PyResult<PyStepper> {
        let buffers = Buffers {
            rows,
            out,
            times,
            reasons,
        };
        let columns = layout.get().columns();
        PyStepper::new(&self.engine, instrument, buffers, columns, step_ns)
    }

    /// What messages since the last call showed to be wrong with their feeds: instrument, what in one word, receive time,
    /// and what in words.
    fn take_notices(&self) -> PyResult<Vec<(String, &'static str, i64, String)>> {
        let told = |notice: Notice| {
            let Notice {
                instrument,
                ts_recv,
                what,
            } = notice;
            (instrument, what.name(), ts_recv, what.to_string())
        };
        let notices = locked(&self.engine)?.take_notices();
        Ok(notices.into_iter().map(told).collect())
    }

    /// Verdicts on the messages: totals, book facts, and one entry an instrument and kind.
    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let engine = locked(&self.engine)?;
        let dict = |counts: &signal_ingest::Counts| -> PyResult<Bound<'py, PyDict>> {
            let dict = PyDict::new(py);
            dict.set_item("input", counts.input)?;
            dict.set_item("accepted", counts.accepted)?;
            dict.set_item("duplicate", counts.duplicate)?;
            dict.set_item("late", counts.late)?;
            dict.set_item("rejected", counts.rejected)?;
            dict.set_item("conflated", counts.conflated)?;
            dict.set_item("gaps", counts.gaps)?;
            dict.set_item("missing", counts.missing)?;
            dict.set_item("off_book", counts.off_book)?;
            dict.set_item("clock_steps", counts.clock_steps)?;
            dict.set_item("restarts", counts.restarts)?;
            Ok(dict)
        };
        let all = dict(&engine.total())?;
        let books = engine.books();
        let amended = engine.amended();
        all.set_item("waiting", engine.waiting())?;
        all.set_item("amended", amended.messages)?;
        all.set_item("amendments", amended.vectors)?;
        all.set_item("book_superseded", books.superseded)?;
        all.set_item("book_gaps", books.gaps)?;
        all.set_item("book_crossed", books.crossed)?;
        all.set_item("book_checksums", books.checksums)?;
        all.set_item("book_mismatches", books.mismatches)?;
        all.set_item("book_orphans", books.orphans)?;
        all.set_item("book_repeated", books.repeated)?;
        let streams = PyDict::new(py);
        for ((instrument, kind), counts) in engine.counts() {
            let name = format!("{} {}", instrument.as_deref().unwrap_or("-"), kind.name());
            streams.set_item(name, dict(&counts)?)?;
        }
        all.set_item("streams", streams)?;
        Ok(all)
    }
}

impl PyEngine {
    fn of(engine: Engine) -> Self {
        let schema_digest = crate::vectors::schema_digest(engine.plan()).into();
        Self {
            engine: Arc::new(Mutex::new(engine)),
            left: Mutex::default(),
            schema_digest,
            pool: Arc::default(),
            mark: OnceLock::new(),
        }
    }

    fn unfinished(&self) -> PyResult<MutexGuard<'_, Option<Work>>> {
        self.left.lock().map_err(|_| unfinished())
    }

    /// Takes input until `room` vectors are made, and keeps what is left of it.
    fn work(&self, py: Python<'_>, mut work: Work, room: usize) -> PyResult<PyVectors> {
        if self.left()? {
            return Err(unfinished());
        }
        let mut done = true;
        let vectors = self.run(py, |engine, out| {
            done = work.take(engine, room.max(1), out)?;
            Ok(())
        })?;
        if !done {
            *self.unfinished()? = Some(work);
        }
        Ok(vectors)
    }

    pub fn run(
        &self,
        py: Python<'_>,
        work: impl Send + FnOnce(&mut Engine, &mut signal_engine::Vectors) -> Result<(), EngineError>,
    ) -> PyResult<PyVectors> {
        let (result, out, plan) = py.detach(|| {
            let mut engine = locked(&self.engine)?;
            let mut out = self.pool.take().unwrap_or_else(|| engine.vectors());
            let mark = self.mark.get();
            mark.inspect(|mark| mark.set(Mark::EVENTS));
            let result = work(&mut engine, &mut out);
            mark.inspect(|mark| mark.set(Mark::OUTSIDE));
            Ok::<_, PyErr>((result, out, Arc::clone(engine.plan())))
        })?;
        result.map_err(|error| raised(&error))?;
        Ok(PyVectors::new(
            plan,
            Arc::clone(&self.schema_digest),
            self.pool.lend(out),
        ))
    }
}

/// Adds this file's classes to the extension module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<PyBarColumns>()?;
    m.add_class::<PyEngine>()
}
