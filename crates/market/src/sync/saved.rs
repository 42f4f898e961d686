//! A book as bytes, for snapshots of the engine.

use signal_event::{BookRule, Side, TapeFormat};

use super::{Basis, BookSync, Earlier, Join};
use crate::depth::Depths;
use crate::load::{take_bool, take_i64, take_u8, take_u64};
use crate::orders::Orders;
use crate::pending::{Diff, PENDING_LEVELS_MAX, Pending};
use crate::{BookCounts, LoadError, OrderBook};

impl BookSync {
    /// Appends the book, its state, what waits, and the counts.
    pub fn save(&self, out: &mut Vec<u8>) {
        let (code, last, fresh) = match self.join {
            Join::Building => (0, 0, false),
            Join::Gap => (1, 0, false),
            Join::Joined { last, fresh } => (2, last, fresh),
            Join::Overflow => (3, 0, false),
            Join::Checksum => (4, 0, false),
        };
        out.push(code);
        out.extend_from_slice(&last.to_le_bytes());
        out.push(fresh.into());
        self.counts.save(out);
        match &self.basis {
            Basis::Unknown => out.push(0),
            Basis::Levels => {
                out.push(1);
                self.book.save(out);
            }
            Basis::Orders(orders) => {
                out.push(2);
                orders.save(out);
            }
        }
        self.pending.save(out);
        self.depths.save(out);
        if let Some(kept) = self.kept {
            out.extend_from_slice(&(kept as u64).to_le_bytes());
        }
        if let Some(checksum) = &self.checksum {
            checksum.save(out);
        }
        out.extend_from_slice(&self.newest.to_le_bytes());
        out.push(self.earlier.is_some().into());
        if let Some(earlier) = &self.earlier {
            earlier.snapshot.save(out);
            for price in earlier.cut {
                out.push(price.is_some().into());
                out.extend_from_slice(&price.unwrap_or(0).to_le_bytes());
            }
            out.push(earlier.dropped.into());
        }
    }

    /// Takes a saved book from the front of `bytes`. Rule and scales must be those of the book that was saved; `format` is
    /// that of tapes at the time: with the first, books had levels only, and no checksums.
    pub fn load(
        bytes: &mut &[u8],
        rule: BookRule,
        scales: [u8; 2],
        format: TapeFormat,
    ) -> Result<BookSync, LoadError> {
        let mut loaded = BookSync::with_rule(rule, scales);
        let join = match (take_u8(bytes)?, take_u64(bytes)?, take_bool(bytes)?) {
            (0, 0, false) => Join::Building,
            (1, 0, false) => Join::Gap,
            (2, last, fresh) => Join::Joined { last, fresh },
            (3, 0, false) => Join::Overflow,
            (4, 0, false) => Join::Checksum,
            _ => {
                return Err(LoadError::Invalid(
                    "the state of a book has an unknown code",
                ));
            }
        };
        let counts = BookCounts::load(bytes, format)?;
        let basis = match format {
            TapeFormat::One => 1,
            TapeFormat::Two => take_u8(bytes)?,
        };
        let (basis, book) = match basis {
            0 => (Basis::Unknown, OrderBook::new()),
            1 => (Basis::Levels, OrderBook::load(bytes)?),
            2 => {
                let (orders, book) = Orders::load(bytes)?;
                (Basis::Orders(Box::new(orders)), book)
            }
            _ => {
                return Err(LoadError::Invalid(
                    "a book is made of neither levels nor orders",
                ));
            }
        };
        let pending = Pending::load(bytes, format)?;
        let depths = Depths::load(bytes)?;
        if let (Some(most), TapeFormat::Two) = (rule.depth, format) {
            let kept = take_u64(bytes)?.min(u64::from(most) + 1) as usize;
            let deepest = book.depth(Side::Bid).max(book.depth(Side::Ask));
            if kept == 0 || kept > most as usize || deepest > kept || depths != Depths::default() {
                return Err(LoadError::Invalid("a book is deeper than the venue's"));
            }
            loaded.kept = Some(kept);
        }
        if let (Some(checksum), TapeFormat::Two) = (&mut loaded.checksum, format) {
            checksum.load(bytes)?;
        }
        let newest = take_i64(bytes)?;
        let earlier = match take_bool(bytes)? {
            false => None,
            true => Some(Earlier {
                snapshot: Diff::load(bytes, PENDING_LEVELS_MAX, format)?,
                cut: [take_cut(bytes)?, take_cut(bytes)?],
                dropped: take_bool(bytes)?,
            }),
        };
        if let Some(earlier) = &earlier {
            let counted = match earlier.dropped {
                true => counts.dropped,
                false => counts.superseded,
            };
            if counted == 0 {
                return Err(LoadError::Invalid("an earlier snapshot was never counted"));
            }
        }
        let joined = matches!(join, Join::Joined { .. });
        if joined && pending.len() > 0 || !joined && !book.is_empty() {
            return Err(LoadError::Invalid("a book's state contradicts its levels"));
        }
        if !counts.add_up(pending.len()) {
            return Err(LoadError::Invalid("a book's counts do not add up"));
        }
        loaded = BookSync {
            book,
            join,
            basis,
            pending,
            counts,
            depths,
            newest,
            earlier,
            ..loaded
        };
        loaded.judge();
        Ok(loaded)
    }
}

fn take_cut(bytes: &mut &[u8]) -> Result<Option<i64>, LoadError> {
    let (is_cut, price) = (take_bool(bytes)?, take_i64(bytes)?);
    Ok(is_cut.then_some(price))
}
