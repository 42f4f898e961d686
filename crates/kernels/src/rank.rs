//! Rank of the newest value among the newest `m`: counts, which do not depend on order.

use crate::history::History;
use crate::simd::{LANES_MAX, Simd, Vector};
use crate::state::{Exhausted, State};

/// Counts of values below and at the newest value over any window of up to `cap` values.
#[derive(Clone, Debug)]
pub struct Ranks {
    xs: History<1>,
}

/// Rows of a block that are counted together: their counts stay in registers.
const TILE: usize = 8;

impl Ranks {
    /// State for windows of 1 to `cap` values.
    pub fn new(cap: usize) -> Self {
        Self {
            xs: History::new(cap),
        }
    }

    /// Bytes that [`Ranks::new`] takes.
    pub fn bytes(cap: usize) -> usize {
        History::<1>::bytes(cap)
    }

    /// Names the places that the next value will touch.
    pub fn places(&self, touch: &mut impl FnMut(*const f64)) {
        self.xs.places(0, touch);
    }

    /// Takes the next value.
    #[inline(always)]
    pub fn push(&mut self, x: f64) {
        self.xs.reserve(1);
        self.xs.push([x]);
    }

    /// Takes the next `xs.len() <= BLOCK` values.
    #[inline(always)]
    pub fn push_block(&mut self, xs: &[f64]) {
        self.xs.reserve(xs.len());
        let [room] = self.xs.extend(xs.len());
        room.copy_from_slice(xs);
    }

    /// Average rank of the newest value among the newest `m`, over `m`: in (0, 1], ties share the mean of their ranks.
    #[inline(always)]
    pub fn read<I: Simd>(&self, isa: I, m: usize) -> f64 {
        let [x] = self.xs.back(0);
        let newest = isa.splat(x);
        // The newest value counts once, as equal to itself. It is left out here because a processor waits before it
        // reads many values at once of which one has just been written.
        let older = self.xs.block(0, m - 1, 1);
        let mut counts = [isa.splat(0.0); 2];
        let mut side_by_side = older.chunks_exact(I::LANES);
        for values in &mut side_by_side {
            let values = isa.load(values);
            counts[0] = counts[0] + I::V::below(values, newest);
            counts[1] = counts[1] + I::V::up_to(values, newest);
        }
        let mut lanes = [0.0; LANES_MAX];
        (counts[0] + counts[1]).store(&mut lanes);
        let mut counted = 1 + lanes.iter().sum::<f64>() as i64;
        for &value in side_by_side.remainder() {
            counted += twice(value, x);
        }
        average(counted, m)
    }

    /// The `m` values that end `back` places behind the newest, oldest first; `m + back <= cap`, or the rows of the last
    /// block more.
    #[inline(always)]
    pub fn window(&self, m: usize, back: usize) -> &[f64] {
        self.xs.block(0, m, back)
    }

    /// Average ranks of each of the newest `out.len()` values among the `m` that end there, over `m`.
    #[inline(always)]
    pub fn read_block(&self, m: usize, out: &mut [f64]) {
        let n = out.len();
        let series = self.xs.block(0, n + m - 1, 0);
        let (tiles, rest) = out.as_chunks_mut::<TILE>();
        let whole = tiles.len() * TILE;
        for (tile, series) in tiles
            .iter_mut()
            .zip(series.windows(TILE + m - 1).step_by(TILE))
        {
            let (_, newest) = series.split_at(m - 1);
            let mut counts = [0i64; TILE];
            for row in series.windows(TILE) {
                for lane in 0..TILE {
                    counts[lane] += twice(row[lane], newest[lane]);
                }
            }
            for lane in 0..TILE {
                tile[lane] = average(counts[lane], m);
            }
        }
        for (slot, window) in rest.iter_mut().zip(series[whole..].windows(m)) {
            let x = window[m - 1];
            *slot = average(window.iter().map(|&value| twice(value, x)).sum(), m);
        }
    }
}

/// 2 for a value below `x`, 1 for one equal to it: what it adds to twice the rank. Integers, so that the two comparisons
/// are all that a vector of values costs, with two subtractions.
#[inline(always)]
fn twice(value: f64, x: f64) -> i64 {
    i64::from(value < x) + i64::from(value <= x)
}

/// The mean of the ranks of equal values, over `m`, from the count of [`twice`].
#[inline(always)]
fn average(twice: i64, m: usize) -> f64 {
    (twice + 1) as f64 / (2.0 * m as f64)
}

impl State for Ranks {
    fn save(&self, out: &mut Vec<u8>) {
        self.xs.save(out);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<(), Exhausted> {
        self.xs.load(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BLOCK;
    use crate::simd::BASELINE;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn block_and_single_agree_and_equal_the_definition(
            xs in prop::collection::vec(-5i32..5, 1..400), m in 1usize..100, cut in 1usize..=BLOCK
        ) {
            let xs: Vec<f64> = xs.into_iter().map(f64::from).collect();
            let (mut one, mut many) = (Ranks::new(100), Ranks::new(100));
            let mut i = 0;
            for chunk in xs.chunks(cut) {
                many.push_block(chunk);
                let mut block = [0.0; BLOCK];
                many.read_block(m, &mut block[..chunk.len()]);
                for (row, &x) in chunk.iter().enumerate() {
                    one.push(x);
                    i += 1;
                    if i < m { continue; }
                    let window = &xs[i - m..i];
                    let below = window.iter().filter(|&&v| v < x).count() as f64;
                    let equal = window.iter().filter(|&&v| v == x).count() as f64;
                    prop_assert_eq!(one.read(BASELINE, m), (below + (equal + 1.0) / 2.0) / m as f64);
                    prop_assert_eq!(one.read(BASELINE, m).to_bits(), block[row].to_bits());
                }
            }
        }
    }
}
