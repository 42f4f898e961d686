//! What messages showed to be wrong with their feeds, which may answer it.

use signal_event::Timestamp;
use signal_market::BookNotice;

/// Most notices that wait to be taken. Those beyond are counted in the books' totals only.
const NOTICES_MAX: usize = 1 << 10;

/// Something is wrong with the messages of one instrument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The instrument's id.
    pub instrument: String,
    /// Receive time of the message that showed it.
    pub ts_recv: Timestamp,
    /// What is wrong.
    pub what: BookNotice,
}

/// Notices in order of arrival.
///
/// Invariant: at most [`NOTICES_MAX`]. They are no state: what was not taken before a snapshot is not told after it.
#[derive(Debug, Default)]
pub(crate) struct Notices(Vec<Notice>);

impl Notices {
    #[cold]
    pub(crate) fn tell(&mut self, instrument: &str, ts_recv: Timestamp, what: BookNotice) {
        if self.0.len() < NOTICES_MAX {
            self.0.push(Notice {
                instrument: instrument.to_string(),
                ts_recv,
                what,
            });
        }
    }

    pub(crate) fn take(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.0)
    }
}
