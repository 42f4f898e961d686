//! A batch as an Arrow record batch and back. Columns without nulls are shared, not copied.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Int64Type, TimestampNanosecondType, UInt8Type, UInt16Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, PrimitiveArray, RecordBatch, TimestampNanosecondArray};
use arrow_buffer::{ArrowNativeType, NullBuffer, ScalarBuffer};

use arrow_schema::{ArrowError, SchemaRef};

use crate::schema::type_name;
use crate::{
    Columns, EventBatch, EventError, INSTRUMENTS_KEY, InstrumentTable, NO_RULE, NO_SEQUENCE,
    NO_TIME, TAPE_VERSION, TAPE_VERSION_KEY, tape_schema, tape_schema_with,
};

/// The batch in the schema of [`tape_schema_with`].
pub fn to_record_batch(batch: &EventBatch) -> RecordBatch {
    match to_record_batch_in(batch, tape_schema_with(batch.instruments())) {
        Ok(record_batch) => record_batch,
        Err(mismatch) => unreachable!("the columns are those of the schema: {mismatch}"),
    }
}

/// The batch in a schema with the fields of [`tape_schema`] and metadata of its own. Other fields are an error.
pub fn to_record_batch_in(
    batch: &EventBatch,
    schema: SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let c = batch.columns();
    let columns: Vec<ArrayRef> = vec![
        timestamps(&c.ts_recv, None),
        timestamps(&c.ts_event, validity(&c.ts_event, NO_TIME)),
        Arc::new(PrimitiveArray::<UInt64Type>::new(
            c.sequence.clone(),
            validity(&c.sequence, NO_SEQUENCE),
        )),
        Arc::new(PrimitiveArray::<UInt64Type>::new(
            c.sequence_prev.clone(),
            validity(&c.sequence_prev, NO_RULE),
        )),
        Arc::new(PrimitiveArray::<UInt16Type>::new(
            c.instrument.clone(),
            None,
        )),
        Arc::new(PrimitiveArray::<UInt8Type>::new(c.kind.clone(), None)),
        Arc::new(PrimitiveArray::<UInt8Type>::new(c.side.clone(), None)),
        Arc::new(PrimitiveArray::<UInt8Type>::new(c.flags.clone(), None)),
        Arc::new(PrimitiveArray::<Int64Type>::new(c.price.clone(), None)),
        Arc::new(PrimitiveArray::<Int64Type>::new(c.qty.clone(), None)),
    ];
    RecordBatch::try_new(schema, columns)
}

/// The events in a record batch whose columns are those of [`tape_schema`], in any order, and whose metadata names
/// the instruments. Everything is checked: what comes back keeps the invariants of [`EventBatch`].
pub fn from_record_batch(record_batch: &RecordBatch) -> Result<EventBatch, EventError> {
    from_record_batches(std::slice::from_ref(record_batch))
}

/// As [`from_record_batch`], from a table in pieces: a message may begin in one and end in the next. The first piece's
/// metadata names the instruments; without a piece there are none.
pub fn from_record_batches(pieces: &[RecordBatch]) -> Result<EventBatch, EventError> {
    let Some(first) = pieces.first() else {
        return Ok(EventBatch::empty(Arc::default()));
    };
    let metadata = first.schema_ref().metadata();
    match metadata.get(TAPE_VERSION_KEY) {
        Some(version) if version != TAPE_VERSION => {
            return Err(EventError::Version {
                found: version.clone(),
            });
        }
        _ => {}
    }
    let text = metadata.get(INSTRUMENTS_KEY);
    let text = text.ok_or_else(|| EventError::Instruments {
        what: "no instrument table".into(),
    })?;
    from_record_batches_with(pieces, Arc::new(InstrumentTable::from_json(text)?))
}

/// As [`from_record_batches`], with the instrument table given.
pub fn from_record_batches_with(
    pieces: &[RecordBatch],
    instruments: Arc<InstrumentTable>,
) -> Result<EventBatch, EventError> {
    let columns = match pieces {
        [one] => columns_of(one)?,
        _ => {
            let pieces = pieces
                .iter()
                .map(columns_of)
                .collect::<Result<Vec<_>, _>>()?;
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

fn columns_of(record_batch: &RecordBatch) -> Result<Columns, EventError> {
    let expected = tape_schema();
    for field in record_batch.schema_ref().fields() {
        if expected.field_with_name(field.name()).is_err() {
            return Err(EventError::UnknownColumn {
                column: field.name().clone(),
            });
        }
    }
    Ok(Columns {
        ts_recv: column::<TimestampNanosecondType>(record_batch, "ts_recv", None)?,
        ts_event: column::<TimestampNanosecondType>(record_batch, "ts_event", Some(NO_TIME))?,
        sequence: column::<UInt64Type>(record_batch, "sequence", Some(NO_SEQUENCE))?,
        sequence_prev: column::<UInt64Type>(record_batch, "sequence_prev", Some(NO_RULE))?,
        instrument: column::<UInt16Type>(record_batch, "instrument", None)?,
        kind: column::<UInt8Type>(record_batch, "kind", None)?,
        side: column::<UInt8Type>(record_batch, "side", None)?,
        flags: column::<UInt8Type>(record_batch, "flags", None)?,
        price: column::<Int64Type>(record_batch, "price", None)?,
        qty: column::<Int64Type>(record_batch, "qty", None)?,
    })
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

fn column<T: ArrowPrimitiveType>(
    record_batch: &RecordBatch,
    name: &str,
    absent: Option<T::Native>,
) -> Result<ScalarBuffer<T::Native>, EventError> {
    let array = record_batch.column_by_name(name);
    let array = array.ok_or_else(|| EventError::MissingColumn {
        column: name.into(),
    })?;
    let wrong_type = || EventError::WrongType {
        column: name.into(),
        expected: tape_schema()
            .field_with_name(name)
            .map_or_else(|_| String::new(), |f| type_name(f.data_type())),
        found: type_name(array.data_type()),
    };
    let array = array
        .as_any()
        .downcast_ref::<PrimitiveArray<T>>()
        .ok_or_else(wrong_type)?;
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
mod tests {
    use super::*;
    use crate::{EventBatchBuilder, Header, Instrument, Kind, Side, StatusCode};
    use arrow_array::{Int64Array, UInt8Array};
    use arrow_schema::Schema;
    use proptest::prelude::*;

    type Rows = Vec<(u8, i64, i64)>;

    fn table() -> Arc<InstrumentTable> {
        Arc::new(InstrumentTable::of([Instrument::new("A.X"), Instrument::new("B.X")]).unwrap())
    }

    prop_compose! {
        fn message()(
            kind in prop::sample::select(vec![Kind::Trade, Kind::Quote, Kind::BookDiff, Kind::BookSnapshot, Kind::Mark, Kind::Status]),
            instrument in 0u16..2,
            ts_recv: i64,
            ts_event in prop_oneof![Just(NO_TIME), any::<i64>()],
            sequence in prop_oneof![Just(NO_SEQUENCE), any::<u64>()],
            sequence_prev in prop_oneof![Just(NO_RULE), any::<u64>()],
            levels in prop::collection::vec((1u8..3, any::<i64>(), any::<i64>()), 1..5),
        ) -> (Header, Rows) {
            let header = Header { kind, instrument, ts_recv, ts_event, sequence, sequence_prev };
            match kind {
                Kind::Trade => (header, levels[..1].to_vec()),
                Kind::Quote => (header, vec![(Side::Bid.code(), 1, 2), (Side::Ask.code(), 3, 4)]),
                Kind::Mark => (Header::mark(ts_recv), vec![(0, 0, 0)]),
                Kind::Status => (header, vec![(0, StatusCode::Halted.code().into(), 0)]),
                _ => (header, levels),
            }
        }
    }

    fn batch_of(messages: &[(Header, Rows)]) -> EventBatch {
        let mut builder = EventBatchBuilder::new();
        for (header, rows) in messages {
            rows.iter()
                .for_each(|&(side, price, qty)| builder.push_row(side, price, qty));
            builder.close(*header);
        }
        builder.finish(&table())
    }

    proptest! {
        #[test]
        fn record_batches_round_trip(messages in prop::collection::vec(message(), 0..40), order in Just((0..10).collect::<Vec<_>>()).prop_shuffle()) {
            let batch = batch_of(&messages);
            let record_batch = to_record_batch(&batch);
            let reordered = record_batch.project(&order).unwrap();
            prop_assert_eq!(&from_record_batch(&reordered).unwrap(), &batch);
            let rows: Vec<RecordBatch> = (0..batch.len()).map(|row| record_batch.slice(row, 1)).collect();
            let joined = from_record_batches(&rows).unwrap();
            prop_assert_eq!(joined.columns(), batch.columns());
            prop_assert_eq!(batch.message_count(), messages.len());
            let headers: Vec<_> = batch.messages().map(|m| m.header()).collect();
            prop_assert_eq!(headers, messages.iter().map(|m| m.0).collect::<Vec<_>>());
        }

        #[test]
        fn parts_make_the_whole(messages in prop::collection::vec(message(), 0..40), size in 1usize..9, cut in 0usize..45) {
            let batch = batch_of(&messages);
            let mut builder = EventBatchBuilder::new();
            let mut count = 0;
            for part in batch.chunks(size) {
                prop_assert_eq!(part.check_invariants(), Ok(()));
                count += part.message_count();
                builder.extend(&part, 0..part.len(), &[0, 1]);
            }
            prop_assert_eq!(count, messages.len());
            prop_assert_eq!(&builder.finish(&table()), &batch);
            let mut row = 0;
            while row < batch.len() {
                let end = batch.whole_rows_end(row, size);
                let part = batch.slice_rows(row..end);
                prop_assert!(part.message_count() == 1 || part.len() <= size);

                row = end;
            }
            let head = batch.slice_messages(0..cut);
            prop_assert_eq!(head.message_count(), cut.min(messages.len()));
            prop_assert_eq!(batch.slice_messages(cut..99).len(), batch.len() - head.len());
        }
    }

    #[test]
    fn refusals_name_the_column() {
        let batch = batch_of(&[(
            Header {
                kind: Kind::Trade,
                instrument: 0,
                ..Header::mark(1)
            },
            vec![(1, 2, 3)],
        )]);
        let good = to_record_batch(&batch);
        let with = |name: &str, array: ArrayRef| {
            let mut columns = good.columns().to_vec();
            let at = good.schema().index_of(name).unwrap();
            let mut fields: Vec<_> = good
                .schema()
                .fields()
                .iter()
                .map(|f| f.as_ref().clone())
                .collect();
            fields[at] = fields[at]
                .clone()
                .with_data_type(array.data_type().clone())
                .with_nullable(true);
            columns[at] = array;
            let schema = Schema::new(fields).with_metadata(good.schema().metadata().clone());
            from_record_batch(&RecordBatch::try_new(Arc::new(schema), columns).unwrap())
        };
        assert!(
            matches!(with("price", Arc::new(UInt8Array::from(vec![1]))), Err(EventError::WrongType { column, .. }) if column == "price")
        );
        assert!(matches!(
            with("price", Arc::new(Int64Array::from(vec![None]))),
            Err(EventError::UnexpectedNull { .. })
        ));
        assert!(matches!(
            with("kind", Arc::new(UInt8Array::from(vec![99]))),
            Err(EventError::UnknownCode {
                column: "kind",
                row: 0,
                code: 99
            })
        ));
        assert!(matches!(
            with("side", Arc::new(UInt8Array::from(vec![3]))),
            Err(EventError::UnknownCode { .. })
        ));
        assert!(matches!(
            with("flags", Arc::new(UInt8Array::from(vec![0]))),
            Err(EventError::BrokenMessage { .. })
        ));
        assert!(matches!(
            with("kind", Arc::new(UInt8Array::from(vec![2]))),
            Err(EventError::BrokenMessage { .. })
        ));
        assert!(matches!(
            from_record_batch(&good.project(&[0]).unwrap()),
            Err(EventError::MissingColumn { .. })
        ));
        let anonymous = RecordBatch::try_new(tape_schema(), good.columns().to_vec()).unwrap();
        assert!(matches!(
            from_record_batch(&anonymous),
            Err(EventError::Instruments { .. })
        ));
    }
}
