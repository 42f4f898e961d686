//! Diffs that wait for a snapshot.

use std::collections::{VecDeque, vec_deque};

use signal_event::{Event, Kind, Message, Order, OrderAction, Side, TapeFormat};

use crate::load::{take_bool, take_count, take_i64, take_u8, take_u64};
use crate::{Level, LoadError};

/// Most diffs that wait; beyond it the oldest is dropped.
pub const PENDING_DIFFS_MAX: usize = 1 << 16;

/// Most levels and orders in all waiting diffs; beyond it the oldest diff is dropped.
pub const PENDING_LEVELS_MAX: usize = 1 << 20;

/// What a message says of the book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    Levels(Box<[(Side, Level)]>),
    Orders(Box<[Order]>),
}

impl Rows {
    fn of(message: &Message<'_>) -> Rows {
        match message.kind {
            Kind::Order => Rows::Orders(orders(message).collect()),
            _ => Rows::Levels(rows(message).collect()),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Rows::Levels(levels) => levels.len(),
            Rows::Orders(orders) => orders.len(),
        }
    }

    /// The levels; none of a message of orders.
    pub(crate) fn levels(&self) -> &[(Side, Level)] {
        match self {
            Rows::Levels(levels) => levels,
            Rows::Orders(_) => &[],
        }
    }

    fn save(&self, out: &mut Vec<u8>) {
        out.push(matches!(self, Rows::Orders(_)).into());
        out.extend_from_slice(&(self.len() as u64).to_le_bytes());
        match self {
            Rows::Levels(levels) => {
                for (side, level) in levels {
                    out.push(side.code());
                    out.extend_from_slice(&level.price.to_le_bytes());
                    out.extend_from_slice(&level.qty.to_le_bytes());
                }
            }
            Rows::Orders(orders) => {
                for order in orders {
                    out.extend_from_slice(&[order.action.code(), order.side.code()]);
                    out.extend_from_slice(&order.id.to_le_bytes());
                    out.extend_from_slice(&order.price.to_le_bytes());
                    out.extend_from_slice(&order.qty.to_le_bytes());
                }
            }
        }
    }

    fn load(bytes: &mut &[u8], most: usize, format: TapeFormat) -> Result<Rows, LoadError> {
        if format != TapeFormat::One && take_bool(bytes)? {
            let orders = (0..take_count(bytes, most, 26)?).map(|_| {
                let (action, side) = (take_u8(bytes)?, take_u8(bytes)?);
                Ok(Order {
                    action: OrderAction::from_code(action)
                        .ok_or(LoadError::Invalid("a waiting order has no action"))?,
                    side: Side::from_code(side)
                        .ok_or(LoadError::Invalid("a waiting order has an unknown side"))?,
                    id: take_u64(bytes)?,
                    price: take_i64(bytes)?,
                    qty: take_i64(bytes)?,
                })
            });
            return Ok(Rows::Orders(orders.collect::<Result<_, _>>()?));
        }
        let levels = (0..take_count(bytes, most, 17)?).map(|_| {
            let side = match Side::from_code(take_u8(bytes)?) {
                Some(side @ (Side::Bid | Side::Ask)) => side,
                _ => return Err(LoadError::Invalid("a waiting level has no side")),
            };
            let (price, qty) = (take_i64(bytes)?, take_i64(bytes)?);
            Ok((side, Level { price, qty }))
        });
        Ok(Rows::Levels(levels.collect::<Result<_, _>>()?))
    }
}

/// One waiting diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Diff {
    pub(crate) sequence: u64,
    pub(crate) sequence_prev: u64,
    /// The venue's, of the book after it.
    pub(crate) checksum: Option<u32>,
    pub(crate) rows: Rows,
}

impl Diff {
    /// A message with its ids as the venue's rule reads them.
    pub(crate) fn of(message: &Message<'_>, sequence: u64, sequence_prev: u64) -> Diff {
        Diff {
            sequence,
            sequence_prev,
            checksum: message.checksum(),
            rows: Rows::of(message),
        }
    }

    pub(crate) fn save(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&self.sequence_prev.to_le_bytes());
        out.push(self.checksum.is_some().into());
        out.extend_from_slice(&u64::from(self.checksum.unwrap_or(0)).to_le_bytes());
        self.rows.save(out);
    }

    pub(crate) fn load(
        bytes: &mut &[u8],
        rows_max: usize,
        format: TapeFormat,
    ) -> Result<Diff, LoadError> {
        let (sequence, sequence_prev) = (take_u64(bytes)?, take_u64(bytes)?);
        let (has_checksum, checksum) = match format {
            TapeFormat::One => (false, 0),
            TapeFormat::Two => (take_bool(bytes)?, take_u64(bytes)?),
        };
        let Ok(checksum) = u32::try_from(checksum) else {
            return Err(LoadError::Invalid("a checksum is above 32 bits"));
        };
        Ok(Diff {
            sequence,
            sequence_prev,
            checksum: has_checksum.then_some(checksum),
            rows: Rows::load(bytes, rows_max, format)?,
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
    pub(crate) fn push(&mut self, diff: Diff) -> u64 {
        self.levels += diff.rows.len();
        self.diffs.push_back(diff);
        let mut dropped = 0;
        while self.diffs.len() > PENDING_DIFFS_MAX || self.levels > PENDING_LEVELS_MAX {
            let Some(oldest) = self.diffs.pop_front() else {
                break;
            };
            self.levels -= oldest.rows.len();
            dropped += 1;
        }
        dropped
    }

    pub(crate) fn save(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.diffs.len() as u64).to_le_bytes());
        self.diffs.iter().for_each(|diff| diff.save(out));
    }

    pub(crate) fn load(bytes: &mut &[u8], format: TapeFormat) -> Result<Pending, LoadError> {
        let mut pending = Pending::default();
        for _ in 0..take_count(bytes, PENDING_DIFFS_MAX, 24)? {
            let room = PENDING_LEVELS_MAX - pending.levels;
            pending.push(Diff::load(bytes, room, format)?);
        }
        Ok(pending)
    }

    /// Panics with the broken invariant; for tests.
    pub(crate) fn check_invariants(&self) {
        assert!(
            self.diffs.len() <= PENDING_DIFFS_MAX,
            "more diffs than allowed"
        );
        let levels: usize = self.diffs.iter().map(|diff| diff.rows.len()).sum();
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

/// The orders that a message's rows name.
pub(crate) fn orders<'a>(message: &Message<'a>) -> impl Iterator<Item = Order> + use<'a> {
    match message.event() {
        Event::Orders(orders) => Some(orders).into_iter().flatten(),
        _ => None.into_iter().flatten(),
    }
}
