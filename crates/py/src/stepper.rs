//! Rows of a table one at a time, over buffers that are bound once: the lowest cost a call.
use crate::locked::{locked, raised};
use pyo3::buffer::{Element, PyBuffer};
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use signal_engine::{Engine, EngineError};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// What is bound: rows and perhaps their times to be read, the vector and perhaps its reasons to be written.
pub struct Buffers {
    pub rows: PyBuffer<f64>,
    pub out: PyBuffer<f64>,
    pub times: Option<PyBuffer<i64>>,
    pub reasons: Option<PyBuffer<u8>>,
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

    /// What the graph remembers of the rows so far, as bytes.
    fn snapshot<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let state = locked(&self.engine)?.row_state(self.instrument);
        Ok(PyBytes::new(py, &state.map_err(|error| raised(&error))?))
    }

    /// Goes on where such bytes were taken. CoreError if they are of another graph, or damaged.
    #[pyo3(signature = (state, /))]
    fn restore(&self, state: &[u8]) -> PyResult<()> {
        let restored = locked(&self.engine)?.set_row_state(self.instrument, state);
        restored.map_err(|error| raised(&error))
    }
}

impl PyStepper {
    /// Binds buffers of an instrument's rows, `columns` numbers each. CoreError, or ValueError for buffers that do not fit.
    pub fn new(
        engine: &Arc<Mutex<Engine>>,
        instrument: &str,
        buffers: Buffers,
        columns: usize,
        step_ns: i64,
    ) -> PyResult<Self> {
        let number = locked(engine)?
            .table_instrument(instrument)
            .map_err(|error| raised(&error))?;
        locked(engine)?
            .check_rows(number)
            .map_err(|error| raised(&error))?;
        let features = locked(engine)?.plan().columns.len();
        let Buffers {
            rows,
            out,
            times,
            reasons,
        } = buffers;
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
        Ok(Self {
            engine: Arc::clone(engine),
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

    /// The error of the tree for a row: rows are taken without a line of Python in between.
    #[cold]
    fn refused(&self, error: &EngineError) -> PyErr {
        Python::attach(|py| {
            let tree = py.import("signal_stream.research.engine");
            let answer = tree
                .and_then(|tree| tree.call_method1("refused_row", (error.code, &error.message)));
            answer.map_or_else(|of_the_tree| of_the_tree, |_| raised(error))
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

/// Adds the class of this file to the extension module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<PyStepper>()
}
