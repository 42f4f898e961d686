//! Rolling moments of a series beside its places: what the least squares line over them is made of.

use crate::BLOCK;
use crate::comoments::{ComomentBlock, ComomentTree, ComomentWindow, Comoments};
use crate::simd::Simd;
use crate::state::{Exhausted, State};

/// Co-moments of values (the first series) and their numbers (the second), over any window of up to `cap` values. Numbers are
/// whole and only their differences are asked, so that a window does not depend on where the series began.
#[derive(Clone, Debug)]
pub struct TrendTree {
    pairs: ComomentTree,
}

impl TrendTree {
    /// State for windows of 1 to `cap` values.
    pub fn new(cap: usize) -> Self {
        Self {
            pairs: ComomentTree::new(cap),
        }
    }

    /// Bytes that [`TrendTree::new`] takes.
    pub const fn bytes(cap: usize) -> usize {
        ComomentTree::bytes(cap)
    }

    /// Names the places that the next value will touch.
    pub fn places(&self, touch: &mut impl FnMut(*const f64)) {
        self.pairs.places(touch);
    }

    /// Takes the next value.
    #[inline(always)]
    pub fn push(&mut self, x: f64) {
        let [_, number] = self.pairs.newest();
        self.pairs.push(x, number + 1.0);
    }

    /// Takes the next `xs.len() <= BLOCK` values.
    #[inline(always)]
    pub fn push_block<I: Simd>(&mut self, isa: I, xs: &[f64]) {
        let [_, number] = self.pairs.newest();
        let numbers: [f64; BLOCK] = core::array::from_fn(|i| number + (i + 1) as f64);
        self.pairs.push_block(isa, xs, &numbers[..xs.len()]);
    }

    /// The co-moments of the newest `m` values, `1 <= m <= cap`.
    #[inline(always)]
    pub fn read(&self, m: usize) -> Comoments {
        self.pairs.read(m)
    }

    /// The same for a window whose parts are known beforehand.
    #[inline(always)]
    pub fn read_window(&self, window: &ComomentWindow) -> Comoments {
        self.pairs.read_window(window)
    }

    /// The co-moments of the window that ends at each of the newest `n` values, into `out`'s first `n` rows.
    #[inline(always)]
    pub fn read_block<I: Simd>(
        &self,
        isa: I,
        window: &ComomentWindow,
        n: usize,
        out: &mut ComomentBlock,
    ) {
        self.pairs.read_block(isa, window, n, out);
    }

    /// The newest `n` values.
    #[inline(always)]
    pub fn values(&self, n: usize) -> &[f64] {
        self.pairs.first(n)
    }
}

impl State for TrendTree {
    fn save(&self, out: &mut Vec<u8>) {
        self.pairs.save(out);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<(), Exhausted> {
        self.pairs.load(bytes)
    }
}
