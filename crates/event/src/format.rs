//! Formats of tapes: how their numbers are to be read.

use crate::more::at;
use crate::{BarField, Columns, Condition, EventError, Kind, NO_INSTRUMENT, Scope, Side, Unit};

/// The format of a tape. Every one that was ever written is read; the newest is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TapeFormat {
    /// Ten columns: a bar's field stood in `side`, its counts in `qty`; a status' state in `price`, its stream in `qty`; a
    /// print off the book was a flag.
    One = 1,
    /// Each number in a column of its own; those that few kinds have are there only where they are needed.
    Two = 2,
}

/// Flag of format 1: a print of the venue that is no trade of its order book.
const OFF_BOOK: u8 = 2;

impl TapeFormat {
    /// The format that is written.
    pub const NEWEST: TapeFormat = TapeFormat::Two;

    /// As it stands in a tape's metadata.
    pub const fn text(self) -> &'static str {
        match self {
            TapeFormat::One => "1",
            TapeFormat::Two => "2",
        }
    }

    /// The format that a tape's metadata names.
    pub fn read(text: &str) -> Result<TapeFormat, EventError> {
        match text {
            "1" => Ok(TapeFormat::One),
            "2" => Ok(TapeFormat::Two),
            other => Err(EventError::Version {
                found: other.into(),
            }),
        }
    }

    /// The format of a tape whose metadata says this of it. Only format 1 may say nothing.
    pub fn of(text: Option<&str>) -> Result<TapeFormat, EventError> {
        text.map_or(Ok(TapeFormat::One), TapeFormat::read)
    }

    /// Columns of this format as those of the newest. Who writes the ten columns alone can only mean a bar, a status or a
    /// print off the book as format 1 says them, whatever format the metadata names: the newest needs more columns for them.
    pub(crate) fn raise(self, columns: Columns) -> Columns {
        let moved = |c: &Columns| {
            let [bar, status] = [Kind::Bar.code(), Kind::Status.code()];
            c.kind
                .iter()
                .fold(false, |any, &k| any | (k == bar) | (k == status))
                || c.flags
                    .iter()
                    .fold(false, |any, &f| any | (f & OFF_BOOK != 0))
        };
        match self == TapeFormat::One || columns.more.is_none() {
            true if moved(&columns) => raise_first(columns),
            _ => columns,
        }
    }
}

/// Moves the numbers of format 1 to where they stand now. A code that names nothing goes along: the check refuses it.
fn raise_first(columns: Columns) -> Columns {
    let rows = columns.kind.len();
    let (mut side, mut flags) = (columns.side.to_vec(), columns.flags.to_vec());
    let (mut price, mut qty) = (columns.price.to_vec(), columns.qty.to_vec());
    let mut more = columns.more.unwrap_or_default();
    let zeros = || vec![0u8; rows];
    let [mut condition, mut field, mut code, mut stream, mut scope] =
        [zeros(), zeros(), zeros(), zeros(), zeros()];
    let mut count = vec![0i64; rows];
    for row in 0..rows {
        if flags[row] & OFF_BOOK != 0 {
            flags[row] &= !OFF_BOOK;
            condition[row] = Condition::OffBook.code();
        }
        match Kind::from_code(columns.kind[row]) {
            Some(Kind::Bar) => {
                field[row] = std::mem::replace(&mut side[row], Side::None.code());
                if BarField::from_code(field[row]).is_some_and(|f| f.unit() == Unit::Count) {
                    count[row] = std::mem::take(&mut qty[row]);
                }
            }
            Some(Kind::Status) => {
                let narrow = |number: i64| u8::try_from(number).unwrap_or(u8::MAX);
                code[row] = narrow(std::mem::take(&mut price[row]));
                stream[row] = narrow(std::mem::take(&mut qty[row]));
                let names_none = columns.instrument[row] == NO_INSTRUMENT.0;
                scope[row] = match names_none {
                    true => Scope::All.code(),
                    false => Scope::Instrument.code(),
                };
            }
            _ => {}
        }
    }
    let told = |codes: Vec<u8>| codes.iter().any(|&code| code != 0).then(|| codes.into());
    more.condition = told(condition);
    more.field = told(field);
    more.code = told(code);
    more.stream = told(stream);
    more.scope = told(scope);
    more.count = count
        .iter()
        .any(|&number| number != 0)
        .then(|| count.into());
    debug_assert!((0..rows).all(|row| at(&more.action, row, 0) == 0));
    Columns {
        side: side.into(),
        flags: flags.into(),
        price: price.into(),
        qty: qty.into(),
        more: more.if_any(),
        ..columns
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, RecordBatch, UInt8Array};
    use proptest::prelude::*;

    use super::*;
    use crate::{
        EventBatch, EventBatchBuilder, Header, Instrument, InstrumentId, Instruments, Row,
        StatusCode, from_record_batch, to_record_batch,
    };

    /// A message of format 1: kind, whether it names an instrument, and side, flags, price and quantity of its rows.
    type Old = (Kind, bool, Vec<(u8, u8, i64, i64)>);

    fn any_old() -> impl Strategy<Value = Old> {
        let number = any::<i64>();
        let status = (any::<bool>(), 1..=4i64, 0..=7i64);
        let bar = prop::collection::vec((1..=9u8, number), 1..6);
        prop_oneof![
            (0..3u8, prop::bool::ANY, number, number).prop_map(|(side, off, price, qty)| {
                (
                    Kind::Trade,
                    true,
                    vec![(side, if off { OFF_BOOK } else { 0 }, price, qty)],
                )
            }),
            status.prop_map(|(named, state, stream)| (
                Kind::Status,
                named,
                vec![(0, 0, state, stream)]
            )),
            bar.prop_map(|rows| {
                let cells = |(field, number)| match field {
                    5..=7 | 9 => (field, 0, 0, number),
                    _ => (field, 0, number, 0),
                };
                (Kind::Bar, true, rows.into_iter().map(cells).collect())
            }),
            number.prop_map(|number| (
                Kind::BookDiff,
                true,
                vec![(1, 0, number, 1), (2, 4, number, 0)]
            )),
        ]
    }

    fn header(kind: Kind, named: bool) -> Header {
        Header {
            kind,
            instrument: if named {
                InstrumentId(0)
            } else {
                NO_INSTRUMENT
            },
            ..Header::mark(5)
        }
    }

    fn table() -> Arc<Instruments> {
        Arc::new(Instruments::of([Instrument::new("A.X")]).unwrap())
    }

    /// As format 1 held them.
    fn old_tape(messages: &[Old]) -> RecordBatch {
        let rows = || {
            messages.iter().flat_map(|(kind, named, rows)| {
                rows.iter()
                    .enumerate()
                    .map(move |(at, row)| (*kind, *named, *row, at + 1 == rows.len()))
            })
        };
        // Marks and diffs, whose kinds and numbers are then replaced.
        let mut builder = EventBatchBuilder::new();
        for (_, named, ..) in rows() {
            let kind = if named { Kind::BookDiff } else { Kind::Mark };
            builder.push(header(kind, named), 0, 0, 0);
        }
        let columns = crate::TapeColumns::default().schema_with(&table());
        let mut metadata = columns.metadata().clone();
        metadata.insert(crate::TAPE_VERSION_KEY, "1");
        let schema = Arc::new(columns.as_ref().clone().with_metadata(metadata));
        let frame = builder.finish(&table());
        let mut arrays = to_record_batch(&frame).columns().to_vec();
        let u8s = |cells: Vec<u8>| -> ArrayRef { Arc::new(UInt8Array::from(cells)) };
        let i64s = |cells: Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(cells)) };
        arrays[5] = u8s(rows().map(|(kind, ..)| kind.code()).collect());
        arrays[6] = u8s(rows().map(|(_, _, row, _)| row.0).collect());
        arrays[7] = u8s(rows()
            .map(|(_, _, row, last)| row.1 | u8::from(last))
            .collect());
        arrays[8] = i64s(rows().map(|(_, _, row, _)| row.2).collect());
        arrays[9] = i64s(rows().map(|(_, _, row, _)| row.3).collect());
        RecordBatch::try_new(schema, arrays).unwrap()
    }

    /// As they are said today.
    fn new_batch(messages: &[Old]) -> EventBatch {
        let mut builder = EventBatchBuilder::new();
        for (kind, named, rows) in messages {
            let header = header(*kind, *named);
            if *kind == Kind::Status {
                let (_, _, state, stream) = rows[0];
                let code = StatusCode::from_code(state as u8).unwrap();
                builder.status(header, code, Kind::from_code(stream as u8));
                continue;
            }
            for &(side, flags, price, qty) in rows {
                match kind {
                    Kind::Bar => {
                        let field = BarField::from_code(side).unwrap();
                        builder.push_more(Row::bar(field, price.wrapping_add(qty)));
                    }
                    _ => builder.push_more(Row {
                        side: Side::from_code(side).unwrap(),
                        price,
                        qty,
                        condition: match flags & OFF_BOOK {
                            0 => Condition::Ordinary,
                            _ => Condition::OffBook,
                        },
                        ..Row::default()
                    }),
                }
                if flags & crate::flags::CUT != 0 {
                    builder.mark_row(crate::flags::CUT);
                }
            }
            builder.close(header);
        }
        builder.finish(&table())
    }

    proptest! {
        #[test]
        fn numbers_of_format_1_move_to_their_columns(messages in prop::collection::vec(any_old(), 0..20)) {
            let raised = from_record_batch(&old_tape(&messages)).unwrap();
            prop_assert_eq!(&raised, &new_batch(&messages));
            prop_assert_eq!(&from_record_batch(&to_record_batch(&raised)).unwrap(), &raised);
            let mut named = old_tape(&messages);
            named.schema_metadata_mut().insert(crate::TAPE_VERSION_KEY.to_string(), TapeFormat::NEWEST.text().to_string());
            prop_assert_eq!(&from_record_batch(&named).unwrap(), &raised, "ten columns speak for themselves");
        }
    }

    #[test]
    fn what_format_1_could_not_say_is_refused() {
        let status = |state, stream| old_tape(&[(Kind::Status, true, vec![(0, 0, state, stream)])]);
        for (state, stream) in [(0, 0), (5, 0), (300, 0), (-1, 0), (1, 11), (1, -1)] {
            assert!(
                from_record_batch(&status(state, stream)).is_err(),
                "{state} {stream}"
            );
        }
        let bar = |field| old_tape(&[(Kind::Bar, true, vec![(field, 0, 1, 0)])]);
        assert!(from_record_batch(&bar(0)).is_err() && from_record_batch(&bar(10)).is_err());
        assert!(from_record_batch(&bar(9)).is_ok());
    }
}
