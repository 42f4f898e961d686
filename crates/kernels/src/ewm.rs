//! Exponentially weighted mean as a dyadic tree: a pure function of a declared number of newest values.
//!
//! `S(k + 1, i) = S(k, i) + lambda^(2^k) * S(k, i - 2^k)` sums `2^(k + 1)` values with weights `lambda^j`. The mean is
//! the weighted sum over the sum of weights (pandas' `adjust=True`). The tree ends where the weight of what it leaves
//! out is below the last bit of a double, so that the recursion of Roberts (1959) and this sum agree to rounding, but
//! this one forgets: two streams that began on different days agree bit for bit once the tree is full.

use crate::state::{Exhausted, State, put_u64, take_u64};
use crate::track::Track;

/// Exponentially weighted mean of the newest `2^levels` values with factor `alpha`.
#[derive(Clone, Debug)]
pub struct Ewm {
    /// `level[k]` holds the weighted sums of `2^k` values; the last level needs no past.
    level: Vec<Track<1>>,
    /// `lambda^(2^k)`.
    decay: Vec<f64>,
    /// `1 / sum of weights` of the newest `c` values stands at `c - 1`, up to a full tree.
    share: Vec<f64>,
    count: usize,
}

impl Ewm {
    /// Levels above the values, so that `lambda^(2^levels) < 2^-53`.
    pub fn levels(alpha: f64) -> usize {
        let lambda = 1.0 - alpha;
        let mut levels = 0;
        let mut weight = lambda;
        while weight >= f64::EPSILON / 2.0 && levels < 32 {
            weight *= weight;
            levels += 1;
        }
        levels
    }

    /// State for `0 < alpha <= 1`.
    pub fn new(alpha: f64) -> Self {
        let levels = Self::levels(alpha);
        let mut decay = Vec::with_capacity(levels);
        let mut weight = 1.0 - alpha;
        for _ in 0..levels {
            decay.push(weight);
            weight *= weight;
        }
        let share = Self::shares(&decay);
        Self {
            level: (0..levels).map(|k| Track::new(1 << k)).collect(),
            decay,
            share,
            count: 0,
        }
    }

    /// Bytes that [`Ewm::new`] takes.
    pub fn bytes(alpha: f64) -> usize {
        let levels = Self::levels(alpha);
        (0..levels)
            .map(|k| Track::<1>::bytes(1 << k))
            .sum::<usize>()
            + (8 << levels)
            + 8 * levels
    }

    /// The sums of weights by the tree's own merges, as if every present value were 1 and every absent one 0.
    fn shares(decay: &[f64]) -> Vec<f64> {
        let size = 1usize << decay.len();
        let mut sums: Vec<f64> = vec![1.0; size];
        for (k, d) in decay.iter().enumerate() {
            for i in (0..size).rev() {
                let older = if i >= 1 << k { sums[i - (1 << k)] } else { 0.0 };
                sums[i] += d * older;
            }
        }
        for sum in &mut sums {
            *sum = 1.0 / *sum;
        }
        sums
    }

    /// Takes the next value and gives the mean.
    #[inline(always)]
    pub fn push(&mut self, x: f64) -> f64 {
        let mut sum = x;
        for k in 0..self.level.len() {
            let track = &mut self.level[k];
            track.reserve(1);
            track.push([sum]);
            let [older] = track.back(1 << k);
            sum += self.decay[k] * older;
        }
        let share = self.share[self.count.min(self.share.len() - 1)];
        self.count += 1;
        sum * share
    }

    /// Takes the next `xs.len() <= BLOCK` values and gives the mean at each.
    #[inline(always)]
    pub fn push_block(&mut self, xs: &[f64], out: &mut [f64]) {
        let n = xs.len();
        out.copy_from_slice(xs);
        for (track, &decay) in self.level.iter_mut().zip(&self.decay) {
            let back = track.history();
            track.reserve(n);
            let [room] = track.extend(n);
            room.copy_from_slice(out);
            for (sum, older) in out.iter_mut().zip(track.block(0, n, back)) {
                *sum += decay * older;
            }
        }
        let last = self.share.len() - 1;
        if self.count >= last {
            let share = self.share[last];
            out.iter_mut().for_each(|sum| *sum *= share);
        } else {
            for (i, sum) in out.iter_mut().enumerate() {
                *sum *= self.share[(self.count + i).min(last)];
            }
        }
        self.count += n;
    }

    /// Values from which on the mean no longer depends on where the stream began.
    pub fn settled_after(alpha: f64) -> usize {
        1 << Self::levels(alpha)
    }

    /// Values taken so far.
    pub fn count(&self) -> usize {
        self.count
    }
}

impl State for Ewm {
    fn save(&self, out: &mut Vec<u8>) {
        put_u64(out, self.count as u64);
        self.level.iter().for_each(|track| track.save(out));
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<(), Exhausted> {
        self.count = take_u64(bytes)? as usize;
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
        fn block_and_single_agree_and_follow_the_recursion(
            xs in prop::collection::vec(-10f64..10.0, 1..700), span in 1u32..40, cut in 1usize..=BLOCK
        ) {
            let alpha = 2.0 / (f64::from(span) + 1.0);
            let (mut one, mut many) = (Ewm::new(alpha), Ewm::new(alpha));
            let (mut sum, mut weight) = (0.0, 0.0);
            for chunk in xs.chunks(cut) {
                let mut block = [0.0; BLOCK];
                many.push_block(chunk, &mut block[..chunk.len()]);
                for (row, &x) in chunk.iter().enumerate() {
                    let got = one.push(x);
                    prop_assert_eq!(got.to_bits(), block[row].to_bits());
                    sum = sum * (1.0 - alpha) + x;
                    weight = weight * (1.0 - alpha) + 1.0;
                    prop_assert!((got - sum / weight).abs() < 1e-13, "{} {}", got, sum / weight);
                }
            }
        }
    }

    #[test]
    fn a_full_tree_forgets_where_it_began() {
        let alpha = 2.0 / 27.0;
        let (mut fresh, mut long) = (Ewm::new(alpha), Ewm::new(alpha));
        (0..5000).for_each(|i| _ = long.push(1e9 * f64::from(i % 7)));
        for i in 0..Ewm::settled_after(alpha) + 50 {
            let x = f64::from((i % 13) as u32) / 7.0;
            let (a, b) = (fresh.push(x), long.push(x));
            if i + 1 >= Ewm::settled_after(alpha) {
                assert_eq!(a.to_bits(), b.to_bits(), "{i}");
            }
        }
    }
}
