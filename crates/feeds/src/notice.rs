//! What those who use a feed's messages tell it.

use std::fmt;

use signal_event::Timestamp;

/// Something is wrong with the messages of one instrument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The instrument's id, as `BTCUSDT.BINANCE`.
    pub instrument: String,
    /// What is wrong.
    pub kind: NoticeKind,
    /// `ts_recv` of the message that showed it.
    pub ts_recv: Timestamp,
}

/// The closed set of what a feed is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoticeKind {
    /// Ids of the book are missing: it needs a snapshot.
    BookGap,
    /// The book is not the venue's: it needs a snapshot.
    ChecksumMismatch,
    /// The venue's clock, or ours, jumped.
    ClockStep,
    /// Nothing came for longer than the instrument should be silent.
    Stale,
}

impl NoticeKind {
    /// Every kind.
    pub const ALL: [NoticeKind; 4] = [
        NoticeKind::BookGap,
        NoticeKind::ChecksumMismatch,
        NoticeKind::ClockStep,
        NoticeKind::Stale,
    ];

    /// The name in logs and counts.
    pub const fn name(self) -> &'static str {
        match self {
            NoticeKind::BookGap => "BOOK_GAP",
            NoticeKind::ChecksumMismatch => "CHECKSUM_MISMATCH",
            NoticeKind::ClockStep => "CLOCK_STEP",
            NoticeKind::Stale => "STALE",
        }
    }
}

impl fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
