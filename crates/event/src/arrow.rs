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

use crate::builder::text;
use crate::more::rare_columns;
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
mod tests {
    use super::*;
    use crate::{
        BarField, Condition, Definition, EventBatchBuilder, Header, Instrument, InstrumentId,
        InstrumentKind, Kind, OrderAction, ReferenceField, Row, Scope, Side, StatusCode, Unit,
    };
    use arrow_array::{Int64Array, UInt8Array};
    use arrow_schema::Schema;
    use proptest::prelude::*;

    fn table() -> Arc<Instruments> {
        Arc::new(Instruments::of([Instrument::new("A.X"), Instrument::new("B.X")]).unwrap())
    }

    /// A message to be: its header and what its rows hold.
    #[derive(Clone, Debug)]
    enum Said {
        Rows(Vec<Row>, Option<u32>),
        Status(StatusCode, Option<Kind>, Scope),
        Definition(Definition),
    }

    fn row() -> impl Strategy<Value = Row> {
        let told = (
            1u8..3,
            any::<i64>(),
            any::<i64>(),
            any::<u64>(),
            any::<bool>(),
        );
        told.prop_map(|(side, price, qty, order_id, _)| Row {
            side: Side::from_code(side).unwrap(),
            price,
            qty,
            order_id,
            ..Row::default()
        })
    }

    fn any_of<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
        prop::sample::select(all)
    }

    prop_compose! {
        fn message()(
            kind in any_of(Kind::ALL),
            instrument in 0u32..2,
            ts_recv: i64,
            ts_event in prop_oneof![Just(NO_TIME), any::<i64>()],
            sequence in prop_oneof![Just(NO_SEQUENCE), any::<u64>()],
            sequence_prev in prop_oneof![Just(NO_RULE), any::<u64>()],
            rows in prop::collection::vec(row(), 1..5),
            actions in prop::collection::vec(any_of(OrderAction::ALL), 5),
            condition in any_of(Condition::ALL),
            checksum in prop::option::of(any::<u32>()),
            code in any_of(StatusCode::ALL),
            stream in prop::option::of(any_of(Kind::ALL)),
            scope in any_of(Scope::ALL),
            bars in prop::collection::vec(any_of(BarField::ALL), 5),
            fields in prop::collection::vec(any_of(ReferenceField::ALL), 5),
            value in -1e9f64..1e9,
            places in 0u8..19,
        ) -> (Header, Said) {
            let instrument = match (kind, scope) {
                (Kind::Mark, _) | (Kind::Status, Scope::All) => NO_INSTRUMENT,
                _ => InstrumentId(instrument),
            };
            let header = Header { kind, instrument, ts_recv, ts_event, sequence, sequence_prev };
            let rows = rows.into_iter();
            let plain = |row: Row| Row { order_id: 0, ..row };
            let said = match kind {
                Kind::Trade => Said::Rows(rows.take(1).map(|r| Row { condition, ..plain(r) }).collect(), None),
                Kind::Quote => {
                    let side = |side| Row { side, price: 3, qty: 4, ..Row::default() };
                    Said::Rows(vec![side(Side::Bid), side(Side::Ask)], None)
                }
                Kind::BookDiff | Kind::BookSnapshot => Said::Rows(rows.map(plain).collect(), checksum),
                Kind::Order => Said::Rows(rows.enumerate().map(|(at, r)| Row { action: Some(actions[at]), ..r }).collect(), checksum),
                Kind::Bar => Said::Rows(rows.enumerate().map(|(at, r)| Row::bar(bars[at], r.price)).collect(), None),
                Kind::Reference => Said::Rows(rows.enumerate().map(|(at, r)| match fields[at].unit() {
                    Unit::Pure => Row::pure(fields[at], value),
                    _ => Row::reference(fields[at], r.price),
                }).collect(), None),
                Kind::Mark => return (Header::mark(ts_recv), Said::Rows(vec![Row::default()], None)),
                Kind::Status => Said::Status(code, stream, scope),
                Kind::Definition => Said::Definition(Definition {
                    price_display: Some(places),
                    ..Definition::new("X", "é\"", InstrumentKind::Perpetual)
                }),
            };
            (header, said)
        }
    }

    fn batch_of(messages: &[(Header, Said)]) -> EventBatch {
        let mut builder = EventBatchBuilder::new();
        for (header, said) in messages {
            match said {
                Said::Rows(rows, checksum) => {
                    rows.iter().for_each(|row| builder.push_more(*row));
                    checksum.iter().for_each(|sum| builder.checksum(*sum));
                    builder.close(*header);
                }
                Said::Status(code, stream, scope) => {
                    builder.status_of(*header, *code, *stream, *scope)
                }
                Said::Definition(definition) => builder.define(*header, definition),
            }
        }
        builder.finish(&table())
    }

    /// What a message says, so that two can be compared.
    fn said(message: &crate::Message<'_>) -> String {
        use crate::Event;
        match message.event() {
            Event::Depth {
                snapshot,
                levels,
                checksum,
            } => {
                format!(
                    "{snapshot} {:?} {checksum:?}",
                    levels.iter().collect::<Vec<_>>()
                )
            }
            Event::Orders(orders) => format!("{:?}", orders.collect::<Vec<_>>()),
            Event::Bar(bar) => format!(
                "{:?}",
                BarField::ALL
                    .iter()
                    .map(|f| bar.get(*f))
                    .collect::<Vec<_>>()
            ),
            Event::Reference(all) => format!("{:?}", all.iter().collect::<Vec<_>>()),
            Event::Definition(text) => format!("{:?}", text.read()),
            other => format!("{other:?}"),
        }
    }

    proptest! {
        #[test]
        fn record_batches_round_trip(messages in prop::collection::vec(message(), 0..40), turned: bool) {
            let batch = batch_of(&messages);
            let record_batch = to_record_batch(&batch);
            let mut order: Vec<usize> = (0..record_batch.num_columns()).collect();
            if turned {
                order.reverse();
            }
            let reordered = record_batch.project(&order).unwrap();
            prop_assert_eq!(&from_record_batch(&reordered).unwrap(), &batch);
            let rows: Vec<RecordBatch> = (0..batch.len()).map(|row| record_batch.slice(row, 1)).collect();
            let joined = from_record_batches_with(&rows, TapeFormat::NEWEST, table()).unwrap();
            prop_assert_eq!(joined.columns(), batch.columns());
            prop_assert_eq!(batch.message_count(), messages.len());
            let headers: Vec<_> = batch.messages().map(|m| m.header()).collect();
            prop_assert_eq!(headers, messages.iter().map(|m| m.0).collect::<Vec<_>>());
        }

        /// A wider schema than a batch needs changes nothing that its messages say, nor does a builder that takes them.
        #[test]
        fn messages_say_the_same_everywhere(messages in prop::collection::vec(message(), 0..40)) {
            let batch = batch_of(&messages);
            let told: Vec<String> = batch.messages().map(|m| said(&m)).collect();
            let wide = to_record_batch_in(&batch, TapeColumns::all().schema_with(&table())).unwrap();
            let wide = from_record_batch(&wide).unwrap();
            prop_assert_eq!(wide.messages().map(|m| said(&m)).collect::<Vec<_>>(), told.clone());
            prop_assert_eq!(wide.messages().map(|m| m.header()).collect::<Vec<_>>(), batch.messages().map(|m| m.header()).collect::<Vec<_>>());
            let mut builder = EventBatchBuilder::new();
            for message in wide.messages() {
                builder.push_message(&message, message.instrument);
            }
            prop_assert_eq!(builder.finish(&table()), batch);
        }

        #[test]
        fn parts_make_the_whole(messages in prop::collection::vec(message(), 0..40), size in 1usize..9, cut in 0usize..45) {
            let batch = batch_of(&messages);
            let mut builder = EventBatchBuilder::new();
            let mut count = 0;
            for part in batch.chunks(size) {
                prop_assert_eq!(part.check_invariants(), Ok(()));
                count += part.message_count();
                builder.extend(&part, 0..part.len(), &[InstrumentId(0), InstrumentId(1)]);
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
                instrument: InstrumentId(0),
                ..Header::mark(1)
            },
            Said::Rows(
                vec![Row {
                    side: Side::Bid,
                    price: 2,
                    qty: 3,
                    ..Row::default()
                }],
                None,
            ),
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
        let anonymous =
            RecordBatch::try_new(TapeColumns::default().schema(), good.columns().to_vec()).unwrap();
        assert!(matches!(
            from_record_batch(&anonymous),
            Err(EventError::Instruments { .. })
        ));
    }
}
