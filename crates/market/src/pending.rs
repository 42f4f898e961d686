//! Diffs that wait for a snapshot.

use std::collections::{VecDeque, vec_deque};

use signal_event::{Message, Side};

use crate::load::{take_count, take_i64, take_u8, take_u64};
use crate::{Level, LoadError};

/// Most diffs that wait; beyond it the oldest is dropped.
pub const PENDING_DIFFS_MAX: usize = 1 << 16;

/// Most levels in all waiting diffs; beyond it the oldest diff is dropped.
pub const PENDING_LEVELS_MAX: usize = 1 << 20;

/// One waiting diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Diff {
    pub(crate) sequence: u64,
    pub(crate) sequence_prev: u64,
    pub(crate) levels: Box<[(Side, Level)]>,
}

impl Diff {
    pub(crate) fn save(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&self.sequence_prev.to_le_bytes());
        out.extend_from_slice(&(self.levels.len() as u64).to_le_bytes());
        for (side, level) in &self.levels {
            out.push(side.code());
            out.extend_from_slice(&level.price.to_le_bytes());
            out.extend_from_slice(&level.qty.to_le_bytes());
        }
    }

    pub(crate) fn load(bytes: &mut &[u8], levels_max: usize) -> Result<Diff, LoadError> {
        let (sequence, sequence_prev) = (take_u64(bytes)?, take_u64(bytes)?);
        let count = take_count(bytes, levels_max, 17)?;
        let mut levels = Vec::with_capacity(count);
        for _ in 0..count {
            let side = match Side::from_code(take_u8(bytes)?) {
                Some(side @ (Side::Bid | Side::Ask)) => side,
                _ => return Err(LoadError::Invalid("a waiting level has no side")),
            };
            let (price, qty) = (take_i64(bytes)?, take_i64(bytes)?);
            levels.push((side, Level { price, qty }));
        }
        Ok(Diff {
            sequence,
            sequence_prev,
            levels: levels.into(),
        })
    }
}

/// Diffs in order of arrival.
///
/// Invariants: at most [`PENDING_DIFFS_MAX`] diffs; `levels` counts the levels of all, at most [`PENDING_LEVELS_MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pending {
    diffs: VecDeque<Diff>,
    levels: usize,
}

impl Pending {
    pub(crate) fn len(&self) -> usize {
        self.diffs.len()
    }

    pub(crate) fn diffs(&self) -> vec_deque::Iter<'_, Diff> {
        self.diffs.iter()
    }

    /// The id of the newest diff.
    pub(crate) fn last(&self) -> Option<u64> {
        self.diffs.back().map(|diff| diff.sequence)
    }

    pub(crate) fn clear(&mut self) {
        *self = Pending::default();
    }

    /// Keeps a diff; gives how many were dropped to make room for it.
    pub(crate) fn push(&mut self, message: &Message<'_>) -> u64 {
        let levels = rows(message).collect();
        self.keep(Diff {
            sequence: message.sequence,
            sequence_prev: message.sequence_prev,
            levels,
        })
    }

    fn keep(&mut self, diff: Diff) -> u64 {
        self.levels += diff.levels.len();
        self.diffs.push_back(diff);
        let mut dropped = 0;
        while self.diffs.len() > PENDING_DIFFS_MAX || self.levels > PENDING_LEVELS_MAX {
            let Some(oldest) = self.diffs.pop_front() else {
                break;
            };
            self.levels -= oldest.levels.len();
            dropped += 1;
        }
        dropped
    }

    pub(crate) fn save(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.diffs.len() as u64).to_le_bytes());
        self.diffs.iter().for_each(|diff| diff.save(out));
    }

    pub(crate) fn load(bytes: &mut &[u8]) -> Result<Pending, LoadError> {
        let mut pending = Pending::default();
        for _ in 0..take_count(bytes, PENDING_DIFFS_MAX, 24)? {
            let room = PENDING_LEVELS_MAX - pending.levels;
            pending.keep(Diff::load(bytes, room)?);
        }
        Ok(pending)
    }

    /// Panics with the broken invariant; for tests.
    pub(crate) fn check_invariants(&self) {
        assert!(
            self.diffs.len() <= PENDING_DIFFS_MAX,
            "more diffs than allowed"
        );
        let levels: usize = self.diffs.iter().map(|diff| diff.levels.len()).sum();
        assert_eq!(self.levels, levels, "levels are counted");
        assert!(levels <= PENDING_LEVELS_MAX, "more levels than allowed");
    }
}

/// The levels that a message's rows name.
#[inline]
pub(crate) fn rows<'a>(message: &Message<'a>) -> impl Iterator<Item = (Side, Level)> + use<'a> {
    let levels = message
        .prices()
        .iter()
        .zip(message.qtys())
        .map(|(price, qty)| Level {
            price: *price,
            qty: *qty,
        });
    let sides = message
        .sides()
        .iter()
        .map(|code| Side::from_code(*code).unwrap_or(Side::None));
    sides.zip(levels).filter(|(side, _)| *side != Side::None)
}
