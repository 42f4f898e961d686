//! Messages to columns.

use std::mem::take;
use std::ops::Range;
use std::sync::Arc;

use crate::pieces::extend_pieces;
use crate::rare::{MoreBuilder, emptied, set};
use crate::row::Row;
use crate::spent::Spent;
use crate::stage::Stage;
use crate::{
    Columns, Definition, EventBatch, Header, InstrumentId, Instruments, Kind, Message,
    NO_INSTRUMENT, Order, Scope, Side, StatusCode, flags,
};

/// Grows a batch message by message: push the rows of a message, then close it with what they share, or abandon them.
///
/// Invariants: the newest rows are in `stage`, those before them in the columns that every batch has, all of one length; but an
/// open message that the stage cannot hold is in `side`, `price` and `qty`. Rare columns are counted over both.
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
    stage: Box<Stage>,
    more: MoreBuilder,
    /// Rows of the open message that carry more flags than that of the end.
    marked: Vec<(usize, u8)>,
    /// Checksum of the open message.
    checksum: Option<u32>,
    spent: Spent,
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
    #[inline]
    pub fn len(&self) -> usize {
        self.ts_recv.len() + self.stage.closed
    }

    /// Whether there is no whole message.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows, those of the open message included.
    #[inline]
    fn rows(&self) -> usize {
        match self.is_long() {
            true => self.side.len(),
            false => self.ts_recv.len() + self.stage.open,
        }
    }

    /// Adds a row to the open message: a level, a side of a quote, a trade. `side` is the code of a [`Side`].
    #[inline]
    pub fn push_row(&mut self, side: u8, price: i64, qty: i64) {
        if !self.stage.push(side, price, qty) {
            self.push_row_far(side, price, qty);
        }
    }

    /// Adds a row that tells more than side, price and quantity.
    #[inline(always)]
    pub fn push_more(&mut self, row: Row) {
        let at = self.rows();
        self.push_row(row.side.code(), row.price, row.qty);
        let room = self.ts_recv.capacity();
        let more = &mut self.more;
        set(&mut more.order_id, at, row.order_id, 0, room);
        set(
            &mut more.action,
            at,
            row.action.map_or(0, |a| a.code()),
            0,
            room,
        );
        set(&mut more.condition, at, row.condition.code(), 0, room);
        set(&mut more.field, at, row.field, 0, room);
        set(&mut more.count, at, row.count, 0, room);
        set(&mut more.value, at, row.value, 0.0, room);
    }

    /// Adds what became of an order.
    #[inline]
    pub fn push_order(&mut self, order: Order) {
        let (at, room) = (self.rows(), self.ts_recv.capacity());
        self.push_row(order.side.code(), order.price, order.qty);
        set(&mut self.more.order_id, at, order.id, 0, room);
        set(&mut self.more.action, at, order.action.code(), 0, room);
    }

    /// Sets bits of [`crate::flags`] on the newest row of the open message.
    pub fn mark_row(&mut self, bits: u8) {
        let rows = self.rows();
        if rows > self.len() {
            self.marked.push((rows - 1, bits));
        }
    }

    /// The venue's checksum of the book after the open message.
    pub fn checksum(&mut self, checksum: u32) {
        self.checksum = Some(checksum);
    }

    /// Makes the rows pushed since the last close one message. Without rows the message gets one of side `None`.
    #[inline]
    pub fn close(&mut self, header: Header) {
        if self.stage.is_full() && self.is_long() {
            self.close_long(header);
        } else {
            if self.stage.open == self.stage.closed {
                self.push_row(Side::None.code(), 0, 0);
            }
            self.stage.close(header);
        }
        if !self.marked.is_empty() {
            self.mark();
        }
        if let Some(checksum) = self.checksum.take() {
            let last = self.len() - 1;
            let none = crate::NO_CHECKSUM;
            set(
                &mut self.more.checksum,
                last,
                checksum.into(),
                none,
                self.ts_recv.capacity(),
            );
        }
    }

    /// Sets the flags of rows of the message that has been closed.
    #[inline(never)]
    fn mark(&mut self) {
        let staged = self.flags.len();
        for (row, bits) in self.marked.drain(..) {
            match row.checked_sub(staged) {
                Some(row) => self.stage.flags[row] |= bits,
                None => self.flags[row] |= bits,
            }
        }
    }

    /// Forgets the rows pushed since the last close.
    pub fn abandon(&mut self) {
        let rows = self.ts_recv.len();
        self.side.truncate(rows);
        self.price.truncate(rows);
        self.qty.truncate(rows);
        self.stage.open = self.stage.closed;
        self.more.truncate(self.len());
        self.marked.clear();
        self.checksum = None;
    }

    /// Forgets all beyond the first `rows` rows, which are whole messages.
    pub fn rewind(&mut self, rows: usize) {
        let staged = rows.saturating_sub(self.ts_recv.len());
        self.stage.closed = staged.min(self.stage.closed);
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
        match self.stage.closed.checked_sub(1) {
            Some(last) => Some(self.stage.ts_event[last]),
            None => self.ts_event.last().copied(),
        }
    }

    /// Adds a message of one row.
    #[inline]
    pub fn push(&mut self, header: Header, side: u8, price: i64, qty: i64) {
        if self.checksum.is_none() && self.stage.push_one(header, side, price, qty) {
            return;
        }
        self.push_row(side, price, qty);
        self.close(header);
    }

    /// Adds a message of one row, after which the book has this checksum.
    #[inline]
    pub fn push_summed(&mut self, header: Header, side: u8, price: i64, qty: i64, checksum: u32) {
        let (at, room) = (self.rows(), self.ts_recv.capacity());
        self.push(header, side, price, qty);
        let sums = &mut self.more.checksum;
        set(sums, at, checksum.into(), crate::NO_CHECKSUM, room);
    }

    /// Adds a message of two rows.
    #[inline]
    pub fn push_pair(&mut self, header: Header, rows: [(u8, i64, i64); 2]) {
        let [first, second] = rows;
        if self.checksum.is_none() && self.stage.push_two(header, first, second) {
            return;
        }
        self.push_row(first.0, first.1, first.2);
        self.push_row(second.0, second.1, second.2);
        self.close(header);
    }

    /// Adds a message of one order.
    #[inline]
    pub fn push_single_order(&mut self, header: Header, order: Order) {
        let at = self.rows();
        self.push(header, order.side.code(), order.price, order.qty);
        let room = self.ts_recv.capacity();
        set(&mut self.more.order_id, at, order.id, 0, room);
        set(&mut self.more.action, at, order.action.code(), 0, room);
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
        let (at, room) = (self.rows(), self.ts_recv.capacity());
        self.push_row(Side::None.code(), 0, 0);
        set(&mut self.more.code, at, code.code(), 0, room);
        set(
            &mut self.more.stream,
            at,
            stream.map_or(0, Kind::code),
            0,
            room,
        );
        set(&mut self.more.scope, at, scope.code(), 0, room);
        let kind = Kind::Status;
        self.close(Header { kind, ..header });
    }

    /// Adds that so many messages of the header's instrument and of this kind were left out: the next one replaces them. The
    /// header's kind need not be said.
    pub fn conflated(&mut self, header: Header, stream: Kind, count: u64) {
        let (at, room) = (self.rows(), self.ts_recv.capacity());
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        set(&mut self.more.count, at, count, 0, room);
        self.status(header, StatusCode::Conflated, Some(stream));
    }

    /// Adds what the header's instrument is from now on. The header's kind need not be said.
    pub fn define(&mut self, header: Header, definition: &Definition) {
        let at = self.rows();
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
        debug_assert!(self.rows() == self.len(), "a message is open");
        self.unstage();
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

    /// Adds pieces of other batches, as [`EventBatchBuilder::extend`] does one after the other: each column in one go, which
    /// is faster where pieces are short. A piece is whole messages, or goes on in the next. It names its batch by number;
    /// beside a batch stand the new numbers of its instruments, and a batch without a piece may be `None`.
    pub fn extend_pieces(
        &mut self,
        batches: &[Option<(&EventBatch, &[InstrumentId])>],
        pieces: &[(usize, Range<usize>)],
    ) {
        debug_assert!(self.rows() == self.len(), "a message is open");
        self.unstage();
        let mut first = self.len();
        macro_rules! each {
            ($($name:ident)*) => {$(
                let columns: Vec<_> = batches
                    .iter()
                    .map(|one| one.map_or(&[][..], |(batch, _)| &batch.columns().$name[..]))
                    .collect();
                extend_pieces(&mut self.$name, &columns, pieces);
            )*};
        }
        each!(ts_recv ts_event sequence sequence_prev kind side flags price qty);
        let mut sources = batches.iter().flatten();
        if sources.clone().all(|(_, renamed)| renamed.is_empty()) {
            each!(instrument);
        } else {
            for (batch, rows) in pieces {
                let Some((batch, renamed)) = batches[*batch] else {
                    continue;
                };
                let numbers = batch.columns().instrument[rows.clone()].iter();
                let renamed = numbers.map(|&i| renamed.get(i as usize).map_or(i, |id| id.0));
                self.instrument.extend(renamed);
            }
        }
        if sources.all(|(batch, _)| batch.columns().more.is_none()) {
            return;
        }
        for (batch, rows) in pieces {
            let more = batches[*batch].and_then(|(batch, _)| batch.columns().more.as_ref());
            if let Some(more) = more {
                self.more.extend(first, more, rows.clone());
            }
            first += rows.len();
        }
    }

    /// Moves rows of whole messages into the columns.
    fn unstage(&mut self) {
        let stage = &mut *self.stage;
        let rows = stage.closed;
        if rows == 0 {
            return;
        }
        macro_rules! each {
            ($($name:ident)*) => {
                $(self.$name.extend_from_slice(&stage.$name[..rows]);)*
            };
        }
        each!(ts_recv ts_event sequence sequence_prev instrument kind side flags price qty);
        let open = rows..stage.open;
        stage.side.copy_within(open.clone(), 0);
        stage.price.copy_within(open.clone(), 0);
        stage.qty.copy_within(open.clone(), 0);
        (stage.closed, stage.open) = (0, open.len());
    }

    /// Adds a row to the open message where the stage is full.
    #[cold]
    #[inline(never)]
    fn push_row_far(&mut self, side: u8, price: i64, qty: i64) {
        if !self.is_long() {
            self.unstage();
            if self.stage.push(side, price, qty) {
                return;
            }
            // The open message alone fills the stage.
            self.side.extend_from_slice(&self.stage.side);
            self.price.extend_from_slice(&self.stage.price);
            self.qty.extend_from_slice(&self.stage.qty);
        }
        self.side.push(side);
        self.price.push(price);
        self.qty.push(qty);
    }

    /// Makes the open rows, which are in the columns, a message.
    #[cold]
    #[inline(never)]
    fn close_long(&mut self, header: Header) {
        let rows = self.side.len();
        self.ts_recv.resize(rows, header.ts_recv);
        self.ts_event.resize(rows, header.ts_event);
        self.sequence.resize(rows, header.sequence);
        self.sequence_prev.resize(rows, header.sequence_prev);
        self.instrument.resize(rows, header.instrument.0);
        self.kind.resize(rows, header.kind.code());
        self.flags.resize(rows - 1, 0);
        self.flags.push(flags::LAST);
        self.stage.open = 0;
    }

    /// Whether the rows of the open message are in the columns.
    #[inline(always)]
    fn is_long(&self) -> bool {
        self.side.len() > self.ts_recv.len()
    }

    /// The whole messages as a batch; the builder is empty after it. An open message is forgotten.
    ///
    /// `instruments` must hold every number that was pushed: which one it is, is the caller's to know.
    pub fn finish(&mut self, instruments: &Arc<Instruments>) -> EventBatch {
        self.abandon();
        self.unstage();
        let rows = self.len();
        let columns = Columns {
            ts_recv: take(&mut self.ts_recv).into(),
            ts_event: take(&mut self.ts_event).into(),
            sequence: take(&mut self.sequence).into(),
            sequence_prev: take(&mut self.sequence_prev).into(),
            instrument: take(&mut self.instrument).into(),
            kind: take(&mut self.kind).into(),
            side: take(&mut self.side).into(),
            flags: take(&mut self.flags).into(),
            price: take(&mut self.price).into(),
            qty: take(&mut self.qty).into(),
            more: take(&mut self.more).finish(rows).if_any(),
        };
        let spent = self.spent.swap(&columns);
        self.write_into(spent);
        let batch = EventBatch::trusted(columns, instruments.clone());
        debug_assert_eq!(batch.check_invariants(), Ok(()));
        batch
    }

    /// Takes the memory of columns that nobody else has.
    fn write_into(&mut self, spent: Columns) {
        macro_rules! each {
            ($($name:ident)*) => {
                $(self.$name = emptied(spent.$name);)*
            };
        }
        each!(ts_recv ts_event sequence sequence_prev instrument kind side flags price qty);
        if let Some(more) = spent.more {
            self.more = MoreBuilder::within(*more);
        }
    }
}
