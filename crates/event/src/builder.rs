//! Messages to columns.

use std::sync::Arc;

use crate::{Columns, EventBatch, Header, InstrumentTable, Message, Side, flags};

/// Grows a batch message by message: push the rows of a message, then close it with what they share, or abandon them.
///
/// Invariants: `closed` rows belong to whole messages and stand in every column; rows beyond it only in `side`, `price`
/// and `qty`.
#[derive(Clone, Debug, Default)]
pub struct EventBatchBuilder {
    ts_recv: Vec<i64>,
    ts_event: Vec<i64>,
    sequence: Vec<u64>,
    sequence_prev: Vec<u64>,
    instrument: Vec<u16>,
    kind: Vec<u8>,
    side: Vec<u8>,
    flags: Vec<u8>,
    price: Vec<i64>,
    qty: Vec<i64>,
    /// Rows of the open message that carry more flags than that of the end.
    marked: Vec<(usize, u8)>,
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

    /// Adds a row to the open message. `side` is the code of a [`Side`] or, in a bar, of a [`crate::BarField`].
    #[inline]
    pub fn push_row(&mut self, side: u8, price: i64, qty: i64) {
        self.side.push(side);
        self.price.push(price);
        self.qty.push(qty);
    }

    /// Sets bits of [`flags`] on the newest row of the open message.
    pub fn mark_row(&mut self, bits: u8) {
        if self.side.len() > self.ts_recv.len() {
            self.marked.push((self.side.len() - 1, bits));
        }
    }

    /// Makes the rows pushed since the last close one message. Without rows the message gets one of side `None`.
    #[inline]
    pub fn close(&mut self, header: Header) {
        if self.side.len() == self.ts_recv.len() {
            self.push_row(Side::None.code(), 0, 0);
        }
        let rows = self.side.len();
        self.ts_recv.resize(rows, header.ts_recv);
        self.ts_event.resize(rows, header.ts_event);
        self.sequence.resize(rows, header.sequence);
        self.sequence_prev.resize(rows, header.sequence_prev);
        self.instrument.resize(rows, header.instrument);
        self.kind.resize(rows, header.kind.code());
        self.flags.resize(rows - 1, 0);
        self.flags.push(flags::LAST);
        if !self.marked.is_empty() {
            for (row, bits) in self.marked.drain(..) {
                self.flags[row] |= bits;
            }
        }
    }

    /// Forgets the rows pushed since the last close.
    pub fn abandon(&mut self) {
        let rows = self.ts_recv.len();
        self.side.truncate(rows);
        self.price.truncate(rows);
        self.qty.truncate(rows);
        self.marked.clear();
    }

    /// Adds a message of one row.
    #[inline]
    pub fn push(&mut self, header: Header, side: u8, price: i64, qty: i64) {
        self.push_row(side, price, qty);
        self.close(header);
    }

    /// Adds a message of another batch under another instrument index.
    pub fn push_message(&mut self, message: &Message<'_>, instrument: u16) {
        self.side.extend_from_slice(message.sides());
        self.price.extend_from_slice(message.prices());
        self.qty.extend_from_slice(message.qtys());
        let first = self.flags.len();
        self.close(Header {
            instrument,
            ..message.header()
        });
        self.flags[first..].copy_from_slice(message.flags());
    }

    /// Adds rows of another batch, which must be whole messages. `instruments[i]` is the new index of instrument `i`.
    pub fn extend(
        &mut self,
        batch: &EventBatch,
        rows: std::ops::Range<usize>,
        instruments: &[u16],
    ) {
        debug_assert!(self.side.len() == self.ts_recv.len(), "a message is open");
        let c = batch.columns();
        self.ts_recv.extend_from_slice(&c.ts_recv[rows.clone()]);
        self.ts_event.extend_from_slice(&c.ts_event[rows.clone()]);
        self.sequence.extend_from_slice(&c.sequence[rows.clone()]);
        self.sequence_prev
            .extend_from_slice(&c.sequence_prev[rows.clone()]);
        let renamed = c.instrument[rows.clone()]
            .iter()
            .map(|&i| instruments.get(i as usize).copied().unwrap_or(i));
        self.instrument.extend(renamed);
        self.kind.extend_from_slice(&c.kind[rows.clone()]);
        self.side.extend_from_slice(&c.side[rows.clone()]);
        self.flags.extend_from_slice(&c.flags[rows.clone()]);
        self.price.extend_from_slice(&c.price[rows.clone()]);
        self.qty.extend_from_slice(&c.qty[rows]);
    }

    /// The whole messages as a batch; the builder is empty after it. An open message is forgotten.
    ///
    /// `instruments` must hold every index that was pushed: which one it is, is the caller's to know.
    pub fn finish(&mut self, instruments: &Arc<InstrumentTable>) -> EventBatch {
        self.abandon();
        let taken = std::mem::take(self);
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
        };
        let batch = EventBatch::trusted(columns, instruments.clone());
        debug_assert_eq!(batch.check_invariants(), Ok(()));
        batch
    }
}
