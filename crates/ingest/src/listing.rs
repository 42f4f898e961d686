//! What a decoder needs to know of an instrument.

use signal_event::{Header, InstrumentId, Kind, NO_RULE, NO_SEQUENCE, NO_TIME, Timestamp};

/// What a frame needs to know of its instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listing {
    pub id: InstrumentId,
    pub price_scale: u8,
    pub qty_scale: u8,
    pub prints: Prints,
}

/// Which of a venue's two streams an instrument's trades come from: the one that came first, since both say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prints {
    /// None has come.
    Unknown,
    /// Each trade by itself.
    Each,
    /// Trades of one order at one price in one.
    Aggregates,
}

impl Listing {
    /// A header of this instrument without ids and venue time.
    #[inline(always)]
    pub(crate) fn header(self, kind: Kind, ts_recv: Timestamp) -> Header {
        Header {
            kind,
            instrument: self.id,
            ts_recv,
            ts_event: NO_TIME,
            sequence: NO_SEQUENCE,
            sequence_prev: NO_RULE,
        }
    }
}
