//! Order books and bars built from events.
//!
//! [`OrderBook`] holds the levels of both sides. [`BookSync`] decides when they can be trusted: it joins a venue's
//! snapshot with its diffs by the venue's rule, and says so when messages are missing, a checksum fails or the sides
//! cross. [`TimeBars`] gathers trades into bars of equal length, [`FilledBars`] into bars that end when so much was traded.
//! All are pure: time comes with the events, and what they hold can be saved and loaded.

mod bars;
mod book;
mod checksum;
mod counts;
mod depth;
mod ladder;
mod level;
mod load;
mod orders;
mod pending;
mod session_clock;
mod sync;

pub use bars::{
    Bar, BarError, BarPrices, ENDED_MAX, Ending, FilledBars, Filling, Grid, Measure, PER_UNIT,
    Session, TimeBars, units,
};
pub use book::OrderBook;
pub use counts::BookCounts;
pub use ladder::{LEVELS_MAX, LevelChange};
pub use level::Level;
pub use load::LoadError;
pub use orders::{ORDERS_MAX, OrderFaults};
pub use pending::{PENDING_DIFFS_MAX, PENDING_LEVELS_MAX};
pub use session_clock::SessionClock;
pub use sync::{BookChange, BookNotice, BookState, BookSync, ChecksumMismatch, SequenceGap};
