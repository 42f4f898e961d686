//! Whole messages as columns.

use std::ops::Range;
use std::sync::Arc;

use arrow_buffer::ScalarBuffer;

use crate::{EventError, Instruments, Messages, More, check, flags};

/// The columns of a batch, all of one length. [`EventBatch::try_new`] checks them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Columns {
    /// When we could know it.
    pub ts_recv: ScalarBuffer<i64>,
    /// When it happened; [`crate::NO_TIME`] where the venue does not say.
    pub ts_event: ScalarBuffer<i64>,
    /// The venue's last id of the message; [`crate::NO_SEQUENCE`] where there is none.
    pub sequence: ScalarBuffer<u64>,
    /// The id that this message must follow; [`crate::NO_RULE`] where there is no such rule.
    pub sequence_prev: ScalarBuffer<u64>,
    /// Number of the instrument, or that of [`crate::NO_INSTRUMENT`].
    pub instrument: ScalarBuffer<u32>,
    /// Code of the [`crate::Kind`].
    pub kind: ScalarBuffer<u8>,
    /// Code of the [`crate::Side`].
    pub side: ScalarBuffer<u8>,
    /// Bits of [`flags`].
    pub flags: ScalarBuffer<u8>,
    /// Mantissa at the instrument's `price_scale`.
    pub price: ScalarBuffer<i64>,
    /// Mantissa at the instrument's `qty_scale`.
    pub qty: ScalarBuffer<i64>,
    /// What only some kinds tell; absent where no row does.
    pub more: Option<Box<More>>,
}

/// Whole messages as columns, with the instruments that they name. Cloning and slicing copy no rows.
///
/// Invariants: columns have one length; every code names something; the rows of a message agree in all columns but
/// side, price, qty, flags and what only some kinds tell; the final row ends a message. [`EventBatch::check_invariants`] tests them.
#[derive(Clone, Debug, PartialEq)]
pub struct EventBatch {
    pub(crate) columns: Columns,
    instruments: Arc<Instruments>,
}

impl EventBatch {
    /// A batch without rows.
    pub fn empty(instruments: Arc<Instruments>) -> EventBatch {
        EventBatch {
            columns: Columns::default(),
            instruments,
        }
    }

    /// A batch of these columns, if they keep the invariants. Costs a pass over the rows.
    pub fn try_new(
        columns: Columns,
        instruments: Arc<Instruments>,
    ) -> Result<EventBatch, EventError> {
        let batch = EventBatch {
            columns,
            instruments,
        };
        batch.check_invariants()?;
        Ok(batch)
    }

    /// For columns that were made by the builder or cut from a batch.
    pub(crate) fn trusted(columns: Columns, instruments: Arc<Instruments>) -> EventBatch {
        EventBatch {
            columns,
            instruments,
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.columns.ts_recv.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The columns.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// The instruments that rows name by number.
    pub fn instruments(&self) -> &Arc<Instruments> {
        &self.instruments
    }

    /// When each row could be known.
    pub fn ts_recv(&self) -> &[i64] {
        &self.columns.ts_recv
    }

    /// When each row happened; [`crate::NO_TIME`] where unknown.
    pub fn ts_event(&self) -> &[i64] {
        &self.columns.ts_event
    }

    /// Codes of the sides.
    pub fn side(&self) -> &[u8] {
        &self.columns.side
    }

    /// Price mantissas.
    pub fn price(&self) -> &[i64] {
        &self.columns.price
    }

    /// Quantity mantissas.
    pub fn qty(&self) -> &[i64] {
        &self.columns.qty
    }

    /// Whether there may be definitions among the messages.
    pub fn defines(&self) -> bool {
        let more = self.columns.more.as_ref();
        more.is_some_and(|more| more.definition.is_some())
    }

    /// The messages in order.
    pub fn messages(&self) -> Messages<'_> {
        Messages::new(self)
    }

    /// The message that begins at a row; `None` at the end.
    #[inline]
    pub fn message(&self, row: usize) -> Option<crate::Message<'_>> {
        crate::Message::at(self, row)
    }

    /// Number of messages.
    pub fn message_count(&self) -> usize {
        self.columns
            .flags
            .iter()
            .map(|f| usize::from(f & flags::LAST))
            .sum()
    }

    /// These rows, which must be whole messages.
    pub fn slice_rows(&self, rows: Range<usize>) -> EventBatch {
        let ends = |row: usize| row == 0 || self.columns.flags[row - 1] & flags::LAST != 0;
        assert!(
            ends(rows.start) && ends(rows.end),
            "rows {rows:?} cut a message"
        );
        let (at, len) = (rows.start, rows.len());
        let c = &self.columns;
        let columns = Columns {
            ts_recv: c.ts_recv.slice(at, len),
            ts_event: c.ts_event.slice(at, len),
            sequence: c.sequence.slice(at, len),
            sequence_prev: c.sequence_prev.slice(at, len),
            instrument: c.instrument.slice(at, len),
            kind: c.kind.slice(at, len),
            side: c.side.slice(at, len),
            flags: c.flags.slice(at, len),
            price: c.price.slice(at, len),
            qty: c.qty.slice(at, len),
            more: c.more.as_ref().map(|more| Box::new(more.slice(rows))),
        };
        EventBatch::trusted(columns, self.instruments.clone())
    }

    /// The messages with these numbers, counted from 0; numbers beyond the end are none. Finds them by a scan: to cut a
    /// batch into parts use [`EventBatch::chunks`].
    pub fn slice_messages(&self, messages: Range<usize>) -> EventBatch {
        let start = self.row_of_message(0, messages.start);
        let end = self.row_of_message(start, messages.len());
        self.slice_rows(start..end)
    }

    /// The batch in parts of `messages` messages each (the final one may be shorter).
    pub fn chunks(&self, messages: usize) -> impl Iterator<Item = EventBatch> + '_ {
        assert!(messages > 0, "a chunk holds at least one message");
        let mut start = 0;
        std::iter::from_fn(move || {
            let end = self.row_of_message(start, messages);
            let part = (end > start).then(|| self.slice_rows(start..end));
            start = end;
            part
        })
    }

    /// The end of the whole messages that begin at row `start` and have at most `rows` rows together; of one message if
    /// already the first has more.
    pub fn whole_rows_end(&self, start: usize, rows: usize) -> usize {
        let limit = start.saturating_add(rows).min(self.len());
        let last = |f: &u8| f & flags::LAST != 0;
        match self.columns.flags[start..limit].iter().rposition(last) {
            Some(at) => start + at + 1,
            None => {
                let rest = self.columns.flags[limit..].iter().position(last);
                rest.map_or(self.len(), |at| limit + at + 1)
            }
        }
    }

    /// Where the messages end that begin at `row`, so many of them.
    pub fn row_after(&self, row: usize, messages: usize) -> usize {
        self.row_of_message(row, messages)
    }

    /// The row at which the `count`-th message after `row` begins, or the end.
    fn row_of_message(&self, row: usize, count: usize) -> usize {
        if count == 0 {
            return row;
        }
        let ends = self.columns.flags[row..]
            .iter()
            .enumerate()
            .filter(|(_, f)| *f & flags::LAST != 0);
        ends.map(|(at, _)| row + at + 1)
            .nth(count - 1)
            .unwrap_or(self.len())
    }

    /// Tests the invariants.
    pub fn check_invariants(&self) -> Result<(), EventError> {
        check::batch(self)
    }
}
