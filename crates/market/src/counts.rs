//! What became of a book's messages.

use signal_event::TapeFormat;

use crate::load::take_u64;
use crate::{LevelChange, LoadError, OrderFaults};

/// What became of the diffs and snapshots: `input == applied + superseded + dropped`, and those that still wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BookCounts {
    /// Diffs and snapshots received.
    pub input: u64,
    /// Those that entered the book.
    pub applied: u64,
    /// Those that were older than the book.
    pub superseded: u64,
    /// Those that were given up: waiting diffs beyond the bound or before a disconnect, snapshots too old to join.
    pub dropped: u64,
    /// Snapshots that joined; they are among the applied.
    pub joins: u64,
    /// Breaks in the sequence.
    pub gaps: u64,
    /// Removals of levels that the book did not hold. A snapshot has a bounded depth, so they are normal.
    pub levels_unknown: u64,
    /// Levels shed because a side was full, or pushed out of the depth that the venue keeps.
    pub levels_shed: u64,
    /// How often the venue's ids began anew.
    pub restarts: u64,
    /// Checksums of the venue that the book met.
    pub checksums: u64,
    /// Checksums that it did not meet.
    pub mismatches: u64,
    /// Cancels, fills and changes of orders that the book did not hold.
    pub orphans: u64,
    /// New orders that the book held already.
    pub repeated: u64,
}

impl BookCounts {
    #[inline]
    pub(crate) fn level(&mut self, change: LevelChange) {
        self.levels_unknown += u64::from(change == LevelChange::Unknown);
        self.levels_shed += u64::from(change == LevelChange::Shed);
    }

    pub(crate) fn orders(&mut self, faults: OrderFaults) {
        self.orphans += u64::from(faults.orphans);
        self.repeated += u64::from(faults.repeated);
    }

    pub(crate) fn add_up(&self, pending: usize) -> bool {
        let parts = [self.superseded, self.dropped, pending as u64];
        parts
            .iter()
            .try_fold(self.applied, |sum, part| sum.checked_add(*part))
            == Some(self.input)
    }

    pub(crate) fn save(&self, out: &mut Vec<u8>) {
        let BookCounts {
            input,
            applied,
            superseded,
            dropped,
            joins,
            gaps,
            levels_unknown,
            levels_shed,
            restarts,
            checksums,
            mismatches,
            orphans,
            repeated,
        } = *self;
        for count in [
            input,
            applied,
            superseded,
            dropped,
            joins,
            gaps,
            levels_unknown,
            levels_shed,
            restarts,
            checksums,
            mismatches,
            orphans,
            repeated,
        ] {
            out.extend_from_slice(&count.to_le_bytes());
        }
    }

    pub(crate) fn load(bytes: &mut &[u8], format: TapeFormat) -> Result<BookCounts, LoadError> {
        let mut counts = BookCounts {
            input: take_u64(bytes)?,
            applied: take_u64(bytes)?,
            superseded: take_u64(bytes)?,
            dropped: take_u64(bytes)?,
            joins: take_u64(bytes)?,
            gaps: take_u64(bytes)?,
            levels_unknown: take_u64(bytes)?,
            levels_shed: take_u64(bytes)?,
            restarts: take_u64(bytes)?,
            ..BookCounts::default()
        };
        if format != TapeFormat::One {
            counts.checksums = take_u64(bytes)?;
            counts.mismatches = take_u64(bytes)?;
            counts.orphans = take_u64(bytes)?;
            counts.repeated = take_u64(bytes)?;
        }
        Ok(counts)
    }
}
