//! One venue message within a batch.

use std::ops::Range;

use crate::more::at;
use crate::{
    Condition, EventBatch, Instrument, InstrumentId, Kind, NO_INSTRUMENT, NO_RULE, NO_SEQUENCE,
    NO_TIME, Timestamp, flags,
};

/// What the rows of a message share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the message is.
    pub kind: Kind,
    /// Number of the instrument in the batch's [`crate::Instruments`], or [`NO_INSTRUMENT`].
    pub instrument: InstrumentId,
    /// When we could know it.
    pub ts_recv: Timestamp,
    /// When it happened, or [`NO_TIME`].
    pub ts_event: Timestamp,
    /// The venue's last id of the message, or [`NO_SEQUENCE`].
    pub sequence: u64,
    /// The id that this message must follow, or [`NO_RULE`].
    pub sequence_prev: u64,
}

impl Header {
    /// A clock mark: time has reached `ts_recv`.
    pub fn mark(ts_recv: Timestamp) -> Header {
        Header {
            kind: Kind::Mark,
            instrument: NO_INSTRUMENT,
            ts_recv,
            ts_event: NO_TIME,
            sequence: NO_SEQUENCE,
            sequence_prev: NO_RULE,
        }
    }
}

/// One venue message: its header and its rows in a batch.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// What it is.
    pub kind: Kind,
    /// Number of the instrument in the batch's [`crate::Instruments`], or [`NO_INSTRUMENT`].
    pub instrument: InstrumentId,
    /// When we could know it.
    pub ts_recv: Timestamp,
    /// When it happened, or [`NO_TIME`].
    pub ts_event: Timestamp,
    /// The venue's last id of the message, or [`NO_SEQUENCE`].
    pub sequence: u64,
    /// The id that this message must follow, or [`NO_RULE`].
    pub sequence_prev: u64,
    /// Its rows; never empty.
    pub rows: Range<usize>,
    /// The batch that holds them.
    pub batch: &'a EventBatch,
}

impl<'a> Message<'a> {
    /// The message that begins at a row. A batch holds no code that names no kind, so only its end is `None`.
    #[inline]
    pub(crate) fn at(batch: &'a EventBatch, row: usize) -> Option<Message<'a>> {
        let c = &batch.columns;
        let flags = c.flags.get(row..)?;
        let len = flags.iter().position(|f| f & flags::LAST != 0)? + 1;
        Some(Message {
            kind: Kind::from_code(c.kind[row])?,
            instrument: InstrumentId(c.instrument[row]),
            ts_recv: c.ts_recv[row],
            ts_event: c.ts_event[row],
            sequence: c.sequence[row],
            sequence_prev: c.sequence_prev[row],
            rows: row..row + len,
            batch,
        })
    }

    /// What the rows share.
    #[inline]
    pub fn header(&self) -> Header {
        Header {
            kind: self.kind,
            instrument: self.instrument,
            ts_recv: self.ts_recv,
            ts_event: self.ts_event,
            sequence: self.sequence,
            sequence_prev: self.sequence_prev,
        }
    }

    /// Codes of the sides, one a row.
    #[inline]
    pub fn sides(&self) -> &'a [u8] {
        &self.batch.side()[self.rows.clone()]
    }

    /// Bits of [`flags`], one a row.
    #[inline]
    pub fn flags(&self) -> &'a [u8] {
        &self.batch.columns.flags[self.rows.clone()]
    }

    /// What kind of print a trade is.
    #[inline]
    pub fn condition(&self) -> Condition {
        let Some(more) = &self.batch.columns.more else {
            return Condition::Ordinary;
        };
        Condition::from_code(at(&more.condition, self.rows.start, 0)).unwrap_or(Condition::OffBook)
    }

    /// Whether this is a print of the venue, sent among its trades, that is no trade of the order book: its condition says
    /// so, or it has no price or no quantity.
    #[inline]
    pub fn is_off_book(&self) -> bool {
        let row = self.rows.start;
        let c = &self.batch.columns;
        self.kind == Kind::Trade
            && (c.price[row] == 0 || c.qty[row] == 0 || !self.condition().is_on_book())
    }

    /// Price mantissas, one a row.
    #[inline]
    pub fn prices(&self) -> &'a [i64] {
        &self.batch.price()[self.rows.clone()]
    }

    /// Quantity mantissas, one a row.
    #[inline]
    pub fn qtys(&self) -> &'a [i64] {
        &self.batch.qty()[self.rows.clone()]
    }

    /// The instrument; `None` where the message concerns none.
    pub fn instrument(&self) -> Option<&'a Instrument> {
        self.batch.instruments().get(self.instrument)
    }
}

/// The messages of a batch, in order.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    batch: &'a EventBatch,
    row: usize,
}

impl<'a> Messages<'a> {
    pub(crate) fn new(batch: &'a EventBatch) -> Messages<'a> {
        Messages { batch, row: 0 }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    #[inline]
    fn next(&mut self) -> Option<Message<'a>> {
        let message = Message::at(self.batch, self.row)?;
        self.row = message.rows.end;
        Some(message)
    }
}
