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
            (Kind::Mark, _) => NO_INSTRUMENT,
            (Kind::Status, Scope::All) if code != StatusCode::Conflated => NO_INSTRUMENT,
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
            Said::Status(StatusCode::Conflated, stream, _) => {
                builder.conflated(*header, stream.unwrap_or(Kind::Quote), 7);
            }
            Said::Status(code, stream, scope) => builder.status_of(*header, *code, *stream, *scope),
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
