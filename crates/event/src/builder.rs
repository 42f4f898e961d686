//! Messages to columns.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::StringArray;

use crate::more::rare_columns;
use crate::row::Row;
use crate::{
    Columns, Definition, EventBatch, Header, InstrumentId, Instruments, Kind, Message, More,
    NO_INSTRUMENT, Scope, Side, StatusCode, flags,
};

/// Grows a batch message by message: push the rows of a message, then close it with what they share, or abandon them.
///
/// Invariants: `closed` rows belong to whole messages and stand in every column that every batch has; rows beyond it only
/// in `side`, `price`, `qty` and `more`.
#[derive(Clone, Debug, Default)]
pub struct EventBatchBuilder {
    ts_recv: Vec<i64>,
    ts_event: Vec<i64>,
    sequence: Vec<u64>,
    sequence_prev: Vec<u64>,
    instrument: Vec<u32>,
    kind: Vec<u8>,
    side: Vec<u8>,
    flags: Vec<u8>,
    price: Vec<i64>,
    qty: Vec<i64>,
    more: MoreBuilder,
    /// Rows of the open message that carry more flags than that of the end.
    marked: Vec<(usize, u8)>,
    /// Checksum of the open message.
    checksum: Option<u32>,
}

impl EventBatchBuilder {
    /// A builder with no room reserved.
    pub fn new() -> EventBatchBuilder {
        EventBatchBuilder::default()
    }

    /// A builder with room for this many rows.
    pub fn with_capacity(rows: usize) -> EventBatchBuilder {
        let mut builder = EventBatchBuilder::default();
        builder.reserve(rows);
        builder
    }

    /// Makes room for this many more rows.
    pub fn reserve(&mut self, rows: usize) {
        self.ts_recv.reserve(rows);
        self.ts_event.reserve(rows);
        self.sequence.reserve(rows);
        self.sequence_prev.reserve(rows);
        self.instrument.reserve(rows);
        self.kind.reserve(rows);
        self.side.reserve(rows);
        self.flags.reserve(rows);
        self.price.reserve(rows);
        self.qty.reserve(rows);
    }

    /// Rows of whole messages.
    pub fn len(&self) -> usize {
        self.ts_recv.len()
    }

    /// Whether there is no whole message.
    pub fn is_empty(&self) -> bool {
        self.ts_recv.is_empty()
    }

    /// Adds a row to the open message: a level, a side of a quote, a trade. `side` is the code of a [`Side`].
    #[inline]
    pub fn push_row(&mut self, side: u8, price: i64, qty: i64) {
        self.side.push(side);
        self.price.push(price);
        self.qty.push(qty);
    }

    /// Adds a row that tells more than side, price and quantity.
    #[inline]
    pub fn push_more(&mut self, row: Row) {
        let at = self.side.len();
        self.push_row(row.side.code(), row.price, row.qty);
        let more = &mut self.more;
        set(&mut more.order_id, at, row.order_id, 0);
        set(&mut more.action, at, row.action.map_or(0, |a| a.code()), 0);
        set(&mut more.condition, at, row.condition.code(), 0);
        set(&mut more.field, at, row.field, 0);
        set(&mut more.count, at, row.count, 0);
        set(&mut more.value, at, row.value, 0.0);
    }

    /// Sets bits of [`flags`] on the newest row of the open message.
    pub fn mark_row(&mut self, bits: u8) {
        if self.side.len() > self.ts_recv.len() {
            self.marked.push((self.side.len() - 1, bits));
        }
    }

    /// The venue's checksum of the book after the open message.
    pub fn checksum(&mut self, checksum: u32) {
        self.checksum = Some(checksum);
    }

    /// Makes the rows pushed since the last close one message. Without rows the message gets one of side `None`.
    #[inline]
    pub fn close(&mut self, header: Header) {
        if self.side.len() == self.ts_recv.len() {
            self.push_row(Side::None.code(), 0, 0);
        }
        let rows = self.side.len();
        // Most messages have one row or two.
        match rows - self.ts_recv.len() {
            1 => self.push_header(header, flags::LAST),
            2 => {
                self.push_header(header, 0);
                self.push_header(header, flags::LAST);
            }
            _ => self.push_headers(header, rows),
        }
        if !self.marked.is_empty() {
            for (row, bits) in self.marked.drain(..) {
                self.flags[row] |= bits;
            }
        }
        if let Some(checksum) = self.checksum.take() {
            let none = crate::NO_CHECKSUM;
            set(&mut self.more.checksum, rows - 1, checksum.into(), none);
        }
    }

    #[inline(always)]
    fn push_header(&mut self, header: Header, flags: u8) {
        self.ts_recv.push(header.ts_recv);
        self.ts_event.push(header.ts_event);
        self.sequence.push(header.sequence);
        self.sequence_prev.push(header.sequence_prev);
        self.instrument.push(header.instrument.0);
        self.kind.push(header.kind.code());
        self.flags.push(flags);
    }

    #[inline(never)]
    fn push_headers(&mut self, header: Header, rows: usize) {
        self.ts_recv.resize(rows, header.ts_recv);
        self.ts_event.resize(rows, header.ts_event);
        self.sequence.resize(rows, header.sequence);
        self.sequence_prev.resize(rows, header.sequence_prev);
        self.instrument.resize(rows, header.instrument.0);
        self.kind.resize(rows, header.kind.code());
        self.flags.resize(rows - 1, 0);
        self.flags.push(flags::LAST);
    }

    /// Forgets the rows pushed since the last close.
    pub fn abandon(&mut self) {
        let rows = self.ts_recv.len();
        self.side.truncate(rows);
        self.price.truncate(rows);
        self.qty.truncate(rows);
        self.more.truncate(rows);
        self.marked.clear();
        self.checksum = None;
    }

    /// Forgets all beyond the first `rows` rows, which are whole messages.
    pub fn rewind(&mut self, rows: usize) {
        self.ts_recv.truncate(rows);
        self.ts_event.truncate(rows);
        self.sequence.truncate(rows);
        self.sequence_prev.truncate(rows);
        self.instrument.truncate(rows);
        self.kind.truncate(rows);
        self.flags.truncate(rows);
        self.abandon();
    }

    /// `ts_event` of the newest whole message.
    pub fn last_ts_event(&self) -> Option<i64> {
        self.ts_event.last().copied()
    }

    /// Adds a message of one row.
    #[inline]
    pub fn push(&mut self, header: Header, side: u8, price: i64, qty: i64) {
        self.push_row(side, price, qty);
        self.close(header);
    }

    /// Adds a status of the header's instrument, or of all if it names none. `stream` is the kind that it concerns,
    /// `None` for all. The header's kind need not be said.
    pub fn status(&mut self, header: Header, code: StatusCode, stream: Option<Kind>) {
        let scope = match header.instrument {
            NO_INSTRUMENT => Scope::All,
            _ => Scope::Instrument,
        };
        self.status_of(header, code, stream, scope);
    }

    /// As [`EventBatchBuilder::status`], and says whom it concerns.
    pub fn status_of(
        &mut self,
        header: Header,
        code: StatusCode,
        stream: Option<Kind>,
        scope: Scope,
    ) {
        let at = self.side.len();
        self.push_row(Side::None.code(), 0, 0);
        set(&mut self.more.code, at, code.code(), 0);
        set(&mut self.more.stream, at, stream.map_or(0, Kind::code), 0);
        set(&mut self.more.scope, at, scope.code(), 0);
        let kind = Kind::Status;
        self.close(Header { kind, ..header });
    }

    /// Adds what the header's instrument is from now on. The header's kind need not be said.
    pub fn define(&mut self, header: Header, definition: &Definition) {
        let at = self.side.len();
        self.push_row(Side::None.code(), 0, 0);
        self.more.definition.push((at, definition.to_json()));
        let kind = Kind::Definition;
        self.close(Header { kind, ..header });
    }

    /// Adds a message of another batch under another instrument's number.
    pub fn push_message(&mut self, message: &Message<'_>, instrument: InstrumentId) {
        let first = self.len();
        self.extend(message.batch, message.rows.clone(), &[]);
        self.instrument[first..].fill(instrument.0);
    }

    /// Adds rows of another batch, which must be whole messages. `instruments[i]` is the new number of instrument `i`.
    pub fn extend(&mut self, batch: &EventBatch, rows: Range<usize>, instruments: &[InstrumentId]) {
        debug_assert!(self.side.len() == self.ts_recv.len(), "a message is open");
        let first = self.len();
        let c = batch.columns();
        self.ts_recv.extend_from_slice(&c.ts_recv[rows.clone()]);
        self.ts_event.extend_from_slice(&c.ts_event[rows.clone()]);
        self.sequence.extend_from_slice(&c.sequence[rows.clone()]);
        self.sequence_prev
            .extend_from_slice(&c.sequence_prev[rows.clone()]);
        let renamed = c.instrument[rows.clone()]
            .iter()
            .map(|&i| instruments.get(i as usize).map_or(i, |id| id.0));
        self.instrument.extend(renamed);
        self.kind.extend_from_slice(&c.kind[rows.clone()]);
        self.side.extend_from_slice(&c.side[rows.clone()]);
        self.flags.extend_from_slice(&c.flags[rows.clone()]);
        self.price.extend_from_slice(&c.price[rows.clone()]);
        self.qty.extend_from_slice(&c.qty[rows.clone()]);
        if let Some(more) = &c.more {
            self.more.extend(first, more, rows);
        }
    }

    /// Adds rows of other batches, as [`EventBatchBuilder::extend`] does one after the other: each column in one go, which
    /// is faster where runs are short.
    pub fn extend_runs<'a>(
        &mut self,
        runs: impl Iterator<Item = (&'a EventBatch, Range<usize>, &'a [InstrumentId])> + Clone,
    ) {
        debug_assert!(self.side.len() == self.ts_recv.len(), "a message is open");
        let mut first = self.len();
        macro_rules! each {
            ($($name:ident)*) => {$(
                for (batch, rows, _) in runs.clone() {
                    let column = &batch.columns().$name;
                    if rows.len() == 1 {
                        self.$name.push(column[rows.start]);
                    } else {
                        self.$name.extend_from_slice(&column[rows]);
                    }
                }
            )*};
        }
        each!(ts_recv ts_event sequence sequence_prev kind side flags price qty);
        for (batch, rows, instruments) in runs {
            let renamed = batch.columns().instrument[rows.clone()]
                .iter()
                .map(|&i| instruments.get(i as usize).map_or(i, |id| id.0));
            self.instrument.extend(renamed);
            if let Some(more) = &batch.columns().more {
                self.more.extend(first, more, rows.clone());
            }
            first += rows.len();
        }
    }

    /// The whole messages as a batch; the builder is empty after it. An open message is forgotten.
    ///
    /// `instruments` must hold every number that was pushed: which one it is, is the caller's to know.
    pub fn finish(&mut self, instruments: &Arc<Instruments>) -> EventBatch {
        self.abandon();
        let taken = std::mem::take(self);
        let rows = taken.ts_recv.len();
        let columns = Columns {
            ts_recv: taken.ts_recv.into(),
            ts_event: taken.ts_event.into(),
            sequence: taken.sequence.into(),
            sequence_prev: taken.sequence_prev.into(),
            instrument: taken.instrument.into(),
            kind: taken.kind.into(),
            side: taken.side.into(),
            flags: taken.flags.into(),
            price: taken.price.into(),
            qty: taken.qty.into(),
            more: taken.more.finish(rows).if_any(),
        };
        let batch = EventBatch::trusted(columns, instruments.clone());
        debug_assert_eq!(batch.check_invariants(), Ok(()));
        batch
    }
}

macro_rules! more_builder {
    (() $($name:ident: $type:ty = $default:expr,)+) => {
        /// Rare columns that grow: each ends with the last row that is not at the default.
        #[derive(Clone, Debug, Default)]
        struct MoreBuilder {
            $($name: Vec<$type>,)+
            definition: Vec<(usize, String)>,
        }

        impl MoreBuilder {
            #[inline]
            fn truncate(&mut self, rows: usize) {
                $(self.$name.truncate(rows);)+
                while self.definition.pop_if(|(row, _)| *row >= rows).is_some() {}
            }

            /// Appends these rows of another batch, the first of which is row `first` here.
            fn extend(&mut self, first: usize, more: &More, rows: Range<usize>) {
                $(if let Some(column) = &more.$name {
                    let cells = &column[rows.clone()];
                    if cells.iter().any(|cell| *cell != $default) {
                        self.$name.resize(first, $default);
                        self.$name.extend_from_slice(cells);
                    }
                })+
                if let Some(column) = &more.definition {
                    let texts = rows.clone().filter_map(|row| Some((row, text(column, row)?)));
                    self.definition
                        .extend(texts.map(|(row, text)| (first + row - rows.start, text.to_string())));
                }
            }

            fn finish(mut self, rows: usize) -> More {
                More {
                    $($name: (!self.$name.is_empty()).then(|| {
                        self.$name.resize(rows, $default);
                        self.$name.into()
                    }),)+
                    definition: (!self.definition.is_empty()).then(|| {
                        let mut texts = vec![None; rows];
                        self.definition.into_iter().for_each(|(row, text)| texts[row] = Some(text));
                        StringArray::from(texts)
                    }),
                }
            }
        }
    };
}
rare_columns!(more_builder);

/// Gives a row its number; rows before it that have none yet get the default.
#[inline]
fn set<T: Copy + PartialEq>(column: &mut Vec<T>, row: usize, value: T, default: T) {
    if value != default {
        column.resize(row, default);
        column.push(value);
    }
}

/// A row's text.
pub(crate) fn text(column: &StringArray, row: usize) -> Option<&str> {
    use arrow_array::Array;
    (row < column.len() && column.is_valid(row)).then(|| column.value(row))
}
