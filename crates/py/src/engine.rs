//! The engine for Python: batches, tables and bound rows in, vectors out. The GIL is not held while it computes.
use crate::bars::PyBarColumns;
use crate::capsule;
use crate::graph::{PyPlan, refused};
use crate::tape::PyEventBatch;
use crate::vectors::PyVectors;
use crate::work::{Pieces, ROOM, TableRows, Work};
use pyo3::buffer::{Element, PyBuffer};
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use signal_engine::{Engine, EngineError, Layout, Notice, Options, Pool};
use signal_features::Field;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};

fn unfinished() -> PyErr {
    refused(
        "UNFINISHED",
        "what was pushed before is not taken whole: go on with it first",
        None,
    )
}

fn raised(error: &EngineError) -> PyErr {
    refused(error.code, &error.message, None)
}

/// Which column of a table feeds which field of a plan.
#[pyclass(name = "TableLayout", frozen, module = "signal_stream._core")]
pub struct PyLayout {
    layout: Arc<Layout>,
}

#[pymethods]
impl PyLayout {
    /// Matches the fields that a table's columns hold, in order, with what the plan reads. `rows_ns` is the length of its
    /// bars, if they are not of the shortest that the plan reads.
    #[new]
    #[pyo3(signature = (plan, fields, rows_ns=None))]
    fn new(plan: &PyPlan, fields: Vec<String>, rows_ns: Option<i64>) -> PyResult<Self> {
        let mut parsed = Vec::with_capacity(fields.len());
        for name in &fields {
            match Field::parse(name) {
                Some(field) => parsed.push(field),
                None => {
                    return Err(refused(
                        "UNKNOWN_NAME",
                        &format!("no field \"{name}\""),
                        None,
                    ));
                }
            }
        }
        match Layout::new(&plan.plan, &parsed, rows_ns) {
            Ok(layout) => Ok(Self {
                layout: Arc::new(layout),
            }),
            Err(error) => Err(refused("COLUMNS", &error.message, None)),
        }
    }

    /// Length of the bars that rows are, in nanoseconds, if they are bars.
    #[getter]
    fn bars_ns(&self) -> Option<i64> {
        self.layout.bars_ns()
    }

    /// Whether the plan reads each of the fields.
    #[getter]
    fn reads(&self) -> Vec<bool> {
        self.layout.reads().to_vec()
    }
}

impl PyLayout {
    pub fn shared(&self) -> Arc<Layout> {
        Arc::clone(&self.layout)
    }
}

/// Runs a plan over events.
#[pyclass(name = "Engine", frozen, module = "signal_stream._core")]
pub struct PyEngine {
    engine: Arc<Mutex<Engine>>,
    /// Input of which a part has not been taken.
    left: Mutex<Option<Work>>,
    schema_digest: Arc<str>,
    pool: Arc<Pool>,
}

fn locked(engine: &Mutex<Engine>) -> PyResult<MutexGuard<'_, Engine>> {
    // A panic while computing leaves the state unknown: the engine stays refused, the interpreter lives.
    engine.lock().map_err(|_| {
        refused(
            "POISONED",
            "the engine failed in an earlier call: make a new one",
            None,
        )
    })
}

fn options(
    instruments: Option<Vec<String>>,
    lateness_ns: i64,
    refuse_late: bool,
    amend_ns: i64,
    layout: Option<&PyLayout>,
    empty_bars: bool,
) -> Options {
    Options {
        instruments: instruments.map(|list| list.into_iter().collect()),
        lateness_ns,
        refuse_late,
        amend_ns,
        table: layout.map(|layout| Arc::clone(&layout.layout)),
        empty_bars,
        ..Options::default()
    }
}

#[pymethods]
impl PyEngine {
    #[new]
    #[allow(clippy::too_many_arguments)]
    #[pyo3(signature = (plan, *, instruments=None, lateness_ns=0, refuse_late=false, amend_ns=0, layout=None, empty_bars=false, messages=0))]
    fn new(
        plan: &PyPlan,
        instruments: Option<Vec<String>>,
        lateness_ns: i64,
        refuse_late: bool,
        amend_ns: i64,
        layout: Option<&PyLayout>,
        empty_bars: bool,
        messages: u64,
    ) -> PyResult<Self> {
        let engine = Engine::new(
            Arc::clone(&plan.plan),
            options(
                instruments,
                lateness_ns,
                refuse_late,
                amend_ns,
                layout,
                empty_bars,
            ),
        )
        .map_err(|error| raised(&error))?;
        Ok(Self::of(engine.starting_after(messages)))
    }

    /// An engine that goes on where a snapshot of the same plan was taken.
    #[staticmethod]
    #[allow(clippy::too_many_arguments)]
    #[pyo3(signature = (plan, state, *, instruments=None, lateness_ns=0, refuse_late=false, amend_ns=0, layout=None, empty_bars=false))]
    fn restore(
        py: Python<'_>,
        plan: &PyPlan,
        state: &[u8],
        instruments: Option<Vec<String>>,
        lateness_ns: i64,
        refuse_late: bool,
        amend_ns: i64,
        layout: Option<&PyLayout>,
        empty_bars: bool,
    ) -> PyResult<Self> {
        let (plan, options) = (
            Arc::clone(&plan.plan),
            options(
                instruments,
                lateness_ns,
                refuse_late,
                amend_ns,
                layout,
                empty_bars,
            ),
        );
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
            .read_tables(Arc::clone(&layout.layout), empty_bars)
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
        let number = locked(&self.engine)?
            .table_instrument(instrument)
            .map_err(|error| raised(&error))?;
        locked(&self.engine)?
            .check_rows(number)
            .map_err(|error| raised(&error))?;
        let columns = layout.get().layout.columns();
        let features = locked(&self.engine)?.plan().columns.len();
        if !rows.is_c_contiguous()
            || !rows.item_count().is_multiple_of(columns.max(1))
            || rows.item_count() == 0
        {
            return Err(PyValueError::new_err(format!(
                "rows must be contiguous float64 of {columns} numbers a row, found {} numbers",
                rows.item_count()
            )));
        }
        if !out.is_c_contiguous() || out.readonly() || out.item_count() != features {
            return Err(PyValueError::new_err(format!(
                "out must be writable contiguous float64 of {features} numbers, found {}",
                out.item_count()
            )));
        }
        let count = rows.item_count() / columns.max(1);
        if times
            .as_ref()
            .is_some_and(|times| !times.is_c_contiguous() || times.item_count() != count)
        {
            return Err(PyValueError::new_err(format!(
                "times must be contiguous int64, one for each of {count} rows"
            )));
        }
        if reasons
            .as_ref()
            .is_some_and(|r| !r.is_c_contiguous() || r.readonly() || r.item_count() != features)
        {
            return Err(PyValueError::new_err(format!(
                "reasons must be writable contiguous uint8 of {features} codes"
            )));
        }
        let shared = overlap(&rows, &out)
            || times.as_ref().is_some_and(|times| overlap(times, &out))
            || reasons.as_ref().is_some_and(|reasons| {
                overlap(&rows, reasons)
                    || overlap(&out, reasons)
                    || times.as_ref().is_some_and(|times| overlap(times, reasons))
            });
        if shared {
            return Err(PyValueError::new_err(
                "out and reasons must have memory of their own",
            ));
        }
        Ok(PyStepper {
            engine: Arc::clone(&self.engine),
            instrument: number,
            rows,
            out,
            times,
            reasons,
            columns,
            features,
            count,
            t: AtomicI64::new(0),
            step_ns,
        })
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
            let result = work(&mut engine, &mut out);
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

/// Takes bound rows one at a time.
///
/// Invariants: `rows`, `times`, `out` and `reasons` are contiguous, have the numbers that the fields say, stay exported
/// while held, and what is written lies apart from what is read.
#[pyclass(name = "Stepper", frozen, module = "signal_stream._core")]
pub struct PyStepper {
    engine: Arc<Mutex<Engine>>,
    instrument: usize,
    rows: PyBuffer<f64>,
    out: PyBuffer<f64>,
    times: Option<PyBuffer<i64>>,
    reasons: Option<PyBuffer<u8>>,
    columns: usize,
    features: usize,
    count: usize,
    /// Time of the newest row, where no times are bound.
    t: AtomicI64,
    step_ns: i64,
}

#[pymethods]
impl PyStepper {
    /// Takes row `i` of the bound rows and writes the vector; gives the number of invalid features, -1 if the row
    /// brought no vector about. A method, because Python calls methods faster than objects.
    #[pyo3(signature = (i=0, /))]
    fn take(&self, i: usize) -> PyResult<isize> {
        if i >= self.count {
            return Err(self.no_row(i));
        }
        let t = match &self.times {
            // SAFETY: there are `count` times, and nobody writes them while the GIL is held.
            Some(times) => unsafe { *times.buf_ptr().cast::<i64>().add(i) },
            None => {
                let t = self.t.load(Relaxed).saturating_add(self.step_ns);
                self.t.store(t, Relaxed);
                t
            }
        };
        // SAFETY: as above, with `columns` numbers a row, apart from what is written.
        let row = unsafe {
            let first = self.rows.buf_ptr().cast::<f64>().add(i * self.columns);
            std::slice::from_raw_parts(first, self.columns)
        };
        // SAFETY: writable, `features` items; the engine's lock is taken before anything is written.
        let mut engine = locked(&self.engine)?;
        let out = unsafe {
            std::slice::from_raw_parts_mut(self.out.buf_ptr().cast::<f64>(), self.features)
        };
        let reasons = self.reasons.as_ref().map(|reasons| {
            // SAFETY: as for out.
            unsafe { std::slice::from_raw_parts_mut(reasons.buf_ptr().cast::<u8>(), self.features) }
        });
        match engine.push_row(self.instrument, t, row, out, reasons) {
            Ok(made) => Ok(made.map_or(-1, |invalid| invalid as isize)),
            Err(error) => Err(self.refused(&error)),
        }
    }
}

impl PyStepper {
    /// The error of the tree for a row: rows are taken without a line of Python in between.
    #[cold]
    fn refused(&self, error: &EngineError) -> PyErr {
        Python::attach(|py| {
            let tree = py.import("signal_stream.research.engine");
            let answer = tree
                .and_then(|tree| tree.call_method1("refused_row", (error.code, &error.message)));
            answer.map_or_else(|of_the_tree| of_the_tree, |_| self::raised(error))
        })
    }

    #[cold]
    fn no_row(&self, i: usize) -> PyErr {
        PyIndexError::new_err(format!("row {i} of {}", self.count))
    }
}

/// Whether two buffers share memory.
fn overlap<A: Element, B: Element>(a: &PyBuffer<A>, b: &PyBuffer<B>) -> bool {
    let (from, to) = (a.buf_ptr() as usize, b.buf_ptr() as usize);
    from < to + b.len_bytes() && to < from + a.len_bytes()
}

/// Adds this file's classes to the extension module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<PyLayout>()?;
    m.add_class::<PyBarColumns>()?;
    m.add_class::<PyEngine>()?;
    m.add_class::<PyStepper>()
}
