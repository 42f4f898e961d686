//! Ten levels a side, told anew with each record, as what has changed.

use signal_event::{EventBatchBuilder, Header, Kind, Side, flags};

use super::price;
use super::symbols::Known;
use super::wire::{LEVELS, Pair, pair};
use crate::json::Fault;

/// The book of one instrument as the newest record told it.
///
/// A record becomes a diff to the one before. It becomes a snapshot where a diff would not say it: at the beginning, where a side
/// turns from ten levels (behind which there may be more) to fewer or back, and where its tenth level lies beyond the tenth level
/// of the latest snapshot, behind which nothing is known.
///
/// Invariant: with what was emitted, a reader's book has these levels, and knows those sides as cut that have ten.
#[derive(Clone, Debug, Default)]
pub(super) struct Depth {
    told: bool,
    bids: Levels,
    asks: Levels,
    /// The levels as the newest record wrote them, if all that are there stand before those that are not.
    written: Option<[Pair; LEVELS]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Levels {
    cells: [(i64, i64); LEVELS],
    len: usize,
    /// Price of the tenth level in the latest snapshot, if there was one.
    cut: Option<i64>,
}

impl Depth {
    /// Takes a record's levels and adds the message that they are, if they say anything new.
    #[inline]
    pub(super) fn update(
        &mut self,
        pairs: &[Pair; LEVELS],
        known: &Known,
        header: Header,
        builder: &mut EventBatchBuilder,
    ) -> Result<(), Fault> {
        if self.quantities(pairs, known, header, builder) {
            return Ok(());
        }
        let cells = pairs.each_ref().map(pair);
        let bids = Levels::of(cells.iter().map(|[bid, _]| *bid), known)?;
        let asks = Levels::of(cells.iter().map(|[_, ask]| *ask), known)?;
        let there = |(px, size): (i64, u32)| price(px).is_some() && size > 0;
        let behind = |at: usize, len: usize, there: bool| at < len || !there;
        let first = cells.iter().enumerate().all(|(at, [bid, ask])| {
            behind(at, bids.len, there(*bid)) && behind(at, asks.len, there(*ask))
        });
        self.written = first.then_some(*pairs);
        let whole = !self.told
            || self.bids.needs_snapshot(&bids, Side::Bid)
            || self.asks.needs_snapshot(&asks, Side::Ask);
        if whole {
            self.told = bids.is_sorted(Side::Bid) && asks.is_sorted(Side::Ask);
            self.bids = bids.written(Side::Bid, builder);
            self.asks = asks.written(Side::Ask, builder);
            let kind = Kind::BookSnapshot;
            builder.close(Header { kind, ..header });
            return Ok(());
        }
        let changed = self.bids.change(&bids, Side::Bid, builder)
            | self.asks.change(&asks, Side::Ask, builder);
        if changed {
            let kind = Kind::BookDiff;
            builder.close(Header { kind, ..header });
        }
        Ok(())
    }
}

impl Depth {
    /// Most records change nothing but a quantity or two. Takes the levels of such a record, and says whether it is one.
    #[inline]
    fn quantities(
        &mut self,
        pairs: &[Pair; LEVELS],
        known: &Known,
        header: Header,
        builder: &mut EventBatchBuilder,
    ) -> bool {
        let (Some(written), true) = (&mut self.written, self.told && known.has_usual_scales())
        else {
            return false;
        };
        let (mut moved, mut bids, mut asks) = (false, 0u32, 0u32);
        for (at, (old, new)) in written.iter().zip(pairs).enumerate() {
            let ([bid, ask], [new_bid, new_ask]) = (pair(old), pair(new));
            moved |= (bid.0 != new_bid.0) | (ask.0 != new_ask.0);
            bids |= u32::from(bid.1 != new_bid.1) << at;
            asks |= u32::from(ask.1 != new_ask.1) << at;
        }
        bids &= (1 << self.bids.len) - 1;
        asks &= (1 << self.asks.len) - 1;
        let bid = |at: usize| pair(&pairs[at])[0];
        let ask = |at: usize| pair(&pairs[at])[1];
        let come = (self.bids.len..LEVELS).any(|at| price(bid(at).0).is_some())
            || (self.asks.len..LEVELS).any(|at| price(ask(at).0).is_some());
        let gone = |at: usize| bid(at).1 == 0;
        let gone_asks = |at: usize| ask(at).1 == 0;
        if moved || come || places(bids).any(gone) || places(asks).any(gone_asks) {
            return false;
        }
        let header = Header {
            kind: Kind::BookDiff,
            ..header
        };
        let single = (bids | asks << LEVELS).is_power_of_two();
        let mut write = |side: Side, (px, size): (i64, u32)| match single {
            true => builder.push(header, side.code(), px, size.into()),
            false => builder.push_row(side.code(), px, size.into()),
        };
        for at in places(bids) {
            written[at] = pairs[at];
            self.bids.cells[at].1 = bid(at).1.into();
            write(Side::Bid, bid(at));
        }
        for at in places(asks) {
            written[at] = pairs[at];
            self.asks.cells[at].1 = ask(at).1.into();
            write(Side::Ask, ask(at));
        }
        if !single && bids | asks != 0 {
            builder.close(header);
        }
        true
    }
}

/// The places of the bits that are set.
#[inline(always)]
fn places(mut bits: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let at = bits.trailing_zeros();
        bits &= bits.wrapping_sub(1);
        (at < u32::BITS).then_some(at as usize)
    })
}

impl Levels {
    /// The levels that are there.
    #[inline]
    fn of(cells: impl Iterator<Item = (i64, u32)>, known: &Known) -> Result<Levels, Fault> {
        let mut levels = Levels::default();
        for (px, size) in cells {
            if let Some(px) = price(px).filter(|_| size > 0) {
                levels.cells[levels.len] = (known.price(px)?, known.qty(size.into())?);
                levels.len += 1;
            }
        }
        Ok(levels)
    }

    fn told(&self) -> &[(i64, i64)] {
        &self.cells[..self.len]
    }

    fn is_sorted(&self, side: Side) -> bool {
        self.told()
            .is_sorted_by(|(near, _), (far, _)| nearer(side, *near, *far))
    }

    /// Whether a diff from these levels to others would leave a reader with another book than the others are.
    #[inline]
    fn needs_snapshot(&self, next: &Levels, side: Side) -> bool {
        let full = next.len == LEVELS;
        let beyond = match (self.cut, next.told().last()) {
            (Some(cut), Some((worst, _))) if full => nearer(side, cut, *worst),
            _ => false,
        };
        full != self.cut.is_some() || beyond || !next.is_sorted(side)
    }

    /// Adds the levels as rows of a snapshot.
    fn written(mut self, side: Side, builder: &mut EventBatchBuilder) -> Levels {
        for (px, size) in self.told() {
            builder.push_row(side.code(), *px, *size);
        }
        self.cut = None;
        if self.len == LEVELS {
            builder.mark_row(flags::CUT);
            self.cut = Some(self.cells[LEVELS - 1].0);
        }
        self
    }

    /// Adds what makes these levels the next ones as rows of a diff, and becomes them; whether there was anything.
    #[inline]
    fn change(&mut self, next: &Levels, side: Side, builder: &mut EventBatchBuilder) -> bool {
        if self.len == next.len && self.cells == next.cells {
            return false;
        }
        let (mut old, mut new) = (self.told(), next.told());
        loop {
            match (old.split_first(), new.split_first()) {
                (Some(((at, held), gone)), Some(((px, size), rest))) if at == px => {
                    if held != size {
                        builder.push_row(side.code(), *px, *size);
                    }
                    (old, new) = (gone, rest);
                }
                (Some(((at, _), gone)), None) => {
                    builder.push_row(side.code(), *at, 0);
                    old = gone;
                }
                (Some(((at, _), gone)), Some(((px, _), _))) if nearer(side, *at, *px) => {
                    builder.push_row(side.code(), *at, 0);
                    old = gone;
                }
                (_, Some(((px, size), rest))) => {
                    builder.push_row(side.code(), *px, *size);
                    new = rest;
                }
                (None, None) => break,
            }
        }
        (self.cells, self.len) = (next.cells, next.len);
        true
    }
}

/// Whether the first price is nearer to the other side than the second.
#[inline]
fn nearer(side: Side, first: i64, second: i64) -> bool {
    match side {
        Side::Ask => first < second,
        _ => first > second,
    }
}
