//! The journal's frames for Python: bytes in, bytes out. Files are opened, written and cut in `signal_stream.store`.
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::PyBytes;
use signal_journal::{Fault, HEADER, Row};

/// seq, ts, kind, key, body.
type Record<'a> = (u64, i64, &'a str, &'a str, &'a str);

/// The bytes that begin every segment of a journal.
#[pyfunction]
fn journal_header(py: Python<'_>) -> Bound<'_, PyBytes> {
    PyBytes::new(py, HEADER)
}

/// Length of the header at the start of `data`, or None while it is not whole. ValueError if it is none.
#[pyfunction]
fn journal_header_len(data: &[u8]) -> PyResult<Option<usize>> {
    match signal_journal::decode_header(data) {
        Ok(len) => Ok(Some(len)),
        Err(Fault::Short) => Ok(None),
        Err(fault) => Err(PyValueError::new_err(fault.to_string())),
    }
}

/// One frame with one record. ValueError if it is too large.
#[pyfunction]
fn journal_encode<'py>(
    py: Python<'py>,
    seq: u64,
    ts: i64,
    kind: &str,
    key: &str,
    body: &str,
) -> PyResult<Bound<'py, PyBytes>> {
    encode(
        py,
        seq,
        &[Row {
            ts,
            kind,
            key,
            body,
        }],
    )
}

/// One frame with a record for each (ts, kind, key, body), numbered from `seq`. ValueError if it is too large.
#[pyfunction]
fn journal_encode_rows<'py>(
    py: Python<'py>,
    seq: u64,
    rows: Vec<(i64, PyBackedStr, PyBackedStr, PyBackedStr)>,
) -> PyResult<Bound<'py, PyBytes>> {
    let rows: Vec<Row<'_>> = rows
        .iter()
        .map(|(ts, kind, key, body)| Row {
            ts: *ts,
            kind,
            key,
            body,
        })
        .collect();
    encode(py, seq, &rows)
}

fn encode<'py>(py: Python<'py>, seq: u64, rows: &[Row<'_>]) -> PyResult<Bound<'py, PyBytes>> {
    let refused = |fault: Fault| PyValueError::new_err(fault.to_string());
    let len = signal_journal::frame_len(rows).map_err(refused)?;
    PyBytes::new_with(py, len, |out| {
        signal_journal::encode(seq, rows, out).map_err(refused)
    })
}

/// The good frames at the start of `data`: (records, bytes consumed, next seq, fault).
///
/// `fault` is None at the end of the data, "short" where the data end inside a frame, else what is wrong. With
/// `key` or `kind` only the records that have it are returned, with `newest` only the last of them; all are checked.
#[pyfunction]
#[pyo3(signature = (data, next_seq, *, key=None, kind=None, newest=false))]
fn journal_scan<'a>(
    data: &'a [u8],
    next_seq: u64,
    key: Option<&str>,
    kind: Option<&str>,
    newest: bool,
) -> (Vec<Record<'a>>, usize, u64, Option<&'static str>) {
    let scan = signal_journal::scan(data, next_seq, |record| {
        key.is_none_or(|key| key == record.row.key)
            && kind.is_none_or(|kind| kind == record.row.kind)
    });
    let from = if newest {
        scan.records.len().saturating_sub(1)
    } else {
        0
    };
    let records = scan.records[from..]
        .iter()
        .map(|r| (r.seq, r.row.ts, r.row.kind, r.row.key, r.row.body))
        .collect();
    let fault = scan.fault.map(|fault| match fault {
        Fault::Short => "short",
        Fault::Damaged(what) | Fault::TooLarge(what) => what,
    });
    (records, scan.consumed, scan.next_seq, fault)
}

/// Where the first whole good frame begins at or after byte `start` of `data`, which must begin at a frame.
#[pyfunction]
fn journal_resync(py: Python<'_>, data: &[u8], start: usize) -> Option<usize> {
    py.detach(|| signal_journal::resync(data, start))
}

/// Adds the functions of this file to `_core`.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(journal_header, m)?)?;
    m.add_function(wrap_pyfunction!(journal_header_len, m)?)?;
    m.add_function(wrap_pyfunction!(journal_encode, m)?)?;
    m.add_function(wrap_pyfunction!(journal_encode_rows, m)?)?;
    m.add_function(wrap_pyfunction!(journal_scan, m)?)?;
    m.add_function(wrap_pyfunction!(journal_resync, m)?)
}
