//! Arrow PyCapsules: how tables enter and leave without a copy.

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi};
use arrow_array::{Array, RecordBatch, StructArray};
use arrow_schema::Schema;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyTuple};

/// A record batch as the pair of capsules that `__arrow_c_array__` returns.
pub fn export<'py>(py: Python<'py>, batch: &RecordBatch) -> PyResult<Bound<'py, PyTuple>> {
    let schema = FFI_ArrowSchema::try_from(batch.schema().as_ref()).map_err(refused)?;
    let array = FFI_ArrowArray::new(&StructArray::from(batch.clone()).to_data());
    let schema = PyCapsule::new_with_value(py, schema, c"arrow_schema")?;
    let array = PyCapsule::new_with_value(py, array, c"arrow_array")?;
    PyTuple::new(py, [schema, array])
}

/// A schema as the capsule that `__arrow_c_schema__` returns.
pub fn export_schema<'py>(py: Python<'py>, schema: &Schema) -> PyResult<Bound<'py, PyCapsule>> {
    let schema = FFI_ArrowSchema::try_from(schema).map_err(refused)?;
    PyCapsule::new_with_value(py, schema, c"arrow_schema")
}

/// The schema of a capsule, whose owner keeps it.
pub fn import_schema(capsule: &Bound<'_, PyAny>) -> PyResult<Schema> {
    let capsule: Bound<'_, PyCapsule> = capsule.extract()?;
    let schema = capsule.pointer_checked(Some(c"arrow_schema"))?;
    // SAFETY: the capsule's name says what it points to (Arrow's PyCapsule interface), and it is only read.
    let schema = unsafe { schema.cast::<FFI_ArrowSchema>().as_ref() };
    Schema::try_from(schema).map_err(refused)
}

/// A record batch from any object with `__arrow_c_array__`.
pub fn import(object: &Bound<'_, PyAny>) -> PyResult<RecordBatch> {
    if !object.hasattr("__arrow_c_array__")? {
        let kind = object.get_type().name()?;
        return Err(PyTypeError::new_err(format!(
            "expected an Arrow record batch (an object with __arrow_c_array__), found {kind}"
        )));
    }
    let pair = object.call_method0("__arrow_c_array__")?;
    let (schema, array): (Bound<'_, PyCapsule>, Bound<'_, PyCapsule>) = pair.extract()?;
    let schema = schema.pointer_checked(Some(c"arrow_schema"))?;
    let array = array.pointer_checked(Some(c"arrow_array"))?;
    // SAFETY: the capsules' names say what they point to (Arrow's PyCapsule interface); the array is moved out, which
    // marks the producer's as released.
    let (schema, array) = unsafe {
        (
            schema.cast::<FFI_ArrowSchema>().as_ref(),
            FFI_ArrowArray::from_raw(array.as_ptr().cast()),
        )
    };
    // SAFETY: both come from one producer and describe each other.
    let data = unsafe { from_ffi(array, schema) }.map_err(refused)?;
    Ok(RecordBatch::from(StructArray::from(data)))
}

fn refused(error: arrow_schema::ArrowError) -> PyErr {
    PyValueError::new_err(format!("the Arrow table cannot be read: {error}"))
}
