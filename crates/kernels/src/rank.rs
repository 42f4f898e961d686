//! Rank of the newest value among the newest `m`: counts, which do not depend on order.

use crate::state::{Exhausted, State};
use crate::track::Track;

/// Counts of values below and at the newest value over any window of up to `cap` values.
#[derive(Clone, Debug)]
pub struct Ranks {
    xs: Track<1>,
}

/// Rows that a block counts together: their counts stay in registers.
const TILE: usize = 8;

impl Ranks {
    /// State for windows of 1 to `cap` values.
    pub fn new(cap: usize) -> Self {
        Self {
            xs: Track::new(cap),
        }
    }

    /// Bytes that [`Ranks::new`] takes.
    pub fn bytes(cap: usize) -> usize {
        Track::<1>::bytes(cap)
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
    pub fn read(&self, m: usize) -> f64 {
        let window = self.xs.block(0, m, 0);
        let x = window[m - 1];
        // Counting in floats keeps the loop in one vector type; the counts are exact far beyond any window.
        let (mut below, mut at_most) = ([0.0; 4], [0.0; 4]);
        let (quads, rest) = window.as_chunks::<4>();
        for quad in quads {
            for lane in 0..4 {
                below[lane] += if quad[lane] < x { 1.0 } else { 0.0 };
                at_most[lane] += if quad[lane] <= x { 1.0 } else { 0.0 };
            }
        }
        for &value in rest {
            below[0] += if value < x { 1.0 } else { 0.0 };
            at_most[0] += if value <= x { 1.0 } else { 0.0 };
        }
        average(below.iter().sum(), at_most.iter().sum(), m)
    }

    /// Average ranks of each of the newest `out.len()` values among the `m` that end there, over `m`.
    #[inline(always)]
    pub fn read_block(&self, m: usize, out: &mut [f64]) {
        let n = out.len();
        let series = self.xs.block(0, n + m - 1, 0);
        let whole = n - n % TILE;
        let mut start = 0;
        while start < whole {
            let newest: [f64; TILE] = core::array::from_fn(|lane| series[m - 1 + start + lane]);
            let (mut below, mut at_most) = ([0.0; TILE], [0.0; TILE]);
            for offset in 0..m {
                let row = &series[start + offset..start + offset + TILE];
                for lane in 0..TILE {
                    below[lane] += if row[lane] < newest[lane] { 1.0 } else { 0.0 };
                    at_most[lane] += if row[lane] <= newest[lane] { 1.0 } else { 0.0 };
                }
            }
            for lane in 0..TILE {
                out[start + lane] = average(below[lane], at_most[lane], m);
            }
            start += TILE;
        }
        for (row, slot) in out.iter_mut().enumerate().skip(whole) {
            let window = &series[row..row + m];
            let x = window[m - 1];
            let (mut below, mut at_most) = (0.0, 0.0);
            for &value in window {
                below += if value < x { 1.0 } else { 0.0 };
                at_most += if value <= x { 1.0 } else { 0.0 };
            }
            *slot = average(below, at_most, m);
        }
    }
}

/// The mean of ranks `below + 1 ..= at_most`, over `m`.
#[inline(always)]
fn average(below: f64, at_most: f64, m: usize) -> f64 {
    (below + at_most + 1.0) / (2.0 * m as f64)
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
                    prop_assert_eq!(one.read(m), (below + (equal + 1.0) / 2.0) / m as f64);
                    prop_assert_eq!(one.read(m).to_bits(), block[row].to_bits());
                }
            }
        }
    }
}
