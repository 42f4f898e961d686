//! The record types that a user meets: one table a kind, one row a record.
//!
//! Every record has `ts_recv` (when we could know it), `ts_event` (when it happened, null where the venue does not
//! say) and `instrument` (its id). Prices and quantities are `i64` mantissas in the scales of the instrument table,
//! which travels in the schema's metadata; a null is a value that the venue did not give.
//!
//! | kind | columns after the common three |
//! |---|---|
//! | trade | `sequence` (trade id), `price`, `qty`, `side` of the aggressor (buy, sell, none), `condition` |
//! | quote | `sequence`, `bid_price`, `bid_qty`, `ask_price`, `ask_qty` |
//! | book diff, book snapshot | `sequence`, `sequence_prev`, `snapshot`, `side`, `price`, `qty` (0 deletes), `last` of its message, `checksum` |
//! | order | `sequence`, `sequence_prev`, `order_id`, `action`, `side`, `price`, `qty`, `last` of its message, `checksum` |
//! | bar | `open`, `high`, `low`, `close`, `volume`, `buy_volume`, `trades`, `vwap`, `length_ns` |
//! | status | `status`, `stream` (the kind it concerns, null for all), `scope` |
//! | definition | the keys of an instruments file: `venue`, `symbol`, `kind`, `tick`, `expiry` …; exact numbers as text |
//! | reference | one column a field: `mark_price`, `open_interest`, `funding_rate` …; those without unit are `f64` |
//! | mark | none: the clock has reached `ts_recv` |

use std::sync::Arc;

use arrow_array::types::{ArrowDictionaryKeyType, UInt16Type, UInt32Type};
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, PrimitiveArray, RecordBatch,
    StringArray, UInt32Array, UInt64Array,
};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};

use crate::arrow::{timestamps, validity};
use crate::schema::utc;
use crate::{
    BarField, Condition, Event, EventBatch, INSTRUMENTS_KEY, Kind, Message, NO_RULE, NO_SEQUENCE,
    NO_TIME, Number, OrderAction, ReferenceField, Scope, Side, StatusCode, Unit, flags,
};

/// Keys of a definition that are whole numbers, and those that are texts, in the order of the columns.
const DEFINITION_NUMBERS: [&str; 2] = ["price_display", "expiry"];
const DEFINITION_TEXTS: [&str; 12] = [
    "venue",
    "symbol",
    "kind",
    "multiplier",
    "tick",
    "lot",
    "currency",
    "calendar",
    "underlying",
    "strike",
    "right",
    "style",
];

/// The schema of a kind's records. Book diffs and snapshots share one.
pub fn record_schema(kind: Kind) -> SchemaRef {
    let word = |keys| DataType::Dictionary(Box::new(keys), Box::new(DataType::Utf8));
    let name = |name: &str, nullable: bool| Field::new(name, word(DataType::UInt16), nullable);
    let number = |name: &str| Field::new(name, DataType::Int64, false);
    let id = |name: &str| Field::new(name, DataType::UInt64, true);
    let truth = |name: &str| Field::new(name, DataType::Boolean, false);
    let checksum = Field::new("checksum", DataType::UInt32, true);
    let unnamed = matches!(kind, Kind::Mark | Kind::Status);
    let mut fields = vec![
        Field::new("ts_recv", utc(), false),
        Field::new("ts_event", utc(), true),
        Field::new("instrument", word(DataType::UInt32), unnamed),
    ];
    match kind {
        Kind::Trade => fields.extend([
            id("sequence"),
            number("price"),
            number("qty"),
            name("side", false),
            name("condition", false),
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
            fields.extend([number("price"), number("qty"), truth("last"), checksum]);
        }
        Kind::Order => {
            fields.extend([
                id("sequence"),
                id("sequence_prev"),
                id("order_id"),
                name("action", false),
                name("side", false),
            ]);
            fields.extend([number("price"), number("qty"), truth("last"), checksum]);
        }
        Kind::Bar => {
            let all = BarField::ALL.iter();
            fields.extend(all.map(|f| number(f.name()).with_nullable(true)));
        }
        Kind::Status => fields.extend([
            name("status", false),
            name("stream", true),
            name("scope", false),
            number("count").with_nullable(true),
        ]),
        Kind::Definition => {
            let text = |name: &&str| Field::new(*name, DataType::Utf8, true);
            fields.extend(DEFINITION_TEXTS.iter().map(text));
            let numbers = DEFINITION_NUMBERS.iter();
            fields.extend(numbers.map(|name| number(name).with_nullable(true)));
        }
        Kind::Reference => fields.extend(ReferenceField::ALL.iter().map(|field| {
            let data_type = match field.unit() {
                Unit::Pure => DataType::Float64,
                Unit::Price | Unit::Qty | Unit::Count => DataType::Int64,
            };
            Field::new(field.name(), data_type, true)
        })),
        Kind::Mark => {}
    }
    Arc::new(Schema::new(fields))
}

/// The records of one kind in a batch, in the schema of [`record_schema`]. Book diffs and snapshots come together.
pub fn record_batch(batch: &EventBatch, kind: Kind) -> Result<RecordBatch, ArrowError> {
    let depth = matches!(kind, Kind::BookDiff | Kind::BookSnapshot);
    let wanted = |found: Kind| match depth {
        true => matches!(found, Kind::BookDiff | Kind::BookSnapshot),
        false => found == kind,
    };
    let records = Records {
        of_rows: depth || kind == Kind::Order,
        messages: batch.messages().filter(|m| wanted(m.kind)).collect(),
    };

    let ts_event: Vec<i64> = records.each(|m| m.ts_event).collect();
    let event_validity = validity(&ts_event, NO_TIME);
    let ids: Vec<&str> = batch.instruments().iter().map(|i| i.id.as_str()).collect();
    let ts_recv = records.each(|m| m.ts_recv).collect::<Vec<_>>();
    let mut columns: Vec<ArrayRef> = vec![
        timestamps(&ts_recv.into(), None),
        timestamps(&ts_event.into(), event_validity),
        words::<UInt32Type>(
            records.each(|m| m.instrument().map(|_| m.instrument.0)),
            &ids,
        )?,
    ];
    match kind {
        Kind::Trade => columns.extend([
            records.sequence(),
            records.numbers(|m, at| m.prices()[at]),
            records.numbers(|m, at| m.qtys()[at]),
            codes(
                records.each(|m| Some(m.sides()[0])),
                ["none", "buy", "sell"],
            )?,
            codes(
                records.each(|m| Some(m.condition().code())),
                Condition::ALL.iter().map(|c| c.name()),
            )?,
        ]),
        Kind::Quote => columns.extend([
            records.sequence(),
            records.numbers(|m, _| m.prices()[0]),
            records.numbers(|m, _| m.qtys()[0]),
            records.numbers(|m, _| m.prices()[1]),
            records.numbers(|m, _| m.qtys()[1]),
        ]),
        Kind::BookDiff | Kind::BookSnapshot => {
            columns.extend([
                records.sequence(),
                records.sequence_prev(),
                records.truths(|m, _| m.kind == Kind::BookSnapshot),
            ]);
            columns.extend(records.levels()?);
        }
        Kind::Order => {
            columns.extend([
                records.sequence(),
                records.sequence_prev(),
                Arc::new(UInt64Array::from_iter_values(
                    records.orders(|order| order.id),
                )) as ArrayRef,
                codes(
                    records.orders(|order| Some(order.action.code() - 1)),
                    OrderAction::ALL.iter().map(|a| a.name()),
                )?,
            ]);
            columns.extend(records.levels()?);
        }
        Kind::Bar => columns.extend(BarField::ALL.iter().map(|field| -> ArrayRef {
            let numbers = records.each(|m| m.bar_field(*field));
            Arc::new(numbers.collect::<Int64Array>())
        })),
        Kind::Status => columns.extend(records.status()?),
        Kind::Definition => columns.extend(records.definitions()?),
        Kind::Reference => {
            let all = ReferenceField::ALL.iter();
            columns.extend(all.map(|field| records.reference(*field)));
        }
        Kind::Mark => {}
    }
    let instruments = batch.instruments().to_json().to_string();
    let metadata = [(INSTRUMENTS_KEY.to_string(), instruments)];
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

    fn sequence(&self) -> ArrayRef {
        self.ids(|m| Some(m.sequence).filter(|s| *s != NO_SEQUENCE))
    }

    fn sequence_prev(&self) -> ArrayRef {
        self.ids(|m| Some(m.sequence_prev).filter(|s| *s != NO_RULE))
    }

    /// What each order's row tells.
    fn orders<'s, T: 's>(
        &'s self,
        cell: impl Fn(&crate::Order) -> T + 's,
    ) -> impl Iterator<Item = T> + 's {
        let orders = self.messages.iter().flat_map(|m| match m.event() {
            Event::Orders(orders) => Some(orders).into_iter().flatten(),
            _ => None.into_iter().flatten(),
        });
        orders.map(move |order| cell(&order))
    }

    /// Side, price and quantity of each row, whether it is the last of its message, and the checksum there.
    fn levels(&self) -> Result<[ArrayRef; 5], ArrowError> {
        let last = |m: &Message<'_>, at: usize| m.flags()[at] & flags::LAST != 0;
        let sums = self.cells(|m, at| m.checksum().filter(|_| last(m, at)));
        Ok([
            codes(
                self.cells(|m, at| Some(m.sides()[at])),
                Side::ALL.iter().map(|s| s.name()),
            )?,
            self.numbers(|m, at| m.prices()[at]),
            self.numbers(|m, at| m.qtys()[at]),
            self.truths(last),
            Arc::new(sums.collect::<UInt32Array>()),
        ])
    }

    fn status(&self) -> Result<[ArrayRef; 4], ArrowError> {
        let told = |pick: fn(Scope, Option<Kind>, StatusCode) -> Option<u8>| {
            self.each(move |m| match m.event() {
                Event::Status {
                    scope,
                    stream,
                    code,
                } => pick(scope, stream, code),
                _ => None,
            })
        };
        Ok([
            codes(
                told(|_, _, code| Some(code.code() - 1)),
                StatusCode::ALL.iter().map(|s| s.name()),
            )?,
            codes(
                told(|_, stream, _| stream.map(|kind| kind.code() - 1)),
                Kind::ALL.iter().map(|k| k.name()),
            )?,
            codes(
                told(|scope, _, _| Some(scope.code() - 1)),
                Scope::ALL.iter().map(|s| s.name()),
            )?,
            Arc::new(
                self.each(|m| Some(m.conflated()?.1 as i64))
                    .collect::<Int64Array>(),
            ),
        ])
    }

    fn definitions(&self) -> Result<Vec<ArrayRef>, ArrowError> {
        let read = |m: &Message<'a>| match m.event() {
            Event::Definition(text) => text.read().map(|definition| definition.to_map()),
            _ => Ok(serde_json::Map::new()),
        };
        let told = self.each(read).collect::<Result<Vec<_>, _>>();
        let told = told.map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
        let texts = DEFINITION_TEXTS.iter().map(|key| -> ArrayRef {
            let cells = told.iter().map(|map| map.get(*key)?.as_str());
            Arc::new(cells.collect::<StringArray>())
        });
        let numbers = DEFINITION_NUMBERS.iter().map(|key| -> ArrayRef {
            let cells = told.iter().map(|map| map.get(*key)?.as_i64());
            Arc::new(cells.collect::<Int64Array>())
        });
        Ok(texts.chain(numbers).collect())
    }

    fn reference(&self, field: ReferenceField) -> ArrayRef {
        let told = self.each(move |m| match m.event() {
            Event::Reference(all) => all.get(field),
            _ => None,
        });
        match field.unit() {
            Unit::Pure => Arc::new(
                told.map(|number| match number? {
                    Number::Pure(number) => Some(number),
                    _ => None,
                })
                .collect::<Float64Array>(),
            ),
            Unit::Price | Unit::Qty | Unit::Count => Arc::new(
                told.map(|number| match number? {
                    Number::Price(n) | Number::Qty(n) | Number::Count(n) => Some(n),
                    Number::Pure(_) => None,
                })
                .collect::<Int64Array>(),
            ),
        }
    }
}

/// Words of a closed set, by their places in it.
fn codes<'a>(
    keys: impl Iterator<Item = Option<u8>>,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<ArrayRef, ArrowError> {
    let names: Vec<&str> = names.into_iter().collect();
    words::<UInt16Type>(keys.map(|key| key.map(u16::from)), &names)
}

fn words<K: ArrowDictionaryKeyType>(
    keys: impl Iterator<Item = Option<K::Native>>,
    names: &[&str],
) -> Result<ArrayRef, ArrowError> {
    let keys: PrimitiveArray<K> = keys.collect();
    Ok(Arc::new(DictionaryArray::<K>::try_new(
        keys,
        Arc::new(StringArray::from(names.to_vec())),
    )?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Definition, EventBatchBuilder, Header, Instrument, InstrumentId, InstrumentKind,
        Instruments, Row, digest,
    };
    use arrow_array::types::{Float64Type, Int64Type, UInt64Type};
    use arrow_array::{Array, cast::AsArray};

    fn header(kind: Kind, sequence: u64) -> Header {
        let base = Header::mark(7);
        Header {
            kind,
            instrument: if kind == Kind::Mark {
                base.instrument
            } else {
                InstrumentId(0)
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
        builder.push_more(Row::bar(BarField::Close, 10));
        builder.push_more(Row::bar(BarField::Volume, 6));
        builder.close(header(Kind::Bar, 0));
        builder.push(header(Kind::Mark, 0), 0, 0, 0);
        builder.status(
            header(Kind::Status, 0),
            StatusCode::Disconnected,
            Some(Kind::Trade),
        );
        builder.conflated(header(Kind::Status, 0), Kind::Quote, 3);
        for (id, action) in [(7, OrderAction::Add), (u64::MAX, OrderAction::Cancel)] {
            builder.push_more(Row {
                side: Side::Ask,
                price: 11,
                qty: 5,
                order_id: id,
                action: Some(action),
                ..Row::default()
            });
        }
        builder.checksum(u32::MAX);
        builder.close(header(Kind::Order, 8));
        let definition = Definition {
            price_display: Some(2),
            ..Definition::new("X", "A", InstrumentKind::Future { expiry: Some(99) })
        };
        builder.define(header(Kind::Definition, 0), &definition);
        builder.push_more(Row::reference(ReferenceField::MarkPrice, 12));
        builder.push_more(Row::reference(ReferenceField::NextFunding, 98));
        builder.push_more(Row::pure(ReferenceField::FundingRate, -1e-4));
        builder.close(header(Kind::Reference, 0));
        builder.finish(&Arc::new(
            Instruments::of([Instrument::new("A.X")]).unwrap(),
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
            [1, 1, 3, 3, 1, 1, 2, 2, 1, 1]
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
        let word = |kind: Kind, name: &str, at: usize| {
            let table = rows(kind);
            let column = table.column_by_name(name).unwrap();
            let column = column.as_dictionary::<UInt16Type>();
            let key = column.keys().value(at) as usize;
            column.values().as_string::<i32>().value(key).to_string()
        };
        assert_eq!(
            ["status", "stream", "scope"].map(|name| word(Kind::Status, name, 0)),
            ["disconnected", "trade", "instrument"]
        );
        assert_eq!(
            ["status", "stream", "scope"].map(|name| word(Kind::Status, name, 1)),
            ["conflated", "quote", "instrument"]
        );
        assert_eq!(int(&rows(Kind::Status), "count"), [None, Some(3)]);
        assert_eq!(word(Kind::Trade, "condition", 0), "ordinary");
        let orders = rows(Kind::Order);
        assert_eq!(
            [0, 1].map(|at| word(Kind::Order, "action", at)),
            ["add", "cancel"]
        );
        let ids = orders.column_by_name("order_id").unwrap();
        assert_eq!(ids.as_primitive::<UInt64Type>().values(), &[7, u64::MAX]);
        let sums = orders.column_by_name("checksum").unwrap();
        let sums: Vec<_> = sums.as_primitive::<UInt32Type>().iter().collect();
        assert_eq!(sums, [None, Some(u32::MAX)]);
        let reference = rows(Kind::Reference);
        assert_eq!(int(&reference, "mark_price"), [Some(12)]);
        assert_eq!(int(&reference, "next_funding_ns"), [Some(98)]);
        assert_eq!(int(&reference, "index_price"), [None]);
        let funding = reference.column_by_name("funding_rate").unwrap();
        assert_eq!(funding.as_primitive::<Float64Type>().values(), &[-1e-4]);
        let definition = rows(Kind::Definition);
        let kinds = definition.column_by_name("kind").unwrap();
        assert_eq!(kinds.as_string::<i32>().value(0), "future");
        assert_eq!(int(&definition, "expiry"), [Some(99)]);
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
