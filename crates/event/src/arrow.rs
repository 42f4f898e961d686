//! A batch as an Arrow record batch and back. Columns without nulls are shared, not copied.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Float64Type, Int64Type, TimestampNanosecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, PrimitiveArray, RecordBatch, StringArray, TimestampNanosecondArray,
};
use arrow_buffer::{ArrowNativeType, NullBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, SchemaRef};

use crate::more::rare_columns;
use crate::rare::text;
use crate::schema::type_name;
use crate::{
    Columns, EventBatch, EventError, INSTRUMENTS_KEY, Instruments, More, NO_CHECKSUM,
    NO_INSTRUMENT, NO_RULE, NO_SEQUENCE, NO_TIME, TAPE_VERSION_KEY, TapeColumns, TapeFormat,
};

/// The batch with the columns that it needs, and metadata that names format and instruments.
pub fn to_record_batch(batch: &EventBatch) -> RecordBatch {
    let schema = TapeColumns::of(batch).schema_with(batch.instruments());
    match to_record_batch_in(batch, schema) {
        Ok(record_batch) => record_batch,
        Err(mismatch) => unreachable!("the columns are those of the schema: {mismatch}"),
    }
}

/// The batch in a schema of [`TapeColumns::schema`] with metadata of its own. A schema that lacks a column which the
/// batch needs is an error; one that the batch does not have is at its default.
pub fn to_record_batch_in(
    batch: &EventBatch,
    schema: SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let (held, needed) = (TapeColumns::of_schema(&schema), TapeColumns::of(batch));
    if !held.hold(needed) {
        let what = format!("the schema lacks columns of {}", needed.schema());
        return Err(ArrowError::SchemaError(what));
    }
    let fields = schema.fields().iter();
    let columns = fields.map(|field| array(batch, field.name(), field.data_type()));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(schema, columns)
}

/// One column of the batch.
fn array(batch: &EventBatch, name: &str, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    let c = batch.columns();
    let ids = |ids: &ScalarBuffer<u64>, absent| -> ArrayRef {
        let nulls = validity(ids, absent);
        Arc::new(PrimitiveArray::<UInt64Type>::new(ids.clone(), nulls))
    };
    Ok(match name {
        "ts_recv" => timestamps(&c.ts_recv, None),
        "ts_event" => timestamps(&c.ts_event, validity(&c.ts_event, NO_TIME)),
        "sequence" => ids(&c.sequence, NO_SEQUENCE),
        "sequence_prev" => ids(&c.sequence_prev, NO_RULE),
        "instrument" if *data_type == DataType::UInt16 => {
            // There are fewer than 65,535, so only "none" loses digits, and it is "none" again.
            let narrow: ScalarBuffer<u16> = c.instrument.iter().map(|&i| i as u16).collect();
            Arc::new(PrimitiveArray::<UInt16Type>::new(narrow, None))
        }
        "instrument" => plain::<UInt32Type>(&c.instrument),
        "kind" => plain::<UInt8Type>(&c.kind),
        "side" => plain::<UInt8Type>(&c.side),
        "flags" => plain::<UInt8Type>(&c.flags),
        "price" => plain::<Int64Type>(&c.price),
        "qty" => plain::<Int64Type>(&c.qty),
        rare => {
            let more = c.more.as_deref();
            return rare_array(more, rare, batch.len());
        }
    })
}

fn plain<T: ArrowPrimitiveType>(values: &ScalarBuffer<T::Native>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(values.clone(), None))
}

/// A rare column, at its default where the batch does not have it.
fn rare_array(more: Option<&More>, name: &str, rows: usize) -> Result<ArrayRef, ArrowError> {
    macro_rules! find {
        (() $($name:ident: $type:ident = $default:expr,)+) => {
            match name {
                $(stringify!($name) => {
                    let told = more.and_then(|more| more.$name.clone());
                    let values = told.unwrap_or_else(|| vec![$default; rows].into());
                    find!($name values $type)
                })+
                "definition" => {
                    let told = more.and_then(|more| more.definition.clone());
                    Arc::new(told.unwrap_or_else(|| StringArray::new_null(rows)))
                }
                other => {
                    let what = format!("a tape has no column \"{other}\"");
                    return Err(ArrowError::SchemaError(what));
                }
            }
        };
        (checksum $values:ident i64) => {{
            let nulls = validity(&$values, NO_CHECKSUM);
            Arc::new(PrimitiveArray::<Int64Type>::new($values, nulls))
        }};
        ($name:ident $values:ident u64) => { plain::<UInt64Type>(&$values) };
        ($name:ident $values:ident u8) => { plain::<UInt8Type>(&$values) };
        ($name:ident $values:ident i64) => { plain::<Int64Type>(&$values) };
        ($name:ident $values:ident f64) => { plain::<Float64Type>(&$values) };
    }
    Ok(rare_columns!(find))
}

/// The events in a record batch whose columns are those of [`TapeColumns::schema`], in any order, and whose metadata names
/// format and instruments. Everything is checked: what comes back keeps the invariants of [`EventBatch`].
pub fn from_record_batch(record_batch: &RecordBatch) -> Result<EventBatch, EventError> {
    from_record_batches(std::slice::from_ref(record_batch))
}

/// As [`from_record_batch`], from a table in pieces: a message may begin in one and end in the next. The first piece's
/// metadata names format and instruments; without a piece there are none.
pub fn from_record_batches(pieces: &[RecordBatch]) -> Result<EventBatch, EventError> {
    let Some(first) = pieces.first() else {
        return Ok(EventBatch::empty(Arc::default()));
    };
    let metadata = first.schema_ref().metadata();
    let format = TapeFormat::of(metadata.get(TAPE_VERSION_KEY).map(String::as_str))?;
    let text = metadata.get(INSTRUMENTS_KEY);
    let text = text.ok_or_else(|| EventError::Instruments {
        what: "no instrument table".into(),
    })?;
    from_record_batches_with(pieces, format, Arc::new(Instruments::from_json(text)?))
}

/// As [`from_record_batches`], with format and instruments given.
pub fn from_record_batches_with(
    pieces: &[RecordBatch],
    format: TapeFormat,
    instruments: Arc<Instruments>,
) -> Result<EventBatch, EventError> {
    let columns = match pieces {
        [one] => columns_of(one, format)?,
        _ => {
            let pieces = pieces.iter().map(|piece| columns_of(piece, format));
            let pieces = pieces.collect::<Result<Vec<_>, _>>()?;
            Columns {
                ts_recv: joined(&pieces, |c| &c.ts_recv),
                ts_event: joined(&pieces, |c| &c.ts_event),
                sequence: joined(&pieces, |c| &c.sequence),
                sequence_prev: joined(&pieces, |c| &c.sequence_prev),
                instrument: joined(&pieces, |c| &c.instrument),
                kind: joined(&pieces, |c| &c.kind),
                side: joined(&pieces, |c| &c.side),
                flags: joined(&pieces, |c| &c.flags),
                price: joined(&pieces, |c| &c.price),
                qty: joined(&pieces, |c| &c.qty),
                more: joined_more(&pieces),
            }
        }
    };
    EventBatch::try_new(columns, instruments)
}

fn joined<T: ArrowNativeType>(
    pieces: &[Columns],
    column: impl Fn(&Columns) -> &ScalarBuffer<T>,
) -> ScalarBuffer<T> {
    pieces
        .iter()
        .flat_map(|piece| column(piece).iter().copied())
        .collect()
}

/// Rare columns of pieces as one: a piece that does not have one that another has is at the default.
fn joined_more(pieces: &[Columns]) -> Option<Box<More>> {
    pieces.iter().find(|piece| piece.more.is_some())?;
    macro_rules! each {
        (() $($name:ident: $type:ty = $default:expr,)+) => {
            More {
                $($name: pieces.iter().any(|p| p.more.as_ref().is_some_and(|m| m.$name.is_some())).then(|| {
                    let mut all: Vec<$type> = Vec::new();
                    for piece in pieces {
                        match piece.more.as_ref().and_then(|more| more.$name.as_ref()) {
                            Some(column) => all.extend_from_slice(column),
                            None => all.resize(all.len() + piece.kind.len(), $default),
                        }
                    }
                    all.into()
                }),)+
                definition: pieces.iter().any(|p| p.more.as_ref().is_some_and(|m| m.definition.is_some())).then(|| {
                    let texts = |piece: &Columns| -> Vec<Option<String>> {
                        let column = piece.more.as_ref().and_then(|more| more.definition.as_ref());
                        let cell = |row| Some(text(column?, row)?.to_string());
                        (0..piece.kind.len()).map(cell).collect()
                    };
                    StringArray::from(pieces.iter().flat_map(texts).collect::<Vec<_>>())
                }),
            }
        };
    }
    rare_columns!(each).if_any()
}

fn columns_of(record_batch: &RecordBatch, format: TapeFormat) -> Result<Columns, EventError> {
    let known = match format {
        TapeFormat::One => TapeColumns::default(),
        TapeFormat::Two => TapeColumns::all(),
    };
    let expected = known.schema();
    for field in record_batch.schema_ref().fields() {
        if expected.field_with_name(field.name()).is_err() {
            return Err(EventError::UnknownColumn {
                column: field.name().clone(),
            });
        }
    }
    let columns = Columns {
        ts_recv: column::<TimestampNanosecondType>(record_batch, "ts_recv", None)?,
        ts_event: column::<TimestampNanosecondType>(record_batch, "ts_event", Some(NO_TIME))?,
        sequence: column::<UInt64Type>(record_batch, "sequence", Some(NO_SEQUENCE))?,
        sequence_prev: column::<UInt64Type>(record_batch, "sequence_prev", Some(NO_RULE))?,
        instrument: instruments(record_batch)?,
        kind: column::<UInt8Type>(record_batch, "kind", None)?,
        side: column::<UInt8Type>(record_batch, "side", None)?,
        flags: column::<UInt8Type>(record_batch, "flags", None)?,
        price: column::<Int64Type>(record_batch, "price", None)?,
        qty: column::<Int64Type>(record_batch, "qty", None)?,
        more: more(record_batch)?.if_any(),
    };
    Ok(format.raise(columns))
}

/// The numbers of the instruments, of 16 or 32 bits.
fn instruments(record_batch: &RecordBatch) -> Result<ScalarBuffer<u32>, EventError> {
    let array = record_batch.column_by_name("instrument");
    if array.is_some_and(|array| *array.data_type() == DataType::UInt32) {
        return column::<UInt32Type>(record_batch, "instrument", None);
    }
    let narrow = column::<UInt16Type>(record_batch, "instrument", None)?;
    let wide = narrow.iter().map(|&i| match i {
        u16::MAX => NO_INSTRUMENT.0,
        i => i.into(),
    });
    Ok(wide.collect())
}

fn more(record_batch: &RecordBatch) -> Result<More, EventError> {
    macro_rules! read {
        (() $($name:ident: $type:ident = $default:expr,)+) => {
            More {
                $($name: match record_batch.column_by_name(stringify!($name)) {
                    Some(_) => Some(read!($name $type)),
                    None => None,
                },)+
                definition: texts(record_batch, "definition")?,
            }
        };
        (checksum i64) => { column::<Int64Type>(record_batch, "checksum", Some(NO_CHECKSUM))? };
        ($name:ident u64) => { column::<UInt64Type>(record_batch, stringify!($name), None)? };
        ($name:ident u8) => { column::<UInt8Type>(record_batch, stringify!($name), None)? };
        ($name:ident i64) => { column::<Int64Type>(record_batch, stringify!($name), None)? };
        ($name:ident f64) => { column::<Float64Type>(record_batch, stringify!($name), None)? };
    }
    Ok(rare_columns!(read))
}

fn texts(record_batch: &RecordBatch, name: &str) -> Result<Option<StringArray>, EventError> {
    let Some(array) = record_batch.column_by_name(name) else {
        return Ok(None);
    };
    match array.as_any().downcast_ref::<StringArray>() {
        Some(found) => Ok((found.null_count() < found.len()).then(|| found.clone())),
        None => Err(wrong_type(name, array)),
    }
}

pub(crate) fn timestamps(values: &ScalarBuffer<i64>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::new(values.clone(), nulls).with_timezone("UTC"))
}

/// Null where the value is `absent`; no buffer where none is.
pub(crate) fn validity<T: ArrowNativeType + PartialEq>(
    values: &[T],
    absent: T,
) -> Option<NullBuffer> {
    if !values.contains(&absent) {
        return None;
    }
    Some(values.iter().map(|v| *v != absent).collect())
}

fn wrong_type(name: &str, array: &ArrayRef) -> EventError {
    let expected = TapeColumns::all().schema();
    EventError::WrongType {
        column: name.into(),
        expected: expected
            .field_with_name(name)
            .map_or_else(|_| String::new(), |f| type_name(f.data_type())),
        found: type_name(array.data_type()),
    }
}

fn column<T: ArrowPrimitiveType>(
    record_batch: &RecordBatch,
    name: &str,
    absent: Option<T::Native>,
) -> Result<ScalarBuffer<T::Native>, EventError> {
    let array = record_batch.column_by_name(name);
    let array = array.ok_or_else(|| EventError::MissingColumn {
        column: name.into(),
    })?;
    let typed = array.as_any().downcast_ref::<PrimitiveArray<T>>();
    let array = typed.ok_or_else(|| wrong_type(name, array))?;
    match (array.nulls().filter(|n| n.null_count() > 0), absent) {
        (None, _) => Ok(array.values().clone()),
        (Some(_), None) => Err(EventError::UnexpectedNull {
            column: name.into(),
        }),
        (Some(nulls), Some(absent)) => {
            let mut values = vec![absent; array.len()];
            for (start, end) in nulls.valid_slices() {
                values[start..end].copy_from_slice(&array.values()[start..end]);
            }
            Ok(values.into())
        }
    }
}

#[cfg(test)]
#[path = "arrow_tests.rs"]
mod tests;
