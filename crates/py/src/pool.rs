//! Columns lent to Arrow and used again: the first touch of fresh memory costs more than the numbers written to it.

use arrow_buffer::{Buffer, ScalarBuffer};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};

/// Bytes of free columns that are kept at most.
const KEPT_BYTES: usize = 32 << 20;

/// Smaller columns are left to the allocator, which keeps their memory by itself.
const LENT_BYTES: usize = 32 << 10;

/// Columns that were lent and came back.
#[derive(Debug, Default)]
pub struct Pool {
    free: Mutex<Free>,
}

#[derive(Debug, Default)]
struct Free {
    columns: Vec<Vec<f64>>,
    bytes: usize,
}

/// A column on loan: it goes back to its pool when the last array over it is gone.
struct Loan {
    column: Vec<f64>,
    pool: Arc<Pool>,
}

fn bytes(column: &Vec<f64>) -> usize {
    column.capacity() * size_of::<f64>()
}

impl Pool {
    /// Gives each column without room one that was lent before, as far as there are any.
    pub fn fill(&self, columns: &mut [Vec<f64>]) {
        let Ok(mut free) = self.free.lock() else {
            return;
        };
        for column in columns.iter_mut().filter(|column| column.capacity() == 0) {
            let Some(used) = free.columns.pop() else {
                return;
            };
            free.bytes -= bytes(&used);
            *column = used;
        }
    }

    /// The column for Arrow, without a copy.
    pub fn lend(self: &Arc<Self>, column: Vec<f64>) -> ScalarBuffer<f64> {
        if bytes(&column) < LENT_BYTES {
            return ScalarBuffer::from(column);
        }
        let len = column.len();
        let start = NonNull::from(column.as_slice()).cast::<u8>();
        let loan = Arc::new(Loan {
            column,
            pool: Arc::clone(self),
        });
        // SAFETY: `start` points to the loan's `len` numbers, which stay where they are and unchanged until the buffer
        // drops the loan.
        #[allow(unsafe_code)]
        let buffer = unsafe { Buffer::from_custom_allocation(start, len * size_of::<f64>(), loan) };
        ScalarBuffer::new(buffer, 0, len)
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let mut column = std::mem::take(&mut self.column);
        let Ok(mut free) = self.pool.free.lock() else {
            return;
        };
        if free.bytes + bytes(&column) <= KEPT_BYTES {
            column.clear();
            free.bytes += bytes(&column);
            free.columns.push(column);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_column_comes_back_when_its_last_array_is_gone() {
        let pool = Arc::new(Pool::default());
        let column: Vec<f64> = (0..LENT_BYTES).map(|i| i as f64).collect();
        let at = column.as_ptr();
        let lent = pool.lend(column);
        let slice = lent.slice(10, 5);
        drop(lent);
        let mut columns = [Vec::new()];
        pool.fill(&mut columns);
        assert_eq!(columns[0].capacity(), 0, "an array still reads it");
        assert_eq!(slice.as_ref(), [10.0, 11.0, 12.0, 13.0, 14.0]);
        drop(slice);
        pool.fill(&mut columns);
        assert_eq!((columns[0].as_ptr(), columns[0].len()), (at, 0));
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let pool = Arc::new(Pool::default());
        let lent: Vec<_> = (0..100)
            .map(|_| pool.lend(vec![0.0; (1 << 20) / 8]))
            .collect();
        drop(lent);
        let free = pool.free.lock().unwrap();
        assert_eq!((free.bytes, free.columns.len()), (KEPT_BYTES, 32));
    }
}
