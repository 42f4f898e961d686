//! Exponentially weighted mean as a dyadic tree: a pure function of a declared number of newest values.
//!
//! `S(k + 1, i) = S(k, i) + lambda^(2^k) * S(k, i - 2^k)` sums `2^(k + 1)` values with weights `lambda^j`. The mean is
//! the weighted sum over the sum of weights (pandas' `adjust=True`). The tree ends where the weight of what it leaves
//! out is below the last bit of a double, so that the recursion of Roberts (1959) and this sum agree to rounding, but
//! this one forgets: two streams that began on different days agree bit for bit once the tree is full.

use crate::pyramid::{FIRST, Nodes, Pyramid};
use crate::simd::{Simd, Vector};
use crate::state::{Exhausted, State, put_u64, take_u64};
use std::sync::Arc;

/// Rows that go side by side at most.
const SIDE: usize = 4;
/// Pyramid that a tree has at most.
const LEVELS_MAX: usize = 32;

/// Exponentially weighted mean of the newest `2^levels` values with factor `alpha`.
#[derive(Clone, Debug)]
pub struct Ewm {
    /// Level `k` holds the weighted sums of `2^k` values; the last one needs no past and is not kept.
    pyramid: Pyramid<1, 1>,
    /// Shared by copies: they depend on `alpha` alone.
    weights: Arc<Weights>,
    count: usize,
}

#[derive(Debug)]
struct Weights {
    /// `lambda^(2^k)`; 0 from the last level on.
    decay: [f64; LEVELS_MAX],
    /// `1 / sum of weights` of the newest `c` values stands at `c - 1`, up to a full tree and as many times more as rows
    /// go side by side.
    share: Vec<f64>,
}

/// The weighted sums, and where the means go.
struct Fades<'a> {
    decay: &'a [f64; LEVELS_MAX],
    share: &'a [f64],
    count: usize,
    out: &'a mut [f64],
}

impl Nodes<1, 1> for Fades<'_> {
    #[inline(always)]
    fn bottom<I: Simd>(&self, isa: I, _: usize, [[d, c, b, a]]: [[I::V; 4]; 1]) -> [I::V; 1] {
        let (one, two) = (isa.splat(self.decay[0]), isa.splat(self.decay[1]));
        [(a + one * b) + two * (c + one * d)]
    }

    #[inline(always)]
    fn above<I: Simd>(
        &self,
        isa: I,
        _: usize,
        k: usize,
        [older]: [I::V; 1],
        [newer]: [I::V; 1],
    ) -> [I::V; 1] {
        [newer + isa.splat(self.decay[k]) * older]
    }

    const BEYOND: bool = true;

    #[inline(always)]
    fn beyond<I: Simd>(&mut self, isa: I, i: usize, [sum]: [I::V; 1]) {
        let full = self.share.len() - SIDE;
        let share = isa.load(&self.share[(self.count + i).min(full)..]);
        (sum * share).store(&mut self.out[i..]);
    }
}

impl Ewm {
    /// Pyramid above the values, so that `lambda^(2^levels) < 2^-53`; as many as make a node at least.
    pub fn levels(alpha: f64) -> usize {
        let lambda = 1.0 - alpha;
        let (mut levels, mut weight) = (0, lambda);
        while weight >= f64::EPSILON / 2.0 && levels < LEVELS_MAX {
            weight *= weight;
            levels += 1;
        }
        levels.max(FIRST)
    }

    /// State for `0 < alpha <= 1`.
    pub fn new(alpha: f64) -> Self {
        let levels = Self::levels(alpha);
        let mut decay = [0.0; LEVELS_MAX];
        let mut weight = 1.0 - alpha;
        for slot in &mut decay[..levels] {
            *slot = weight;
            weight *= weight;
        }
        let share = Self::shares(&decay[..levels]);
        Self {
            pyramid: Pyramid::new(levels),
            weights: Arc::new(Weights { decay, share }),
            count: 0,
        }
    }

    /// Bytes that a copy of [`Ewm::new`] takes. The weights are not among them: copies share them.
    pub fn bytes(alpha: f64) -> usize {
        Pyramid::<1, 1>::bytes(Self::levels(alpha))
    }

    /// The sums of weights by the tree's own merges, as if every present value were 1 and every absent one 0.
    fn shares(decay: &[f64]) -> Vec<f64> {
        let size = 1usize << decay.len();
        let mut sums: Vec<f64> = Vec::with_capacity(size + SIDE - 1);
        sums.resize(size, 1.0);
        for (k, d) in decay.iter().enumerate() {
            for i in (0..size).rev() {
                let older = if i >= 1 << k { sums[i - (1 << k)] } else { 0.0 };
                sums[i] += d * older;
            }
        }
        for sum in &mut sums {
            *sum = 1.0 / *sum;
        }
        sums.resize(size + SIDE - 1, sums[size - 1]);
        sums
    }

    /// Names the places that the next value will touch.
    pub fn places(&self, touch: &mut impl FnMut(*const f64)) {
        self.pyramid.places(touch);
    }

    /// Takes the next value and gives the mean.
    #[inline(always)]
    pub fn push(&mut self, x: f64) -> f64 {
        let mut out = [0.0];
        let Self {
            pyramid,
            weights,
            count,
        } = self;
        let Weights { decay, share } = &**weights;
        pyramid.take(
            [x],
            &mut Fades {
                decay,
                share,
                count: *count,
                out: &mut out,
            },
        );
        *count += 1;
        out[0]
    }

    /// Takes the next `xs.len() <= BLOCK` values and gives the mean at each.
    #[inline(always)]
    pub fn push_block<I: Simd>(&mut self, isa: I, xs: &[f64], out: &mut [f64]) {
        let Self {
            pyramid,
            weights,
            count,
        } = self;
        let Weights { decay, share } = &**weights;
        pyramid.take_block(
            isa,
            xs.len(),
            [xs],
            &mut Fades {
                decay,
                share,
                count: *count,
                out,
            },
        );
        *count += xs.len();
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
        self.pyramid.save(out);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<(), Exhausted> {
        self.count = take_u64(bytes)? as usize;
        self.pyramid.load(bytes)
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
        fn block_and_single_agree_and_follow_the_recursion(
            xs in prop::collection::vec(-10f64..10.0, 1..700), span in 1u32..40, cut in 1usize..=BLOCK
        ) {
            let alpha = 2.0 / (f64::from(span) + 1.0);
            let (mut one, mut many) = (Ewm::new(alpha), Ewm::new(alpha));
            let (mut sum, mut weight) = (0.0, 0.0);
            for chunk in xs.chunks(cut) {
                let mut block = [0.0; BLOCK];
                many.push_block(BASELINE, chunk, &mut block[..chunk.len()]);
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
