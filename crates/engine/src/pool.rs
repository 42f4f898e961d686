//! Vectors lent to Python and used again: the first touch of fresh memory costs more than the numbers written to it.

use crate::vectors::Vectors;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

/// Free vectors that are kept at most.
const KEPT: usize = 4;

/// Larger ones are not kept.
const KEPT_BYTES: usize = 16 << 20;

/// Vectors of one engine that were lent and came back.
#[derive(Debug, Default)]
pub struct Pool {
    free: Mutex<Vec<Vectors>>,
}

/// Vectors on loan: they go back to their pool when the last array over them is gone.
#[derive(Debug)]
pub struct Loan {
    vectors: Vectors,
    pool: Arc<Pool>,
}

impl Pool {
    /// Empty vectors with room, if some came back.
    pub fn take(&self) -> Option<Vectors> {
        self.free.lock().ok()?.pop()
    }

    /// Lends vectors.
    pub fn lend(self: &Arc<Self>, vectors: Vectors) -> Loan {
        Loan {
            vectors,
            pool: Arc::clone(self),
        }
    }
}

impl Deref for Loan {
    type Target = Vectors;

    fn deref(&self) -> &Vectors {
        &self.vectors
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let mut vectors = std::mem::take(&mut self.vectors);
        if let Ok(mut free) = self.pool.free.lock()
            && free.len() < KEPT
            && vectors.bytes() <= KEPT_BYTES
        {
            vectors.clear();
            free.push(vectors);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn vectors(rows: usize) -> Vectors {
        let mut vectors = Vectors::new(2);
        vectors
            .values
            .iter_mut()
            .for_each(|column| column.resize(rows, 1.0));
        vectors
    }

    #[test]
    fn vectors_come_back_empty_when_the_last_reader_is_gone() {
        let pool = Arc::new(Pool::default());
        let made = vectors(100);
        let at = made.values[0].as_ptr();
        let lent = Arc::new(pool.lend(made));
        let reader = Arc::clone(&lent);
        drop(lent);
        assert!(pool.take().is_none(), "an array still reads them");
        assert_eq!(reader.values[1], [1.0; 100]);
        drop(reader);
        let again = pool.take().unwrap();
        assert_eq!((again.values[0].as_ptr(), again.values[0].len()), (at, 0));
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let pool = Arc::new(Pool::default());
        drop((0..10).map(|_| pool.lend(vectors(10))).collect::<Vec<_>>());
        drop(pool.lend(vectors(KEPT_BYTES / 8)));
        assert_eq!(pool.free.lock().unwrap().len(), KEPT);
        while pool.take().is_some() {}
        drop(pool.lend(vectors(KEPT_BYTES / 8)));
        assert!(pool.take().is_none());
    }
}
