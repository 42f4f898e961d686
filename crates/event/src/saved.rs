//! One message as bytes, as snapshots of an engine hold those that wait.

use std::sync::Arc;

use arrow_array::StringArray;

use crate::more::rare_columns;
use crate::rare::text;
use crate::{
    Columns, EventBatch, EventError, Instrument, InstrumentId, Instruments, Message, More,
    NO_INSTRUMENT, TapeFormat,
};

/// Rows of a saved message at most.
const ROWS_MAX: u64 = 1 << 20;

/// A cell of a column as a 64-bit word.
trait Word: Sized {
    fn word(self) -> u64;
    fn of(word: u64) -> Self;
}

macro_rules! word {
    ($($type:ty),+) => {$(
        impl Word for $type {
            fn word(self) -> u64 { self as u64 }
            fn of(word: u64) -> Self { word as $type }
        }
    )+};
}
word!(u64, i64, u8);

impl Word for f64 {
    fn word(self) -> u64 {
        self.to_bits()
    }
    fn of(word: u64) -> Self {
        f64::from_bits(word)
    }
}

/// Appends a message: its header, its rows column by column, and what only some kinds tell.
pub fn save_message(message: &Message<'_>, out: &mut Vec<u8>) {
    fn put(out: &mut Vec<u8>, word: u64) {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.push(message.kind.code());
    out.extend_from_slice(&message.instrument.0.to_le_bytes());
    let times = [message.ts_recv as u64, message.ts_event as u64];
    let ids = [message.sequence, message.sequence_prev];
    times.into_iter().chain(ids).for_each(|word| put(out, word));
    put(out, message.rows.len() as u64);
    out.extend_from_slice(message.sides());
    out.extend_from_slice(message.flags());
    let numbers = message.prices().iter().chain(message.qtys());
    numbers.for_each(|&number| put(out, number as u64));
    let rows = message.rows.clone();
    let more = message.batch.columns().more.as_deref();
    macro_rules! each {
        (() $($name:ident: $type:ty = $default:expr,)+) => {$(
            let told = more.and_then(|more| more.$name.as_ref()).map(|column| &column[rows.clone()]);
            let told = told.filter(|cells| cells.iter().any(|cell| *cell != $default));
            out.push(told.is_some().into());
            told.into_iter().flatten().for_each(|cell| put(out, cell.word()));
        )+};
    }
    rare_columns!(each);
    let definitions = more.and_then(|more| more.definition.as_ref());
    let told = definitions.and_then(|column| text(column, rows.start));
    put(out, told.map_or(0, str::len) as u64);
    out.extend_from_slice(told.unwrap_or_default().as_bytes());
}

/// Reads what [`save_message`] wrote, or its counterpart of an older format, and moves `from` behind it: the message and
/// the number of its instrument, which stands in the batch under another.
pub fn load_message(
    from: &mut &[u8],
    format: TapeFormat,
) -> Result<(EventBatch, InstrumentId), EventError> {
    let mut from = Bytes(from);
    let [kind] = from.take()?;
    let instrument = match format {
        TapeFormat::One => match u16::from_le_bytes(from.take()?) {
            u16::MAX => NO_INSTRUMENT,
            number => InstrumentId(number.into()),
        },
        TapeFormat::Two => InstrumentId(u32::from_le_bytes(from.take()?)),
    };
    let [ts_recv, ts_event] = [from.word()? as i64, from.word()? as i64];
    let [sequence, sequence_prev] = [from.word()?, from.word()?];
    let rows = from.word()?;
    if rows == 0 || rows > ROWS_MAX || (from.0.len() as u64) < 18 * rows {
        return Err(cut());
    }
    let rows = rows as usize;
    let number = match instrument {
        NO_INSTRUMENT => NO_INSTRUMENT,
        _ => InstrumentId(0),
    };
    let columns = Columns {
        ts_recv: vec![ts_recv; rows].into(),
        ts_event: vec![ts_event; rows].into(),
        sequence: vec![sequence; rows].into(),
        sequence_prev: vec![sequence_prev; rows].into(),
        instrument: vec![number.0; rows].into(),
        kind: vec![kind; rows].into(),
        side: from.bytes(rows)?.to_vec().into(),
        flags: from.bytes(rows)?.to_vec().into(),
        price: from.column::<i64>(rows)?.into(),
        qty: from.column::<i64>(rows)?.into(),
        more: match format {
            TapeFormat::One => None,
            TapeFormat::Two => from.more(rows)?.if_any(),
        },
    };
    let named = Instruments::of([Instrument::new("SAVED")])?;
    let batch = EventBatch::try_new(format.raise(columns), Arc::new(named))?;
    match batch.message_count() {
        1 => Ok((batch, instrument)),
        _ => Err(cut()),
    }
}

fn cut() -> EventError {
    EventError::BrokenMessage {
        row: 0,
        what: "a saved message is cut short or no message",
    }
}

/// Bytes from the front of a slice.
struct Bytes<'a, 'b>(&'a mut &'b [u8]);

impl<'b> Bytes<'_, 'b> {
    fn bytes(&mut self, count: usize) -> Result<&'b [u8], EventError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(cut)?;
        *self.0 = rest;
        Ok(taken)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], EventError> {
        self.bytes(N)?.try_into().map_err(|_| cut())
    }

    fn word(&mut self) -> Result<u64, EventError> {
        Ok(u64::from_le_bytes(self.take()?))
    }

    fn column<T: Word>(&mut self, rows: usize) -> Result<Vec<T>, EventError> {
        (0..rows).map(|_| self.word().map(T::of)).collect()
    }

    fn rare<T: Word>(&mut self, rows: usize) -> Result<Option<Vec<T>>, EventError> {
        match self.take()? {
            [0] => Ok(None),
            [_] => self.column(rows).map(Some),
        }
    }

    fn more(&mut self, rows: usize) -> Result<More, EventError> {
        macro_rules! each {
            (() $($name:ident: $type:ty = $default:expr,)+) => {
                More {
                    $($name: self.rare::<$type>(rows)?.map(Into::into),)+
                    definition: self.definition(rows)?,
                }
            };
        }
        Ok(rare_columns!(each))
    }

    fn definition(&mut self, rows: usize) -> Result<Option<StringArray>, EventError> {
        let length = usize::try_from(self.word()?).map_err(|_| cut())?;
        if length == 0 {
            return Ok(None);
        }
        let text = std::str::from_utf8(self.bytes(length)?).map_err(|_| cut())?;
        let cells = (0..rows).map(|row| (row == 0).then_some(text));
        Ok(Some(cells.collect()))
    }
}
