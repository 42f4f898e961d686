//! Columns of batches that nobody reads any more, to be written again.

use std::mem::replace;

use crate::Columns;

/// Rows of a batch whose columns are kept at most: a rare long one should not hold memory for ever.
const ROWS_MAX: usize = 1 << 16;

/// The columns of the batch that a builder gave away last. Memory that is written batch after batch stays in the processor's
/// cache; memory that each batch allocates comes from the system page by page, cleared, and goes back to it.
///
/// Who holds a batch, or a slice of it, keeps it as it is: only columns that nobody else has are taken again. Instruments are
/// not held, so that a new one does not copy the registry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spent {
    given: Columns,
}

impl Spent {
    /// Notes what is given away now, and hands out what was given away before it.
    pub(crate) fn swap(&mut self, given: &Columns) -> Columns {
        let keeps = given.ts_recv.len() <= ROWS_MAX;
        let given = if keeps {
            given.clone()
        } else {
            Columns::default()
        };
        replace(&mut self.given, given)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::rare::emptied;
    use crate::{EventBatch, EventBatchBuilder, Header, Instruments, Side};

    fn batch(builder: &mut EventBatchBuilder, rows: i64) -> EventBatch {
        for row in 0..rows {
            builder.push(Header::mark(row), Side::Bid.code(), 10 * rows + row, 1);
        }
        builder.finish(&Arc::new(Instruments::default()))
    }

    #[test]
    fn who_holds_a_batch_or_a_slice_keeps_it_as_it_is() {
        let mut builder = EventBatchBuilder::new();
        let held = batch(&mut builder, 3);
        let slice = batch(&mut builder, 4).slice_rows(2..4);
        for rows in 5..9 {
            let next = batch(&mut builder, rows);
            assert_eq!(next.price()[0], 10 * rows);
            assert_eq!(next.len() as i64, rows);
        }
        assert_eq!(held.price(), [30, 31, 32]);
        assert_eq!(slice.price(), [42, 43]);
    }

    #[test]
    fn columns_that_nobody_else_has_are_written_again_unless_they_are_long() {
        for (rows, again) in [(100, true), (ROWS_MAX as i64 + 1, false)] {
            let given = batch(&mut EventBatchBuilder::new(), rows);
            let mut spent = Spent::default();
            assert!(emptied(spent.swap(given.columns()).price).capacity() == 0);
            drop(given);
            let column = emptied(spent.swap(&Columns::default()).price);
            assert_eq!((column.len(), column.capacity() as i64 >= rows), (0, again));
        }
    }

    #[test]
    fn columns_that_somebody_has_are_not_written_again() {
        let given = batch(&mut EventBatchBuilder::new(), 100);
        let mut spent = Spent::default();
        spent.swap(given.columns());
        assert_eq!(emptied(spent.swap(&Columns::default()).price).capacity(), 0);
        assert_eq!(given.price()[99], 1_099);
    }
}
