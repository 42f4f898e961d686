//! The record types that a user meets: one table a kind, one row a record.
//!
//! Every record has `ts_recv` (when we could know it), `ts_event` (when it happened, null where the venue does not
//! say) and `instrument` (its id). Prices and quantities are `i64` mantissas in the scales of the instrument table,
//! which travels in the schema's metadata; a null is a value that the venue did not give.
//!
//! | kind | columns after the common three |
//! |---|---|
//! | trade | `sequence` (trade id), `price`, `qty`, `side` of the aggressor (buy, sell, none) |
//! | quote | `sequence`, `bid_price`, `bid_qty`, `ask_price`, `ask_qty` |
//! | book diff, book snapshot | `sequence`, `sequence_prev`, `snapshot`, `side`, `price`, `qty` (0 deletes), `last` of its message |
//! | bar | `open`, `high`, `low`, `close`, `volume`, `buy_volume`, `trades`, `vwap`, `length_ns` |
//! | status | `status`, `stream` (the kind it concerns, null for all) |
//! | mark | none: the clock has reached `ts_recv` |

use std::sync::Arc;

use arrow_array::types::UInt16Type;
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Int64Array, RecordBatch, StringArray, UInt16Array,
    UInt64Array,
};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};

use crate::arrow::{timestamps, validity};
use crate::schema::utc;
use crate::{
    BarField, EventBatch, INSTRUMENTS_KEY, Kind, Message, NO_RULE, NO_SEQUENCE, NO_TIME, Side,
    StatusCode, flags,
};

/// The schema of a kind's records. Book diffs and snapshots share one.
pub fn record_schema(kind: Kind) -> SchemaRef {
    let word = || DataType::Dictionary(Box::new(DataType::UInt16), Box::new(DataType::Utf8));
    let name = |name: &str, nullable: bool| Field::new(name, word(), nullable);
    let number = |name: &str| Field::new(name, DataType::Int64, false);
    let id = |name: &str| Field::new(name, DataType::UInt64, true);
    let truth = |name: &str| Field::new(name, DataType::Boolean, false);
    let mut fields = vec![
        Field::new("ts_recv", utc(), false),
        Field::new("ts_event", utc(), true),
        name("instrument", matches!(kind, Kind::Mark | Kind::Status)),
    ];
    match kind {
        Kind::Trade => fields.extend([
            id("sequence"),
            number("price"),
            number("qty"),
            name("side", false),
        ]),
        Kind::Quote => {
            fields.push(id("sequence"));
            fields.extend(["bid_price", "bid_qty", "ask_price", "ask_qty"].map(number));
        }
        Kind::BookDiff | Kind::BookSnapshot => {
            fields.extend([
                id("sequence"),
                id("sequence_prev"),
                truth("snapshot"),
                name("side", false),
            ]);
            fields.extend([number("price"), number("qty"), truth("last")]);
        }
        Kind::Bar => fields.extend(
            BarField::ALL
                .iter()
                .map(|f| number(f.name()).with_nullable(true)),
        ),
        Kind::Status => fields.extend([name("status", false), name("stream", true)]),
        Kind::Mark => {}
    }
    Arc::new(Schema::new(fields))
}

/// The records of one kind in a batch, in the schema of [`record_schema`]. Book diffs and snapshots come together.
pub fn record_batch(batch: &EventBatch, kind: Kind) -> Result<RecordBatch, ArrowError> {
    let wanted = |found: Kind| match kind {
        Kind::BookDiff | Kind::BookSnapshot => matches!(found, Kind::BookDiff | Kind::BookSnapshot),
        _ => found == kind,
    };
    let messages: Vec<Message<'_>> = batch.messages().filter(|m| wanted(m.kind)).collect();
    let records = Records {
        of_rows: matches!(kind, Kind::BookDiff | Kind::BookSnapshot),
        messages,
    };

    let ts_event: Vec<i64> = records.each(|m| m.ts_event).collect();
    let event_validity = validity(&ts_event, NO_TIME);
    let ids: Vec<&str> = batch.instruments().iter().map(|i| i.id.as_str()).collect();
    let mut columns: Vec<ArrayRef> = vec![
        timestamps(
            &records.each(|m| m.ts_recv).collect::<Vec<_>>().into(),
            None,
        ),
        timestamps(&ts_event.into(), event_validity),
        words(records.each(|m| m.instrument().map(|_| m.instrument)), &ids)?,
    ];
    let sequence = |r: &Records<'_>| r.ids(|m| Some(m.sequence).filter(|s| *s != NO_SEQUENCE));
    let side_names: Vec<&str> = Side::ALL.iter().map(|s| s.name()).collect();
    match kind {
        Kind::Trade => columns.extend([
            sequence(&records),
            records.numbers(|m, at| m.prices()[at]),
            records.numbers(|m, at| m.qtys()[at]),
            words(
                records.each(|m| Some(m.sides()[0].into())),
                &["none", "buy", "sell"],
            )?,
        ]),
        Kind::Quote => columns.extend([
            sequence(&records),
            records.numbers(|m, _| m.prices()[0]),
            records.numbers(|m, _| m.qtys()[0]),
            records.numbers(|m, _| m.prices()[1]),
            records.numbers(|m, _| m.qtys()[1]),
        ]),
        Kind::BookDiff | Kind::BookSnapshot => columns.extend([
            sequence(&records),
            records.ids(|m| Some(m.sequence_prev).filter(|s| *s != NO_RULE)),
            records.truths(|m, _| m.kind == Kind::BookSnapshot),
            words(
                records.cells(|m, at| Some(m.sides()[at].into())),
                &side_names,
            )?,
            records.numbers(|m, at| m.prices()[at]),
            records.numbers(|m, at| m.qtys()[at]),
            records.truths(|m, at| batch.columns().flags[m.rows.start + at] & flags::LAST != 0),
        ]),
        Kind::Bar => columns.extend(BarField::ALL.iter().map(|field| -> ArrayRef {
            Arc::new(
                records
                    .each(|m| m.bar_field(*field))
                    .collect::<Int64Array>(),
            )
        })),
        Kind::Status => {
            let states: Vec<&str> = StatusCode::ALL.iter().map(|s| s.name()).collect();
            let kinds: Vec<&str> = Kind::ALL.iter().map(|k| k.name()).collect();
            columns.extend([
                words(
                    records.each(|m| m.prices()[0].checked_sub(1).map(|code| code as u16)),
                    &states,
                )?,
                words(
                    records.each(|m| (m.qtys()[0] > 0).then(|| m.qtys()[0] as u16 - 1)),
                    &kinds,
                )?,
            ]);
        }
        Kind::Mark => {}
    }
    let metadata = [(INSTRUMENTS_KEY.to_string(), batch.instruments().to_json())];
    RecordBatch::try_new(
        Arc::new(record_schema(kind).as_ref().clone().with_metadata(metadata)),
        columns,
    )
}

/// The messages of one kind as records: one a message, or one a row.
struct Records<'a> {
    messages: Vec<Message<'a>>,
    of_rows: bool,
}

impl<'a> Records<'a> {
    /// A value for each record, which may depend on the row within the message.
    fn cells<'s, T: 's>(
        &'s self,
        cell: impl Fn(&Message<'a>, usize) -> T + 's,
    ) -> impl Iterator<Item = T> + 's {
        let cells = self
            .messages
            .iter()
            .flat_map(|m| (0..if self.of_rows { m.rows.len() } else { 1 }).map(move |at| (m, at)));
        cells.map(move |(m, at)| cell(m, at))
    }

    fn each<'s, T: 's>(
        &'s self,
        value: impl Fn(&Message<'a>) -> T + 's,
    ) -> impl Iterator<Item = T> + 's {
        self.cells(move |m, _| value(m))
    }

    fn numbers(&self, cell: impl Fn(&Message<'a>, usize) -> i64) -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(self.cells(cell)))
    }

    fn truths(&self, cell: impl Fn(&Message<'a>, usize) -> bool) -> ArrayRef {
        Arc::new(
            self.cells(|m, at| Some(cell(m, at)))
                .collect::<BooleanArray>(),
        )
    }

    fn ids(&self, id: impl Fn(&Message<'a>) -> Option<u64>) -> ArrayRef {
        Arc::new(self.each(id).collect::<UInt64Array>())
    }
}

fn words(keys: impl Iterator<Item = Option<u16>>, names: &[&str]) -> Result<ArrayRef, ArrowError> {
    let keys: UInt16Array = keys.collect();
    Ok(Arc::new(DictionaryArray::<UInt16Type>::try_new(
        keys,
        Arc::new(StringArray::from(names.to_vec())),
    )?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventBatchBuilder, Header, Instrument, InstrumentTable, digest};
    use arrow_array::{Array, cast::AsArray, types::Int64Type};

    fn header(kind: Kind, sequence: u64) -> Header {
        let base = Header::mark(7);
        Header {
            kind,
            instrument: if kind == Kind::Mark {
                base.instrument
            } else {
                0
            },
            sequence,
            ..base
        }
    }

    /// One message of each kind.
    fn one_of_each() -> EventBatch {
        let mut builder = EventBatchBuilder::new();
        let (bid, ask) = (Side::Bid.code(), Side::Ask.code());
        builder.push(
            Header {
                ts_event: 5,
                ..header(Kind::Trade, 1)
            },
            Side::Sell.code(),
            10,
            2,
        );
        builder.push_row(bid, 9, 1);
        builder.push_row(ask, 11, 3);
        builder.close(header(Kind::Quote, 2));
        builder.push_row(bid, 9, 0);
        builder.push_row(ask, 12, 4);
        builder.close(Header {
            sequence_prev: 2,
            ..header(Kind::BookDiff, 3)
        });
        builder.close(header(Kind::BookSnapshot, 4));
        builder.push_row(BarField::Close.code(), 10, 0);
        builder.push_row(BarField::Volume.code(), 0, 6);
        builder.close(header(Kind::Bar, 0));
        builder.push(header(Kind::Mark, 0), 0, 0, 0);
        builder.push(
            header(Kind::Status, 0),
            0,
            StatusCode::Disconnected.code().into(),
            Kind::Trade.code().into(),
        );
        builder.finish(&Arc::new(
            InstrumentTable::of([Instrument::new("A.X")]).unwrap(),
        ))
    }

    #[test]
    fn every_kind_has_its_table() {
        let batch = one_of_each();
        let rows = |kind: Kind| record_batch(&batch, kind).unwrap();
        let int = |table: &RecordBatch, name: &str| -> Vec<Option<i64>> {
            table
                .column_by_name(name)
                .unwrap()
                .as_primitive::<Int64Type>()
                .iter()
                .collect()
        };
        assert_eq!(
            Kind::ALL
                .iter()
                .map(|&k| rows(k).num_rows())
                .collect::<Vec<_>>(),
            [1, 1, 3, 3, 1, 1, 1]
        );
        assert_eq!(int(&rows(Kind::Quote), "ask_price"), [Some(11)]);
        assert_eq!(
            int(&rows(Kind::BookDiff), "qty"),
            [Some(0), Some(4), Some(0)]
        );
        assert_eq!(int(&rows(Kind::Bar), "open"), [None]);
        assert_eq!(int(&rows(Kind::Bar), "volume"), [Some(6)]);
        assert!(
            rows(Kind::Mark)
                .column_by_name("instrument")
                .unwrap()
                .is_null(0)
        );
        let status = rows(Kind::Status);
        let word = |name: &str| {
            let column = status
                .column_by_name(name)
                .unwrap()
                .as_dictionary::<UInt16Type>();
            column
                .values()
                .as_string::<i32>()
                .value(column.keys().value(0) as usize)
                .to_string()
        };
        assert_eq!(
            (word("status"), word("stream")),
            ("disconnected".to_string(), "trade".to_string())
        );
    }

    #[test]
    fn digests_tell_the_kinds_apart() {
        let mut digests: Vec<_> = Kind::ALL
            .iter()
            .map(|k| digest(&record_schema(*k)))
            .collect();
        digests.sort();
        digests.dedup();
        assert_eq!(
            digests.len(),
            Kind::ALL.len() - 1,
            "diffs and snapshots share a schema"
        );
    }
}
