//! How deep a snapshot told the book.

use signal_event::Side;

use crate::load::{take_bool, take_i64};
use crate::{Level, LoadError};

/// What is known of one side: everything up to the worst level of its snapshot, and beyond it only if the snapshot held
/// the whole side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Depth {
    /// Price of the worst level of the snapshot; `None` if the side was empty.
    worst: Option<i64>,
    /// Whether the side goes on beyond it.
    cut: bool,
}

/// Both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Depths {
    bids: Depth,
    asks: Depth,
}

impl Depths {
    /// The depth of a snapshot with these levels; `cut` tells the worst prices of sides of which it is known already.
    pub(crate) fn of(levels: &[(Side, Level)], cut: [Option<i64>; 2]) -> Depths {
        let mut depths = Depths::default();
        for (side, level) in levels.iter().filter(|(_, level)| level.qty > 0) {
            if let Some(depth) = depths.of_side_mut(*side)
                && depth
                    .worst
                    .is_none_or(|worst| beyond(*side, level.price, worst))
            {
                depth.worst = Some(level.price);
            }
        }
        for (depth, cut) in [&mut depths.bids, &mut depths.asks].into_iter().zip(cut) {
            depth.cut = cut.is_some();
            depth.worst = cut.or(depth.worst);
        }
        depths
    }

    /// A level that must have been there when the snapshot was taken: beyond its worst one, it shows that it was cut.
    #[inline]
    pub(crate) fn held(&mut self, side: Side, price: i64) {
        if self.is_beyond(side, price)
            && let Some(depth) = self.of_side_mut(side)
        {
            depth.cut = true;
        }
    }

    /// Whether a price lies beyond the worst level of the snapshot.
    #[inline]
    pub(crate) fn is_beyond(&self, side: Side, price: i64) -> bool {
        let worst = self.of_side(side).and_then(|depth| depth.worst);
        worst.is_some_and(|worst| beyond(side, price, worst))
    }

    /// The worst price up to which a side is known, where it goes on beyond.
    #[inline]
    pub(crate) fn cut(&self, side: Side) -> Option<i64> {
        self.of_side(side)
            .filter(|depth| depth.cut)
            .and_then(|depth| depth.worst)
    }

    #[inline]
    fn of_side(&self, side: Side) -> Option<&Depth> {
        match side {
            Side::Bid => Some(&self.bids),
            Side::Ask => Some(&self.asks),
            Side::None => None,
        }
    }

    #[inline]
    fn of_side_mut(&mut self, side: Side) -> Option<&mut Depth> {
        match side {
            Side::Bid => Some(&mut self.bids),
            Side::Ask => Some(&mut self.asks),
            Side::None => None,
        }
    }

    pub(crate) fn save(&self, out: &mut Vec<u8>) {
        for depth in [&self.bids, &self.asks] {
            out.push(depth.worst.is_some().into());
            out.extend_from_slice(&depth.worst.unwrap_or(0).to_le_bytes());
            out.push(depth.cut.into());
        }
    }

    pub(crate) fn load(bytes: &mut &[u8]) -> Result<Depths, LoadError> {
        let mut side = || {
            let (told, worst) = (take_bool(bytes)?, take_i64(bytes)?);
            let cut = take_bool(bytes)?;
            Ok(Depth {
                worst: told.then_some(worst),
                cut,
            })
        };
        Ok(Depths {
            bids: side()?,
            asks: side()?,
        })
    }
}

/// Whether a price is farther from the other side than `worst`.
#[inline]
fn beyond(side: Side, price: i64, worst: i64) -> bool {
    match side {
        Side::Ask => price > worst,
        _ => price < worst,
    }
}
