//! A book as bytes, for snapshots of the engine.

use super::{BookState, BookSync, Earlier, Join};
use crate::depth::Depths;
use crate::load::{take_bool, take_i64, take_u8, take_u64};
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
        };
        out.push(code);
        out.extend_from_slice(&last.to_le_bytes());
        out.push(fresh.into());
        self.counts.save(out);
        self.book.save(out);
        self.pending.save(out);
        self.depths.save(out);
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

    /// Takes a saved book from the front of `bytes`.
    pub fn load(bytes: &mut &[u8]) -> Result<BookSync, LoadError> {
        let join = match (take_u8(bytes)?, take_u64(bytes)?, take_bool(bytes)?) {
            (0, 0, false) => Join::Building,
            (1, 0, false) => Join::Gap,
            (2, last, fresh) => Join::Joined { last, fresh },
            (3, 0, false) => Join::Overflow,
            _ => {
                return Err(LoadError::Invalid(
                    "the state of a book has an unknown code",
                ));
            }
        };
        let counts = BookCounts::load(bytes)?;
        let (book, pending) = (OrderBook::load(bytes)?, Pending::load(bytes)?);
        let (depths, newest) = (Depths::load(bytes)?, take_i64(bytes)?);
        let earlier = match take_bool(bytes)? {
            false => None,
            true => Some(Earlier {
                snapshot: Diff::load(bytes, PENDING_LEVELS_MAX)?,
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
        let mut loaded = BookSync {
            book,
            join,
            state: BookState::Building,
            pending,
            counts,
            depths,
            newest,
            earlier,
        };
        loaded.judge();
        Ok(loaded)
    }
}

fn take_cut(bytes: &mut &[u8]) -> Result<Option<i64>, LoadError> {
    let (is_cut, price) = (take_bool(bytes)?, take_i64(bytes)?);
    Ok(is_cut.then_some(price))
}
