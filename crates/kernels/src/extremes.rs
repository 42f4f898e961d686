//! Rolling minimum and maximum as dyadic nodes.

use crate::state::{Exhausted, State};
use crate::track::{Track, digits, levels};

#[inline(always)]
fn least(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

#[inline(always)]
fn most(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

/// Minimum and maximum of the newest values over any window of up to `cap` values. Values are finite.
#[derive(Clone, Debug)]
pub struct Extremes {
    /// `level[k]` holds (minimum, maximum) of `2^k` values.
    level: Vec<Track<2>>,
}

impl Extremes {
    /// State for windows of 1 to `cap` values.
    pub fn new(cap: usize) -> Self {
        Self {
            level: (0..=levels(cap)).map(|k| Track::new(1 << k)).collect(),
        }
    }

    /// Bytes that [`Extremes::new`] takes.
    pub fn bytes(cap: usize) -> usize {
        (0..=levels(cap)).map(|k| Track::<2>::bytes(1 << k)).sum()
    }

    /// Takes the next value.
    #[inline(always)]
    pub fn push(&mut self, x: f64) {
        let (mut min, mut max) = (x, x);
        for (k, track) in self.level.iter_mut().enumerate() {
            track.reserve(1);
            track.push([min, max]);
            let [older_min, older_max] = track.back(1 << k);
            (min, max) = (least(older_min, min), most(older_max, max));
        }
    }

    /// Takes the next `xs.len() <= BLOCK` values.
    #[inline(always)]
    pub fn push_block(&mut self, xs: &[f64]) {
        let n = xs.len();
        self.level[0].reserve(n);
        for room in self.level[0].extend(n) {
            room.copy_from_slice(xs);
        }
        for k in 1..self.level.len() {
            let (below, above) = self.level.split_at_mut(k);
            let source = &below[k - 1];
            above[0].reserve(n);
            let [min, max] = above[0].extend(n);
            let back = 1 << (k - 1);
            let (newer, older) = (source.block(0, n, 0), source.block(0, n, back));
            for i in 0..n {
                min[i] = least(older[i], newer[i]);
            }
            let (newer, older) = (source.block(1, n, 0), source.block(1, n, back));
            for i in 0..n {
                max[i] = most(older[i], newer[i]);
            }
        }
    }

    /// (minimum, maximum) of the newest `m` values, `1 <= m <= cap`.
    #[inline(always)]
    pub fn read(&self, m: usize) -> [f64; 2] {
        let mut parts = digits(m);
        let (k, offset) = parts.next().unwrap_or((0, 0));
        let [mut min, mut max] = self.level[k].back(offset);
        for (k, offset) in parts {
            let [older_min, older_max] = self.level[k].back(offset);
            (min, max) = (least(older_min, min), most(older_max, max));
        }
        [min, max]
    }

    /// Minima of the `m` values that end at each of the newest `out.len()` values.
    #[inline(always)]
    pub fn min_block(&self, m: usize, out: &mut [f64]) {
        self.fold_block(0, m, out, least);
    }

    /// Maxima of the `m` values that end at each of the newest `out.len()` values.
    #[inline(always)]
    pub fn max_block(&self, m: usize, out: &mut [f64]) {
        self.fold_block(1, m, out, most);
    }

    #[inline(always)]
    fn fold_block(&self, column: usize, m: usize, out: &mut [f64], pick: impl Fn(f64, f64) -> f64) {
        let n = out.len();
        let mut parts = digits(m);
        if let Some((k, offset)) = parts.next() {
            out.copy_from_slice(self.level[k].block(column, n, offset));
        }
        for (k, offset) in parts {
            for (kept, &older) in out.iter_mut().zip(self.level[k].block(column, n, offset)) {
                *kept = pick(older, *kept);
            }
        }
    }
}

impl State for Extremes {
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
        fn block_and_single_agree_and_equal_the_definition(
            xs in prop::collection::vec(-5i32..5, 1..400), m in 1usize..100, cut in 1usize..=BLOCK
        ) {
            let xs: Vec<f64> = xs.into_iter().map(f64::from).collect();
            let (mut one, mut many) = (Extremes::new(100), Extremes::new(100));
            let (mut mins, mut maxs) = ([0.0; BLOCK], [0.0; BLOCK]);
            let mut i = 0;
            for chunk in xs.chunks(cut) {
                many.push_block(chunk);
                many.min_block(m, &mut mins[..chunk.len()]);
                many.max_block(m, &mut maxs[..chunk.len()]);
                for (row, &x) in chunk.iter().enumerate() {
                    one.push(x);
                    i += 1;
                    if i < m { continue; }
                    let window = &xs[i - m..i];
                    let min = window.iter().copied().fold(f64::INFINITY, f64::min);
                    let max = window.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    prop_assert_eq!(one.read(m), [min, max]);
                    prop_assert_eq!([mins[row], maxs[row]], [min, max]);
                }
            }
        }
    }
}
