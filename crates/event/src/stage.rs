//! The newest rows of a builder, on their way into its columns.

use crate::{Header, flags};

/// Rows that are held; a power of two.
const ROWS: usize = 64;

/// The newest rows of a builder. A row has a dozen cells; written straight into a dozen growing columns, each cell asks its column
/// whether there is room. Here one question answers for all, and columns take many rows at a time.
///
/// Invariant: rows up to `closed` have all cells, those behind up to `open` only side, price and quantity.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub ts_recv: [i64; ROWS],
    pub ts_event: [i64; ROWS],
    pub sequence: [u64; ROWS],
    pub sequence_prev: [u64; ROWS],
    pub instrument: [u32; ROWS],
    pub kind: [u8; ROWS],
    pub side: [u8; ROWS],
    pub flags: [u8; ROWS],
    pub price: [i64; ROWS],
    pub qty: [i64; ROWS],
    /// Rows of whole messages.
    pub closed: usize,
    /// Rows; all of them are taken where the open message was too long and went on in the columns.
    pub open: usize,
}

impl Default for Stage {
    fn default() -> Stage {
        Stage {
            ts_recv: [0; ROWS],
            ts_event: [0; ROWS],
            sequence: [0; ROWS],
            sequence_prev: [0; ROWS],
            instrument: [0; ROWS],
            kind: [0; ROWS],
            side: [0; ROWS],
            flags: [0; ROWS],
            price: [0; ROWS],
            qty: [0; ROWS],
            closed: 0,
            open: 0,
        }
    }
}

impl Stage {
    /// Adds a row to the open message, if there is room.
    #[inline(always)]
    pub(crate) fn push(&mut self, side: u8, price: i64, qty: i64) -> bool {
        let at = self.open;
        if at >= ROWS {
            return false;
        }
        self.side[at] = side;
        self.price[at] = price;
        self.qty[at] = qty;
        self.open = at + 1;
        true
    }

    /// Adds a message of one row, if there is room and no message is open.
    #[inline(always)]
    pub(crate) fn push_one(&mut self, header: Header, side: u8, price: i64, qty: i64) -> bool {
        let at = self.open;
        if at >= ROWS || at != self.closed {
            return false;
        }
        self.side[at] = side;
        self.price[at] = price;
        self.qty[at] = qty;
        self.head(at, header, flags::LAST);
        (self.open, self.closed) = (at + 1, at + 1);
        true
    }

    /// As `push_one`, of two rows.
    #[inline(always)]
    pub(crate) fn push_two(
        &mut self,
        header: Header,
        first: (u8, i64, i64),
        second: (u8, i64, i64),
    ) -> bool {
        let at = self.open;
        if at >= ROWS - 1 || at != self.closed {
            return false;
        }
        (self.side[at], self.price[at], self.qty[at]) = first;
        (self.side[at + 1], self.price[at + 1], self.qty[at + 1]) = second;
        self.head(at, header, 0);
        self.head(at + 1, header, flags::LAST);
        (self.open, self.closed) = (at + 2, at + 2);
        true
    }

    /// Whether no row has room.
    #[inline(always)]
    pub(crate) fn is_full(&self) -> bool {
        self.open == ROWS
    }

    /// Makes the open rows a message.
    #[inline(always)]
    pub(crate) fn close(&mut self, header: Header) {
        let (from, to) = (self.closed, self.open);
        match to - from {
            // Most messages have one row or two.
            1 => self.head(from, header, flags::LAST),
            2 => {
                self.head(from, header, 0);
                self.head(from + 1, header, flags::LAST);
            }
            _ => self.head_many(header),
        }
        self.closed = to;
    }

    #[inline(always)]
    fn head(&mut self, row: usize, header: Header, flags: u8) {
        let row = row % ROWS;
        self.ts_recv[row] = header.ts_recv;
        self.ts_event[row] = header.ts_event;
        self.sequence[row] = header.sequence;
        self.sequence_prev[row] = header.sequence_prev;
        self.instrument[row] = header.instrument.0;
        self.kind[row] = header.kind.code();
        self.flags[row] = flags;
    }

    #[inline(never)]
    fn head_many(&mut self, header: Header) {
        let rows = self.closed..self.open;
        self.ts_recv[rows.clone()].fill(header.ts_recv);
        self.ts_event[rows.clone()].fill(header.ts_event);
        self.sequence[rows.clone()].fill(header.sequence);
        self.sequence_prev[rows.clone()].fill(header.sequence_prev);
        self.instrument[rows.clone()].fill(header.instrument.0);
        self.kind[rows.clone()].fill(header.kind.code());
        self.flags[rows.clone()].fill(0);
        self.flags[rows.end - 1] = flags::LAST;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use crate::{EventBatchBuilder, Header, Instruments, Kind, Order, OrderAction, Side, flags};

    /// What is done with a builder, and with a plain list of messages beside it.
    #[derive(Clone, Debug)]
    enum Step {
        /// A message of so many rows, of which one is marked.
        Message(usize, usize),
        One,
        Pair,
        Order,
        /// So many rows that are forgotten.
        Abandoned(usize),
        /// Back to where there were so many messages fewer.
        Back(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0usize..9, 0usize..9).prop_map(|(rows, marked)| Step::Message(rows, marked)),
            1 => (60usize..200, 0usize..200).prop_map(|(rows, marked)| Step::Message(rows, marked)),
            6 => Just(Step::One),
            4 => Just(Step::Pair),
            4 => Just(Step::Order),
            1 => (0usize..150).prop_map(Step::Abandoned),
            1 => (0usize..4).prop_map(Step::Back),
        ]
    }

    /// Cells of a row: side, price, order and flags.
    type Cells = (u8, i64, u64, u8);

    proptest! {
        #[test]
        fn rows_come_out_as_they_went_in(steps in prop::collection::vec(step(), 0..150)) {
            let mut builder = EventBatchBuilder::new();
            let mut expected: Vec<(i64, Vec<Cells>)> = Vec::new();
            for (number, step) in (0i64..).zip(steps) {
                let header = Header { kind: Kind::BookDiff, ..Header::mark(number) };
                let cells = |row: usize| (1u8, number * 1_000 + row as i64);
                match step {
                    Step::Message(rows, marked) => {
                        let mut written = Vec::new();
                        for row in 0..rows {
                            let (side, price) = cells(row);
                            builder.push_row(side, price, 1);
                            let mark = if row == marked { flags::CUT } else { 0 };
                            if mark != 0 {
                                builder.mark_row(mark);
                            }
                            written.push((side, price, 0, mark));
                        }
                        if rows == 0 {
                            written.push((Side::None.code(), 0, 0, 0));
                        }
                        builder.close(header);
                        expected.push((number, written));
                    }
                    Step::One => {
                        let (side, price) = cells(0);
                        builder.push(header, side, price, 1);
                        expected.push((number, vec![(side, price, 0, 0)]));
                    }
                    Step::Pair => {
                        let rows = [cells(0), cells(1)];
                        builder.push_pair(header, rows.map(|(side, price)| (side, price, 1)));
                        let rows = rows.map(|(side, price)| (side, price, 0, 0));
                        expected.push((number, rows.to_vec()));
                    }
                    Step::Order => {
                        let (_, price) = cells(0);
                        let (id, action, side) = (7 + number as u64, OrderAction::Add, Side::Bid);
                        builder.push_single_order(header, Order { id, action, side, price, qty: 1 });
                        expected.push((number, vec![(side.code(), price, id, 0)]));
                    }
                    Step::Abandoned(rows) => {
                        (0..rows).for_each(|row| builder.push_row(1, row as i64, 1));
                        builder.mark_row(flags::CUT);
                        builder.abandon();
                    }
                    Step::Back(messages) => {
                        expected.truncate(expected.len().saturating_sub(messages));
                        builder.rewind(expected.iter().map(|(_, rows)| rows.len()).sum());
                    }
                }
                let rows: usize = expected.iter().map(|(_, rows)| rows.len()).sum();
                prop_assert_eq!(builder.len(), rows);
                let newest = expected.last().map(|_| crate::NO_TIME);
                prop_assert_eq!(builder.last_ts_event(), newest);
            }
            let batch = builder.finish(&Arc::new(Instruments::default()));
            let columns = batch.columns();
            let order_ids = columns.more.as_ref().and_then(|more| more.order_id.as_ref());
            let mut row = 0;
            for (number, rows) in &expected {
                for (at, (side, price, id, mark)) in rows.iter().enumerate() {
                    let last = if at + 1 == rows.len() { flags::LAST } else { 0 };
                    prop_assert_eq!(columns.ts_recv[row], *number);
                    prop_assert_eq!((columns.side[row], columns.price[row]), (*side, *price));
                    prop_assert_eq!(columns.flags[row], last | *mark);
                    prop_assert_eq!(order_ids.map_or(0, |ids| ids[row]), *id);
                    row += 1;
                }
            }
            prop_assert_eq!(batch.len(), row);
        }
    }
}
