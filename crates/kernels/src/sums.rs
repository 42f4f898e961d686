//! Rolling sums as dyadic nodes.

use crate::state::{Exhausted, State};
use crate::track::{Track, digits, levels};

/// Sums of the newest values over any window of up to `cap` values.
///
/// `level[k]` holds the sums of `2^k` values; level 0 is the series itself. Pairwise order of addition: the error grows
/// with the logarithm of the window, not with its length.
#[derive(Clone, Debug)]
pub struct Sums {
    level: Vec<Track<1>>,
}

impl Sums {
    /// State for windows of 1 to `cap` values.
    pub fn new(cap: usize) -> Self {
        Self {
            level: (0..=levels(cap)).map(|k| Track::new(1 << k)).collect(),
        }
    }

    /// Bytes that [`Sums::new`] takes.
    pub fn bytes(cap: usize) -> usize {
        (0..=levels(cap)).map(|k| Track::<1>::bytes(1 << k)).sum()
    }

    /// Takes the next value.
    #[inline(always)]
    pub fn push(&mut self, x: f64) {
        let mut sum = x;
        for (k, track) in self.level.iter_mut().enumerate() {
            track.reserve(1);
            track.push([sum]);
            let [older] = track.back(1 << k);
            sum += older;
        }
    }

    /// Takes the next `xs.len() <= BLOCK` values.
    #[inline(always)]
    pub fn push_block(&mut self, xs: &[f64]) {
        let n = xs.len();
        self.level[0].reserve(n);
        let [room] = self.level[0].extend(n);
        room.copy_from_slice(xs);
        for k in 1..self.level.len() {
            let (below, above) = self.level.split_at_mut(k);
            let source = &below[k - 1];
            above[0].reserve(n);
            let [out] = above[0].extend(n);
            let (newer, older) = (source.block(0, n, 0), source.block(0, n, 1 << (k - 1)));
            for ((out, newer), older) in out.iter_mut().zip(newer).zip(older) {
                *out = newer + older;
            }
        }
    }

    /// The sum of the newest `m` values, `1 <= m <= cap`.
    #[inline(always)]
    pub fn read(&self, m: usize) -> f64 {
        let mut parts = digits(m);
        let mut sum = parts
            .next()
            .map_or(0.0, |(k, offset)| self.level[k].back(offset)[0]);
        for (k, offset) in parts {
            sum += self.level[k].back(offset)[0];
        }
        sum
    }

    /// The sums of the `m` values that end at each of the newest `out.len()` values.
    #[inline(always)]
    pub fn read_block(&self, m: usize, out: &mut [f64]) {
        let n = out.len();
        let mut parts = digits(m);
        if let Some((k, offset)) = parts.next() {
            out.copy_from_slice(self.level[k].block(0, n, offset));
        }
        for (k, offset) in parts {
            for (sum, part) in out.iter_mut().zip(self.level[k].block(0, n, offset)) {
                *sum += part;
            }
        }
    }
}

impl State for Sums {
    fn save(&self, out: &mut Vec<u8>) {
        self.level.iter().for_each(|track| track.save(out));
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<(), Exhausted> {
        self.level
            .iter_mut()
            .try_for_each(|track| track.load(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BLOCK;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn block_and_single_agree_and_equal_the_direct_sum(
            xs in prop::collection::vec(-1e6f64..1e6, 1..600), m in 1usize..200, cut in 1usize..BLOCK
        ) {
            let (mut one, mut many) = (Sums::new(200), Sums::new(200));
            let mut i = 0;
            for chunk in xs.chunks(cut) {
                many.push_block(chunk);
                let mut block = [0.0; BLOCK];
                let block = &mut block[..chunk.len()];
                many.read_block(m, block);
                for (&x, &from_block) in chunk.iter().zip(block.iter()) {
                    one.push(x);
                    i += 1;
                    if i >= m {
                        let direct: f64 = xs[i - m..i].iter().sum();
                        prop_assert_eq!(one.read(m).to_bits(), from_block.to_bits());
                        prop_assert!((from_block - direct).abs() <= 1e-9 * m as f64);
                    }
                }
            }
        }
    }
}
